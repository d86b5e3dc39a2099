//! What clients are told of kept answers.
//! <https://platform.openai.com/docs/api-reference/responses/delete>

use weighbridge_protocol::json::{Kind, Raw, ScanLimits, Writer};
use weighbridge_protocol::openai_responses::event;
use weighbridge_protocol::{Body, Edits};
use weighbridge_units::ErrorClass;

use crate::ApiError;

/// The answer to `DELETE /v1/responses/{id}`. SDKs in Python and Node throw it away; the one in .NET names
/// the object so.
pub fn deleted(id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    object.key("id").string(id);
    object.key("object").string("response.deleted");
    object.key("deleted").bool(true);
    drop(object);
    out
}

/// The refusal of a request that goes on from an answer which is not kept: 400.
pub fn previous_not_found(id: &str) -> ApiError {
    ApiError::new(ErrorClass::NotFound, format!("Previous response with id '{id}' not found."))
        .with_status(400)
        .with_code("previous_response_not_found")
        .with_param("previous_response_id")
}

/// The refusal of a request to read or delete an answer which is not kept: 404.
pub fn not_found(id: &str) -> ApiError {
    ApiError::new(ErrorClass::NotFound, format!("Response with id '{id}' not found."))
        .with_code("response_not_found")
}

/// What an answer that is translated tells of keeping: its provider knows nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAs {
    /// The answer's id, in place of the provider's own. An id that an answer is found by again has to be
    /// unlike all others; there are servers that give each answer the same.
    pub id: String,
    /// The id of the answer that it goes on from.
    pub previous: Option<String>,
    /// Whether it is kept.
    pub store: bool,
}

impl KeptAs {
    /// The fields beside the id, as JSON.
    pub(in crate::openai_responses) fn fields(&self) -> [(&'static str, Vec<u8>); 2] {
        let previous = self.previous.as_deref().map_or_else(|| b"null".to_vec(), string);
        let store = if self.store { b"true".to_vec() } else { b"false".to_vec() };
        [("previous_response_id", previous), ("store", store)]
    }
}

/// Makes a whole answer that was translated tell of keeping. Streamed ones do so themselves
/// ([`StreamWriter::keep_as`](crate::StreamWriter::keep_as)).
pub fn as_kept(answer: &Body, kept: &KeptAs) -> Edits {
    let mut edits = answer.edit();
    edits.set("id", string(&kept.id));
    for (name, value) in kept.fields() {
        edits.set(name, value);
    }
    edits
}

/// The text of the whole answer in the data of the event that ends a stream well; `None` for any other event,
/// and for an answer that failed.
pub fn answer_in_event(data: &str) -> Option<&str> {
    // Most events are pieces of text, and are not read any further.
    if ![event::COMPLETED, event::INCOMPLETE].iter().any(|name| data.contains(name)) {
        return None;
    }
    let root = Raw::parse(data, &ScanLimits::default()).ok()?;
    let kind = root.get("type")?.str().ok()?;
    let ends = [event::COMPLETED, event::INCOMPLETE].contains(&kind.as_ref());
    root.get("response").filter(|response| ends && response.kind() == Kind::Object).map(Raw::text)
}

/// A text as a JSON string.
pub(super) fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).string(text);
    out
}

#[cfg(test)]
mod tests {
    use weighbridge_units::Protocol;

    use serde_json::value::Value;

    use super::*;

    fn rendered(error: &ApiError) -> (u16, Value) {
        let (status, body) = crate::encode_error(Protocol::OpenAiResponses, error, "req_1");
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// As recorded: openai--error-identity-edge-nonexistent-previous-response-reference-carries-id.
    #[test]
    fn an_unknown_previous_answer_is_refused_as_the_provider_does() {
        let (status, body) = rendered(&previous_not_found("resp_1"));
        assert_eq!(status, 400);
        let error = serde_json::json!({
            "code": "previous_response_not_found",
            "message": "Previous response with id 'resp_1' not found.",
            "param": "previous_response_id",
            "type": "invalid_request_error",
        });
        assert_eq!(body["error"], error);
    }

    #[test]
    fn an_unknown_answer_is_not_found() {
        let (status, body) = rendered(&not_found("resp_1"));
        assert_eq!((status, &body["error"]["type"]), (404, &"invalid_request_error".into()));
        assert_eq!(body["error"]["message"], "Response with id 'resp_1' not found.");
        assert_eq!(body["error"]["code"], "response_not_found", "no model is missing");
    }

    #[test]
    fn a_deletion_is_told() {
        assert_eq!(deleted("resp_1"), br#"{"id":"resp_1","object":"response.deleted","deleted":true}"#);
    }

    #[test]
    fn an_answer_tells_that_it_is_kept() {
        let text = r#"{"id":"msg_1","store":false,"previous_response_id":null,"output":[]}"#;
        let answer = Body::scan(text.into(), &ScanLimits::default()).unwrap();
        let kept = |id: &str, previous: Option<&str>, store| {
            let previous = previous.map(str::to_owned);
            as_kept(&answer, &KeptAs { id: id.to_owned(), previous, store }).rope().concat()
        };
        assert_eq!(
            kept("resp_2", Some("resp_1"), true),
            br#"{"id":"resp_2","store":true,"previous_response_id":"resp_1","output":[]}"#
        );
        assert_eq!(kept("msg_1", None, false), text.as_bytes());
    }

    #[test]
    fn the_last_event_has_the_answer() {
        let found = |data| answer_in_event(data);
        assert_eq!(found(r#"{"type":"response.completed","response": {"id":"r"}}"#), Some(r#"{"id":"r"}"#));
        assert_eq!(found(r#"{"response":{},"type":"response.incomplete"}"#), Some("{}"));
        for other in [
            r#"{"type":"response.failed","response":{"id":"r"}}"#,
            r#"{"type":"response.created","response":{"id":"response.completed"}}"#,
            r#"{"type":"response.output_text.delta","delta":"response.completed"}"#,
            r#"{"type":"response.completed"}"#,
            r#"{"type":"response.completed","response":null}"#,
            "response.completed",
            "[DONE]",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
