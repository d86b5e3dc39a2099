//! Many slow streams at once: what they take of memory, and how long their pieces are on their way.

use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result};

use crate::load;
use crate::requests::Ask;
use crate::subject::Subject;

/// Pieces of each stream, one a second: long enough for all streams to be opened meanwhile.
const CHUNKS: u64 = 9;
const PACE_US: u64 = 1_000_000;

/// What one subject showed.
pub(crate) struct CrowdRow {
    name: String,
    streams: usize,
    memory_mb: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Opens so many streams at a subject that has answered one request.
pub(crate) fn measure(name: &str, subject: &Subject, streams: usize) -> Result<CrowdRow> {
    eprintln!("{streams} open streams at {name}");
    let request = subject.request(Ask::stream(CHUNKS, PACE_US));
    let crowd = load::crowd(subject, &request, streams).with_context(|| format!("{streams} open streams"))?;
    Ok(CrowdRow {
        name: name.to_owned(),
        streams,
        memory_mb: crowd.memory as f64 / 1e6,
        p50_us: crowd.transits.percentile_us(0.5),
        p99_us: crowd.transits.percentile_us(0.99),
    })
}

/// The table of `docs/performance.md` on open streams.
pub(crate) struct CrowdTable(pub(crate) Vec<CrowdRow>);

impl Display for CrowdTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| open streams | subject | memory over idle, MB | transit p50, µs | transit p99, µs |")?;
        writeln!(f, "|--:|---|--:|--:|--:|")?;
        self.0.iter().try_for_each(|row| {
            let CrowdRow { name, streams, memory_mb, p50_us, p99_us } = row;
            writeln!(f, "| {streams} | {name} | {memory_mb:.1} | {p50_us:.0} | {p99_us:.0} |")
        })
    }
}
