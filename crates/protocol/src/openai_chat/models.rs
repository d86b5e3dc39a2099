//! What OpenAI's models accept, as far as a request depends on it and their names tell.
//!
//! Models that reason refuse what steers sampling, and models that do not reason refuse
//! `reasoning_effort`: <https://platform.openai.com/docs/guides/latest-model>,
//! <https://platform.openai.com/docs/guides/reasoning>.

/// The words for an effort that every model knows whose provider took `reasoning_effort` over.
pub const EFFORTS_COMMON: &[&str] = &["low", "medium", "high"];

/// What is known about a model by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts {
    /// The words for an effort that it knows, from the least; empty where it does not reason. It
    /// refuses all others.
    pub efforts: &'static [&'static str],
    /// Whether it takes marks for the prompt cache.
    pub cache_marks: bool,
}

impl ModelFacts {
    /// Whether it reasons.
    pub const fn reasons(&self) -> bool {
        !self.efforts.is_empty()
    }

    /// Whether `temperature`, `top_p`, penalties and the like are refused under an effort.
    pub fn refuses_sampling(&self, effort: Option<&str>) -> bool {
        // Newer models take them while they do not reason.
        self.reasons() && !(self.efforts.first() == Some(&"none") && effort == Some("none"))
    }
}

/// What is known about a model of OpenAI's, whoever serves it; `None` for other names.
///
/// ```
/// use weighbridge_protocol::openai_chat::models::facts;
///
/// assert!(facts("gpt-5-mini").is_some_and(|model| model.efforts == ["minimal", "low", "medium", "high"]));
/// assert!(facts("openai/gpt-4o").is_some_and(|model| !model.reasons()));
/// assert_eq!(facts("mistral-large-latest"), None);
/// ```
pub fn facts(model: &str) -> Option<ModelFacts> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let never = ModelFacts { efforts: &[], cache_marks: false };
    if let Some(rest) = name.strip_prefix("gpt-") {
        let version = version(rest)?;
        let has = |word: &str| rest.split('-').any(|piece| piece == word);
        let talks = version < (5, 0) || has("chat");
        let efforts = if talks { &[][..] } else { efforts(version, &has) };
        return Some(ModelFacts { efforts, cache_marks: version >= (5, 6) });
    }
    if name.starts_with("chatgpt-") {
        return Some(never);
    }
    let rest = name.strip_prefix('o')?;
    let is_series = rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.chars().nth(1).is_none_or(|c| matches!(c, '-' | ':'));
    is_series.then_some(ModelFacts { efforts: EFFORTS_COMMON, cache_marks: false })
}

/// The words that a model of GPT-5 and later knows: one list, of which a model knows a stretch, and
/// `minimal` only the first of them.
fn efforts(version: (u32, u32), has: &dyn Fn(&str) -> bool) -> &'static [&'static str] {
    const ALL: &[&str] = &["none", "low", "medium", "high", "xhigh", "max"];
    let most = match version {
        (5, 6..) | (6.., _) => 6,
        (5, 2..) => 5,
        _ if has("max") => 5,
        _ => 4,
    };
    let least = match version {
        (5, 0) if has("pro") => 3,
        _ if has("pro") => 2,
        _ if has("codex") => 1,
        (5, 0) => return &["minimal", "low", "medium", "high"],
        _ => 0,
    };
    ALL.get(least..most).unwrap_or(EFFORTS_COMMON)
}

/// The version that a name begins with: `4o-mini` is 4, `5.1-codex` is 5.1.
fn version(text: &str) -> Option<(u32, u32)> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let major = digits(text)?;
    let minor = text.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('.').and_then(digits);
    Some((major, minor.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_accepted() {
        let shown = |name: &str| match facts(name) {
            None => "unknown".to_owned(),
            Some(model) => format!("[{}], marks: {}", model.efforts.join(" "), model.cache_marks),
        };
        let names = [
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-3.5-turbo",
            "gpt-5-chat-latest",
            "gpt-5",
            "gpt-5-codex",
            "gpt-5-pro",
            "gpt-5-nano-2025-08-07",
            "gpt-5.1",
            "gpt-5.1-codex-max",
            "gpt-5.2-pro",
            "gpt-5.4-mini",
            "gpt-5.6-luna",
            "gpt-6",
            "o1",
            "o3-mini",
            "openai/o4-mini",
            "chatgpt-4o-latest",
            "gpt-oss-120b",
            "omni",
            "olmo-2",
            "llama-3",
        ];
        let lines: Vec<String> = names.iter().map(|name| format!("{name}: {}", shown(name))).collect();
        assert_eq!(
            lines.join("\n"),
            "gpt-4o-mini: [], marks: false\ngpt-4.1: [], marks: false\ngpt-3.5-turbo: [], marks: false\n\
             gpt-5-chat-latest: [], marks: false\ngpt-5: [minimal low medium high], marks: false\n\
             gpt-5-codex: [low medium high], marks: false\ngpt-5-pro: [high], marks: false\n\
             gpt-5-nano-2025-08-07: [minimal low medium high], marks: false\n\
             gpt-5.1: [none low medium high], marks: false\n\
             gpt-5.1-codex-max: [low medium high xhigh], marks: false\n\
             gpt-5.2-pro: [medium high xhigh], marks: false\n\
             gpt-5.4-mini: [none low medium high xhigh], marks: false\n\
             gpt-5.6-luna: [none low medium high xhigh max], marks: true\n\
             gpt-6: [none low medium high xhigh max], marks: true\n\
             o1: [low medium high], marks: false\no3-mini: [low medium high], marks: false\n\
             openai/o4-mini: [low medium high], marks: false\nchatgpt-4o-latest: [], marks: false\n\
             gpt-oss-120b: unknown\nomni: unknown\nolmo-2: unknown\nllama-3: unknown"
        );
    }
}
