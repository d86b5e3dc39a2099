//! The reader against `serde_json`, which judges it and shares no code with it.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use proptest::prelude::*;
use serde_json::Value;
use weighbridge_protocol::json::{
    Field, Fields, Indexed, Kind, Raw, ScanError, ScanLimits, Writer, pointer_of, pointers_of,
};

fn limits() -> ScanLimits {
    ScanLimits::default()
}

/// Any JSON value, with odd strings and numbers in it.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}", Just("a/b~c".to_owned()), Just("\"\\\n".to_owned()), any::<String>()]
}

/// Text that looks like JSON, but mostly is not quite.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\"a\""),
        Just("\"\\u12"),
        Just("\"\\ud83d\""),
        Just("\\n"),
        Just("-"),
        Just("0"),
        Just("01"),
        Just("1.5e-3"),
        Just("1."),
        Just(".5"),
        Just("+1"),
        Just("true"),
        Just("nul"),
        Just("null"),
        Just(" "),
        Just("\n"),
        Just("\u{1}"),
        Just("é"),
        Just("\u{feff}"),
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

/// Every value of a document with its expected JSON pointer.
fn all_values<'a>(raw: Raw<'a>, pointer: &str, into: &mut Vec<(String, Raw<'a>)>) {
    into.push((pointer.to_owned(), raw));
    if raw.kind() == Kind::Array {
        for (index, item) in raw.items().unwrap().enumerate() {
            all_values(item, &format!("{pointer}/{index}"), into);
        }
    }
    if raw.kind() == Kind::Object {
        for (name, value) in Fields::read(raw).unwrap().rest().iter() {
            let segment = name.replace('~', "~0").replace('/', "~1");
            all_values(value, &format!("{pointer}/{segment}"), into);
        }
    }
}

proptest! {
    #[test]
    fn accepts_exactly_what_json_is(text in prop_oneof![nearly_json(), any::<String>(), json().prop_map(|v| v.to_string())]) {
        let judged = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(Raw::parse(&text, &limits()).is_ok(), judged, "{}", text);
    }

    #[test]
    fn a_truncated_document_is_refused(value in json(), cut in any::<prop::sample::Index>()) {
        let text = serde_json::json!([value]).to_string();
        let mut end = cut.index(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        prop_assert!(Raw::parse(&text[..end], &limits()).is_err());
    }

    #[test]
    fn every_value_reads_as_written_and_knows_its_pointer(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let text = format!(" \n{text}\t");
        let root = Raw::parse(&text, &limits()).unwrap();
        let mut values = Vec::new();
        all_values(root, "", &mut values);
        let in_one_walk = pointers_of(&text, values.iter().rev().map(|(_, raw)| raw.text()));
        for ((pointer, raw), walked) in values.iter().zip(in_one_walk.into_iter().rev()) {
            let expected = value.pointer(pointer).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Value>(raw.text()).unwrap(), expected);
            prop_assert_eq!(&pointer_of(&text, raw.text()), pointer);
            prop_assert_eq!(&walked, pointer);
            match expected {
                Value::String(string) => prop_assert_eq!(raw.str().unwrap(), string.as_str()),
                Value::Bool(flag) => prop_assert_eq!(raw.bool().unwrap(), *flag),
                Value::Number(number) => prop_assert_eq!(raw.u64().ok(), number.as_u64()),
                _ => prop_assert!(raw.str().is_err()),
            }
        }
    }

    #[test]
    fn an_index_changes_nothing_but_speed(value in json(), pretty in any::<bool>(), ascii in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let text = match &value {
            Value::String(string) if ascii => escape_all(string),
            _ => format!(" \n{text}\t"),
        };
        let document = Indexed::parse(&text, &limits()).unwrap();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        all_values(document.root(), "", &mut with);
        all_values(Raw::parse(&text, &limits()).unwrap(), "", &mut without);
        prop_assert_eq!(&with, &without);
        for ((_, with), (_, without)) in with.into_iter().zip(without) {
            prop_assert_eq!(with.text().as_ptr(), without.text().as_ptr());
            prop_assert_eq!(with.str(), without.str());
        }
    }

    #[test]
    fn an_index_is_made_of_what_json_is(text in prop_oneof![nearly_json(), any::<String>()]) {
        let (with, without) = (Indexed::parse(&text, &limits()), Raw::parse(&text, &limits()));
        prop_assert_eq!(with.map(|document| document.root().text().to_owned()), without.map(|raw| raw.text().to_owned()));
    }

    #[test]
    fn strings_are_read_as_written(text in any::<String>(), ascii in any::<bool>()) {
        let mut out = Vec::new();
        Writer::new(&mut out).string(&text);
        let mut written = String::from_utf8(out).unwrap();
        prop_assert_eq!(&written, &serde_json::to_string(&text).unwrap());
        if ascii {
            written = escape_all(&text);
        }
        prop_assert_eq!(Raw::parse(&written, &limits()).unwrap().str().unwrap(), text);
    }

    #[test]
    fn escapes_are_read_as_serde_json_reads_them(body in r#"(\\u[dD][89abcdefABCDEF][0-9a-f]{2}|\\n|\\/|a){0,4}"#) {
        let text = format!("\"{body}\"");
        let judged = serde_json::from_str::<String>(&text).ok();
        let read = Raw::parse(&text, &limits()).unwrap().str().ok().map(|s| s.into_owned());
        prop_assert_eq!(read, judged);
    }

    #[test]
    fn what_is_taken_is_not_left(object in prop::collection::btree_map("[a-d]", 0_u64..9, 0..5), take_a in any::<bool>()) {
        let text = serde_json::to_string(&object).unwrap();
        let mut fields = Fields::read(Raw::parse(&text, &limits()).unwrap()).unwrap();
        if take_a {
            let taken = fields.take::<u64>("a").unwrap().value();
            prop_assert_eq!(taken, object.get("a").copied());
        }
        let left: Vec<(String, u64)> =
            fields.rest().iter().map(|(name, raw)| (name.to_owned(), raw.u64().unwrap())).collect();
        let expected: Vec<(String, u64)> = object.into_iter().filter(|(name, _)| !(take_a && name == "a")).collect();
        prop_assert_eq!(left, expected);
    }

    #[test]
    fn the_last_field_of_a_name_counts_and_the_others_are_superseded(
        names in prop::collection::vec("[a-d]|[a-z]{2}", 0..60),
        taken in prop::option::of("[a-d]"),
    ) {
        let members: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("\"{name}\":{at}")).collect();
        let text = format!("{{{}}}", members.join(","));
        let mut fields = Fields::read(Raw::parse(&text, &limits()).unwrap()).unwrap();
        let last = |wanted: &str| names.iter().rposition(|name| name == wanted);
        if let Some(name) = ["a", "b", "c", "d"].into_iter().find(|name| taken.as_deref() == Some(*name)) {
            prop_assert_eq!(fields.take::<u64>(name).unwrap().value(), last(name).map(|at| at as u64));
            prop_assert_eq!(fields.take::<u64>(name), Ok(Field::Absent));
            prop_assert_eq!(fields.peek(name), None);
        }
        let rest = fields.rest();
        let numbers = |(name, raw): (&str, Raw<'_>)| (name.to_owned(), raw.u64().unwrap());
        let (left, superseded): (Vec<_>, Vec<_>) =
            (rest.iter().map(numbers).collect(), rest.superseded().map(numbers).collect());
        let (lasts, others): (Vec<_>, Vec<_>) = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), at as u64))
            .partition(|(name, at)| last(name) == Some(*at as usize));
        let untaken: Vec<_> = lasts.into_iter().filter(|(name, _)| Some(name) != taken.as_ref()).collect();
        prop_assert_eq!(left, untaken);
        prop_assert_eq!(superseded, others);
    }

    #[test]
    fn numbers_are_written_as_they_are(number in any::<i64>()) {
        let mut out = Vec::new();
        Writer::new(&mut out).number(number);
        prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
    }
}

fn escape_all(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

#[test]
fn depth_128_is_accepted_and_129_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(Raw::parse(&nested(128), &limits()).is_ok());
        assert!(matches!(Raw::parse(&nested(129), &limits()), Err(ScanError::TooDeep { limit: 128, .. })));
        // However deep, it is refused without running out of stack, also with the highest limit.
        let bottomless = open.repeat(200_000);
        assert!(matches!(
            Raw::parse(&bottomless, &ScanLimits { depth: usize::MAX }),
            Err(ScanError::TooDeep { limit: ScanLimits::DEPTH_CEILING, .. })
        ));
    }
}

#[test]
fn a_mistake_is_located() {
    let error = Raw::parse("{\n  \"a\": 1,\n  \"é\" 2}", &limits()).unwrap_err();
    assert_eq!(error.to_string(), "the body is not JSON: a colon expected at line 3, column 8");
}

#[test]
fn a_wrong_type_is_named_with_its_pointer() {
    let text = r#"{"messages": [{"role": "user"}, {"role": 7}]}"#;
    let root = Raw::parse(text, &limits()).unwrap();
    let messages: Vec<Raw<'_>> = Fields::read(root).unwrap().require("messages").unwrap();
    let error = Fields::read(messages[1]).unwrap().require::<String>("role").unwrap_err();
    assert_eq!(
        (error.pointer(text).as_str(), error.to_string().as_str()),
        ("/messages/1/role", "a string expected, found a number")
    );
    let missing = Fields::read(messages[0]).unwrap().require::<String>("content").unwrap_err();
    assert_eq!(missing.pointer(text), "/messages/0/content");
    assert_eq!(missing.to_string(), "the field `content` expected, found nothing");
}

#[test]
fn of_two_fields_of_one_name_the_last_counts() {
    let text = r#"{"a":1,"\u0061":2,"b":null}"#;
    let mut fields = Fields::read(Raw::parse(text, &limits()).unwrap()).unwrap();
    assert_eq!(fields.take::<u64>("a"), Ok(Field::Value(2)));
    assert_eq!(fields.take::<u64>("b"), Ok(Field::Null));
    assert_eq!(fields.take::<u64>("c"), Ok(Field::Absent));
    let rest = fields.rest();
    assert_eq!(rest.iter().next(), None);
    let superseded: Vec<_> = rest.superseded().map(|(name, value)| (name, value.text())).collect();
    assert_eq!(superseded, [("a", "1")]);
    assert_eq!(Raw::parse(text, &limits()).unwrap().get("a").unwrap().text(), "2");
}

#[test]
fn half_a_surrogate_pair_is_an_error_and_no_replacement() {
    let raw = Raw::parse(r#""\ud83d""#, &limits()).unwrap();
    assert!(raw.str().is_err());
}

#[test]
fn an_offered_field_of_another_type_stays() {
    let text = r#"{"created":1.5,"id":"a"}"#;
    let mut fields = Fields::read(Raw::parse(text, &limits()).unwrap()).unwrap();
    assert_eq!(fields.offer::<i64>("created"), None);
    assert_eq!(fields.offer::<String>("id").as_deref(), Some("a"));
    assert_eq!(fields.rest().iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>(), ["created"]);
}
