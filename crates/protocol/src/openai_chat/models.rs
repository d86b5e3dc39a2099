//! What OpenAI's models accept, as far as a request depends on it and their names tell.
//!
//! Models that reason refuse what steers sampling, and models that do not reason refuse
//! `reasoning_effort`: <https://platform.openai.com/docs/guides/latest-model>,
//! <https://platform.openai.com/docs/guides/reasoning>.

/// What is known about a model by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFacts {
    /// Whether it reasons.
    pub reasons: bool,
    /// The least effort that it can be told, where it reasons: OpenAI's word.
    pub effort_min: &'static str,
    /// Whether it takes marks for the prompt cache.
    pub cache_marks: bool,
}

impl ModelFacts {
    /// Whether `temperature`, `top_p`, penalties and the like are refused under an effort.
    pub fn refuses_sampling(&self, effort: Option<&str>) -> bool {
        // Newer models take them while they do not reason.
        self.reasons && !(self.effort_min == "none" && effort == Some("none"))
    }
}

/// What is known about a model of OpenAI's, whoever serves it; `None` for other names.
///
/// ```
/// use weighbridge_protocol::openai_chat::models::facts;
///
/// assert!(facts("gpt-5-mini").is_some_and(|model| model.reasons && model.effort_min == "minimal"));
/// assert!(facts("openai/gpt-4o").is_some_and(|model| !model.reasons));
/// assert_eq!(facts("mistral-large-latest"), None);
/// ```
pub fn facts(model: &str) -> Option<ModelFacts> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let never = ModelFacts { reasons: false, effort_min: "none", cache_marks: false };
    if let Some(rest) = name.strip_prefix("gpt-") {
        let (major, minor) = version(rest)?;
        let marks = (major, minor) >= (5, 6);
        return Some(match (major, minor) {
            (..5, _) => never,
            _ if rest.contains("-chat") => ModelFacts { cache_marks: marks, ..never },
            (5, 0) => ModelFacts { reasons: true, effort_min: "minimal", cache_marks: false },
            _ => ModelFacts { reasons: true, effort_min: "none", cache_marks: marks },
        });
    }
    if name.starts_with("chatgpt-") {
        return Some(never);
    }
    let rest = name.strip_prefix('o')?;
    let is_series = rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.chars().nth(1).is_none_or(|c| matches!(c, '-' | ':'));
    is_series.then_some(ModelFacts { reasons: true, effort_min: "low", cache_marks: false })
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
            Some(model) if !model.reasons => "no reasoning".to_owned(),
            Some(model) => format!("from {}, marks: {}", model.effort_min, model.cache_marks),
        };
        let names = [
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-3.5-turbo",
            "gpt-5-chat-latest",
            "gpt-5",
            "gpt-5-nano-2025-08-07",
            "gpt-5.1",
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
            "gpt-4o-mini: no reasoning\ngpt-4.1: no reasoning\ngpt-3.5-turbo: no reasoning\n\
             gpt-5-chat-latest: no reasoning\ngpt-5: from minimal, marks: false\n\
             gpt-5-nano-2025-08-07: from minimal, marks: false\ngpt-5.1: from none, marks: false\n\
             gpt-5.6-luna: from none, marks: true\ngpt-6: from none, marks: true\n\
             o1: from low, marks: false\no3-mini: from low, marks: false\nopenai/o4-mini: from low, marks: false\n\
             chatgpt-4o-latest: no reasoning\ngpt-oss-120b: unknown\nomni: unknown\nolmo-2: unknown\n\
             llama-3: unknown"
        );
    }
}
