//! Streamed JSON arrays: how they are cut changes nothing, and what is JSON is taken apart as
//! `serde_json` does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use weighbridge_fuzz::{cut, settings};
use weighbridge_stream::json_array::{JsonArrayDecoder, JsonArrayError, JsonArrayLimits};

fn take<'p>(
    limits: JsonArrayLimits,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<Vec<u8>>, Result<(), JsonArrayError>) {
    let mut decoder = JsonArrayDecoder::with_limits(limits);
    let mut elements = Vec::new();
    let pushed = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(piece, &mut |element| elements.push(element.to_vec())));
    (elements, pushed.and_then(|()| decoder.finish()))
}

fuzz_target!(|input: &[u8]| {
    let Some(([seed, limit], stream)) = settings(input) else { return };
    let limits = match usize::from(limit) {
        0 => JsonArrayLimits::default(),
        element_bytes => JsonArrayLimits { element_bytes },
    };
    let whole = take(limits, [stream]);
    assert_eq!(take(limits, cut(stream, seed)), whole);
    assert_eq!(take(limits, stream.chunks(1)), whole);
    let bounded = matches!(whole.1, Err(JsonArrayError::TooDeep | JsonArrayError::ElementTooLong { .. }));
    if let Ok(theirs) = serde_json::from_slice::<Vec<&RawValue>>(stream)
        && !bounded
    {
        let theirs: Vec<&[u8]> = theirs.iter().map(|element| element.get().as_bytes()).collect();
        assert_eq!(whole.0, theirs);
        assert_eq!(whole.1, Ok(()));
    }
});
