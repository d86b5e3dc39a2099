//! Error bodies: `{"message"}`.
//!
//! What an error is stands in the header [`ERROR_TYPE`](super::header::ERROR_TYPE), or in a stream in
//! the header `:exception-type` of a frame. The REST protocol of AWS allows it in the body as well, as
//! `__type` or `code`: <https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>.

use std::borrow::Cow;

use crate::json::{Fields, Raw, Writer};

/// The request is malformed, or asks for what the model cannot do.
pub const VALIDATION: &str = "ValidationException";
/// The credential is not known.
pub const UNRECOGNIZED_CLIENT: &str = "UnrecognizedClientException";
/// The credential may not do this.
pub const ACCESS_DENIED: &str = "AccessDeniedException";
/// The account's quota is used up.
pub const QUOTA_EXCEEDED: &str = "ServiceQuotaExceededException";
/// There is no such model or object.
pub const NOT_FOUND: &str = "ResourceNotFoundException";
/// Too many requests or tokens for now.
pub const THROTTLING: &str = "ThrottlingException";
/// The model is being loaded.
pub const MODEL_NOT_READY: &str = "ModelNotReadyException";
/// The model took too long.
pub const MODEL_TIMEOUT: &str = "ModelTimeoutException";
/// The model failed.
pub const MODEL_ERROR: &str = "ModelErrorException";
/// The model failed in mid-stream.
pub const MODEL_STREAM_ERROR: &str = "ModelStreamErrorException";
/// The service failed.
pub const INTERNAL_SERVER: &str = "InternalServerException";
/// The service is over capacity.
pub const SERVICE_UNAVAILABLE: &str = "ServiceUnavailableException";

/// What an error body says, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorParts<'a> {
    /// The message for people.
    pub message: Option<Cow<'a, str>>,
    /// The name of the error, where the body has it; for [`name`] to be freed of what surrounds it.
    pub kind: Option<Cow<'a, str>>,
}

/// Reads an error body; `None` where the document is no error.
pub fn read(raw: Raw<'_>) -> Option<ErrorParts<'_>> {
    let mut fields = Fields::read(raw).ok()?;
    if fields.peek("output").is_some() {
        return None;
    }
    // Services in front of Bedrock write it with a capital.
    let message = ["message", "Message"].into_iter().find_map(|field| fields.offer(field));
    let kind = ["__type", "code"].into_iter().find_map(|field| fields.offer(field));
    (message.is_some() || kind.is_some()).then_some(ErrorParts { message, kind })
}

/// The bare name of an error: without the namespace before it and the address behind it.
///
/// ```
/// use weighbridge_protocol::bedrock_converse::error::name;
///
/// assert_eq!(name("ThrottlingException:http://internal.amazon.com/coral/"), "ThrottlingException");
/// assert_eq!(name("com.amazon.bedrock#ThrottlingException"), "ThrottlingException");
/// ```
pub fn name(kind: &str) -> &str {
    let kind = kind.split_once(':').map_or(kind, |(name, _)| name);
    kind.rsplit_once('#').map_or(kind, |(_, name)| name)
}

/// Writes an error body, which names the error too: where headers are lost, the body tells all.
pub fn write(kind: &str, message: &str, writer: Writer<'_>) {
    let mut object = writer.object();
    object.key("__type").string(kind);
    object.key("message").string(message);
}
