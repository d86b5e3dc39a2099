//! Where recordings lie.

use std::path::PathBuf;

use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_units::Protocol;

/// One file of a recorded case.
pub(crate) struct Recording {
    /// Its folder: `provider--case`.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) status: u16,
    /// The request that it belongs to, if that is JSON.
    pub(crate) request: Option<String>,
}

/// The folders with a protocol's recordings.
fn folders(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::OpenAiChat => &["openai-chat"],
        Protocol::AnthropicMessages => &["anthropic-messages", "bedrock-invoke-anthropic"],
        Protocol::OpenAiResponses => &["openai-responses"],
        Protocol::GeminiGenerateContent => &["gemini-generatecontent"],
        Protocol::BedrockConverse => &["bedrock-converse"],
    }
}

/// Cases of Anthropic's Text Completions, which came before Messages.
const OLDER: [&str; 3] = [
    "aws-bedrock--anthropic-2-completion",
    "aws-bedrock--anthropic-invoke",
    "aws-bedrock--anthropic-invoke-stream",
];

/// The files of that name in the recordings of one protocol.
pub(crate) fn recordings(protocol: Protocol, file: &str) -> Vec<Recording> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
    let mut found: Vec<Recording> =
        folders(protocol).iter().flat_map(|folder| in_folder(root.join(folder), file)).collect();
    found.retain(|recording| !OLDER.contains(&recording.name.as_str()));
    // Some of Gemini's hold a stream, in the form of a JSON array.
    found.retain(|recording| !recording.text.trim_start().starts_with('['));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[expect(clippy::disallowed_methods, reason = "recordings are files")]
fn in_folder(folder: PathBuf, file: &str) -> Vec<Recording> {
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let read = |case: PathBuf| {
        let meta = std::fs::read_to_string(case.join("meta.json")).ok()?;
        let meta = Raw::parse(&meta, &ScanLimits::default()).unwrap();
        let status = meta.get("status").and_then(|status| status.u64().ok()).unwrap_or(200);
        let name = case.file_name()?.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(case.join(file)).ok()?;
        let request = std::fs::read_to_string(case.join("request.json")).ok();
        Some(Recording { name, text, status: status.try_into().ok()?, request })
    };
    entries.filter_map(|entry| read(entry.ok()?.path())).collect()
}
