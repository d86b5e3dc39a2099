//! Streams as providers send them, in the pieces in which they come: a head, chunks of text, and nothing else.

use bytes::Bytes;
use weighbridge_stream::aws::encode_event;
use weighbridge_stream::{Framing, Relay, RelayOptions, StreamForm};
use weighbridge_units::Protocol;

/// Who may be asked; clients speak all but the last.
pub(crate) const PROVIDERS: [Protocol; 5] = [
    Protocol::OpenAiChat,
    Protocol::AnthropicMessages,
    Protocol::OpenAiResponses,
    Protocol::GeminiGenerateContent,
    Protocol::BedrockConverse,
];

/// Every provider with every client; first those that pass through.
pub(crate) fn pairs() -> Vec<(Protocol, Protocol)> {
    let clients = || PROVIDERS.into_iter().filter(|client| client.is_clients());
    let all = PROVIDERS.into_iter().flat_map(|provider| clients().map(move |client| (provider, client)));
    let (mut passing, bridged): (Vec<_>, Vec<_>) = all.partition(|(provider, client)| provider == client);
    passing.extend(bridged);
    passing
}

/// A relay for such a stream.
pub(crate) fn relay(provider: Protocol, client: Protocol, hide_usage: bool) -> Relay {
    let framing = match provider {
        Protocol::BedrockConverse => Framing::AwsEventStream,
        _ => Framing::Sse,
    };
    Relay::new(&RelayOptions {
        provider,
        framing,
        client,
        hide_usage,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "fallback-1",
        model_fallback: "a-model",
        created: 1_700_000_000,
        request_id: "req_1",
        legacy_functions: false,
    })
}

/// What comes before the chunks, up to and with the first content.
pub(crate) fn head(provider: Protocol) -> Bytes {
    let head = match provider {
        Protocol::AnthropicMessages => concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-haiku-4-5-20251001\",\"id\":\"msg_01AbCdEfGhIjKlMnOpQrStUv\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":11,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        ).to_owned(),
        Protocol::OpenAiResponses => concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1700000001,\"status\":\"in_progress\",\"error\":null,\"incomplete_details\":null,\"model\":\"gpt-5-mini\",\"output\":[],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"usage\":null}}\n\n",
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n",
            "event: response.content_part.added\ndata: {\"type\":\"response.content_part.added\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}}\n\n",
        ).to_owned(),
        Protocol::BedrockConverse => {
            let start = frame("messageStart", r#"{"p":"abcdefgh","role":"assistant"}"#);
            return [start, chunk(provider, 0)].concat().into();
        }
        _ => String::new(),
    };
    Bytes::from([head.as_bytes(), &chunk(provider, 0)].concat())
}

/// One chunk of text: a word or two, as models stream them.
pub(crate) fn chunk(provider: Protocol, number: usize) -> Bytes {
    let word = [" the", " weighbridge", " weighs", " what", " crosses it,", " \\\"each\\\"", " time.\\n"]
        [number % 7];
    let chunk = match provider {
        Protocol::AnthropicMessages => format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{word}\"}}}}\n\n"
        ),
        Protocol::OpenAiResponses => format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{},\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"{word}\",\"logprobs\":[],\"obfuscation\":\"Hj3kd92\"}}\n\n",
            number + 3
        ),
        Protocol::GeminiGenerateContent => format!(
            "data: {{\"candidates\": [{{\"content\": {{\"parts\": [{{\"text\": \"{word}\"}}],\"role\": \"model\"}},\"index\": 0}}],\"usageMetadata\": {{\"promptTokenCount\": 11,\"candidatesTokenCount\": {number},\"totalTokenCount\": {},\"promptTokensDetails\": [{{\"modality\": \"TEXT\",\"tokenCount\": 11}}]}},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"lCHyaPqNKIOMvdIP0sC3iAo\"}}\r\n\r\n",
            number + 11
        ),
        Protocol::BedrockConverse => {
            let payload = format!(
                "{{\"contentBlockIndex\":0,\"delta\":{{\"text\":\"{word}\"}},\"p\":\"abcdefghijklmnop\"}}"
            );
            return frame("contentBlockDelta", &payload);
        }
        _ => format!(
            "data: {{\"id\":\"chatcmpl-CQ1v2w3x4y5z6A7B8C9D0E1F2G3H4\",\"object\":\"chat.completion.chunk\",\"created\":1700000001,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_560af6e559\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null,\"obfuscation\":\"Hj3kd92\"}}\n\n"
        ),
    };
    Bytes::from(chunk)
}

fn frame(name: &str, payload: &str) -> Bytes {
    let mut frame = Vec::new();
    encode_event(name, payload.as_bytes(), &mut frame).expect("it is short");
    Bytes::from(frame)
}
