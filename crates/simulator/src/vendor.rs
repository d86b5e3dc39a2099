use std::fmt;

/// Whose API is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Chat Completions, Responses and models:
    /// <https://platform.openai.com/docs/api-reference>.
    OpenAi,
    /// `POST /v1/messages` and `GET /v1/models`: <https://docs.anthropic.com/en/api/messages>.
    Anthropic,
    /// The Gemini API, <https://ai.google.dev/api>, and under Vertex's paths its dialect of it,
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>.
    Google,
    /// Amazon Bedrock's Converse:
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
    Aws,
    /// OpenAI's models at Microsoft's:
    /// <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference>.
    Azure,
}

impl Vendor {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::Anthropic, Self::Google, Self::Aws, Self::Azure];

    /// The name in reports and control routes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
            Self::Aws => "aws",
            Self::Azure => "azure",
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
