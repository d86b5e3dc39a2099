//! What clients are told of kept answers.
//! <https://platform.openai.com/docs/api-reference/responses/delete>

use weighbridge_protocol::json::Writer;
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

/// Makes an answer that was translated tell of keeping what its provider knew nothing of: its id, what it
/// went on from, and that it is kept.
pub fn as_kept(answer: &Body, id: &str, previous: Option<&str>, store: bool) -> Edits {
    let mut edits = answer.edit();
    edits.set("id", string(id));
    edits.set("previous_response_id", previous.map_or_else(|| b"null".to_vec(), string));
    edits.set("store", if store { &b"true"[..] } else { b"false" });
    edits
}

/// A text as a JSON string.
pub(super) fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).string(text);
    out
}

#[cfg(test)]
mod tests {
    use weighbridge_protocol::json::ScanLimits;
    use weighbridge_units::Protocol;

    use super::*;

    fn rendered(error: &ApiError) -> (u16, serde_json::Value) {
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
        assert_eq!(
            as_kept(&answer, "resp_2", Some("resp_1"), true).rope().concat(),
            br#"{"id":"resp_2","store":true,"previous_response_id":"resp_1","output":[]}"#
        );
        assert_eq!(as_kept(&answer, "msg_1", None, false).rope().concat(), text.as_bytes());
    }
}
