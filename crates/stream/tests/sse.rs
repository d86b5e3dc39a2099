//! The SSE decoder against its specification, against every cut, and against `eventsource-stream`.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use eventsource_stream::EventStream;
use futures::{FutureExt, StreamExt};
use proptest::prelude::*;
use weighbridge_stream::sse::{SseDecoder, SseError, SseItem, SseLimits};

/// An event or a comment, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Event { name: String, data: String, id: String },
    Comment,
    Bare(String),
}

fn event(name: &str, data: &str, id: &str) -> Seen {
    Seen::Event { name: name.into(), data: data.into(), id: id.into() }
}

fn data(data: &str) -> Seen {
    event("", data, "")
}

fn keep(seen: &mut Vec<Seen>, item: SseItem<'_>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    seen.push(match item {
        SseItem::Comment => Seen::Comment,
        SseItem::Bare(json) => Seen::Bare(json.to_owned()),
        SseItem::Message(message) => Seen::Event {
            name: text(message.event.unwrap_or_default()),
            data: text(&message.data),
            id: text(message.last_event_id),
        },
    });
}

fn decode<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Seen> {
    let mut decoder = SseDecoder::new();
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut |item| keep(&mut seen, item)).unwrap();
    }
    decoder.finish(&mut |item| keep(&mut seen, item)).unwrap();
    seen
}

fn decode_whole(stream: &str) -> Vec<Seen> {
    decode([stream.as_bytes()])
}

#[test]
fn lines_end_with_lf_cr_or_both() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = ["event: a", "data: 1", "", "data: 2", "", ""].join(end);
        assert_eq!(decode_whole(&stream), [event("a", "1", ""), data("2")], "{end:?}");
    }
    assert_eq!(decode_whole("data: 1\n\rdata: 2\r\n\n"), [data("1"), data("2")]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_only() {
    assert_eq!(decode_whole("\u{feff}data: 1\n\n"), [data("1")]);
    assert_eq!(decode_whole("data: 1\n\n\u{feff}data: 2\n\n"), [data("1")]);
    assert_eq!(decode([&b"\xef"[..], b"\xbb", b"\xbfdata: 1\n\n"]), [data("1")]);
}

#[test]
fn data_lines_are_joined() {
    assert_eq!(decode_whole("data: a\ndata\ndata:b\n\n"), [data("a\n\nb")]);
}

#[test]
fn one_space_after_the_colon_is_no_part_of_the_value() {
    assert_eq!(decode_whole("data:  a \n\ndata:b\n\n"), [data(" a "), data("b")]);
}

#[test]
fn an_event_without_data_is_none_but_empty_data_is() {
    assert_eq!(decode_whole("event: a\n\nid: 1\n\n\n\n"), []);
    assert_eq!(decode_whole("data\n\ndata:\n\n"), [data(""), data("")]);
}

#[test]
fn comments_are_signs_of_life() {
    assert_eq!(decode_whole(": alive\n\n"), [Seen::Comment]);
    assert_eq!(decode_whole(":\n: alive\ndata: 1\n\n"), [data("1")]);
}

#[test]
fn ids_last_until_the_next_and_have_no_nul() {
    let stream = "id: 1\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\nid\ndata: d\n\n";
    assert_eq!(
        decode_whole(stream),
        [event("", "a", "1"), event("", "b", "1"), event("", "c", "1"), data("d")]
    );
}

#[test]
fn unknown_fields_and_retry_are_ignored() {
    assert_eq!(decode_whole("retry: 10\nfoo: bar\nDATA: x\n data: y\ndata: 1\n\n"), [data("1")]);
}

#[test]
fn a_missing_final_blank_line_is_forgiven_at_the_end() {
    assert_eq!(decode_whole("data: 1\n\ndata: [DONE]\n"), [data("1"), data("[DONE]")]);
    assert_eq!(decode_whole("data: 1\n\ndata: [DONE]"), [data("1"), data("[DONE]")]);
}

#[test]
fn limits_are_typed_errors_wherever_the_stream_is_cut() {
    let limits = SseLimits { line_bytes: 10, event_bytes: 25 };
    let run = |stream: &str, size: usize| {
        let mut decoder = SseDecoder::with_limits(limits);
        let mut count = 0;
        for piece in stream.as_bytes().chunks(size) {
            if let Err(error) = decoder.push(piece, &mut |_| count += 1) {
                assert_eq!(decoder.push(b"data: 1\n\n", &mut |_| {}), Err(error), "it stays failed");
                return (count, Some(error));
            }
        }
        (count, None)
    };
    for size in 1..40 {
        assert_eq!(run("data: 1234\n\ndata: 1234\n\n", size), (2, None));
        let line = SseError::LineTooLong { limit: 10 };
        assert_eq!(run("data: 1234\n\ndata: 12345\n\n", size), (1, Some(line)));
        let event = SseError::EventTooLong { limit: 25 };
        assert_eq!(run("data: 1\n\n:2345678\n:2345678\n:2345678\n\n", size), (1, Some(event)));
    }
}

/// Pieces of streams that hit every branch of the grammar.
const PIECES: [&[u8]; 12] = [
    b"data: ",
    b"\n",
    b"\r",
    b"\r\n",
    b":",
    b"data",
    b"event: e",
    b"id: 7",
    "{\"text\":\"é😀\"}".as_bytes(),
    b" ",
    b"\xef\xbb\xbf",
    b"\xff\0",
];

/// Streams of these pieces; data and line ends are the commonest.
fn hostile_stream(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        1 => prop::sample::select(&pieces[..2]),
        2 => prop::sample::select(pieces),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn cut(stream: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events(
        stream in hostile_stream(&PIECES),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let pieces = cut(&stream, &sizes);
        prop_assert_eq!(decode(pieces.iter().map(Vec::as_slice)), decode([stream.as_slice()]));
        prop_assert_eq!(decode(stream.chunks(1)), decode([stream.as_slice()]));
    }

    /// Where the other decoder is right: no byte order mark, nothing that is not UTF-8, and a final
    /// blank line that does not end with CR. The tests below tell what it makes of the rest.
    #[test]
    fn it_agrees_with_eventsource_stream(
        stream in hostile_stream(&PIECES[..10]),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let stream = [stream.as_slice(), b"\n\n"].concat();
        let told: Vec<Seen> =
            decode([stream.as_slice()]).into_iter().filter(|seen| matches!(seen, Seen::Event { .. })).collect();
        let theirs: Vec<Seen> = theirs(&cut(&stream, &sizes)).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(told, theirs);
    }

    /// An object without a field in front of it is found whatever stands around it, and takes nothing
    /// away from the events.
    #[test]
    fn a_bare_object_is_found_wherever_it_stands(
        before in prop::sample::select(vec!["", "\n\n", "data: 1\n\n", ": alive\r\n\r\n", "foo: bar\n\n", "data: 1\n"]),
        after in prop::sample::select(vec!["", "\n", "\n\n", "\ndata: 2\n\n", "\n\ndata: 2\n\n", "\r\n\r\n: alive\n\n"]),
        json in prop::sample::select(vec![
            "{}",
            "{\"error\":{\"code\":499}}",
            "{\n  \"error\": {\n    \"message\": \"data: }\",\n    \"id\": 5\n  }\n}",
            "{\r\n\r\n\"a\":\r\n[\r\n\r\n]\r\n}",
        ]),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let stream = [before, json, after].concat();
        let seen = decode([stream.as_bytes()]);
        prop_assert_eq!(decode(cut(stream.as_bytes(), &sizes).iter().map(Vec::as_slice)), seen.clone());
        // Blank lines in it are no part of it: they ended blocks.
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let is_it = |seen: &&Seen| matches!(seen, Seen::Bare(text) if parsed(text) == parsed(json));
        prop_assert_eq!(seen.iter().filter(is_it).count(), 1, "{:?}", seen);
        // The events are those of the same stream with other lines to ignore.
        let noise: String =
            json.split_inclusive('\n').map(|line| format!("{}{}", if line.trim().is_empty() { "" } else { "foo" }, &line[line.trim_end().len()..])).collect();
        let events = |seen: Vec<Seen>| seen.into_iter().filter(|seen| matches!(seen, Seen::Event { .. })).collect::<Vec<_>>();
        prop_assert_eq!(events(seen), events(decode_whole(&[before, &noise, after].concat())));
    }
}

/// What the other decoder gives for these pieces.
fn theirs(pieces: &[Vec<u8>]) -> Vec<Result<Seen, ()>> {
    let pieces = pieces.iter().map(Ok::<_, std::convert::Infallible>);
    let events = EventStream::new(futures::stream::iter(pieces)).collect::<Vec<_>>().now_or_never().unwrap();
    events
        .into_iter()
        .map(|theirs| {
            let theirs = theirs.map_err(|_| ())?;
            let name = if theirs.event == "message" { "" } else { &theirs.event };
            Ok(event(name, &theirs.data, &theirs.id))
        })
        .collect()
}

#[test]
fn the_oracle_is_wrong_about_a_byte_order_mark() {
    let stream = "\u{feff}data: 1\n\n";
    let panics = std::panic::catch_unwind(|| theirs(&[stream.into()]).len());
    assert!(panics.is_err(), "it skips one byte of three");
    assert_eq!(decode_whole(stream), [data("1")]);
}

#[test]
fn the_oracle_is_wrong_about_a_final_cr() {
    let stream = "data: 1\r\r";
    assert_eq!(theirs(&[stream.into()]), [], "it waits for a line feed");
    assert_eq!(decode_whole(stream), [data("1")]);
}

#[test]
fn the_oracle_is_wrong_about_a_cr_at_the_end_of_a_piece() {
    let piece = "data: 1\r\r";
    let pieces = futures::stream::iter([Ok::<_, std::convert::Infallible>(piece)]);
    let mut theirs = EventStream::new(pieces.chain(futures::stream::pending()));
    assert!(theirs.next().now_or_never().is_none(), "it withholds an event that is whole");
    let mut seen = Vec::new();
    SseDecoder::new().push(piece.as_bytes(), &mut |item| keep(&mut seen, item)).unwrap();
    assert_eq!(seen, [data("1")]);
}

#[test]
fn the_oracle_is_wrong_about_what_is_not_utf_8() {
    let stream = b"data: \xff\n\ndata: 2\n\n".to_vec();
    assert_eq!(theirs(std::slice::from_ref(&stream)), [Err(())], "it loses all that follows");
    assert_eq!(decode([stream.as_slice()]), [data("\u{fffd}"), data("2")]);
}

#[test]
fn the_oracle_has_no_bounds() {
    let stream = format!("data: {}\n\n", "x".repeat(100));
    assert_eq!(theirs(&[stream.clone().into()]), [Ok(data(&"x".repeat(100)))]);
    let mut decoder = SseDecoder::with_limits(SseLimits { line_bytes: 50, event_bytes: 50 });
    assert_eq!(decoder.push(stream.as_bytes(), &mut |_| {}), Err(SseError::LineTooLong { limit: 50 }));
}

/// Here it is the oracle that keeps to the specification.
#[test]
fn the_oracle_drops_an_event_without_its_final_blank_line() {
    assert_eq!(theirs(&["data: [DONE]\n".into()]), []);
    assert_eq!(decode_whole("data: [DONE]\n"), [data("[DONE]")]);
}

#[test]
fn lines_without_a_name_are_ignored_unless_they_are_an_object() {
    for noise in ["foo", "foo: bar", "[DONE]", "[{}]", "}", "{]", "<html>", "\"{}\"", "{\"a\":\"\u{fffd}"] {
        let seen = decode_whole(&format!("data: 1\n\n{noise}\n\ndata: 2\n\n"));
        assert_eq!(seen, [data("1"), data("2")], "{noise}");
    }
    let bare = |json: &str| Seen::Bare(json.into());
    assert_eq!(decode_whole("  {\"a\":1} x\n\n"), [bare("  {\"a\":1}")]);
    assert_eq!(decode_whole("{\n\n}\n\n{}\n\n"), [bare("{\n}"), bare("{}")]);
    assert_eq!(decode([&b"{\"a\":\"\xff\"}\n\ndata: 1\n\n"[..]]), [data("1")]);
}

#[test]
fn a_stream_that_ends_within_a_bare_object_is_truncated() {
    for (stream, ended) in [
        ("{\n  \"error\": {\n    \"code\": 499,\n", Err(SseError::Truncated)),
        ("data: 1\n\n{\n\n\"a\":", Err(SseError::Truncated)),
        ("data: 1\n\n{}", Ok(())),
        ("{\n\ndata: 1\n\n", Ok(())),
        ("", Ok(())),
    ] {
        let mut decoder = SseDecoder::new();
        decoder.push(stream.as_bytes(), &mut |_| {}).unwrap();
        assert_eq!(decoder.finish(&mut |_| {}), ended, "{stream}");
        assert_eq!(decoder.finish(&mut |_| {}).is_err(), ended.is_err(), "it stays failed");
    }
}

#[test]
fn a_bare_object_is_bounded() {
    let limits = SseLimits { line_bytes: 100, event_bytes: 20 };
    for (stream, ended) in [
        ("{\n\n      \n\n        \n\n}\n\n", Ok(())),
        ("{\n\n\"a\":\"12345678\"\n\n}\n\n", Ok(())),
        ("{\n\n\"a\":\"12345678901\"\n\n}", Err(SseError::EventTooLong { limit: 20 })),
    ] {
        for size in [1, 1_000] {
            let mut decoder = SseDecoder::with_limits(limits);
            let pushed =
                stream.as_bytes().chunks(size).try_for_each(|piece| decoder.push(piece, &mut |_| {}));
            assert_eq!(pushed.and_then(|()| decoder.finish(&mut |_| {})), ended, "{stream}");
        }
    }
}
