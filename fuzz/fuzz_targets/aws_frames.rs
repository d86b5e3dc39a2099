//! AWS event streams: damaged and forged ones alike are read the same however they are cut, and what
//! is read is what was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weighbridge_fuzz::{cut, settings};
use weighbridge_stream::aws::{AwsDecoder, AwsFrameError, AwsMessage, encode, unwrap_chunk};

/// Each frame, encoded again from what was read of it.
fn decode<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<Vec<u8>>, Result<(), AwsFrameError>) {
    let mut decoder = AwsDecoder::new();
    let mut frames = Vec::new();
    let mut keep = |message: AwsMessage<'_>| {
        let mut frame = Vec::new();
        encode(message.headers().iter(), message.payload(), &mut frame).expect("it was within the limits");
        let _kind = message.kind();
        let mut event = Vec::new();
        if unwrap_chunk(message.payload(), &mut event).is_err() {
            assert!(event.is_empty());
        }
        frames.push(frame);
    };
    let pushed = pieces.into_iter().try_for_each(|piece| decoder.push(piece, &mut keep));
    (frames, pushed.and_then(|()| decoder.finish()))
}

/// Writes the right lengths and checksums over what stands in their places, so that what they guard
/// is reached.
fn forge(stream: &mut [u8]) {
    let mut rest = stream;
    while let Some(total) = rest.first_chunk::<4>() {
        let total = (u32::from_be_bytes(*total) as usize).max(16).min(rest.len());
        if total < 16 {
            return;
        }
        let (frame, after) = rest.split_at_mut(total);
        frame[..4].copy_from_slice(&(total as u32).to_be_bytes());
        let sum = crc32fast::hash(&frame[..8]);
        frame[8..12].copy_from_slice(&sum.to_be_bytes());
        let sum = crc32fast::hash(&frame[..total - 4]);
        frame[total - 4..].copy_from_slice(&sum.to_be_bytes());
        rest = after;
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([seed, forged], stream)) = settings(input) else { return };
    let mut stream = stream.to_vec();
    if forged % 2 == 1 {
        forge(&mut stream);
    }
    let whole = decode([stream.as_slice()]);
    assert_eq!(decode(cut(&stream, seed)), whole);
    assert_eq!(decode(stream.chunks(1)), whole);
    let read = whole.0.concat();
    assert!(stream.starts_with(&read));
    assert!(whole.1.is_err() || read.len() == stream.len());
});
