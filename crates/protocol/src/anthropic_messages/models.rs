//! What Claude models accept, as far as a request depends on it and their names tell.
//!
//! | since | what changed | documented at |
//! |---|---|---|
//! | 4.1 | `temperature` and `top_p` not together | <https://docs.anthropic.com/en/api/messages> |
//! | 4.5 | structured answers (`output_config.format`) | <https://platform.claude.com/docs/en/build-with-claude/structured-outputs> |
//! | 4.6 | adaptive thinking beside budgets; an answer cannot be begun for the model | <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking> |
//! | 4.7 | adaptive thinking only; no sampling parameters | <https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7> |
//! | 4.8 | system messages within the conversation | <https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages> |

/// What thinking a model can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// Up to a number of tokens.
    Budget,
    /// Up to a number of tokens, or as it sees fit.
    Both,
    /// As it sees fit.
    Adaptive,
    /// As it sees fit, and always.
    Always,
}

/// A Claude model, by its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claude {
    major: u32,
    minor: u32,
    always_thinks: bool,
}

impl Claude {
    /// The model of that name, whoever serves it: `claude-sonnet-4-5-20250929`, `claude-3-7-sonnet`,
    /// `us.anthropic.claude-opus-4-6-v1`, `claude-haiku-4-5@20251001`. `None` where the name is not
    /// Claude's; one without a version is taken for the newest.
    ///
    /// ```
    /// use weighbridge_protocol::anthropic_messages::models::{Claude, Thinking};
    ///
    /// let haiku = Claude::named("claude-haiku-4-5-20251001").unwrap();
    /// assert_eq!((haiku.thinking(), haiku.takes_sampling()), (Thinking::Budget, true));
    /// assert!(Claude::named("deepseek-chat").is_none());
    /// ```
    pub fn named(model: &str) -> Option<Self> {
        let name = model.get(model.find("claude")?..)?;
        let is_separator = |c: char| matches!(c, '-' | '.' | '@' | ':' | '/');
        let numbers: Vec<u32> = name
            .split(is_separator)
            .skip_while(|word| !is_version(word))
            .take_while(|word| is_version(word))
            .filter_map(|word| word.parse().ok())
            .collect();
        let (major, minor) = match numbers[..] {
            [] => (u32::MAX, 0),
            [major] => (major, 0),
            [major, minor, ..] => (major, minor),
        };
        let always_thinks = name.contains("mythos") || name.contains("fable");
        Some(Self { major, minor, always_thinks })
    }

    fn since(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// What thinking it can be asked for.
    pub fn thinking(self) -> Thinking {
        match self {
            Self { always_thinks: true, .. } => Thinking::Always,
            _ if self.since(4, 7) => Thinking::Adaptive,
            _ if self.since(4, 6) => Thinking::Both,
            _ => Thinking::Budget,
        }
    }

    /// Whether it takes `temperature`, `top_p` and `top_k`.
    pub fn takes_sampling(self) -> bool {
        !self.always_thinks && !self.since(4, 7)
    }

    /// Whether it takes `temperature` and `top_p` in one request.
    pub fn takes_both_samplings(self) -> bool {
        self.takes_sampling() && !self.since(4, 1)
    }

    /// Whether it gives answers that match a schema.
    pub fn gives_structured_answers(self) -> bool {
        self.since(4, 5)
    }

    /// Whether it goes on with a message of its own that stands last.
    pub fn goes_on(self) -> bool {
        !self.always_thinks && !self.since(4, 6)
    }

    /// Whether it takes system messages behind a message of the user.
    pub fn takes_late_system(self) -> bool {
        self.since(4, 8)
    }

    /// Whether it knows the effort `xhigh`.
    pub fn knows_xhigh(self) -> bool {
        self.since(4, 7)
    }
}

/// A part of a version, and no date.
fn is_version(word: &str) -> bool {
    (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_wherever_they_stand() {
        let version = |name: &str| Claude::named(name).map(|model| (model.major, model.minor));
        for (name, expected) in [
            ("claude-3-haiku-20240307", (3, 0)),
            ("claude-3-7-sonnet-latest", (3, 7)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-sonnet-4-5-20250929", (4, 5)),
            ("us.anthropic.claude-opus-4-6-v1", (4, 6)),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0", (3, 5)),
            ("claude-opus-4-1@20250805", (4, 1)),
            ("anthropic/claude-opus-4.8", (4, 8)),
            ("claude-sonnet-5", (5, 0)),
            ("claude-haiku-5-5", (5, 5)),
        ] {
            assert_eq!(version(name), Some(expected), "{name}");
        }
        assert_eq!(Claude::named("gpt-5"), None);
    }

    #[test]
    fn newer_models_take_less() {
        let shown = |name| {
            let model = Claude::named(name).unwrap();
            (model.thinking(), model.takes_sampling(), model.goes_on(), model.takes_late_system())
        };
        assert_eq!(shown("claude-haiku-4-5"), (Thinking::Budget, true, true, false));
        assert_eq!(shown("claude-opus-4-6"), (Thinking::Both, true, false, false));
        assert_eq!(shown("claude-opus-4-7"), (Thinking::Adaptive, false, false, false));
        assert_eq!(shown("claude-opus-4-8"), (Thinking::Adaptive, false, false, true));
        assert_eq!(shown("claude-mythos-preview"), (Thinking::Always, false, false, true));
        assert_eq!(shown("claude-latest"), (Thinking::Adaptive, false, false, true));
    }
}
