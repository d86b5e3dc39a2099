//! Bodies and their edits: what was checked is what is sent.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weighbridge_protocol::json::{ScanError, ScanLimits};
use weighbridge_protocol::{Body, envelope};
use weighbridge_units::Protocol;

fn scan(text: impl Into<Bytes>) -> Result<Body, ScanError> {
    Body::scan(text.into(), &ScanLimits::default())
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<u32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<String>(), 0..3).prop_map(Value::from),
        "[a-c]{1,2}".prop_map(|key| json!({ key: {"deep": [1, "}", "]"]} })),
    ];
    prop::collection::hash_map(name(), value, 0..7).prop_map(|map| map.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-f]", Just("model".to_owned()), Just("a \"b\"".to_owned()), Just("é\n".to_owned())]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(bytes);
    }

    #[test]
    fn it_finds_every_field(object in object(), pretty in any::<bool>()) {
        let value = Value::Object(object.clone());
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let body = scan(text.clone()).unwrap();
        prop_assert_eq!(body.text(), text);
        for (name, value) in &object {
            let found = body.get(name).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Value>(found.text()).unwrap(), value);
        }
        prop_assert!(body.get("absent").is_none());
    }

    #[test]
    fn edits_change_what_they_name_and_nothing_else(
        object in object(),
        changes in prop::collection::vec((name(), prop::option::weighted(0.6, any::<u16>())), 0..6),
        pretty in any::<bool>(),
        space in prop_oneof![Just(""), Just(" \n")],
    ) {
        let value = Value::Object(object.clone());
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let body = scan(format!("{space}{text}{space}")).unwrap();
        let mut edits = body.edit();
        let mut expected = object.clone();
        for (name, number) in &changes {
            if let Some(number) = number {
                edits.set(name, number.to_string());
                expected.insert(name.clone(), Value::from(*number));
            } else {
                edits.remove(name);
                expected.remove(name);
            }
            let (left, right) = (edits.get(name).map(|raw| raw.text().to_owned()), number.map(|n| n.to_string()));
            prop_assert_eq!(left, right);
        }
        let rope = edits.rope();
        let sent = rope.concat();
        prop_assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), Value::Object(expected));
        // Every slice is either one that was set, or shared with the body at its place, in order.
        let bytes = body.bytes();
        let mut at = bytes.as_ptr() as usize;
        for slice in rope.iter().filter(|slice| bytes.as_ptr_range().contains(&slice.as_ptr())) {
            prop_assert!(slice.as_ptr() as usize >= at);
            at = slice.as_ptr() as usize + slice.len();
        }
        let kept: usize = rope.iter().filter(|s| bytes.as_ptr_range().contains(&s.as_ptr())).map(Bytes::len).sum();
        let mut names: Vec<&String> = changes.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        let is_out = |name: &&String| edits.get(name).is_none();
        let changed: usize = names.iter().filter_map(|name| body.get(name)).map(|raw| raw.text().len()).sum();
        if names.iter().any(is_out) {
            prop_assert!(kept + changed <= bytes.len());
        } else {
            prop_assert_eq!(kept, bytes.len() - changed);
        }
    }

    #[test]
    fn a_field_inside_is_set_and_its_neighbours_stay(
        object in object(),
        options in prop::option::of(prop::collection::hash_map("[a-c]", any::<u8>(), 0..3)),
        twice in any::<bool>(),
    ) {
        let mut object = object;
        object.insert("opt".into(), options.clone().map_or(Value::Null, |map| json!(map)));
        let body = scan(Value::Object(object.clone()).to_string()).unwrap();
        let mut edits = body.edit();
        edits.set_in("opt", "b", "true").unwrap();
        if twice {
            edits.set_in("opt", "c", "[]").unwrap();
        }
        let mut inner: Map<String, Value> =
            options.unwrap_or_default().into_iter().map(|(key, number)| (key, number.into())).collect();
        inner.insert("b".into(), true.into());
        if twice {
            inner.insert("c".into(), json!([]));
        }
        object.insert("opt".into(), Value::Object(inner));
        let sent: Value = serde_json::from_slice(&edits.rope().concat()).unwrap();
        prop_assert_eq!(sent, Value::Object(object));
    }

    #[test]
    fn what_is_put_into_a_field_stands_there_whatever_else_changes(
        object in object(),
        changes in prop::collection::vec((name(), prop::option::weighted(0.6, any::<u16>())), 0..4),
        wrapped in prop::collection::hash_set(name(), 0..4),
        pretty in any::<bool>(),
    ) {
        let value = Value::Object(object.clone());
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let body = scan(text).unwrap();
        let (mut edits, mut expected) = (body.edit(), object);
        for (name, number) in &changes {
            match number {
                Some(number) => {
                    edits.set(name, number.to_string());
                    expected.insert(name.clone(), Value::from(*number));
                }
                None => {
                    edits.remove(name);
                    expected.remove(name);
                }
            }
        }
        let without = edits.rope().concat();
        for name in &wrapped {
            let length = edits.get(name).map_or(0, |value| value.text().len());
            edits.insert(name, length, ",");
            edits.insert(name, 0, "[");
            edits.insert(name, length, "7]");
            edits.insert(name, length + 1, "nowhere");
            if let Some(value) = expected.get_mut(name) {
                *value = json!([*value, 7]);
            }
        }
        let sent: Value = serde_json::from_slice(&edits.rope().concat()).unwrap();
        prop_assert_eq!(sent, Value::Object(expected));
        // Another value goes out without them.
        for name in &wrapped {
            match edits.get(name).map(|value| value.text().to_owned()) {
                Some(value) => edits.set(name, value),
                None => edits.remove(name),
            }
        }
        let same = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        prop_assert_eq!(same(&edits.rope().concat()), same(&without));
    }
}

#[test]
fn what_is_put_in_leaves_every_other_byte_alone() {
    let body = scan(&br#" { "a" : [1 ] , "b":"x"} "#[..]).unwrap();
    let mut edits = body.edit();
    edits.insert("a", 3, ", 2");
    edits.insert("b", 0, "[");
    edits.insert("b", 3, "]");
    edits.insert("c", 0, "nowhere");
    edits.set("d", "4");
    assert!(!edits.is_empty());
    let sent = String::from_utf8(edits.rope().concat()).unwrap();
    assert_eq!(sent, r#" { "a" : [1 , 2] , "b":["x"],"d":4} "#);
}

#[test]
fn without_edits_the_very_bytes_go_out() {
    let body = scan(&b" {\"b\" :1.0e2, \"a\":\"\\u00e9\"}\n"[..]).unwrap();
    assert_eq!(body.edit().rope(), [body.bytes().clone()]);
    assert!(body.edit().is_empty());
}

#[test]
fn a_field_goes_with_its_comma_and_leaves_its_neighbours_as_they_stood() {
    for (removed, left) in [
        (&["a"][..], r#"{ "b" : 2 , "c" : 3 }"#),
        (&["b"], r#"{ "a" : 1 , "c" : 3 }"#),
        (&["c"], r#"{ "a" : 1 , "b" : 2 }"#),
        (&["a", "b"], r#"{ "c" : 3 }"#),
        (&["b", "c"], r#"{ "a" : 1 }"#),
        (&["a", "b", "c"], r#"{  }"#),
        (&["d"], r#"{ "a" : 1 , "b" : 2 , "c" : 3 }"#),
    ] {
        let body = scan(&br#"{ "a" : 1 , "b" : 2 , "c" : 3 }"#[..]).unwrap();
        let mut edits = body.edit();
        removed.iter().for_each(|name| edits.remove(name));
        assert_eq!(String::from_utf8(edits.rope().concat()).unwrap(), left);
        assert_eq!(edits.is_empty(), removed == ["d"]);
    }
}

#[test]
fn what_was_set_is_taken_out_again() {
    let body = scan(&br#"{"a":1}"#[..]).unwrap();
    let mut edits = body.edit();
    edits.set("b", "2");
    edits.remove("b");
    assert!(edits.is_empty());
    edits.remove("a");
    edits.set("a", "3");
    assert_eq!(edits.rope().concat(), br#"{"a":3}"#);
}

#[test]
fn a_duplicate_field_is_refused_and_named_however_it_is_spelled() {
    let error = scan(&br#"{"model":"a","n":1,"mod\u0065l":"b"}"#[..]).unwrap_err();
    assert_eq!(error, ScanError::DuplicateKey { key: "model".into() });
    // Inside, the provider's reading counts; translation takes the last.
    assert!(scan(&br#"{"a":{"b":1,"b":2}}"#[..]).is_ok());
}

#[test]
fn a_duplicate_is_found_wherever_it_stands_among_however_many() {
    for count in 2..20 {
        for (first, second) in (0..count).flat_map(|second| (0..second).map(move |first| (first, second))) {
            let name = |n| if n == second { first } else { n };
            let fields: Vec<String> = (0..count).map(|n| format!("\"{}\":{n}", name(n))).collect();
            let error = scan(format!("{{{}}}", fields.join(","))).unwrap_err();
            assert_eq!(error, ScanError::DuplicateKey { key: first.to_string() });
        }
    }
}

#[test]
fn a_million_fields_are_no_trap() {
    let fields: Vec<String> = (0..200_000).map(|n| format!("\"{n}\":0")).collect();
    assert!(scan(format!("{{{}}}", fields.join(","))).is_ok());
}

#[test]
fn what_is_no_object_is_named() {
    let cases = [("[1]", "an array"), ("\"a\"", "a string"), ("null", "null"), (" 12 ", "a number")];
    for (text, kind) in cases {
        let message = scan(text).unwrap_err().to_string();
        assert_eq!(message, format!("the body is {kind}: an object is expected"));
    }
    assert!(matches!(scan("[1"), Err(ScanError::Syntax { .. })));
    assert!(matches!(scan(""), Err(ScanError::Syntax { .. })));
    assert_eq!(scan(&b"{\"a\":\"\xff\"}"[..]).unwrap_err(), ScanError::NotUtf8 { offset: 6 });
}

#[test]
fn depth_counts_the_outermost_object() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(scan(nested(128)).is_ok());
    assert!(matches!(scan(nested(129)), Err(ScanError::TooDeep { limit: 128, .. })));
}

#[test]
fn set_in_refuses_what_is_no_object() {
    let text = r#"{"stream_options":"all"}"#;
    let body = scan(text).unwrap();
    let error = body.edit().set_in("stream_options", "include_usage", "true").unwrap_err();
    assert_eq!(error.pointer(body.text()), "/stream_options");
}

#[test]
fn envelopes_tell_what_is_asked() {
    let text = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,
        "max_completion_tokens":9,"n":2,"safety_identifier":"u","service_tier":"flex"}"#;
    let asked = envelope(Protocol::OpenAiChat, &scan(text).unwrap()).unwrap();
    insta::assert_debug_snapshot!(asked, @r#"
    Envelope {
        model: "m",
        stream: true,
        wants_usage: true,
        max_output: Some(
            9,
        ),
        candidates: 2,
        end_user: Some(
            "u",
        ),
        service_tier: Some(
            "flex",
        ),
    }
    "#);
    let text = r#"{"model":"m","max_tokens":5,"metadata":{"user_id":"u"},"stream":null}"#;
    let asked = envelope(Protocol::AnthropicMessages, &scan(text).unwrap()).unwrap();
    assert_eq!((asked.max_output, asked.end_user.as_deref(), asked.stream), (Some(5), Some("u"), false));
    assert!(asked.wants_usage);
}

#[test]
fn envelopes_name_the_field_that_is_wrong() {
    let cases = [
        (Protocol::OpenAiChat, r#"{}"#, "/model"),
        (Protocol::OpenAiChat, r#"{"model":""}"#, "/model"),
        (Protocol::OpenAiChat, r#"{"model":"m","stream":"yes"}"#, "/stream"),
        (Protocol::OpenAiChat, r#"{"model":"m","n":0}"#, "/n"),
        (Protocol::OpenAiChat, r#"{"model":"m","max_tokens":-1}"#, "/max_tokens"),
        (
            Protocol::OpenAiChat,
            r#"{"model":"m","stream_options":{"include_usage":1}}"#,
            "/stream_options/include_usage",
        ),
        (Protocol::AnthropicMessages, r#"{"model":["m"]}"#, "/model"),
        (Protocol::AnthropicMessages, r#"{"model":"m","metadata":{"user_id":5}}"#, "/metadata/user_id"),
    ];
    for (protocol, text, pointer) in cases {
        let body = scan(text).unwrap();
        let error = envelope(protocol, &body).unwrap_err();
        assert_eq!(error.pointer(body.text()), pointer, "{text}");
    }
}
