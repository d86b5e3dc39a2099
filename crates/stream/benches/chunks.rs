//! How long a chunk of a stream is on its way: through the tee, between each two protocols, and through the
//! decoders alone.
//!
//! ```console
//! $ cargo bench -p weighbridge-stream --bench chunks
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement may fail anywhere")]

mod measured;

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use measured::{CHUNKS, Decoded, Relayed, decoded, relayed};
use weighbridge_stream::Framing;
use weighbridge_units::Protocol;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let mut group = criterion.benchmark_group("100 chunks");
    group.throughput(Throughput::Elements(CHUNKS as u64));
    for provider in Protocol::ALL {
        for client in Protocol::ALL.into_iter().filter(|client| client.is_clients()) {
            group.bench_function(BenchmarkId::new(provider.as_str(), client), |b| {
                b.iter_batched_ref(|| relayed(provider, client), Relayed::run, BatchSize::SmallInput);
            });
        }
    }
    for (provider, framing) in
        [(Protocol::OpenAiChat, Framing::Sse), (Protocol::BedrockConverse, Framing::AwsEventStream)]
    {
        group.bench_function(BenchmarkId::new("decoder", format!("{framing:?}")), |b| {
            b.iter_batched_ref(|| decoded(provider, framing), Decoded::run, BatchSize::SmallInput);
        });
    }
    group.finish();
    criterion.final_summary();
}
