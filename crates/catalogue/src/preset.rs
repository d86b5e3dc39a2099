use std::fmt;

use weighbridge_units::Protocol;

/// Where a provider expects the API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthStyle {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// `x-api-key: <key>`.
    XApiKey,
}

impl AuthStyle {
    /// The name of the request header that carries the key, in lower case.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Bearer => "authorization",
            Self::XApiKey => "x-api-key",
        }
    }

    /// What stands before the key in that header.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::XApiKey => "",
        }
    }
}

/// What is known in advance about a provider: configuration names it and adds a key.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preset {
    /// The name in configuration; also the provider's name in the price book and for [`crate::model`].
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is, without a slash at the end; `None` where configuration must say it.
    pub base_url: Option<&'static str>,
    /// The path of a chat request, after the base URL.
    pub path: &'static str,
    /// Where it expects the API key.
    pub auth: AuthStyle,
    /// The environment variables that usually hold the key, best first.
    pub env_vars: &'static [&'static str],
    /// Headers that every request carries, unless the client sent its own; names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
}

impl Preset {
    /// The address of a chat request under a base URL, which may end in a slash.
    pub fn endpoint(&self, base_url: &str) -> String {
        let mut url = base_url.trim_end_matches('/').to_owned();
        url.push_str(self.path);
        url
    }
}

impl fmt::Debug for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Preset({})", self.name)
    }
}

static PRESETS: [Preset; 3] = [
    // <https://platform.openai.com/docs/api-reference/authentication>
    Preset {
        name: "openai",
        title: "OpenAI",
        protocol: Protocol::OpenAiChat,
        base_url: Some("https://api.openai.com/v1"),
        path: "/chat/completions",
        auth: AuthStyle::Bearer,
        env_vars: &["OPENAI_API_KEY"],
        headers: &[],
    },
    // <https://docs.anthropic.com/en/api/overview>, <https://docs.anthropic.com/en/api/versioning>
    Preset {
        name: "anthropic",
        title: "Anthropic",
        protocol: Protocol::AnthropicMessages,
        base_url: Some("https://api.anthropic.com"),
        path: "/v1/messages",
        auth: AuthStyle::XApiKey,
        env_vars: &["ANTHROPIC_API_KEY"],
        headers: &[("anthropic-version", "2023-06-01")],
    },
    // Any server that speaks OpenAI's protocol. No variable: a key must not reach a server that
    // nobody named.
    Preset {
        name: "openai-compatible",
        title: "OpenAI-compatible server",
        protocol: Protocol::OpenAiChat,
        base_url: None,
        path: "/chat/completions",
        auth: AuthStyle::Bearer,
        env_vars: &[],
        headers: &[],
    },
];

/// The preset of that name, if there is one.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Every preset, in the order of the documentation.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}
