//! The table of `docs/performance.md`.

use std::fmt::{self, Display, Formatter};

use crate::bars::{ABSOLUTES, EXTRA_OF_LARGE, LATENCIES, Must, RATIOS, Ratio, extra_of_large};
use crate::figures::median;
use crate::once::Once;
use crate::rounds::Round;
use crate::subject::Ledger;

/// What all subjects showed, round by round in the order in which they were measured.
pub(crate) struct Results {
    pub(crate) provider: Vec<Round>,
    pub(crate) forwarder: Measured,
    pub(crate) gateways: Vec<Gateway>,
}

/// A gateway and what it showed.
pub(crate) struct Gateway {
    pub(crate) name: String,
    pub(crate) ledger: Ledger,
    pub(crate) measured: Measured,
}

/// What one subject showed.
pub(crate) struct Measured {
    pub(crate) rounds: Vec<Round>,
    pub(crate) once: Once,
}

/// Stands where a figure was not asked for.
const NOT_MEASURED: &str = "–";

/// A figure, with the verdict where there is a bar.
struct Cell {
    text: String,
    missed: bool,
}

impl Cell {
    fn judged(text: String, value: f64, must: Option<Must>) -> Self {
        match must {
            _ if value.is_nan() => Self { text: NOT_MEASURED.to_owned(), missed: false },
            None => Self { text, missed: false },
            Some(must) if must.holds(value) => Self { text: format!("{text}, holds {must}"), missed: false },
            Some(must) => Self { text: format!("{text}, **misses {must}**"), missed: true },
        }
    }
}

/// One line of the table: what is measured, what provider and forwarder showed, and the gateways.
struct Line {
    measure: String,
    provider: String,
    forwarder: String,
    gateways: Vec<Cell>,
}

impl Results {
    /// How many figures miss their bars.
    pub(crate) fn misses(&self) -> usize {
        let judged = self.ratios().into_iter().chain(self.absolutes());
        judged.flat_map(|line| line.gateways).filter(|cell| cell.missed).count()
    }

    fn ratios(&self) -> Vec<Line> {
        let line = |row: &Ratio| {
            let figure = |rounds: &[Round]| {
                let pairs = rounds.iter().zip(&self.provider);
                median(pairs.map(|(subject, provider)| row.figure.of(subject, provider)))
            };
            let gateways = self.gateways.iter().map(|Gateway { ledger, measured, .. }| {
                let ratio = self.ratio(row, &measured.rounds);
                let text = format!("{} ({ratio:.2}×)", short(figure(&measured.rounds)));
                Cell::judged(text, ratio, row.must(*ledger))
            });
            Line {
                measure: row.measure.to_owned(),
                // What the provider adds to itself is nothing.
                provider: if row.measure.starts_with("added") {
                    String::new()
                } else {
                    short(figure(&self.provider))
                },
                forwarder: short(figure(&self.forwarder.rounds)),
                gateways: gateways.collect(),
            }
        };
        RATIOS.iter().map(line).collect()
    }

    /// The median of a gateway's ratios to the forwarder in the same round.
    fn ratio(&self, row: &Ratio, gateway: &[Round]) -> f64 {
        let rounds = gateway.iter().zip(&self.forwarder.rounds).zip(&self.provider);
        median(rounds.map(|((gateway, forwarder), provider)| {
            let yardstick = row.figure.of(forwarder, provider);
            // Where the forwarder itself adds nothing measurable, there is no ratio.
            if yardstick > 0.0 { row.figure.of(gateway, provider) / yardstick } else { f64::NAN }
        }))
    }

    fn absolutes(&self) -> Vec<Line> {
        let line = |measure: &str, must: Must, figure: &dyn Fn(&Measured) -> f64| {
            let gateways = self.gateways.iter().map(|gateway| {
                let value = figure(&gateway.measured);
                Cell::judged(short(value), value, Some(must))
            });
            Line {
                measure: measure.to_owned(),
                provider: String::new(),
                forwarder: short(figure(&self.forwarder)),
                gateways: gateways.collect(),
            }
        };
        let (measure, must) = EXTRA_OF_LARGE;
        let extra = line(measure, must, &|it| median(it.rounds.iter().map(extra_of_large)));
        let once = ABSOLUTES.iter().map(|row| line(row.measure, row.must, &|it| (row.figure)(&it.once)));
        std::iter::once(extra).chain(once).collect()
    }

    fn latencies(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (name, pick) in LATENCIES {
            for (label, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
                let figure =
                    |rounds: &[Round]| short(median(rounds.iter().map(|it| pick(it).percentile_us(share))));
                let cell = |gateway: &Measured| Cell { text: figure(&gateway.rounds), missed: false };
                lines.push(Line {
                    measure: format!("{name}, {label}"),
                    provider: figure(&self.provider),
                    forwarder: figure(&self.forwarder.rounds),
                    gateways: self.gateways.iter().map(|it| cell(&it.measured)).collect(),
                });
            }
        }
        lines
    }

    fn write_table(&self, f: &mut Formatter<'_>, heading: &str, lines: &[Line]) -> fmt::Result {
        write!(f, "| {heading} | provider alone | forwarder |")?;
        self.gateways.iter().try_for_each(|gateway| write!(f, " {} |", gateway.name))?;
        writeln!(f, "\n|---|--:|--:|{}", "--:|".repeat(self.gateways.len()))?;
        for line in lines {
            write!(f, "| {} | {} | {} |", line.measure, line.provider, line.forwarder)?;
            line.gateways.iter().try_for_each(|cell| write!(f, " {} |", cell.text))?;
            writeln!(f)?;
        }
        writeln!(f)
    }
}

impl Display for Results {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_table(f, "measure (× = ratio to the forwarder)", &self.ratios())?;
        self.write_table(f, "absolute", &self.absolutes())?;
        self.write_table(f, "latency as measured, µs", &self.latencies())
    }
}

/// A figure with as many digits as mean something.
fn short(value: f64) -> String {
    match value.abs() {
        size if size.is_nan() => NOT_MEASURED.to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
