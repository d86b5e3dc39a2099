//! What a body costs on its way: peek and patch of one that passes, each pair's translation, and, to judge
//! them by, `serde_json` reading the same body into typed structs and writing it again.
//!
//! ```console
//! $ cargo bench -p weighbridge-translate
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement may fail anywhere")]

mod bodies;
mod typed;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use weighbridge_protocol::json::ScanLimits;
use weighbridge_protocol::{Body, envelope};
use weighbridge_translate::{AnswerTarget, RequestTarget, request, response};
use weighbridge_units::Protocol;

/// Who may be asked; clients speak all but the last.
const PROVIDERS: [Protocol; 5] = [
    Protocol::OpenAiChat,
    Protocol::AnthropicMessages,
    Protocol::OpenAiResponses,
    Protocol::GeminiGenerateContent,
    Protocol::BedrockConverse,
];

const TARGET: RequestTarget<'_> = RequestTarget::new("some-model");
const ANSWERED: AnswerTarget<'_> = AnswerTarget::new("made-up", 1_700_000_000);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    for kilobytes in [2, 50] {
        requests(&mut criterion, kilobytes);
    }
    answers(&mut criterion);
    criterion.final_summary();
}

fn requests(criterion: &mut Criterion, kilobytes: usize) {
    let chat = bodies::request(kilobytes * 1024);
    let of = |protocol| match protocol {
        Protocol::OpenAiChat => chat.clone(),
        other => {
            let sent = request(Protocol::OpenAiChat, other, &chat, &TARGET).unwrap().value;
            String::from_utf8(sent).unwrap()
        }
    };
    let mut group = criterion.benchmark_group(format!("request of {kilobytes} KB"));
    group.throughput(Throughput::Bytes(chat.len() as u64));
    group.bench_function("serde_json, Chat", |b| b.iter(|| typed::chat_request(black_box(&chat))));
    let messages = of(Protocol::AnthropicMessages);
    group
        .bench_function("serde_json, Messages", |b| b.iter(|| typed::messages_request(black_box(&messages))));
    for client in PROVIDERS.into_iter().filter(|client| client.is_clients()) {
        let body = of(client);
        // Gemini's model stands in the path, and the route writes it into the body.
        let body = if client == Protocol::GeminiGenerateContent {
            body.replacen('{', r#"{"model":"some-model","#, 1)
        } else {
            body
        };
        let bytes = Bytes::from(body.clone());
        group.bench_function(BenchmarkId::new("peek and patch", client), |b| {
            b.iter(|| peek_and_patch(client, black_box(&bytes)));
        });
        for provider in PROVIDERS.into_iter().filter(|provider| *provider != client) {
            group.bench_function(BenchmarkId::new(client.as_str(), provider), |b| {
                b.iter(|| request(client, provider, black_box(&body), &TARGET).unwrap());
            });
        }
    }
}

fn peek_and_patch(client: Protocol, bytes: &Bytes) -> Vec<Bytes> {
    let body = Body::scan(bytes.clone(), &ScanLimits::default()).unwrap();
    let asked = envelope(client, &body).unwrap();
    let mut edits = body.edit();
    edits.set("model", format!("\"{}-2026\"", asked.model));
    edits.rope()
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer of 2 KB");
    let chat = bodies::answer(2 * 1024);
    group.throughput(Throughput::Bytes(chat.len() as u64));
    group.bench_function("serde_json, Chat", |b| b.iter(|| typed::chat_answer(black_box(&chat))));
    for provider in PROVIDERS {
        let body = match provider {
            Protocol::OpenAiChat => chat.clone(),
            other => {
                let told = response(Protocol::OpenAiChat, other, &chat, &ANSWERED).unwrap().value.0;
                String::from_utf8(told).unwrap()
            }
        };
        for client in PROVIDERS.into_iter().filter(|client| client.is_clients() && *client != provider) {
            group.bench_function(BenchmarkId::new(provider.as_str(), client), |b| {
                b.iter(|| response(provider, client, black_box(&body), &ANSWERED).unwrap());
            });
        }
    }
}
