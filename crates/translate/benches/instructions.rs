//! What a body costs in instructions and allocations, which do not depend on the machine's mood: the same
//! work that `translation.rs` times.
//!
//! It runs under valgrind, through a runner of the library's own version:
//!
//! ```console
//! $ cargo install gungraun-runner --version 0.20.0 --locked
//! $ cargo bench -p weighbridge-translate --bench instructions
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement may fail anywhere")]
#![expect(missing_docs, clippy::disallowed_types, reason = "what gungraun makes of these functions")]

mod measured;

use std::hint::black_box;

use bytes::Bytes;
use gungraun::Dhat;
use gungraun::prelude::*;
use measured::Measured;
use weighbridge_units::Protocol;
use weighbridge_units::Protocol::{
    AnthropicMessages as Messages, BedrockConverse as Converse, GeminiGenerateContent as Gemini,
    OpenAiChat as Chat, OpenAiResponses as Responses,
};

/// A request that a provider of the client's own protocol gets. Leaked, like all that is measured, so that
/// freeing it is not counted.
fn passing(kilobytes: usize, client: Protocol) -> &'static Measured {
    crossing(kilobytes, client, client)
}

fn crossing(kilobytes: usize, client: Protocol, provider: Protocol) -> &'static Measured {
    Box::leak(Box::new(measured::request(kilobytes, client, provider)))
}

fn told(provider: Protocol) -> &'static Measured {
    retold(provider, provider)
}

fn retold(provider: Protocol, client: Protocol) -> &'static Measured {
    Box::leak(Box::new(measured::answer(provider, client)))
}

#[library_benchmark(setup = passing)]
#[benches::of_2_kb((2, Chat), (2, Messages), (2, Responses), (2, Gemini))]
#[benches::of_50_kb((50, Chat), (50, Messages), (50, Responses), (50, Gemini))]
fn peek_and_patch(request: &Measured) -> Vec<Bytes> {
    black_box(black_box(request).peek_and_patch())
}

#[library_benchmark(setup = passing)]
#[benches::of_2_kb((2, Chat), (2, Messages), (2, Responses), (2, Gemini))]
#[benches::of_50_kb((50, Chat), (50, Messages), (50, Responses), (50, Gemini))]
fn typed_structs(request: &Measured) -> Vec<u8> {
    black_box(black_box(request).retype_request())
}

#[library_benchmark(setup = crossing)]
#[benches::chat_of_2_kb((2, Chat, Messages), (2, Chat, Responses), (2, Chat, Gemini), (2, Chat, Converse))]
#[benches::messages_of_2_kb((2, Messages, Chat), (2, Messages, Responses), (2, Messages, Gemini), (2, Messages, Converse))]
#[benches::responses_of_2_kb((2, Responses, Chat), (2, Responses, Messages), (2, Responses, Gemini), (2, Responses, Converse))]
#[benches::gemini_of_2_kb((2, Gemini, Chat), (2, Gemini, Messages), (2, Gemini, Responses), (2, Gemini, Converse))]
#[benches::chat_of_50_kb((50, Chat, Messages), (50, Chat, Responses), (50, Chat, Gemini), (50, Chat, Converse))]
#[benches::messages_of_50_kb((50, Messages, Chat), (50, Messages, Responses), (50, Messages, Gemini), (50, Messages, Converse))]
#[benches::responses_of_50_kb((50, Responses, Chat), (50, Responses, Messages), (50, Responses, Gemini), (50, Responses, Converse))]
#[benches::gemini_of_50_kb((50, Gemini, Chat), (50, Gemini, Messages), (50, Gemini, Responses), (50, Gemini, Converse))]
fn translation(request: &Measured) -> Vec<u8> {
    black_box(black_box(request).translate_request())
}

#[library_benchmark(setup = told)]
#[benches::of_2_kb(Chat, Messages, Responses, Gemini, Converse)]
fn typed_structs_of_answer(answer: &Measured) -> Vec<u8> {
    black_box(black_box(answer).retype_answer())
}

#[library_benchmark(setup = retold)]
#[benches::chat((Chat, Messages), (Chat, Responses), (Chat, Gemini))]
#[benches::messages((Messages, Chat), (Messages, Responses), (Messages, Gemini))]
#[benches::responses((Responses, Chat), (Responses, Messages), (Responses, Gemini))]
#[benches::gemini((Gemini, Chat), (Gemini, Messages), (Gemini, Responses))]
#[benches::converse((Converse, Chat), (Converse, Messages), (Converse, Responses), (Converse, Gemini))]
fn translation_of_answer(answer: &Measured) -> Vec<u8> {
    black_box(black_box(answer).translate_answer())
}

library_benchmark_group!(name = requests, benchmarks = [peek_and_patch, typed_structs, translation]);
library_benchmark_group!(name = answers, benchmarks = [typed_structs_of_answer, translation_of_answer]);

main!(
    config = LibraryBenchmarkConfig::default().tool(Dhat::default()),
    library_benchmark_groups = [requests, answers]
);
