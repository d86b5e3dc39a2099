//! Fields under either of their two names, and what goes through another protocol and comes back.

use serde_json::{Value, json};
use weighbridge_translate::{RequestTarget, request};
use weighbridge_units::Loss;
use weighbridge_units::Protocol::{
    self, AnthropicMessages as Anthropic, GeminiGenerateContent as Gemini, OpenAiChat as Chat,
};

/// Google reads two names of each field. Where both are there one counts, and the other is reported,
/// wherever the request goes: written beside the first it might count for the next reader.
#[test]
fn of_a_field_under_both_its_names_one_counts() {
    let body = |part: &str| format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
    let plain = body(r#"{"functionCall":{"name":"f","args":{}}}"#);
    for (part, lost) in [
        (
            r#"{"functionCall":{"name":"f","args":{}},"function_call":{"args":{"a":1}}}"#,
            "/contents/0/parts/0/function_call",
        ),
        (
            r#"{"function_call":{"args":{"a":1}},"functionCall":{"name":"f","args":{}}}"#,
            "/contents/0/parts/0/function_call",
        ),
        (r#"{"functionCall":null,"function_call":{"name":"f","args":{}}}"#, ""),
        (
            r#"{"functionCall":{"args":{"a":1}},"functionCall":{"name":"f","args":{}}}"#,
            "/contents/0/parts/0/functionCall",
        ),
    ] {
        for to in Protocol::ALL {
            let sent = |body: &str| request(Gemini, to, body, &RequestTarget::new("m")).unwrap();
            let (expected, found) = (sent(&plain), sent(&body(part)));
            assert_eq!(String::from_utf8_lossy(&found.value), String::from_utf8_lossy(&expected.value));
            let pointers =
                |losses: &[Loss]| losses.iter().map(|loss| loss.pointer.clone()).collect::<Vec<_>>();
            let mut also = pointers(&expected.losses);
            also.extend((!lost.is_empty()).then(|| lost.to_owned()));
            let mut told = pointers(&found.losses);
            told.sort();
            also.sort();
            assert_eq!(told, also, "{to} {part}");
        }
    }
}

/// What a tool gave back is JSON here and text elsewhere: its very text, there and back.
#[test]
fn json_that_a_tool_gave_back_goes_through_other_protocols_as_its_text() {
    let given = r#"{"result": {"degrees": 20.50, "unit": "C"}}"#;
    let body = format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"Hi"}}]}},{{"role":"model","parts":[{{"functionCall":{{"id":"a","name":"f","args":{{}}}}}}]}},
        {{"role":"user","parts":[{{"functionResponse":{{"id":"a","name":"f","response":{given}}}}}]}}]}}"#
    );
    fn says(body: &Value, text: &str) -> bool {
        match body {
            Value::String(said) => said == text,
            Value::Array(items) => items.iter().any(|item| says(item, text)),
            Value::Object(fields) => fields.values().any(|value| says(value, text)),
            _ => false,
        }
    }
    for other in [Chat, Anthropic, Protocol::OpenAiResponses] {
        let sent = request(Gemini, other, &body, &RequestTarget::new("m")).unwrap();
        assert!(says(&serde_json::from_slice(&sent.value).unwrap(), given), "{other}");
        let there = String::from_utf8(sent.value).unwrap();
        let back = request(other, Gemini, &there, &RequestTarget::new("m")).unwrap();
        let value: Value = serde_json::from_slice(&back.value).unwrap();
        assert_eq!(
            value["contents"][2]["parts"][0]["functionResponse"]["response"],
            json!({"output": given})
        );
        // From here on nothing changes any more.
        let back = String::from_utf8(back.value).unwrap();
        let sent = request(Gemini, other, &back, &RequestTarget::new("m")).unwrap();
        assert!(says(&serde_json::from_slice(&sent.value).unwrap(), given), "{other}");
    }
}

/// Whatever fields a part has, under whichever of their names: what was read is written so that it is read
/// again as the same.
#[test]
fn a_part_of_any_fields_is_read_as_it_was_written() {
    const FIELDS: [&[&str]; 7] = [
        &["", r#""functionCall":null"#, r#""functionCall":{}"#, r#""functionCall":{"name":"f"}"#],
        &["", r#""function_call":null"#, r#""function_call":{}"#, r#""function_call":{"name":"g"}"#],
        &["", r#""text":null"#, r#""text":"""#, r#""text":"Hi""#],
        &["", r#""thoughtSignature":"AA==""#, r#""thoughtSignature":null,"thought_signature":"AA==""#],
        &["", r#""thought":true"#],
        &[
            "",
            r#""inlineData":null,"inline_data":{}"#,
            r#""inlineData":{"mimeType":"image/png","data":"aGk="}"#,
        ],
        &["", r#""new":1"#],
    ];
    let count: usize = FIELDS.iter().map(|values| values.len()).product();
    let mut read = 0;
    for mut number in 0..count {
        let mut fields = Vec::new();
        for values in FIELDS {
            fields.push(values[number % values.len()]);
            number /= values.len();
        }
        fields.retain(|field| !field.is_empty());
        let body = format!(r#"{{"contents":[{{"role":"model","parts":[{{{}}}]}}]}}"#, fields.join(","));
        let written = |body: &str| {
            let sent = request(Gemini, Gemini, body, &RequestTarget::new("m"));
            sent.map(|sent| String::from_utf8(sent.value).unwrap())
        };
        let Ok(first) = written(&body) else { continue };
        read += 1;
        assert_eq!(written(&first).as_deref(), Ok(first.as_str()), "{body}");
    }
    assert!(read > count / 2, "{read} of {count}");
}

/// Declarations under the other name were once a tool of Google's own, and read as functions when they came
/// back.
#[test]
fn of_functions_under_both_names_of_their_field_one_list_counts() {
    let body = r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"f"}],"function_declarations":[{"description":"?"}]}]}"#;
    for to in [Gemini, Chat] {
        let sent = request(Gemini, to, body, &RequestTarget::new("m")).unwrap();
        let text = String::from_utf8(sent.value).unwrap();
        assert!(text.contains(r#""name":"f""#) && !text.contains('?'), "{text}");
        let lost: Vec<&str> = sent.losses.iter().map(|loss| loss.pointer.as_str()).collect();
        assert_eq!(lost, ["/tools/0/function_declarations"], "{to}");
        request(to, to, &text, &RequestTarget::new("m")).unwrap();
    }
}
