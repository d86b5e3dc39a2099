//! What is measured, row by row, and what the gateway must reach.

use std::fmt::{self, Display};

use crate::figures::Latencies;
use crate::once::Once;
use crate::rounds::{Round, STREAM_CHUNKS};
use crate::subject::Ledger;

/// The bar of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Must {
    AtMost(f64),
    AtLeast(f64),
}

use Must::{AtLeast, AtMost};

impl Must {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            AtMost(bound) => value <= bound,
            AtLeast(bound) => value >= bound,
        }
    }
}

impl Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtMost(bound) => write!(f, "≤ {bound}"),
            AtLeast(bound) => write!(f, "≥ {bound}"),
        }
    }
}

/// Picks the latencies of one load.
pub(crate) type Pick = fn(&Round) -> &Latencies;

/// What a row of ratios looks at.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    /// A percentile (0 to 1), less the provider's own.
    Added(Pick, f64),
    /// The subject's own.
    Own(fn(&Round) -> f64),
}

use Figure::{Added, Own};

impl Figure {
    /// The figure of a subject in a round in which the provider alone showed `provider`.
    pub(crate) fn of(self, subject: &Round, provider: &Round) -> f64 {
        match self {
            Added(pick, share) => pick(subject).percentile_us(share) - pick(provider).percentile_us(share),
            Own(figure) => figure(subject),
        }
    }
}

/// A row whose bars are ratios to the forwarder.
pub(crate) struct Ratio {
    pub(crate) measure: &'static str,
    pub(crate) figure: Figure,
    /// With the ledger in memory.
    memory: Option<Must>,
    /// With SQLite.
    sqlite: Option<Must>,
}

impl Ratio {
    /// What a gateway with this ledger must reach.
    pub(crate) const fn must(&self, ledger: Ledger) -> Option<Must> {
        match ledger {
            Ledger::Memory => self.memory,
            Ledger::Sqlite => self.sqlite,
        }
    }
}

const fn both(measure: &'static str, figure: Figure, memory: Must, sqlite: Must) -> Ratio {
    Ratio { measure, figure, memory: Some(memory), sqlite: Some(sqlite) }
}

const fn memory_only(measure: &'static str, figure: Figure, memory: Must) -> Ratio {
    Ratio { measure, figure, memory: Some(memory), sqlite: None }
}

const CALM: Pick = |it| &it.calm;
const BUSY: Pick = |it| &it.busy;
const CALM_LARGE: Pick = |it| &it.calm_large;
const TRANSIT: Pick = |it| &it.transit;

/// The ratios.
#[rustfmt::skip]
pub(crate) const RATIOS: &[Ratio] = &[
    both("added p50, 200 requests/s, µs", Added(CALM, 0.5), AtMost(1.8), AtMost(3.0)),
    both("added p50, 2,000 requests/s, µs", Added(BUSY, 0.5), AtMost(1.8), AtMost(3.0)),
    both("added p99, 200 requests/s, µs", Added(CALM, 0.99), AtMost(2.0), AtMost(3.0)),
    both("added p99, 2,000 requests/s, µs", Added(BUSY, 0.99), AtMost(2.5), AtMost(4.0)),
    both("throughput, closed loop, 64 connections, requests/s",
        Own(|it| it.saturated.per_second()), AtLeast(0.60), AtLeast(0.35)),
    both("CPU per request, saturated, µs", Own(|it| it.saturated.cpu_us()), AtMost(2.0), AtMost(4.0)),
    both("100-chunk streams, 32 connections, streams/s",
        Own(|it| it.streams.per_second()), AtLeast(0.85), AtLeast(0.80)),
    memory_only("CPU per chunk, pass-through with usage read, µs",
        Own(|it| it.streams.cpu_us() / STREAM_CHUNKS as f64), AtMost(1.5)),
    memory_only("CPU per chunk, client of OpenAI's, provider of Anthropic's, µs",
        Own(|it| it.bridged[0].cpu_us() / STREAM_CHUNKS as f64), AtMost(3.0)),
    memory_only("CPU per chunk, client of Anthropic's, provider of OpenAI's, µs",
        Own(|it| it.bridged[1].cpu_us() / STREAM_CHUNKS as f64), AtMost(3.0)),
    memory_only("added transit of a paced chunk, p50, µs", Added(TRANSIT, 0.5), AtMost(1.3)),
    memory_only("added transit of a paced chunk, p99, µs", Added(TRANSIT, 0.99), AtMost(1.5)),
];

/// The p50 that a long prompt adds to that of a short one, in the same round.
pub(crate) fn extra_of_large(round: &Round) -> f64 {
    CALM_LARGE(round).percentile_us(0.5) - CALM(round).percentile_us(0.5)
}

/// Name and bar of [`extra_of_large`].
pub(crate) const EXTRA_OF_LARGE: (&str, Must) =
    ("extra p50 for a 32 KB prompt over a 1 KB one, µs", AtMost(60.0));

/// A row whose bar is absolute, measured on a process of its own.
pub(crate) struct Absolute {
    pub(crate) measure: &'static str,
    pub(crate) figure: fn(&Once) -> f64,
    pub(crate) must: Must,
}

/// The absolute figures.
pub(crate) const ABSOLUTES: &[Absolute] = &[
    Absolute { measure: "memory idle, MB", figure: |it| it.idle_mb, must: AtMost(20.0) },
    Absolute {
        measure: "memory of 1,000 open streams over idle, MB",
        figure: |it| it.streams_mb,
        must: AtMost(45.0),
    },
    Absolute {
        measure: "1,000 streams opened at once, first chunk p99, ms",
        figure: |it| it.burst_p99_ms,
        must: AtMost(150.0),
    },
    Absolute { measure: "start to first right answer, ms", figure: |it| it.start_ms, must: AtMost(50.0) },
];

/// The latencies that are shown as they were measured, without a bar.
pub(crate) const LATENCIES: &[(&str, Pick)] = &[
    ("200 requests/s", CALM),
    ("2,000 requests/s", BUSY),
    ("200 requests/s of 32 KB", CALM_LARGE),
    ("transit of a paced chunk", TRANSIT),
];
