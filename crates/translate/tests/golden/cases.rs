//! The cases, and what becomes of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use weighbridge_translate::{AnswerTarget, RequestTarget, request, response};
use weighbridge_units::{Loss, Protocol};

use crate::features::{ANSWERS, Feature, REQUESTS};

/// Every protocol that is translated, in the order of the tables.
pub(crate) const PROTOCOLS: [Protocol; 5] = [
    Protocol::OpenAiChat,
    Protocol::AnthropicMessages,
    Protocol::OpenAiResponses,
    Protocol::GeminiGenerateContent,
    Protocol::BedrockConverse,
];

/// Whether a document is what clients send or what providers answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Answer,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Request, Self::Answer];

    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::Answer => "answers",
        }
    }

    pub(crate) const fn features(self) -> &'static [Feature] {
        match self {
            Self::Request => REQUESTS,
            Self::Answer => ANSWERS,
        }
    }

    /// Who says it. No client speaks Bedrock Converse.
    pub(crate) fn sources(self) -> impl Iterator<Item = Protocol> {
        PROTOCOLS.into_iter().filter(move |protocol| self == Self::Answer || protocol.is_clients())
    }

    /// Who gets what a source says.
    pub(crate) fn targets(self, source: Protocol) -> impl Iterator<Item = Protocol> {
        PROTOCOLS
            .into_iter()
            .filter(move |target| *target != source && (self == Self::Request || target.is_clients()))
    }
}

/// The model that a request goes to: one that takes as much as possible of what its protocol knows.
pub(crate) const fn model(target: Protocol) -> &'static str {
    match target {
        Protocol::OpenAiChat | Protocol::OpenAiResponses => "a-model",
        Protocol::AnthropicMessages => "claude-opus-4-6",
        Protocol::GeminiGenerateContent => "gemini-3-pro",
        Protocol::BedrockConverse => "anthropic.claude-opus-4-6-v1",
    }
}

/// What came of a case.
pub(crate) struct Outcome {
    pub(crate) body: Vec<u8>,
    pub(crate) losses: Vec<Loss>,
}

/// Translates a case, within its own protocol too.
pub(crate) fn translated(kind: Kind, from: Protocol, to: Protocol, body: &str) -> Outcome {
    translated_for(kind, from, to, body, &RequestTarget::new(model(to)))
}

/// Translates a case; a request for this target.
pub(crate) fn translated_for(
    kind: Kind,
    from: Protocol,
    to: Protocol,
    body: &str,
    target: &RequestTarget<'_>,
) -> Outcome {
    let failed = |error| format!("{from} to {to}: {error}\n{body}");
    match kind {
        Kind::Request => {
            let sent = request(from, to, body, target).map_err(failed).unwrap();
            Outcome { body: sent.value, losses: sent.losses }
        }
        Kind::Answer => {
            let target = AnswerTarget::new("made-up", 1_700_000_000);
            let told = response(from, to, body, &target).map_err(failed).unwrap();
            Outcome { body: told.value.0, losses: told.losses }
        }
    }
}

pub(crate) fn folder(kind: Kind) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(kind.folder())
}

/// The case of a feature in a protocol, if that protocol can say it.
#[expect(clippy::disallowed_methods, reason = "cases are files")]
pub(crate) fn case(kind: Kind, feature: &Feature, source: Protocol) -> Option<String> {
    let path = folder(kind).join(feature.id).join(source.as_str()).with_extension("json");
    std::fs::read_to_string(path).ok()
}

/// The strings and numbers that a document says, but for names of kinds and roles.
pub(crate) fn values(body: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&serde_json::from_slice(body).unwrap(), &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(name, _)| !["type", "role", "object"].contains(&name.as_str()));
            said.for_each(|(_, value)| collect(value, found));
        }
        Value::String(_) | Value::Number(_) => {
            found.insert(value.to_string());
        }
        Value::Null | Value::Bool(_) => {}
    }
}
