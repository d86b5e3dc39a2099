//! What most programs do: typed structs by `serde`, read and written again.
//!
//! Each protocol's structs are those of its own bodies: fields that are always there are plain, the others
//! optional, and only what has several forms by nature is an enum.

mod anthropic_messages;
mod bedrock_converse;
mod gemini;
mod openai_chat;
mod openai_responses;

use serde::Serialize;
use serde::de::DeserializeOwned;
use weighbridge_units::Protocol;

/// Reads a request of one of the clients' protocols, and writes it again.
pub(crate) fn request(client: Protocol, body: &str) -> Vec<u8> {
    match client {
        Protocol::OpenAiChat => again::<openai_chat::Request>(body),
        Protocol::AnthropicMessages => again::<anthropic_messages::Request>(body),
        Protocol::OpenAiResponses => again::<openai_responses::Request>(body),
        Protocol::GeminiGenerateContent => again::<gemini::Request>(body),
        Protocol::BedrockConverse => panic!("no client speaks Converse"),
    }
}

/// Reads an answer, and writes it again.
pub(crate) fn answer(provider: Protocol, body: &str) -> Vec<u8> {
    match provider {
        Protocol::OpenAiChat => again::<openai_chat::Answer>(body),
        Protocol::AnthropicMessages => again::<anthropic_messages::Answer>(body),
        Protocol::OpenAiResponses => again::<openai_responses::Answer>(body),
        Protocol::GeminiGenerateContent => again::<gemini::Answer>(body),
        Protocol::BedrockConverse => again::<bedrock_converse::Answer>(body),
    }
}

fn again<T: Serialize + DeserializeOwned>(body: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::from_str::<T>(body).unwrap()).unwrap()
}

/// Content that is one text or a list of parts.
#[derive(Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Content<P> {
    Text(String),
    Parts(Vec<P>),
}
