//! Where recorded traffic lies, whose it is, and which preset is called there.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;
use weighbridge_catalogue::{ModelFilter, Preset, Spoken, preset, presets};
use weighbridge_protocol::Dialect;
use weighbridge_units::Protocol;

/// The vendors of the recordings that have a preset, and its name.
const VENDORS: [(&str, &str); 17] = [
    ("anthropic", "anthropic"),
    ("aws-bedrock", "bedrock"),
    ("azure", "azure"),
    ("cerebras", "cerebras"),
    ("deepseek", "deepseek"),
    ("google-ai-studio", "gemini"),
    ("google-vertex", "vertex"),
    ("groq", "groq"),
    ("huggingface", "huggingface"),
    ("llamacpp", "llama-cpp"),
    ("mistral", "mistral"),
    ("ollama", "ollama"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("together", "together"),
    ("xai", "xai"),
    ("zai", "zhipu"),
];

/// The others, which are configured as servers that speak what was recorded. Of Perplexity that is Sonar's Chat
/// Completions, which its preset no longer calls.
const WITHOUT_PRESET: [&str; 15] = [
    "avian",
    "bedrock-mantle",
    "copilot",
    "crusoe",
    "databricks",
    "doubleword",
    "heroku",
    "local-proxy",
    "local-server",
    "mistralrs",
    "perplexity",
    "snowflake",
    "venice",
    "vercel-ai-gateway",
    "voyageai",
];

/// Presets of which nothing was recorded: what they are said to be is their documentation's word alone.
const UNHEARD: [&str; 11] = [
    "cohere",
    "qwen",
    "moonshot",
    "minimax",
    "perplexity",
    "fireworks",
    "sambanova",
    "nvidia",
    "vllm",
    "sglang",
    "lm-studio",
];

/// Cases of Anthropic's Text Completions, which came before Messages.
const OLDER: [&str; 3] = [
    "aws-bedrock--anthropic-2-completion",
    "aws-bedrock--anthropic-invoke",
    "aws-bedrock--anthropic-invoke-stream",
];

/// What one vendor was asked and said.
pub(crate) struct Case {
    /// `vendor--case`.
    pub(crate) name: String,
    pub(crate) vendor: String,
    pub(crate) model: String,
    pub(crate) protocol: Protocol,
    pub(crate) status: u16,
    pub(crate) is_stream: bool,
    /// Whether it came over a wire, and was not written by hand.
    pub(crate) is_recorded: bool,
    /// The path that was called, without its query.
    pub(crate) path: String,
    pub(crate) content_type: String,
    /// What the vendor said, as it came.
    pub(crate) said: Bytes,
    pub(crate) request: Option<Value>,
}

impl Case {
    fn read(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        let folder = root().join(text("path")?);
        let name = folder.file_name()?.to_str()?.to_owned();
        let protocol = match &*text("protocol")? {
            "gemini-generatecontent" => Protocol::GeminiGenerateContent,
            "bedrock-invoke-anthropic" => Protocol::AnthropicMessages,
            other => Protocol::from_name(other)?,
        };
        let read = |file: &str| std::fs::read(folder.join(file)).ok();
        let is_stream = entry["streaming"] == true && entry["status"] == 200;
        let files: &[&str] = if is_stream { &["stream.sse", "stream.bin"] } else { &["response.json"] };
        let said = Bytes::from(files.iter().find_map(|file| read(file))?);
        // Some of Gemini's streams were recorded as one JSON array, which the gateway does not ask for.
        if OLDER.contains(&name.as_str()) || said.trim_ascii_start().starts_with(b"[") {
            return None;
        }
        let (whole, events) = ("application/json", "text/event-stream");
        let usual = if is_stream { events } else { whole };
        let usual =
            if folder.join("stream.bin").is_file() { "application/vnd.amazon.eventstream" } else { usual };
        Some(Self {
            vendor: text("provider")?,
            model: text("model").filter(|model| is_plain(model)).unwrap_or_else(|| "m".to_owned()),
            protocol,
            status: u16::try_from(entry["status"].as_u64()?).ok()?,
            is_stream,
            is_recorded: entry["recorded_or_synthetic"] == "recorded",
            path: text("url_path")?.split('?').next()?.to_owned(),
            content_type: entry["response_headers"]["content-type"].as_str().unwrap_or(usual).to_owned(),
            said,
            request: read("request.json").and_then(|request| serde_json::from_slice(&request).ok()),
            name,
        })
    }

    /// The preset that the vendor is called by, if it has one.
    pub(crate) fn preset(&self) -> Option<&'static Preset> {
        let (_, name) = VENDORS.iter().find(|(vendor, _)| *vendor == self.vendor)?;
        preset(name)
    }

    /// What the vendor is told to speak: of its preset, what was recorded. Where the preset does not speak that,
    /// what whoever configures it by hand would write.
    pub(crate) fn spoken(&self) -> (Vec<Spoken>, bool) {
        let mut spoken = self.preset().map_or_else(Vec::new, |preset| preset.spoken.to_vec());
        spoken.retain(|spoken| spoken.protocol == self.protocol && spoken.models.admits(&self.model));
        let is_presets = !spoken.is_empty();
        if !is_presets {
            let path = match self.protocol {
                Protocol::OpenAiResponses => "/responses",
                _ => "/chat/completions",
            };
            spoken.push(Spoken::by(Dialect::Compatible, self.protocol, path, path, ModelFilter::All));
        }
        (spoken, is_presets)
    }
}

/// Whether a name can stand in a path as it is.
fn is_plain(model: &str) -> bool {
    !model.is_empty() && !model.starts_with('/') && model.chars().all(|c| c.is_ascii_graphic() && c != '%')
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"))
}

fn index() -> Vec<Value> {
    let Ok(index) = std::fs::read(root().join("index.json")) else {
        println!("skipped: no recordings at {}", root().display());
        return Vec::new();
    };
    serde_json::from_slice(&index).unwrap()
}

/// Everything that was recorded of conversations, sorted by name.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = index().iter().filter_map(Case::read).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// A vendor that is recorded and not in the table would be tested as one without a preset.
#[test]
fn every_recorded_vendor_has_its_place_in_the_table() {
    let index = index();
    for entry in &index {
        let vendor = entry["provider"].as_str().unwrap();
        let is_known = VENDORS.iter().any(|(name, _)| *name == vendor) || WITHOUT_PRESET.contains(&vendor);
        assert!(is_known, "{vendor}: say which preset it is called by");
    }
    for preset in presets().iter().filter(|preset| preset.name != "openai-compatible") {
        let is_heard = VENDORS.iter().any(|(_, name)| *name == preset.name);
        assert_ne!(is_heard, UNHEARD.contains(&preset.name), "{}", preset.name);
        // Whoever is said to be known from recordings is in them.
        assert!(is_heard || !preset.instead.contains("recorded"), "{}", preset.name);
    }
}
