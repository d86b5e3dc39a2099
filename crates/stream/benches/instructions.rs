//! What a hundred chunks of a stream cost in instructions and allocations: the same work that `chunks.rs` times.
//! It runs under valgrind, as the bench of the same name in `weighbridge-translate` does:
//!
//! ```console
//! $ cargo bench -p weighbridge-stream --bench instructions
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement may fail anywhere")]
#![expect(missing_docs, clippy::disallowed_types, reason = "what gungraun makes of these functions")]

mod measured;

use gungraun::Dhat;
use gungraun::prelude::*;
use measured::{Decoded, Relayed};
use weighbridge_stream::Framing;
use weighbridge_units::Protocol;
use weighbridge_units::Protocol::{
    AnthropicMessages as Messages, BedrockConverse as Converse, GeminiGenerateContent as Gemini,
    OpenAiChat as Chat, OpenAiResponses as Responses,
};

/// Leaked, like the decoders, so that freeing it is not counted.
fn teed(protocol: Protocol) -> &'static mut Relayed {
    bridged(protocol, protocol)
}

fn bridged(provider: Protocol, client: Protocol) -> &'static mut Relayed {
    Box::leak(Box::new(measured::relayed(provider, client)))
}

fn decoded(provider: Protocol, framing: Framing) -> &'static mut Decoded {
    Box::leak(Box::new(measured::decoded(provider, framing)))
}

#[library_benchmark(setup = teed)]
#[benches::of(Chat, Messages, Responses, Gemini)]
fn tee(stream: &mut Relayed) {
    stream.run();
}

#[library_benchmark(setup = bridged)]
#[benches::chat((Chat, Messages), (Chat, Responses), (Chat, Gemini))]
#[benches::messages((Messages, Chat), (Messages, Responses), (Messages, Gemini))]
#[benches::responses((Responses, Chat), (Responses, Messages), (Responses, Gemini))]
#[benches::gemini((Gemini, Chat), (Gemini, Messages), (Gemini, Responses))]
#[benches::converse((Converse, Chat), (Converse, Messages), (Converse, Responses), (Converse, Gemini))]
fn bridge(stream: &mut Relayed) {
    stream.run();
}

#[library_benchmark(setup = decoded)]
#[bench::sse(Chat, Framing::Sse)]
#[bench::aws_frames(Converse, Framing::AwsEventStream)]
fn decoder(stream: &mut Decoded) {
    stream.run();
}

library_benchmark_group!(name = chunks, benchmarks = [tee, bridge, decoder]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = chunks);
