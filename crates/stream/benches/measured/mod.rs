//! What is measured, in instructions (`instructions.rs`): a hundred chunks of text
//! out of the middle of a stream, as each provider sends them.

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::Bytes;
use weighbridge_stream::aws::AwsWrapper;
use weighbridge_stream::{Decoder, Framing, Relay, RelayOptions, StreamForm};
use weighbridge_units::Protocol;

/// How many chunks are measured at once.
pub(crate) const CHUNKS: usize = 100;

/// Chunks on either side of those that are measured, so that opening and closing are not among them.
const AROUND: usize = 10;

/// A relay in the middle of a stream.
pub(crate) struct Relayed {
    relay: Relay,
    chunks: Vec<Bytes>,
    out: VecDeque<Bytes>,
}

/// A stream of `provider`, of which a client of `client` has got the beginning. The same protocol is the tee.
pub(crate) fn relayed(provider: Protocol, client: Protocol) -> Relayed {
    let framing = match provider {
        Protocol::BedrockConverse => Framing::AwsEventStream,
        _ => Framing::Sse,
    };
    let mut relay = Relay::new(&options(provider, framing, client));
    let (begun, chunks) = chunks(provider);
    let mut out = VecDeque::new();
    for chunk in begun {
        relay.push(chunk, &mut out);
    }
    assert!(relay.committed());
    Relayed { relay, chunks, out }
}

impl Relayed {
    /// Lets the chunks pass, one by one.
    pub(crate) fn run(&mut self) {
        for chunk in &self.chunks {
            self.out.clear();
            self.relay.push(chunk.clone(), &mut self.out);
            black_box(&self.out);
        }
    }
}

/// A decoder in the middle of a stream.
pub(crate) struct Decoded {
    decoder: Decoder,
    chunks: Vec<Bytes>,
}

/// A stream of `provider` in this framing, of which the beginning was decoded.
pub(crate) fn decoded(provider: Protocol, framing: Framing) -> Decoded {
    let mut decoder = Decoder::new(framing);
    let (begun, chunks) = chunks(provider);
    for chunk in begun {
        decoder.push(&chunk, &mut |_| ()).unwrap();
    }
    Decoded { decoder, chunks }
}

impl Decoded {
    /// Decodes the chunks, one by one.
    pub(crate) fn run(&mut self) {
        for chunk in &self.chunks {
            self.decoder.push(chunk, &mut |decoded| drop(black_box(decoded))).unwrap();
        }
    }
}

fn options(provider: Protocol, framing: Framing, client: Protocol) -> RelayOptions<'static> {
    RelayOptions {
        provider,
        framing,
        client,
        hide_usage: false,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "made-up",
        model_fallback: "some-model",
        created: 1_700_000_000,
        request_id: "req_1",
        legacy_functions: false,
    }
}

/// The beginning of a provider's stream, and the chunks after it that are measured.
fn chunks(provider: Protocol) -> (Vec<Bytes>, Vec<Bytes>) {
    let mut chunks: Vec<Bytes> = (0..AROUND + CHUNKS + AROUND).map(chat_chunk).collect();
    if provider != Protocol::OpenAiChat {
        let mut relay = Relay::new(&options(Protocol::OpenAiChat, Framing::Sse, provider));
        let mut told = VecDeque::new();
        for chunk in chunks {
            relay.push(chunk, &mut told);
        }
        chunks = told.into();
    }
    if provider == Protocol::BedrockConverse {
        chunks = chunks.iter().map(|events| in_aws_frames(events)).collect();
    }
    let measured = chunks.split_off(chunks.len() - AROUND - CHUNKS);
    (chunks, measured.into_iter().take(CHUNKS).collect())
}

fn chat_chunk(number: usize) -> Bytes {
    Bytes::from(format!(
        "data: {{\"id\":\"chatcmpl-8f2Tq1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"some-model\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\",\
         \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word {number},\\n\"}},\"logprobs\":null,\
         \"finish_reason\":null}}],\"usage\":null}}\n\n"
    ))
}

fn in_aws_frames(events: &[u8]) -> Bytes {
    let mut frames = Vec::new();
    AwsWrapper::new().push(events, &mut frames).unwrap();
    Bytes::from(frames)
}
