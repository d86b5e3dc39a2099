//! What a chunk costs on its way: passed through and weighed, or bridged, for each pair.
//!
//! ```console
//! $ cargo bench -p weighbridge-stream
//! ```
//!
//! Each figure is of 100 chunks of a word or two, in pieces of one chunk, in a stream that has begun.

#![expect(clippy::expect_used, reason = "a measurement may fail anywhere")]

mod streams;

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use weighbridge_stream::Relay;
use weighbridge_units::Protocol;

const CHUNKS: usize = 100;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let mut group = criterion.benchmark_group("100 chunks");
    group.throughput(Throughput::Elements(CHUNKS as u64));
    for (provider, client) in streams::pairs() {
        let chunks: Vec<Bytes> = (1..=CHUNKS).map(|number| streams::chunk(provider, number)).collect();
        for hide_usage in [false, true] {
            // There is such a choice with Chat alone.
            if hide_usage && (provider, client) != (Protocol::OpenAiChat, Protocol::OpenAiChat) {
                continue;
            }
            let name = if hide_usage { "usage hidden, " } else { "" };
            let name = format!("{name}{provider}");
            group.bench_with_input(BenchmarkId::new(name, client), &chunks, |bencher, chunks| {
                let begun = || begun(provider, client, hide_usage);
                bencher.iter_batched(begun, |relay| push(relay, chunks), BatchSize::SmallInput);
            });
        }
    }
    group.finish();
    criterion.final_summary();
}

fn begun(provider: Protocol, client: Protocol, hide_usage: bool) -> Relay {
    let mut relay = streams::relay(provider, client, hide_usage);
    relay.push(streams::head(provider), &mut VecDeque::new());
    assert!(relay.committed() && relay.failure().is_none());
    relay
}

fn push(mut relay: Relay, chunks: &[Bytes]) -> Relay {
    let mut out = VecDeque::with_capacity(4);
    for chunk in chunks {
        relay.push(chunk.clone(), &mut out);
        black_box(&out);
        out.clear();
    }
    relay
}
