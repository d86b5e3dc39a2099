//! Errors: every class in every protocol, and bodies of every shape.

use proptest::prelude::*;
use weighbridge_translate::{
    AnswerTarget, ApiError, RequestTarget, TranslateError, answer_facts, decode_error, encode_error,
    encode_stream_error, request, response,
};
use weighbridge_units::{ErrorClass, Protocol};

const CLASSES: [ErrorClass; 12] = [
    ErrorClass::BadRequest,
    ErrorClass::ContextTooLong,
    ErrorClass::ContentPolicy,
    ErrorClass::Authentication,
    ErrorClass::Billing,
    ErrorClass::Permission,
    ErrorClass::NotFound,
    ErrorClass::TooLarge,
    ErrorClass::RateLimit,
    ErrorClass::Timeout,
    ErrorClass::Server,
    ErrorClass::Overloaded,
];

#[test]
fn every_class_has_its_form_in_every_protocol() {
    let mut table = String::new();
    for class in CLASSES {
        for protocol in Protocol::ALL {
            let (status, body) = encode_error(protocol, &ApiError::new(class, "m"), "req_1");
            let body = String::from_utf8(body).unwrap();
            table.push_str(&format!("{class} {protocol} {status} {body}\n"));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_class_survives_its_own_protocol() {
    for class in CLASSES {
        for protocol in Protocol::ALL {
            let (status, body) = encode_error(protocol, &ApiError::new(class, "m"), "req_1");
            let back = decode_error(protocol, status, &body);
            // Anthropic has one name for all that is wrong with a request.
            let expected = match (protocol, class) {
                (Protocol::AnthropicMessages, ErrorClass::ContextTooLong | ErrorClass::ContentPolicy) => {
                    ErrorClass::BadRequest
                }
                // Bedrock has one name for these as well, and tells them apart by words that a message
                // may have.
                (
                    Protocol::BedrockConverse,
                    ErrorClass::ContextTooLong | ErrorClass::ContentPolicy | ErrorClass::TooLarge,
                ) => ErrorClass::BadRequest,
                _ => class,
            };
            assert_eq!(
                (back.class, back.message.as_str(), back.status),
                (expected, "m", status),
                "{protocol}"
            );
        }
    }
}

#[test]
fn statuses_that_sdks_know_are_kept_and_others_replaced() {
    let status = |protocol, class, status| {
        encode_error(protocol, &ApiError::new(class, "m").with_status(status), "r").0
    };
    assert_eq!(status(Protocol::OpenAiChat, ErrorClass::Billing, 402), 429);
    assert_eq!(status(Protocol::OpenAiResponses, ErrorClass::Billing, 402), 429);
    assert_eq!(status(Protocol::AnthropicMessages, ErrorClass::Billing, 429), 429);
    assert_eq!(status(Protocol::OpenAiChat, ErrorClass::Overloaded, 529), 503);
    assert_eq!(status(Protocol::AnthropicMessages, ErrorClass::Overloaded, 529), 529);
    assert_eq!(status(Protocol::AnthropicMessages, ErrorClass::Overloaded, 503), 503);
    assert_eq!(status(Protocol::OpenAiChat, ErrorClass::Server, 502), 502);
    assert_eq!(status(Protocol::OpenAiChat, ErrorClass::Timeout, 408), 408);
}

#[test]
fn a_stream_error_is_one_whole_event() {
    let error = ApiError::new(ErrorClass::Overloaded, "a\nb");
    for protocol in Protocol::ALL {
        // Google ends lines with CRLF.
        let event =
            String::from_utf8(encode_stream_error(protocol, &error, "req_1")).unwrap().replace('\r', "");
        assert!(event.ends_with("}\n\n"));
        assert_eq!(event.matches("\n\n").count(), 1, "{event}");
    }
    insta::assert_snapshot!(
        String::from_utf8(encode_stream_error(Protocol::AnthropicMessages, &error, "req_1")).unwrap().trim_end(),
        @r#"
    event: error
    data: {"type":"error","error":{"type":"overloaded_error","message":"a\nb"},"request_id":"req_1"}
    "#
    );
}

#[test]
fn bodies_of_every_shape_are_sorted() {
    let cases = [
        (Protocol::OpenAiChat, 502, "<html><body>Bad gateway</body></html>"),
        (Protocol::OpenAiChat, 503, ""),
        (Protocol::OpenAiChat, 500, "upstream connect error"),
        (Protocol::OpenAiChat, 400, r#"{"error":"Specified model not found"}"#),
        (Protocol::OpenAiChat, 401, r#"{"detail":"Invalid API Key"}"#),
        (Protocol::OpenAiChat, 422, r#"{"id":"1","message":"property 'n' is unsupported"}"#),
        (
            Protocol::OpenAiChat,
            429,
            r#"{"error":{"message":"no credit","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        ),
        (Protocol::OpenAiChat, 200, r#"{"error":{"code":429,"message":"rate-limited upstream"}}"#),
        (
            Protocol::OpenAiChat,
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#,
        ),
        (Protocol::OpenAiChat, 200, r#"{"error":{"message":"no","status":400,"code":"content_filter"}}"#),
        (Protocol::OpenAiChat, 418, "[1]"),
        (
            Protocol::AnthropicMessages,
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 200001 tokens"}}"#,
        ),
        (
            Protocol::AnthropicMessages,
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
        ),
        (
            Protocol::AnthropicMessages,
            200,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ),
        (Protocol::AnthropicMessages, 404, r#"{"type":"error","error":{"type":"new_error","message":"?"}}"#),
        (Protocol::AnthropicMessages, 500, r#"{"message":"internal"}"#),
    ];
    let line = |(protocol, status, body): &(Protocol, u16, &str)| {
        let error = decode_error(*protocol, *status, body.as_bytes());
        format!(
            "{status} {} -> {} {} {:?} {}",
            &body[..body.len().min(40)],
            error.class,
            error.status,
            error.code,
            error.message
        )
    };
    insta::assert_snapshot!(cases.iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_error_under_a_status_of_success_is_no_answer() {
    let body = r#"{"error":{"message":"no","type":"server_error"},"choices":[]}"#;
    let error = answer_facts(Protocol::OpenAiChat, body).unwrap_err();
    assert!(
        matches!(&error, TranslateError::InBandError(error) if error.class == ErrorClass::Server && error.status == 500)
    );
    for garbage in ["", "<html>", "{}", "[]", "null", r#"{"choices":7}"#, r#"{"id":"a","choices":[{"mess"#] {
        for protocol in Protocol::ALL {
            assert!(answer_facts(protocol, garbage).is_err(), "{garbage}");
        }
    }
}

#[test]
fn a_wrong_type_names_its_field() {
    let target = RequestTarget { max_output_default: 9, include_usage: false, ..RequestTarget::new("m") };
    let cases = [
        (Protocol::OpenAiChat, r#"{"model":"m"}"#, "/messages: the field `messages` expected, found nothing"),
        (
            Protocol::OpenAiChat,
            r#"{"messages":[{"role":"user","content":7}]}"#,
            "/messages/0/content: a string or a list of content parts expected, found a number",
        ),
        (
            Protocol::OpenAiChat,
            r#"{"messages":[],"temperature":"hot"}"#,
            "/temperature: a number expected, found a string",
        ),
        (Protocol::OpenAiChat, r#"{"messages":[],"stop":[1]}"#, "/stop/0: a string expected, found a number"),
        (
            Protocol::AnthropicMessages,
            r#"{"messages":[{"role":"user"}]}"#,
            "/messages/0/content: the field `content` expected, found nothing",
        ),
        (
            Protocol::AnthropicMessages,
            r#"{"messages":[],"tools":[{"name":1}]}"#,
            "/tools/0/name: a string expected, found a number",
        ),
        (Protocol::AnthropicMessages, r#"[]"#, "the body: an object expected, found an array"),
    ];
    for (from, body, message) in cases {
        let to =
            if from == Protocol::OpenAiChat { Protocol::AnthropicMessages } else { Protocol::OpenAiChat };
        assert_eq!(request(from, to, body, &target).unwrap_err().to_string(), message);
    }
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_it_panic(
        text in prop_oneof![
            any::<String>(),
            r#"\{"(messages|choices|content|error|system|tools|usage|stop)":(\[?\{?"?(role|type|message|id)?"?(:"(user|text|tool_use|error)")?\}?\]?|7|null)\}"#,
        ],
        status in 100_u16..600,
    ) {
        let target = RequestTarget { max_output_default: 9, ..RequestTarget::new("m") };
        let answer = AnswerTarget::new("id", 0);
        for from in Protocol::ALL {
            let error = decode_error(from, status, text.as_bytes());
            prop_assert!(error.status >= 400 && !error.message.is_empty());
            for to in Protocol::ALL {
                let _ = request(from, to, &text, &target);
                let _ = response(from, to, &text, &answer);
                let (status, body) = encode_error(to, &error, "req_1");
                prop_assert!(status >= 400);
                prop_assert_eq!(decode_error(to, status, &body).message, error.message.clone());
            }
        }
    }
}
