use weighbridge_units::Protocol;

/// A comment between two events.
pub(crate) const COMMENT: &[u8] = b": ping\n\n";

/// What a stream carries while there is nothing to say, so that nobody between gateway and client takes the
/// connection for dead. It stands between two frames, and every SDK of the protocol reads over it.
///
/// Nothing for Bedrock Converse, whose frames have no such form.
pub const fn keep_alive(client: Protocol) -> &'static [u8] {
    match client {
        Protocol::OpenAiChat | Protocol::OpenAiResponses => COMMENT,
        // The protocol has an event of its own for it.
        Protocol::AnthropicMessages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
        // A blank line, or white space between elements: Google's SDKs take a comment for a chunk.
        Protocol::GeminiGenerateContent => b"\r\n",
        Protocol::BedrockConverse => b"",
    }
}
