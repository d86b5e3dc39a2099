//! AWS event streams: our frames against those of AWS's own crate, every cut, every damage.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_types::DateTime;
use aws_smithy_types::event_stream::{Header, HeaderValue as TheirValue, Message};
use proptest::prelude::*;
use weighbridge_stream::aws::{
    AwsDecoder, AwsEncodeError, AwsFrameError, AwsKind, AwsLimits, AwsMessage, HeaderValue, encode,
    encode_event, encode_exception,
};

/// A header's value, owned.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Bytes(Vec<u8>),
    Text(String),
    Timestamp(i64),
    Uuid([u8; 16]),
}

impl Value {
    fn ours(&self) -> HeaderValue<'_> {
        match self {
            Self::Bool(value) => HeaderValue::Bool(*value),
            Self::Byte(value) => HeaderValue::Byte(*value),
            Self::Short(value) => HeaderValue::Short(*value),
            Self::Int(value) => HeaderValue::Int(*value),
            Self::Long(value) => HeaderValue::Long(*value),
            Self::Bytes(value) => HeaderValue::Bytes(value),
            Self::Text(value) => HeaderValue::Text(value),
            Self::Timestamp(value) => HeaderValue::Timestamp(*value),
            Self::Uuid(value) => HeaderValue::Uuid(*value),
        }
    }

    fn theirs(&self) -> TheirValue {
        match self {
            Self::Bool(value) => TheirValue::Bool(*value),
            Self::Byte(value) => TheirValue::Byte(*value),
            Self::Short(value) => TheirValue::Int16(*value),
            Self::Int(value) => TheirValue::Int32(*value),
            Self::Long(value) => TheirValue::Int64(*value),
            Self::Bytes(value) => TheirValue::ByteArray(value.clone().into()),
            Self::Text(value) => TheirValue::String(value.clone().into()),
            Self::Timestamp(value) => TheirValue::Timestamp(DateTime::from_millis(*value)),
            Self::Uuid(value) => TheirValue::Uuid(u128::from_be_bytes(*value)),
        }
    }
}

/// A frame, owned.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    headers: Vec<(String, Value)>,
    payload: Vec<u8>,
}

impl Frame {
    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode(
            self.headers.iter().map(|(name, value)| (name.as_str(), value.ours())),
            &self.payload,
            &mut out,
        )
        .unwrap();
        out
    }

    fn theirs(&self) -> Message {
        let headers = self.headers.iter().map(|(name, value)| Header::new(name.clone(), value.theirs()));
        Message::new_from_parts(headers.collect(), self.payload.clone())
    }
}

fn owned(message: AwsMessage<'_>) -> Frame {
    let value = |value: HeaderValue<'_>| match value {
        HeaderValue::Bool(value) => Value::Bool(value),
        HeaderValue::Byte(value) => Value::Byte(value),
        HeaderValue::Short(value) => Value::Short(value),
        HeaderValue::Int(value) => Value::Int(value),
        HeaderValue::Long(value) => Value::Long(value),
        HeaderValue::Bytes(value) => Value::Bytes(value.to_vec()),
        HeaderValue::Text(value) => Value::Text(value.to_owned()),
        HeaderValue::Timestamp(value) => Value::Timestamp(value),
        HeaderValue::Uuid(value) => Value::Uuid(value),
    };
    Frame {
        headers: message.headers().iter().map(|(name, found)| (name.to_owned(), value(found))).collect(),
        payload: message.payload().to_vec(),
    }
}

/// What comes of a stream: its frames, and how it ended.
fn decode<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<Frame>, Result<(), AwsFrameError>) {
    let mut decoder = AwsDecoder::new();
    let mut frames = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut |message| frames.push(owned(message))) {
            assert_eq!(decoder.push(&[], &mut |_| {}), Err(error), "it stays failed");
            assert_eq!(decoder.finish(), Err(error));
            return (frames, Err(error));
        }
    }
    (frames, decoder.finish())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        ".{0,20}".prop_map(Value::Text),
        // What their type can hold.
        (-62_135_596_800_000_i64..253_402_300_799_000).prop_map(Value::Timestamp),
        any::<[u8; 16]>().prop_map(Value::Uuid),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let headers = prop::collection::vec((":?[a-zé-]{1,12}", value()), 0..6);
    (headers, prop::collection::vec(any::<u8>(), 0..60))
        .prop_map(|(headers, payload)| Frame { headers, payload })
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    prop::collection::vec(frame(), 0..5)
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

proptest! {
    #[test]
    fn we_write_what_they_write(frame in frame()) {
        let mut theirs = Vec::new();
        write_message_to(&frame.theirs(), &mut theirs).unwrap();
        prop_assert_eq!(frame.encoded(), theirs);
    }

    #[test]
    fn we_read_what_they_write_however_it_is_cut(
        frames in frames(),
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let mut stream = Vec::new();
        for frame in &frames {
            write_message_to(&frame.theirs(), &mut stream).unwrap();
        }
        for pieces in [vec![stream.as_slice()], cut(&stream, &sizes), cut(&stream, &[1])] {
            prop_assert_eq!(decode(pieces), (frames.clone(), Ok(())));
        }
    }

    #[test]
    fn they_read_what_we_write(frames in frames()) {
        let stream: Vec<u8> = frames.iter().flat_map(Frame::encoded).collect();
        let (mut decoder, mut rest) = (MessageFrameDecoder::new(), stream.as_slice());
        for frame in &frames {
            let DecodedFrame::Complete(message) = decoder.decode_frame(&mut rest).unwrap() else {
                panic!("they want more");
            };
            prop_assert_eq!(message, frame.theirs());
        }
        prop_assert!(rest.is_empty());
    }

    /// A damaged frame is never handed over, nor anything behind it. One that is only cut is reported.
    #[test]
    fn damage_is_an_error_and_never_a_frame(
        frames in prop::collection::vec(frame(), 1..5),
        place in any::<prop::sample::Index>(),
        damage in 1_u8..,
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let encoded: Vec<Vec<u8>> = frames.iter().map(Frame::encoded).collect();
        let mut stream = encoded.concat();
        let at = place.index(stream.len());
        stream[at] ^= damage;
        let (mut intact, mut end) = (0, 0);
        while end + encoded[intact].len() <= at {
            end += encoded[intact].len();
            intact += 1;
        }
        let (seen, ended) = decode([stream.as_slice()]);
        prop_assert_eq!(&seen, &frames[..intact]);
        prop_assert!(matches!(
            ended,
            Err(AwsFrameError::PreludeChecksum | AwsFrameError::MessageChecksum)
        ), "{:?}", ended);
        for pieces in [cut(&stream, &sizes), cut(&stream, &[1])] {
            prop_assert_eq!(decode(pieces), (seen.clone(), ended));
        }

        stream[at] ^= damage;
        stream.truncate(at);
        let cut_short = if at == end { Ok(()) } else { Err(AwsFrameError::Truncated) };
        prop_assert_eq!(decode([stream.as_slice()]), (frames[..intact].to_vec(), cut_short));
    }

    #[test]
    fn any_bytes_at_all_are_read_alike_however_they_are_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let whole = decode([bytes.as_slice()]);
        prop_assert_eq!(decode(cut(&bytes, &sizes)), whole.clone());
        prop_assert!(whole.0.is_empty());
    }

    /// Right checksums around any bytes: what a hostile provider could send.
    #[test]
    fn forged_headers_break_and_never_panic(
        headers in prop::collection::vec(any::<u8>(), 0..40),
        length in prop_oneof![0_u32..60, Just(u32::MAX)],
        payload in prop::collection::vec(any::<u8>(), 0..10),
    ) {
        let stream = forged(length, &headers, &payload);
        let (ours, ended) = decode([stream.as_slice()]);
        let mut theirs = MessageFrameDecoder::new();
        if let Ok(DecodedFrame::Complete(message)) = theirs.decode_frame(&mut stream.as_slice())
            && message.headers().iter().all(|header| !header.name().as_str().is_empty())
        {
            prop_assert_eq!(ended, Ok(()));
            prop_assert_eq!(ours.len(), 1);
            prop_assert_eq!(&ours[0].theirs(), &message);
        } else if ended.is_ok() {
            // They want more than two bytes behind the length of a text, even of an empty one.
            prop_assert_eq!(ours.len(), 1);
        } else {
            prop_assert!(ours.is_empty());
        }
    }
}

/// A frame with right checksums that says that its headers have `headers_length` bytes.
fn forged(headers_length: u32, headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut stream = [total.to_be_bytes(), headers_length.to_be_bytes()].concat();
    stream.extend(crc32fast::hash(&stream).to_be_bytes());
    stream.extend(headers);
    stream.extend(payload);
    stream.extend(crc32fast::hash(&stream).to_be_bytes());
    stream
}

/// A prelude with a right checksum.
fn prelude(total: u32, headers: u32) -> Vec<u8> {
    let mut stream = [total.to_be_bytes(), headers.to_be_bytes()].concat();
    stream.extend(crc32fast::hash(&stream).to_be_bytes());
    stream
}

#[test]
fn lengths_are_judged_before_anything_is_kept() {
    let too_long = |bytes| AwsFrameError::FrameTooLong { bytes, limit: 25_296_912 };
    let contradiction = |total, headers| AwsFrameError::Lengths { total, headers };
    for (total, headers, error) in [
        (u32::MAX, 0, too_long(u32::MAX)),
        (25_296_913, 0, too_long(25_296_913)),
        (15, 0, contradiction(15, 0)),
        (0, 0, contradiction(0, 0)),
        (16, 1, contradiction(16, 1)),
        (100, 85, contradiction(100, 85)),
        (100, u32::MAX, contradiction(100, u32::MAX)),
    ] {
        let stream = prelude(total, headers);
        for size in 1..=12 {
            assert_eq!(decode(stream.chunks(size)), (vec![], Err(error)), "{total} {headers}");
        }
    }
    // The longest that is allowed is waited for.
    assert_eq!(decode([prelude(25_296_912, 131_072).as_slice()]), (vec![], Err(AwsFrameError::Truncated)));
}

#[test]
fn a_limit_can_be_set() {
    let mut stream = Vec::new();
    encode([], b"1234", &mut stream).unwrap();
    for (frame_bytes, expected) in
        [(20, Ok(())), (19, Err(AwsFrameError::FrameTooLong { bytes: 20, limit: 19 }))]
    {
        let mut decoder = AwsDecoder::with_limits(AwsLimits { frame_bytes });
        let mut count = 0;
        assert_eq!(decoder.push(&stream, &mut |_| count += 1), expected);
        assert_eq!(count, usize::from(expected.is_ok()));
    }
}

#[test]
fn malformed_headers_are_an_error_though_the_checksums_are_right() {
    let malformed = Err(AwsFrameError::Headers);
    for headers in [
        &b"\x01"[..],             // a name that is not there
        b"\x01n",                 // no type
        b"\x01n\x02",             // no value
        b"\x01n\x07\x00",         // half a length
        b"\x01n\x07\x00\x02x",    // half a text
        b"\x01n\x07\x00\x01\xff", // no UTF-8
        b"\x01\xff\x00",          // a name that is no UTF-8
        b"\x00\x00",              // a name that is empty
        b"\x01n\x0a",             // an unknown type, whose length nobody knows
        b"\x01n\x00\x01",         // one header and the beginning of another
    ] {
        let stream = forged(u32::try_from(headers.len()).unwrap(), headers, b"{}");
        assert_eq!(decode([stream.as_slice()]), (vec![], malformed), "{headers:?}");
    }
}

#[test]
fn headers_tell_what_a_frame_is() {
    fn kind(headers: &[(&str, HeaderValue<'_>)]) -> String {
        let mut stream = Vec::new();
        encode(headers.iter().copied(), b"", &mut stream).unwrap();
        let mut kind = String::new();
        let mut decoder = AwsDecoder::new();
        decoder.push(&stream, &mut |message| kind = format!("{:?}", message.kind())).unwrap();
        kind
    }
    let text = HeaderValue::Text;
    let shown = |kind: AwsKind<'_>| format!("{kind:?}");
    assert_eq!(
        kind(&[(":message-type", text("event")), (":event-type", text("chunk"))]),
        shown(AwsKind::Event { name: "chunk" })
    );
    assert_eq!(
        kind(&[(":exception-type", text("throttlingException")), (":message-type", text("exception"))]),
        shown(AwsKind::Exception { name: "throttlingException" })
    );
    let error = [
        (":message-type", text("error")),
        (":error-code", text("InternalError")),
        (":error-message", text("it broke")),
    ];
    assert_eq!(kind(&error), shown(AwsKind::Error { code: "InternalError", message: "it broke" }));
    assert_eq!(kind(&error[..1]), shown(AwsKind::Error { code: "", message: "" }));
    assert_eq!(kind(&[(":message-type", text("exception"))]), shown(AwsKind::Exception { name: "" }));
    for unknown in [
        &[][..],
        &[(":message-type", text("event"))],
        &[(":message-type", text("odd"))],
        &[(":message-type", HeaderValue::Bool(true)), (":event-type", text("chunk"))],
    ] {
        assert_eq!(kind(unknown), shown(AwsKind::Unknown));
    }
}

#[test]
fn what_may_not_be_written_is_not() {
    let long = "n".repeat(256);
    let longest = "v".repeat(32_767);
    let too_long = "v".repeat(32_768);
    let huge = vec![0; 25_165_825];
    let mut out = b"before".to_vec();
    let text = HeaderValue::Text;
    assert_eq!(encode([("", text(""))], b"", &mut out), Err(AwsEncodeError::HeaderName { bytes: 0 }));
    assert_eq!(encode([(&*long, text(""))], b"", &mut out), Err(AwsEncodeError::HeaderName { bytes: 256 }));
    let value = AwsEncodeError::HeaderValue { name: "n".into(), bytes: 32_768 };
    assert_eq!(encode([("n", text(&too_long))], b"", &mut out), Err(value));
    let four = ["a", "b", "c", "d"].map(|name| (name, text(&longest)));
    assert_eq!(encode(four, b"", &mut out), Err(AwsEncodeError::Headers { bytes: 4 * (32_767 + 5) }));
    assert_eq!(encode([], &huge, &mut out), Err(AwsEncodeError::Payload { bytes: huge.len() }));
    assert_eq!(out, b"before");
    assert_eq!(encode([("n", text(&longest))], &huge[1..], &mut out), Ok(()));
    assert_eq!(decode([&out[6..]]).0.len(), 1);
}

#[test]
fn events_and_exceptions_have_the_headers_that_bedrock_sends() {
    let mut stream = Vec::new();
    encode_event("messageStart", b"{}", &mut stream).unwrap();
    encode_exception("throttlingException", b"{}", &mut stream).unwrap();
    let headers = |name: &str, kind: &str, message: &str| {
        [(name, kind), (":content-type", "application/json"), (":message-type", message)]
            .map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())))
            .to_vec()
    };
    let (seen, _) = decode([stream.as_slice()]);
    assert_eq!(seen[0].headers, headers(":event-type", "messageStart", "event"));
    assert_eq!(seen[1].headers, headers(":exception-type", "throttlingException", "exception"));
}
