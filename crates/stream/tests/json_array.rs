//! Streamed JSON arrays, against `serde_json` and every cut.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use proptest::prelude::*;
use serde_json::value::RawValue;
use weighbridge_stream::json_array::{JsonArrayDecoder, JsonArrayError, JsonArrayLimits};

type Taken = (Vec<String>, Result<(), JsonArrayError>);

fn take_with<'p>(limits: JsonArrayLimits, pieces: impl IntoIterator<Item = &'p [u8]>) -> Taken {
    let mut decoder = JsonArrayDecoder::with_limits(limits);
    let mut elements = Vec::new();
    for piece in pieces {
        let taken =
            decoder.push(piece, &mut |element| elements.push(String::from_utf8_lossy(element).into_owned()));
        if let Err(error) = taken {
            assert_eq!(decoder.push(b"", &mut |_| {}), Err(error), "it stays failed");
            assert_eq!(decoder.finish(), Err(error));
            return (elements, Err(error));
        }
    }
    (elements, decoder.finish())
}

fn take<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Taken {
    take_with(JsonArrayLimits::default(), pieces)
}

fn whole(text: &str) -> Taken {
    take([text.as_bytes()])
}

fn unexpected(byte: u8, offset: u64) -> Result<(), JsonArrayError> {
    Err(JsonArrayError::Unexpected { byte, offset })
}

#[test]
fn elements_come_as_they_are() {
    for (text, expected) in [
        ("[]", &[][..]),
        (" [ \r\n] \n", &[]),
        ("[{}]", &["{}"]),
        (
            "[{\n  \"a\": [1, {\"b\": \"]}\"}]\n}\n,\r\n{\"c\":\"\\\"}\\\\\"}]\n",
            &["{\n  \"a\": [1, {\"b\": \"]}\"}]\n}", "{\"c\":\"\\\"}\\\\\"}"],
        ),
        ("[1, -2.5e+3,\"a,b\",true ,null,[[]]]", &["1", "-2.5e+3", "\"a,b\"", "true", "null", "[[]]"]),
    ] {
        for size in [1, 2, 3, 1_000] {
            let (elements, ended) = take(text.as_bytes().chunks(size));
            assert_eq!(
                (elements.as_slice(), ended),
                (expected.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>().as_slice(), Ok(())),
                "{text}"
            );
        }
    }
}

#[test]
fn an_object_without_an_array_is_the_only_element() {
    let error = "{\n \"error\": {\"code\": 429}\n}";
    assert_eq!(whole(error), (vec![error.into()], Ok(())));
    assert_eq!(whole(&format!("\n{error}\n")), (vec![error.into()], Ok(())));
    assert_eq!(whole("{},{}"), (vec!["{}".into()], unexpected(b',', 2)));
}

#[test]
fn elements_come_as_soon_as_they_are_whole() {
    let mut decoder = JsonArrayDecoder::new();
    let mut count = 0;
    for (piece, expected) in [("[{\"a\":1", 0), ("}", 1), ("\n,", 1), ("\r\n{}", 2), ("]", 2)] {
        decoder.push(piece.as_bytes(), &mut |_| count += 1).unwrap();
        assert_eq!(count, expected, "after {piece}");
    }
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn what_cannot_stand_there_is_an_error_with_its_place() {
    for (text, elements, byte, offset) in [
        ("x", 0, b'x', 0),
        ("1", 0, b'1', 0),
        ("\"a\"", 0, b'"', 0),
        ("<html>", 0, b'<', 0),
        (" ]", 0, b']', 1),
        ("[,1]", 0, b',', 1),
        ("[1,]", 1, b']', 3),
        ("[1 2]", 1, b'2', 3),
        ("[1}", 1, b'}', 2),
        ("[{]", 0, b']', 2),
        ("[{\"a\":[}]", 0, b'}', 7),
        ("[] []", 0, b'[', 3),
        ("[]data: {}", 0, b'd', 2),
        ("\u{feff}[]", 0, 0xef, 0),
    ] {
        for size in [1, 2, 1_000] {
            let (seen, ended) = take(text.as_bytes().chunks(size));
            assert_eq!((seen.len(), ended), (elements, unexpected(byte, offset)), "{text}");
        }
    }
}

#[test]
fn an_array_that_is_not_closed_is_truncated() {
    for (text, elements) in
        [("", 0), (" ", 0), ("[", 0), ("[{}", 1), ("[{},", 1), ("[{\"a\":\"]", 0), ("{", 0), ("[12", 0)]
    {
        let (seen, ended) = whole(text);
        assert_eq!((seen.len(), ended), (elements, Err(JsonArrayError::Truncated)), "{text:?}");
    }
}

#[test]
fn elements_are_bounded_in_depth_and_size() {
    let nested = |depth: usize| format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(whole(&nested(128)), (vec![nested(127)], Ok(())));
    assert_eq!(whole(&nested(129)), (vec![], Err(JsonArrayError::TooDeep)));
    assert_eq!(whole(&"[".repeat(1_000_000)).1, Err(JsonArrayError::TooDeep));

    let limits = JsonArrayLimits { element_bytes: 5 };
    let too_long = Err(JsonArrayError::ElementTooLong { limit: 5 });
    for (text, elements, ended) in [
        ("[12345,\"abc\",[[1]]]", 3, Ok(())),
        ("[123456]", 0, too_long),
        ("[1,\"abcd\"]", 1, too_long),
        ("[{\"a\":1}]", 0, too_long),
        ("{\"a\":", 0, Err(JsonArrayError::Truncated)),
        ("[1      ,      2]", 2, Ok(())),
    ] {
        for size in [1, 2, 3, 1_000] {
            let (seen, found) = take_with(limits, text.as_bytes().chunks(size));
            assert_eq!((seen.len(), found), (elements, ended), "{text}");
        }
    }
}

/// JSON texts, with blanks and escapes in odd places.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "[a-z\\]\\[{},:é😀\"\\\\\\n]{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let blank = || "[ \t\r\n]{0,2}";
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), blank())
                .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(&format!("{blank},")))),
            (prop::collection::vec(("[a-z\\]}]{0,3}", inner), 0..4), blank()).prop_map(|(fields, blank)| {
                let fields: Vec<String> = fields
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\"{blank}:{blank}{value}"))
                    .collect();
                format!("{{{blank}{}{blank}}}", fields.join(","))
            }),
        ]
    })
}

fn cut<'s>(stream: &'s [u8], sizes: &[usize]) -> Vec<&'s [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// What `serde_json` takes for the elements.
fn theirs(text: &str) -> Option<Vec<String>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(|element| element.get().to_owned()).collect())
}

proptest! {
    #[test]
    fn elements_are_those_of_serde_json(
        elements in prop::collection::vec(json(), 0..5),
        blank in "[ \r\n\t]{0,2}",
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let text = format!("{blank}[{blank}{}{blank}]{blank}", elements.join(&format!("{blank},{blank}")));
        let expected = (theirs(&text).unwrap(), Ok(()));
        prop_assert_eq!(&expected.0, &elements);
        for pieces in [vec![text.as_bytes()], cut(text.as_bytes(), &sizes), cut(text.as_bytes(), &[1])] {
            prop_assert_eq!(take(pieces), expected.clone());
        }
    }

    /// What is wrong is found alike however it is cut, and nothing that is right is called wrong.
    #[test]
    fn any_text_at_all_is_taken_alike_however_it_is_cut(
        text in "([\\[\\]{},:\"\\\\ 1a]|true|\\[\\{)\\PC{0,1}[\\[\\]{},:\"\\\\ 1e]{0,24}",
        element_bytes in prop_oneof![Just(16 << 20), 1_usize..8],
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let limits = JsonArrayLimits { element_bytes };
        let at_once = take_with(limits, [text.as_bytes()]);
        for pieces in [cut(text.as_bytes(), &sizes), cut(text.as_bytes(), &[1])] {
            prop_assert_eq!(take_with(limits, pieces), at_once.clone());
        }
        if let Some(elements) = theirs(&text).filter(|_| element_bytes > 1_000) {
            prop_assert_eq!(at_once, (elements, Ok(())));
        }
    }
}
