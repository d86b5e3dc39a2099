use std::fmt;

use weighbridge_protocol::Dialect;
use weighbridge_units::Protocol;

use crate::spoken::{ModelFilter, Spoken};
use crate::{hosts, vendors};

/// Where a provider expects the API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthStyle {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// `x-api-key: <key>`, Anthropic's.
    XApiKey,
    /// `x-goog-api-key: <key>`, Google's.
    XGoogApiKey,
    /// `api-key: <key>`, Azure's.
    ApiKey,
    /// `?key=<key>`, Google's older way (<https://cloud.google.com/docs/authentication/api-keys-use>).
    Query,
}

impl AuthStyle {
    /// Every style, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Bearer, Self::XApiKey, Self::XGoogApiKey, Self::ApiKey, Self::Query];

    /// The name in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::XApiKey => "x-api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::ApiKey => "api-key",
            Self::Query => "query",
        }
    }

    /// The name of the request header that carries the key, in lower case; `None` where the address does.
    pub const fn header(self) -> Option<&'static str> {
        match self {
            Self::Bearer => Some("authorization"),
            Self::XApiKey | Self::XGoogApiKey | Self::ApiKey => Some(self.as_str()),
            Self::Query => None,
        }
    }

    /// What stands before the key in that header.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::XApiKey | Self::XGoogApiKey | Self::ApiKey | Self::Query => "",
        }
    }
}

/// What is known in advance about a provider: configuration names it and adds a key.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preset {
    /// The name in configuration, and for [`crate::model`].
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What it speaks, best first: a request in none of these is translated to the first one that
    /// serves its model. Never empty.
    pub spoken: &'static [Spoken],
    /// Where it is, without a slash at the end; `None` where configuration must say it. `{region}` and
    /// `{project}` stand for what configuration says under these names.
    pub base_url: Option<&'static str>,
    /// Where it expects the API key.
    pub auth: AuthStyle,
    /// The environment variables that usually hold the key, best first.
    pub env_vars: &'static [&'static str],
    /// Headers that every request carries, unless the client sent its own; names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// The provider's name in the price book; `None` where nobody knows whose models it serves.
    pub price_as: Option<&'static str>,
    /// The environment variables that usually hold the region, best first.
    pub region_vars: &'static [&'static str],
    /// The environment variables that usually hold the project, best first.
    pub project_vars: &'static [&'static str],
    /// Whether it takes requests that are signed with the keys of an AWS account.
    pub takes_aws_keys: bool,
    /// Pages that all this was read on: the provider's own, and others where it does not say. Each was opened, the
    /// last time on 2026-11-27.
    pub docs: &'static [&'static str],
    /// Pages of the provider that say so by their names, and were not opened; see [`Self::instead`].
    pub unread: &'static [&'static str],
    /// What is known from elsewhere of what stands on the [unread](Self::unread) pages; empty where there are none.
    pub instead: &'static str,
    /// What else is worth knowing of it, in sentences; may be empty.
    pub remarks: &'static str,
}

impl Preset {
    /// The protocol that it speaks best.
    pub const fn protocol(&self) -> Protocol {
        self.spoken[0].protocol
    }

    /// Whether it speaks a protocol.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.spoken.iter().any(|spoken| spoken.protocol == protocol)
    }

    /// The base URL of a region and a project, where it has any.
    ///
    /// Vertex AI's region `global` has a host without a region in it.
    pub fn base_url_in(&self, region: Option<&str>, project: Option<&str>) -> Option<String> {
        let mut url = self.base_url?.to_owned();
        for (place, value) in [("{region}", region), ("{project}", project)] {
            if url.contains(place) {
                url = url.replace(place, value?);
            }
        }
        Some(url.replace("//global-", "//"))
    }

    /// What configuration must say for [`Self::base_url_in`]: `region`, `project`.
    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        let url = self.base_url.unwrap_or_default();
        [("{region}", "region"), ("{project}", "project")]
            .into_iter()
            .filter(move |(place, _)| url.contains(place))
            .map(|(_, name)| name)
    }
}

impl fmt::Debug for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Preset({})", self.name)
    }
}

/// What was recorded of a provider, by others, at its address: tests play it to the gateway.
pub(crate) const RECORDED: &str = "recorded traffic";

/// The address and the variable are those of a client library.
pub(crate) const PACKAGED: &str = "the PyPI package litellm 1.110.2";

/// Models that OpenAI serves through Responses only, by parts of their names:
/// <https://platform.openai.com/docs/models>.
const RESPONSES_ONLY: &[&str] = &["-codex", "codex-mini", "-pro", "-deep-research", "computer-use-preview"];

/// Models that Anthropic makes, wherever they are served.
const CLAUDE: &[&str] = &["claude"];

pub(crate) const CHAT: &str = "/chat/completions";
pub(crate) const RESPONSES: &str = "/responses";
const MESSAGES: &str = "/v1/messages";
const AZURE_CHAT: &str = "/openai/v1/chat/completions";
const AZURE_RESPONSES: &str = "/openai/v1/responses";

const OPENAI: Preset = Preset {
    name: "openai",
    title: "OpenAI",
    spoken: &[
        Spoken::by(Dialect::Native, Protocol::OpenAiChat, CHAT, CHAT, ModelFilter::Without(RESPONSES_ONLY)),
        Spoken::natively(Protocol::OpenAiResponses, RESPONSES, RESPONSES),
    ],
    base_url: Some("https://api.openai.com/v1"),
    auth: AuthStyle::Bearer,
    env_vars: &["OPENAI_API_KEY"],
    headers: &[],
    price_as: Some("openai"),
    region_vars: &[],
    project_vars: &[],
    takes_aws_keys: false,
    docs: &[],
    unread: &[
        "https://platform.openai.com/docs/api-reference/authentication",
        "https://platform.openai.com/docs/models",
    ],
    instead: RECORDED,
    remarks: "Models that exist in Responses only (`…-codex`, `…-pro`, `…-deep-research`) are called there.",
};

const ANTHROPIC: Preset = Preset {
    name: "anthropic",
    title: "Anthropic",
    spoken: &[Spoken::natively(Protocol::AnthropicMessages, MESSAGES, MESSAGES)],
    base_url: Some("https://api.anthropic.com"),
    auth: AuthStyle::XApiKey,
    env_vars: &["ANTHROPIC_API_KEY"],
    headers: &[("anthropic-version", "2023-06-01")],
    price_as: Some("anthropic"),
    region_vars: &[],
    project_vars: &[],
    takes_aws_keys: false,
    docs: &[],
    unread: &["https://docs.anthropic.com/en/api/overview", "https://docs.anthropic.com/en/api/versioning"],
    instead: RECORDED,
    remarks: "",
};

const GEMINI: Preset = Preset {
    name: "gemini",
    title: "Gemini API",
    spoken: &[Spoken::natively(
        Protocol::GeminiGenerateContent,
        "/models/{+model}:generateContent",
        "/models/{+model}:streamGenerateContent?alt=sse",
    )],
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    auth: AuthStyle::XGoogApiKey,
    env_vars: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    headers: &[],
    price_as: Some("gemini"),
    region_vars: &[],
    project_vars: &[],
    takes_aws_keys: false,
    docs: &[],
    unread: &["https://ai.google.dev/api"],
    instead: RECORDED,
    remarks: "",
};

const VERTEX: Preset = Preset {
    name: "vertex",
    title: "Google Vertex AI",
    spoken: &[
        Spoken::by(
            Dialect::Vertex,
            Protocol::GeminiGenerateContent,
            "/publishers/google/models/{+model}:generateContent",
            "/publishers/google/models/{+model}:streamGenerateContent?alt=sse",
            ModelFilter::Without(CLAUDE),
        ),
        Spoken::by(
            Dialect::Vertex,
            Protocol::AnthropicMessages,
            "/publishers/anthropic/models/{+model}:rawPredict",
            "/publishers/anthropic/models/{+model}:streamRawPredict",
            ModelFilter::With(CLAUDE),
        ),
    ],
    base_url: Some("https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}"),
    auth: AuthStyle::Bearer,
    env_vars: &["CLOUDSDK_AUTH_ACCESS_TOKEN"],
    headers: &[],
    price_as: Some("vertex"),
    region_vars: &["GOOGLE_CLOUD_LOCATION"],
    project_vars: &["GOOGLE_CLOUD_PROJECT"],
    takes_aws_keys: false,
    docs: &[],
    unread: &[
        "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        "https://docs.anthropic.com/en/api/claude-on-vertex-ai",
    ],
    instead: RECORDED,
    remarks: "The key is an access token, and the variable that of Google's command line tools.",
};

const BEDROCK: Preset = Preset {
    name: "bedrock",
    title: "Amazon Bedrock",
    spoken: &[
        Spoken::natively(
            Protocol::BedrockConverse,
            "/model/{model}/converse",
            "/model/{model}/converse-stream",
        ),
        Spoken::by(
            Dialect::Bedrock,
            Protocol::AnthropicMessages,
            "/model/{model}/invoke",
            "/model/{model}/invoke-with-response-stream",
            ModelFilter::With(CLAUDE),
        ),
    ],
    base_url: Some("https://bedrock-runtime.{region}.amazonaws.com"),
    auth: AuthStyle::Bearer,
    env_vars: &["AWS_BEARER_TOKEN_BEDROCK"],
    headers: &[],
    price_as: Some("bedrock"),
    region_vars: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    project_vars: &[],
    takes_aws_keys: true,
    docs: &[],
    unread: &[
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html",
    ],
    instead: RECORDED,
    remarks: "Messages is spoken to Claude's models, by `InvokeModel`.",
};

// The version that is named `v1` takes all that OpenAI takes; those that are named by a day
// (`/openai/deployments/{model}/…?api-version=2024-10-21`) know neither models that reason nor the role
// `developer`, or are previews.
const AZURE: Preset = Preset {
    name: "azure",
    title: "Azure OpenAI",
    spoken: &[
        Spoken::by(
            Dialect::Azure,
            Protocol::OpenAiChat,
            AZURE_CHAT,
            AZURE_CHAT,
            ModelFilter::Without(RESPONSES_ONLY),
        ),
        Spoken::by(
            Dialect::Azure,
            Protocol::OpenAiResponses,
            AZURE_RESPONSES,
            AZURE_RESPONSES,
            ModelFilter::All,
        ),
    ],
    base_url: None,
    auth: AuthStyle::ApiKey,
    env_vars: &["AZURE_OPENAI_API_KEY"],
    headers: &[],
    price_as: Some("azure"),
    region_vars: &[],
    project_vars: &[],
    takes_aws_keys: false,
    docs: &["https://learn.microsoft.com/es-es/azure/foundry-classic/openai/api-version-lifecycle"],
    unread: &["https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest"],
    instead: RECORDED,
    remarks: "Called in the version that is named `v1`. A deployment has a name of the account's own; where that is the model's, its price is known.",
};

// Any server that speaks OpenAI's protocol. No variable: a key must not reach a server that nobody
// named.
const COMPATIBLE: Preset = Preset {
    name: "openai-compatible",
    title: "OpenAI-compatible server",
    spoken: &[Spoken::by(Dialect::Compatible, Protocol::OpenAiChat, CHAT, CHAT, ModelFilter::All)],
    base_url: None,
    auth: AuthStyle::Bearer,
    env_vars: &[],
    headers: &[],
    price_as: None,
    region_vars: &[],
    project_vars: &[],
    takes_aws_keys: false,
    docs: &[],
    unread: &["https://platform.openai.com/docs/api-reference/chat"],
    instead: RECORDED,
    remarks: "Any server that speaks Chat Completions, at an address of its own.",
};

static PRESETS: [Preset; 29] = [
    OPENAI,
    ANTHROPIC,
    GEMINI,
    VERTEX,
    BEDROCK,
    AZURE,
    vendors::MISTRAL,
    vendors::DEEPSEEK,
    vendors::XAI,
    vendors::GROQ,
    vendors::COHERE,
    vendors::QWEN,
    vendors::MOONSHOT,
    vendors::ZHIPU,
    vendors::MINIMAX,
    vendors::PERPLEXITY,
    hosts::TOGETHER,
    hosts::FIREWORKS,
    hosts::OPENROUTER,
    hosts::CEREBRAS,
    hosts::SAMBANOVA,
    hosts::NVIDIA,
    hosts::HUGGING_FACE,
    hosts::OLLAMA,
    hosts::VLLM,
    hosts::SGLANG,
    hosts::LM_STUDIO,
    hosts::LLAMA_CPP,
    COMPATIBLE,
];

/// The preset of that name, if there is one.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Every preset, in the order of the documentation.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}
