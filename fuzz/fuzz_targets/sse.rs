//! Server-sent events: how a stream is cut changes nothing, and nothing comes that was not there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weighbridge_fuzz::{cut, settings};
use weighbridge_stream::sse::{SseDecoder, SseError, SseItem, SseLimits};

#[derive(Debug, PartialEq)]
enum Seen {
    Event { name: Option<Vec<u8>>, data: Vec<u8>, id: Vec<u8> },
    Comment,
    Bare(String),
}

fn decode<'p>(
    limits: SseLimits,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<Seen>, Result<(), SseError>) {
    let mut decoder = SseDecoder::with_limits(limits);
    let mut seen = Vec::new();
    let mut keep = |item: SseItem<'_>| {
        seen.push(match item {
            SseItem::Message(message) => Seen::Event {
                name: message.event.map(<[u8]>::to_vec),
                data: message.data.to_vec(),
                id: message.last_event_id.to_vec(),
            },
            SseItem::Comment => Seen::Comment,
            SseItem::Bare(json) => Seen::Bare(json.to_owned()),
        });
    };
    let pushed = pieces.into_iter().try_for_each(|piece| decoder.push(piece, &mut keep));
    let ended = pushed.and_then(|()| decoder.finish(&mut keep));
    (seen, ended)
}

fuzz_target!(|input: &[u8]| {
    let Some(([seed, limit], stream)) = settings(input) else { return };
    let limits = match usize::from(limit) {
        0 => SseLimits::default(),
        limit => SseLimits { line_bytes: limit, event_bytes: 3 * limit },
    };
    let whole = decode(limits, [stream]);
    assert_eq!(decode(limits, cut(stream, seed)), whole);
    assert_eq!(decode(limits, stream.chunks(1)), whole);
    let told: usize = whole
        .0
        .iter()
        .map(|seen| match seen {
            Seen::Event { name, data, .. } => name.as_ref().map_or(0, Vec::len) + data.len(),
            Seen::Comment => 1,
            Seen::Bare(json) => json.len(),
        })
        .sum();
    assert!(told <= stream.len());
});
