//! Allocations per chunk: a gate, since each costs time that no profile shows in one place.
//!
//! ```console
//! $ cargo test -p weighbridge-stream --test allocations -- --nocapture
//! ```

#![expect(clippy::expect_used, reason = "what fails here fails a test")]

#[path = "../benches/relays/streams.rs"]
mod streams;

use std::collections::VecDeque;

use weighbridge_units::Protocol;

const CHUNKS: u64 = 100;

/// The most allocations of 100 chunks: what was measured when the bounds were set, plus a few.
fn most(provider: Protocol, client: Protocol) -> u64 {
    match provider {
        // Of Gemini's, every chunk has usage to read.
        Protocol::GeminiGenerateContent if provider == client => 750,
        _ if provider == client => 0,
        Protocol::OpenAiChat => 1_600,
        Protocol::GeminiGenerateContent => 1_800,
        Protocol::OpenAiResponses => 600,
        _ => 800,
    }
}

fn count(provider: Protocol, client: Protocol, hide_usage: bool) -> u64 {
    let mut relay = streams::relay(provider, client, hide_usage);
    let mut out = VecDeque::with_capacity(16);
    let chunks: Vec<_> = (0..2 * CHUNKS as usize).map(|number| streams::chunk(provider, number)).collect();
    let (warm, counted) = chunks.split_at(CHUNKS as usize);
    relay.push(streams::head(provider), &mut out);
    let mut push = |chunks: &[bytes::Bytes]| {
        for chunk in chunks {
            relay.push(chunk.clone(), &mut out);
            out.clear();
        }
    };
    push(warm);
    let counted = allocation_counter::measure(|| push(counted));
    assert!(relay.committed() && relay.failure().is_none(), "{:?}", relay.failure());
    counted.count_total
}

#[test]
fn allocations_per_chunk_are_bounded() {
    let mut over = Vec::new();
    for (provider, client) in streams::pairs() {
        for hide_usage in [false, true] {
            let counted = count(provider, client, hide_usage);
            println!("{provider} to {client}, usage hidden {hide_usage}: {counted} for {CHUNKS} chunks");
            if counted > most(provider, client) {
                over.push((provider, client, hide_usage, counted));
            }
        }
    }
    assert!(over.is_empty(), "{over:?}");
}
