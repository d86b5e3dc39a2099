//! How long a body is on its way: peek and patch of one that passes, each pair's translation, and, to judge
//! them by, `serde_json` reading the same body into typed structs and writing it again.
//!
//! ```console
//! $ cargo bench -p weighbridge-translate --bench translation
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement may fail anywhere")]

mod measured;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use weighbridge_units::Protocol;

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
    let mut group = criterion.benchmark_group(format!("request of {kilobytes} KB"));
    group.throughput(Throughput::Bytes(kilobytes as u64 * 1024));
    for client in Protocol::ALL.into_iter().filter(|client| client.is_clients()) {
        let passing = measured::request(kilobytes, client, client);
        group.bench_function(BenchmarkId::new("typed structs", client), |b| {
            b.iter(|| black_box(&passing).retype_request());
        });
        group.bench_function(BenchmarkId::new("peek and patch", client), |b| {
            b.iter(|| black_box(&passing).peek_and_patch());
        });
        for provider in Protocol::ALL.into_iter().filter(|provider| *provider != client) {
            let crossing = measured::request(kilobytes, client, provider);
            group.bench_function(BenchmarkId::new(client.as_str(), provider), |b| {
                b.iter(|| black_box(&crossing).translate_request());
            });
        }
    }
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer of 2 KB");
    group.throughput(Throughput::Bytes(2 * 1024));
    for provider in Protocol::ALL {
        let passing = measured::answer(provider, provider);
        group.bench_function(BenchmarkId::new("typed structs", provider), |b| {
            b.iter(|| black_box(&passing).retype_answer());
        });
        for client in Protocol::ALL.into_iter().filter(|client| client.is_clients() && *client != provider) {
            let crossing = measured::answer(provider, client);
            group.bench_function(BenchmarkId::new(provider.as_str(), client), |b| {
                b.iter(|| black_box(&crossing).translate_answer());
            });
        }
    }
}
