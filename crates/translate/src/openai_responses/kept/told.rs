//! What clients are told of kept answers.
//! <https://platform.openai.com/docs/api-reference/responses/delete>

use bytes::Bytes;
use memchr::memmem;
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

/// The refusal of a request that names an item which is not kept: 404, without a code. `keeps` tells whether
/// the request has its own answer kept; where it has not, the provider says why that may be the reason.
pub fn item_not_found(id: &str, keeps: bool) -> ApiError {
    let mut message = format!("Item with id '{id}' not found.");
    if !keeps {
        message.push_str(
            " Items are not persisted when `store` is set to false. Try again with `store` set to true, or \
             remove this item from your input.",
        );
    }
    ApiError::new(ErrorClass::BadRequest, message).with_status(404).with_param("input")
}

/// The refusal of a request to read or delete an answer which is not kept: 404.
pub fn not_found(id: &str) -> ApiError {
    ApiError::new(ErrorClass::NotFound, format!("Response with id '{id}' not found."))
        .with_code("response_not_found")
}

/// What an answer that is translated tells of keeping: its provider knows nothing of it. Whole ones are told by
/// [`AnswerTarget::kept`](crate::AnswerTarget::kept), streamed ones by
/// [`StreamWriter::keep_as`](crate::StreamWriter::keep_as).
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
        [(PREVIOUS, previous), ("store", store)]
    }
}

/// Makes a whole answer of the protocol name the answer that its client went on from: its provider was told
/// of none where the conversation was sent to it once more. `None` where it does so already.
pub fn as_going_on(answer: &Body, previous: &str) -> Option<Edits> {
    let said = answer.get(PREVIOUS).and_then(|id| id.str().ok());
    (said.as_deref() != Some(previous)).then(|| {
        let mut edits = answer.edit();
        edits.set(PREVIOUS, string(previous));
        edits
    })
}

/// The same for the data of an event of its stream; `None` where that repeats no answer, or says so already.
pub fn event_as_going_on(data: &str, previous: &str) -> Option<Vec<u8>> {
    // Most events are pieces of text, and are not read any further.
    memmem::find(data.as_bytes(), RESPONSE.as_bytes())?;
    let event = Body::scan(Bytes::copy_from_slice(data.as_bytes()), &ScanLimits::default()).ok()?;
    let response = event.get("response").filter(|response| response.kind() == Kind::Object)?;
    let response = Bytes::copy_from_slice(response.text().as_bytes());
    let edits = as_going_on(&Body::scan(response, &ScanLimits::default()).ok()?, previous)?;
    let mut event = event.edit();
    event.set("response", edits.rope().concat());
    Some(event.rope().concat())
}

/// The field that names the answer which one goes on from.
const PREVIOUS: &str = "previous_response_id";
/// The field of an event that repeats the answer.
const RESPONSE: &str = "\"response\"";

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
    use crate::AnswerTarget;

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

    /// As in <https://github.com/continuedev/continue/issues/9101>, and the shorter form.
    #[test]
    fn an_unknown_item_is_refused_as_the_provider_does() {
        let (status, body) = rendered(&item_not_found("rs_1", false));
        assert_eq!(status, 404);
        let message = "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false. Try \
                       again with `store` set to true, or remove this item from your input.";
        let error = serde_json::json!({
            "message": message, "type": "invalid_request_error", "param": "input", "code": null,
        });
        assert_eq!(body["error"], error);
        let (status, body) = rendered(&item_not_found("rs_1", true));
        assert_eq!((status, &body["error"]["message"]), (404, &"Item with id 'rs_1' not found.".into()));
    }

    #[test]
    fn a_deletion_is_told() {
        assert_eq!(deleted("resp_1"), br#"{"id":"resp_1","object":"response.deleted","deleted":true}"#);
    }

    #[test]
    fn an_answer_tells_that_it_is_kept() {
        let said = r#"{"id":"always-the-same","object":"chat.completion","created":7,"model":"m","choices":[
            {"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi"}}]}"#;
        let told = |kept: Option<&KeptAs>| -> Value {
            let target = AnswerTarget { kept, ..AnswerTarget::new("fallback", 7) };
            let answer = crate::response(Protocol::OpenAiChat, Protocol::OpenAiResponses, said, &target);
            serde_json::from_slice(&answer.unwrap().value.0).unwrap()
        };
        let kept = |previous: Option<&str>, store| {
            let previous = previous.map(str::to_owned);
            told(Some(&KeptAs { id: "resp_2".to_owned(), previous, store }))
        };
        let answer = kept(Some("resp_1"), true);
        assert_eq!((&answer["id"], &answer["store"]), (&"resp_2".into(), &true.into()));
        assert_eq!(answer["previous_response_id"], "resp_1");
        assert_eq!(answer["output"][0]["id"], "msg_2_0", "an item of this answer and of no other");
        let answer = kept(None, false);
        assert_eq!((&answer["previous_response_id"], &answer["store"]), (&Value::Null, &false.into()));
        assert_eq!(told(None)["id"], "always-the-same");
    }

    #[test]
    fn an_answer_names_what_its_client_went_on_from() {
        let going_on = |text: &str| {
            let answer = Body::scan(text.to_owned().into(), &ScanLimits::default()).unwrap();
            as_going_on(&answer, "resp_1").map(|edits| String::from_utf8(edits.rope().concat()).unwrap())
        };
        for said in ["null", "\"resp_there\"", "7"] {
            let found = going_on(&format!(r#"{{"id": "r",  "previous_response_id":{said}, "output":[]}}"#));
            let expected = r#"{"id": "r",  "previous_response_id":"resp_1", "output":[]}"#;
            assert_eq!(found.as_deref(), Some(expected));
        }
        assert_eq!(going_on(r#"{"previous_response_id":"resp_1"}"#), None);
        assert_eq!(going_on("{}").as_deref(), Some(r#"{"previous_response_id":"resp_1"}"#));
    }

    #[test]
    fn so_does_every_event_that_repeats_it() {
        let going_on =
            |data: &str| event_as_going_on(data, "resp_1").map(|event| String::from_utf8(event).unwrap());
        let data = r#"{"type":"x", "response":{"id":"r","previous_response_id":null} ,"sequence_number":0}"#;
        assert_eq!(going_on(data), Some(data.replace("null", "\"resp_1\"")));
        for other in [
            r#"{"type":"x","response":{"previous_response_id":"resp_1"}}"#,
            r#"{"type":"response.output_text.delta","delta":"\"response\""}"#,
            r#"{"type":"x","response":null}"#,
            r#"{"type":"x","item":{"response":{}}}"#,
            r#"{"response":{}"#,
            "[DONE]",
        ] {
            assert_eq!(going_on(other), None, "{other}");
        }
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
