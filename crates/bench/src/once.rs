//! What is measured on a process of its own: memory, a burst, the start.

use anyhow::{Context, Result};

use crate::figures::median;
use crate::load;
use crate::requests::Ask;
use crate::subject::Subject;

/// Streams that stay open while memory is read, and for a burst.
const STREAMS: usize = 1000;
/// How often a process is started.
const STARTS: usize = 5;

/// Figures that are not ratios.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Once {
    /// Memory of a process that has answered one request, in MB of 10⁶ bytes.
    pub(crate) idle_mb: f64,
    /// What 1,000 open streams add to it.
    pub(crate) streams_mb: f64,
    /// The first content event of 1,000 streams opened at once: 99th percentile, in ms.
    pub(crate) burst_p99_ms: f64,
    /// From the start of the process to the first right answer, in ms.
    pub(crate) start_ms: f64,
}

impl Once {
    /// Where none of it is measured.
    pub(crate) const UNKNOWN: Self =
        Self { idle_mb: f64::NAN, streams_mb: f64::NAN, burst_p99_ms: f64::NAN, start_ms: f64::NAN };
}

/// Measures processes that `start` makes.
pub(crate) fn measure(name: &str, start: impl Fn() -> Result<Subject>) -> Result<Once> {
    eprintln!("memory, burst and start of {name}");
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        starts.push(start()?.start.as_secs_f64() * 1e3);
    }
    let subject = start()?;
    starts.push(subject.start.as_secs_f64() * 1e3);
    let idle = subject.process.memory()?;
    // Ten chunks in ten seconds: they are all open while the memory is read.
    let slow = subject.request(Ask::stream(10, 1_000_000));
    let streams = load::memory_of_streams(&subject, &slow, STREAMS).context("open streams")?;
    drop(subject);

    let subject = start()?;
    let short = subject.request(Ask::stream(3, 50_000));
    let bursts = (0..STARTS).map(|_| {
        let first = load::burst(subject.address, &short, STREAMS).context("a burst of streams")?;
        anyhow::Ok(first.percentile_us(0.99) / 1e3)
    });
    let burst_p99_ms = median(bursts.collect::<Result<Vec<_>>>()?);
    Ok(Once {
        idle_mb: idle as f64 / 1e6,
        streams_mb: streams as f64 / 1e6,
        burst_p99_ms,
        start_ms: median(starts),
    })
}
