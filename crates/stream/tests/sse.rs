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
    decoder.finish(&mut |item| keep(&mut seen, item));
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
fn hostile_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(&b"data: "[..]),
        3 => Just(&b"\n"[..]),
        1 => Just(&b"\r"[..]),
        1 => Just(&b"\r\n"[..]),
        1 => Just(&b":"[..]),
        1 => Just(&b"data"[..]),
        1 => Just(&b"event: e"[..]),
        1 => Just(&b"id: 7"[..]),
        1 => Just("{\"text\":\"é😀\"}".as_bytes()),
        1 => Just(&b"\xef\xbb\xbf"[..]),
        1 => Just(&b"\xff\0"[..]),
        1 => Just(&b" "[..]),
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
        stream in hostile_stream(),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let pieces = cut(&stream, &sizes);
        prop_assert_eq!(decode(pieces.iter().map(Vec::as_slice)), decode([stream.as_slice()]));
        prop_assert_eq!(decode(stream.chunks(1)), decode([stream.as_slice()]));
    }

    /// Where the other decoder is right: no byte order mark (it panics), no bare CR (it waits for what
    /// follows it), an id that is never emptied, a final blank line.
    #[test]
    fn it_agrees_with_eventsource_stream(
        events in prop::collection::vec(
            (
                prop::option::of("[a-z]{1,3}"),
                prop::collection::vec("[a-z :é😀]{0,6}", 1..3),
                prop::option::of("[0-9]{1,2}"),
                any::<bool>(),
            ),
            0..8,
        ),
        crlf in any::<bool>(),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut stream = String::new();
        for (name, lines, id, comment) in &events {
            if *comment {
                stream.push_str(": note");
                stream.push_str(end);
            }
            for (field, value) in [("event", name), ("id", id)] {
                if let Some(value) = value {
                    stream.push_str(&format!("{field}: {value}{end}"));
                }
            }
            for line in lines {
                stream.push_str(&format!("data: {line}{end}"));
            }
            stream.push_str(end);
        }
        let pieces: Vec<Result<Vec<u8>, std::convert::Infallible>> =
            cut(stream.as_bytes(), &sizes).into_iter().map(Ok).collect();
        let theirs: Vec<Seen> = EventStream::new(futures::stream::iter(pieces))
            .collect::<Vec<_>>()
            .now_or_never()
            .unwrap()
            .into_iter()
            .map(Result::unwrap)
            .map(|theirs| {
                let name = if theirs.event == "message" { "" } else { &theirs.event };
                event(name, &theirs.data, &theirs.id)
            })
            .collect();
        let ours: Vec<Seen> = decode_whole(&stream)
            .into_iter()
            .filter(|seen| *seen != Seen::Comment && !is_empty(seen))
            .collect();
        prop_assert_eq!(ours, theirs.into_iter().filter(|seen| !is_empty(seen)).collect::<Vec<_>>());
    }
}

/// An event whose only data line is empty: the other decoder does not deliver it, the specification
/// does.
fn is_empty(seen: &Seen) -> bool {
    matches!(seen, Seen::Event { data, .. } if data.is_empty())
}

/// Each place where `eventsource-stream` is not right, so that we learn when it changes.
#[test]
fn where_the_oracle_is_wrong() {
    let theirs = |stream: &'static str| {
        std::panic::catch_unwind(move || {
            let pieces = [Ok::<_, std::convert::Infallible>(stream)];
            EventStream::new(futures::stream::iter(pieces)).count().now_or_never().unwrap()
        })
    };
    assert!(theirs("\u{feff}data: 1\n\n").is_err(), "it panics on a byte order mark");
    assert_eq!(decode_whole("\u{feff}data: 1\n\n").len(), 1);
    assert_eq!(theirs("data: [DONE]\n").unwrap(), 0, "it drops an event without its final blank line");
    assert_eq!(decode_whole("data: [DONE]\n").len(), 1);
}
