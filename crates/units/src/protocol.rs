use std::fmt;

/// A wire format that clients or providers speak.
///
/// The names are those of configuration, metrics and records. The set is closed on purpose: whoever
/// must treat each protocol apart is told by the compiler when one is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// OpenAI Chat Completions: <https://platform.openai.com/docs/api-reference/chat>.
    OpenAiChat,
    /// Anthropic Messages: <https://docs.anthropic.com/en/api/messages>.
    AnthropicMessages,
    /// OpenAI Responses: <https://platform.openai.com/docs/api-reference/responses>.
    OpenAiResponses,
    /// Gemini generateContent: <https://ai.google.dev/api/generate-content>.
    GeminiGenerateContent,
    /// Bedrock Converse, which providers speak and no client:
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
    BedrockConverse,
}

impl Protocol {
    /// Every protocol, in the order of the documentation's tables: the laws of translation hold over all
    /// pairs. Which of them are served is another matter: clients need a route ([`Self::is_clients`]), and
    /// providers a preset.
    pub const ALL: [Self; 5] = [
        Self::OpenAiChat,
        Self::AnthropicMessages,
        Self::OpenAiResponses,
        Self::GeminiGenerateContent,
        Self::BedrockConverse,
    ];

    /// Whether clients may speak it: it has a route of its own.
    pub const fn is_clients(self) -> bool {
        !matches!(self, Self::BedrockConverse)
    }

    /// The name in configuration, metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::AnthropicMessages => "anthropic-messages",
            Self::OpenAiResponses => "openai-responses",
            Self::GeminiGenerateContent => "gemini",
            Self::BedrockConverse => "bedrock-converse",
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
