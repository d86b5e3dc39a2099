use std::fmt;

/// Whose API is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Chat Completions, Responses and models:
    /// <https://platform.openai.com/docs/api-reference>.
    OpenAi,
    /// `POST /v1/messages` and `GET /v1/models`: <https://docs.anthropic.com/en/api/messages>.
    Anthropic,
}

impl Vendor {
    /// The name in reports and control routes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
