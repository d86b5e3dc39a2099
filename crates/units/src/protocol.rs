use std::fmt;

/// A wire format that clients or providers speak.
///
/// The names are those of configuration, metrics and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// OpenAI Chat Completions: <https://platform.openai.com/docs/api-reference/chat>.
    OpenAiChat,
    /// Anthropic Messages: <https://docs.anthropic.com/en/api/messages>.
    AnthropicMessages,
}

impl Protocol {
    /// Every protocol, in the order of the documentation's tables.
    pub const ALL: [Self; 2] = [Self::OpenAiChat, Self::AnthropicMessages];

    /// The name in configuration, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::AnthropicMessages => "anthropic-messages",
        }
    }

    /// The protocol of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
