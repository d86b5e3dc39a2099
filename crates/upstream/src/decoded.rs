//! Answers that a provider has compressed although it was asked not to.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use weighbridge_transport::{ByteStream, Phase, TransportError};

use crate::decoder::{Coding, Decoder, Wrong};

/// How large decoded answers may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most decoded bytes.
    pub(crate) bytes: u64,
    /// Most decoded bytes for each that came.
    pub(crate) ratio: u64,
    /// What may come of a few bytes, whatever the ratio: a text may begin by repeating itself.
    pub(crate) free: u64,
}

/// Decodes an answer and takes away the headers that speak of its encoding. One that is not encoded passes
/// as it is.
pub(crate) fn decoded(
    mut response: Response<ByteStream>,
    bounds: Bounds,
) -> Result<Response<ByteStream>, TransportError> {
    let Some(coding) = coding(response.headers())? else { return Ok(response) };
    response.headers_mut().remove(CONTENT_ENCODING);
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(response.map(|body| -> ByteStream {
        let decoder = Decoder::new(coding);
        Box::pin(Decoded { encoded: Some(body), decoder, bounds, taken: 0, made: 0 })
    }))
}

fn coding(headers: &HeaderMap) -> Result<Option<Coding>, TransportError> {
    let mut said = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = said.next() else { return Ok(None) };
    let name = value.as_bytes().trim_ascii();
    if said.next().is_none() {
        if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
            return Ok(None);
        }
        if let Some(coding) = Coding::named(name) {
            return Ok(Some(coding));
        }
    }
    let name = String::from_utf8_lossy(name.get(..40).unwrap_or(name)).into_owned();
    Err(TransportError::new(
        Phase::Head,
        format!("the answer is encoded (`{name}`), which was not asked for"),
    ))
}

struct Decoded {
    /// `None` after a failure.
    encoded: Option<ByteStream>,
    decoder: Decoder,
    bounds: Bounds,
    taken: u64,
    made: u64,
}

impl Decoded {
    fn decode(&mut self, data: &[u8]) -> Result<Vec<u8>, Wrong> {
        self.taken = self.taken.saturating_add(data.len() as u64);
        let most = self.taken.saturating_mul(self.bounds.ratio).max(self.bounds.free).min(self.bounds.bytes);
        let mut out = Vec::new();
        self.decoder.decode(data, &mut out, most.saturating_sub(self.made))?;
        self.made = self.made.saturating_add(out.len() as u64);
        Ok(out)
    }
}

impl Body for Decoded {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let failure = loop {
            let Some(encoded) = &mut self.encoded else { return Poll::Ready(None) };
            match ready!(encoded.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => match self.decode(&data) {
                        Ok(out) if out.is_empty() => {}
                        Ok(out) => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                        Err(wrong) => break TransportError::new(Phase::Body, wrong.to_string()),
                    },
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => break error,
                None if self.taken > 0 && !self.decoder.has_ended() => {
                    break TransportError::new(Phase::Body, "the compressed answer is cut");
                }
                None => return Poll::Ready(None),
            }
        };
        self.encoded = None;
        Poll::Ready(Some(Err(failure)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};
    use proptest::prelude::*;
    use std::io::{Read as _, Write as _};

    const FREE: u64 = 64 * 1024;
    const BOUNDS: Bounds = Bounds { bytes: 4 * FREE, ratio: 100, free: FREE };
    const NAMES: [&str; 6] = ["gzip", "x-gzip", "deflate", "raw", "br", "zstd"];

    fn encode(name: &str, plain: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::fast();
        let mut encoded = Vec::new();
        match name {
            "gzip" | "x-gzip" => {
                flate2::read::GzEncoder::new(plain, level).read_to_end(&mut encoded).map(drop).unwrap()
            }
            "deflate" => {
                flate2::read::ZlibEncoder::new(plain, level).read_to_end(&mut encoded).map(drop).unwrap()
            }
            "raw" => {
                flate2::read::DeflateEncoder::new(plain, level).read_to_end(&mut encoded).map(drop).unwrap()
            }
            "br" => brotli::CompressorWriter::new(&mut encoded, 4096, 4, 20).write_all(plain).unwrap(),
            _ => encoded = zstd::encode_all(plain, 1).unwrap(),
        }
        encoded
    }

    /// An answer with this `content-encoding`, in pieces.
    fn answer(name: &str, pieces: &[&[u8]]) -> Result<Response<ByteStream>, TransportError> {
        let frames: Vec<_> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let body: ByteStream = Box::pin(StreamBody::new(futures::stream::iter(frames)));
        // Some servers call that deflate which has no header of its own.
        let name = if name == "raw" { "deflate" } else { name };
        let response = Response::builder().header(CONTENT_ENCODING, name).header(CONTENT_LENGTH, 1);
        decoded(response.body(body).unwrap(), BOUNDS)
    }

    fn read(response: Response<ByteStream>) -> Result<Vec<u8>, TransportError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(response.into_body().collect()).map(|body| body.to_bytes().to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

        #[test]
        fn what_was_encoded_comes_back_however_it_is_cut(
            plain in prop_oneof!["[ab]{0,400}", "\\PC{0,400}"],
            size in 1_usize..50,
        ) {
            for name in NAMES {
                let encoded = encode(name, plain.as_bytes());
                let pieces: Vec<&[u8]> = encoded.chunks(size).collect();
                let response = answer(name, &pieces).unwrap();
                prop_assert!(response.headers().is_empty());
                prop_assert_eq!(read(response).unwrap(), plain.as_bytes(), "{}", name);
            }
        }

        #[test]
        fn no_cut_and_no_wrong_byte_looks_like_an_end(
            plain in "[a-z]{20,200}",
            at in any::<prop::sample::Index>(),
        ) {
            for name in NAMES {
                let encoded = encode(name, plain.as_bytes());
                let cut = &encoded[..1 + at.index(encoded.len() - 1)];
                prop_assert!(read(answer(name, &[cut]).unwrap()).is_err(), "{}: {}", name, cut.len());
                let longer = [&encoded[..], b"more"].concat();
                prop_assert!(read(answer(name, &[&longer]).unwrap()).is_err(), "{}", name);
            }
        }

        #[test]
        fn noise_is_an_error_or_text_but_never_a_panic(noise in prop::collection::vec(any::<u8>(), 1..300)) {
            for name in NAMES {
                let _ = read(answer(name, &[&noise]).unwrap());
            }
        }
    }

    #[test]
    fn events_are_passed_on_as_they_come() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut pieces = Vec::new();
        for event in ["data: one\n\n", "data: two\n\n"] {
            gzip.write_all(event.as_bytes()).unwrap();
            gzip.flush().unwrap();
            pieces.push(std::mem::take(gzip.get_mut()));
        }
        pieces.push(gzip.finish().unwrap());
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let mut body = answer("gzip", &pieces).unwrap().into_body();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for event in ["data: one\n\n", "data: two\n\n"] {
            let frame = runtime.block_on(body.frame()).unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), event);
        }
        assert!(runtime.block_on(body.frame()).is_none());
    }

    #[test]
    fn a_file_of_several_members_is_one_text() {
        for name in ["gzip", "zstd"] {
            let members = [encode(name, b"one "), encode(name, b"two")].concat();
            assert_eq!(read(answer(name, &[&members]).unwrap()).unwrap(), b"one two");
        }
    }

    #[test]
    fn bombs_do_not_go_off() {
        for name in NAMES {
            // By ratio: far above what was free.
            let bomb = encode(name, &vec![b'a'; 3 * FREE as usize]);
            let error = read(answer(name, &[&bomb]).unwrap()).unwrap_err();
            assert_eq!(error.phase, Phase::Body, "{name}");
            assert!(error.message.contains("too large"), "{name}: {error}");
            // As a whole: text that is hardly compressed.
            let mut seed = 1_u64;
            let noise = std::iter::repeat_with(|| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            });
            let large = encode(name, &noise.take(5 * FREE as usize).collect::<Vec<_>>());
            let error = read(answer(name, &[&large]).unwrap()).unwrap_err();
            assert!(error.message.contains("too large"), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_not_encoded_passes_and_what_is_unknown_does_not() {
        for name in ["identity", "Identity", ""] {
            let response = answer(name, &[b"plain"]).unwrap();
            assert_eq!(response.headers().len(), 2);
            assert_eq!(read(response).unwrap(), b"plain");
        }
        for name in ["compress", "gzip, br", "gzip, identity"] {
            let error = answer(name, &[b""]).map(|_| ()).unwrap_err();
            assert_eq!(error.phase, Phase::Head, "{name}");
        }
        // Nothing at all is nothing, compressed or not.
        assert_eq!(read(answer("gzip", &[]).unwrap()).unwrap(), b"");
    }
}
