//! Rounds: every load on every subject, one after another, several times over.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::figures::{Latencies, Work};
use crate::load;
use crate::requests::{Ask, Pair};
use crate::subject::Subject;

/// How long and how often things are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long one load lasts.
    pub(crate) phase: Duration,
}

impl Effort {
    /// What is published.
    pub(crate) const FULL: Self = Self { rounds: 5, phase: Duration::from_secs(4) };
    /// A look at it.
    pub(crate) const QUICK: Self = Self { rounds: 3, phase: Duration::from_secs(1) };
}

/// A part of a round, or what is measured beside the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// 200 requests per second.
    Calm,
    /// 2,000 requests per second.
    Busy,
    /// 200 requests per second with prompts of 32 KB.
    Large,
    /// As many requests as get through.
    Saturated,
    /// As many streams as get through.
    Streams,
    /// The same between two protocols.
    Bridged,
    /// Paced streams.
    Transit,
    /// Memory, burst and start.
    Once,
}

impl Part {
    pub(crate) const ALL: &[Self] = &[
        Self::Calm,
        Self::Busy,
        Self::Large,
        Self::Saturated,
        Self::Streams,
        Self::Bridged,
        Self::Transit,
        Self::Once,
    ];
}

/// What one subject showed in one round.
#[derive(Default)]
pub(crate) struct Round {
    /// 200 requests per second.
    pub(crate) calm: Latencies,
    /// 2,000 requests per second.
    pub(crate) busy: Latencies,
    /// 200 requests per second with prompts of 32 KB.
    pub(crate) calm_large: Latencies,
    /// As many requests as get through.
    pub(crate) saturated: Work,
    /// As many streams of [`STREAM_CHUNKS`] as get through.
    pub(crate) streams: Work,
    /// The same between two protocols, in the order of [`BRIDGED`].
    pub(crate) bridged: [Work; 2],
    /// Content events of paced streams, from the provider's socket to the client.
    pub(crate) transit: Latencies,
}

/// Content events of a stream whose throughput is measured.
pub(crate) const STREAM_CHUNKS: u64 = 100;
/// The pairs that are bridged.
pub(crate) const BRIDGED: [Pair; 2] = [Pair::OpenAiToAnthropic, Pair::AnthropicToOpenAi];

const CALM_PER_SECOND: u32 = 200;
const BUSY_PER_SECOND: u32 = 2000;
const CONNECTIONS: usize = 64;
const STREAM_CONNECTIONS: usize = 32;
const PACE_US: u64 = 20_000;

/// How long a process is warmed up before anything is measured on it.
const WARM_UP: Duration = Duration::from_millis(500);

/// A subject that is started anew for each round.
pub(crate) struct Starter<'a> {
    pub(crate) name: String,
    pub(crate) start: Box<dyn Fn() -> Result<Subject> + 'a>,
}

/// Runs the parts of all rounds and gives the rounds of each subject, the provider's first. In a round, each load falls
/// on all subjects in turn, so that whatever else the machine does meanwhile falls on all alike. Copies of one
/// program differ by some per cent for as long as they live, so that each round has its own processes.
pub(crate) fn run(
    provider: &Subject,
    others: &[Starter<'_>],
    parts: &[Part],
    effort: Effort,
) -> Result<Vec<Vec<Round>>> {
    let mut all: Vec<Vec<Round>> = (0..=others.len()).map(|_| Vec::new()).collect();
    for nth in 1..=effort.rounds {
        eprintln!("round {nth} of {}", effort.rounds);
        let started = others.iter().map(|other| Ok((&*other.name, (other.start)()?)));
        let started = started.collect::<Result<Vec<_>>>()?;
        let others = started.iter().map(|(name, subject)| (*name, subject));
        let subjects: Vec<_> = std::iter::once(("provider", provider)).chain(others).collect();
        for (name, subject) in &subjects {
            let warm = load::closed_loop(subject, &subject.request(Ask::WHOLE), CONNECTIONS, WARM_UP);
            warm.with_context(|| format!("{name}, warming up"))?;
        }
        let figures = subjects.iter().map(|_| Round::default()).collect();
        let mut round = InTurn { subjects, figures };
        for part in Part::ALL.iter().filter(|part| parts.contains(part)) {
            round.part(*part, effort.phase)?;
        }
        for (rounds, figures) in all.iter_mut().zip(round.figures) {
            rounds.push(figures);
        }
    }
    Ok(all)
}

/// One subject with the request that it is asked.
struct On<'a> {
    subject: &'a Subject,
    request: Vec<u8>,
}

/// One round on all subjects.
struct InTurn<'a> {
    subjects: Vec<(&'a str, &'a Subject)>,
    figures: Vec<Round>,
}

impl InTurn<'_> {
    /// Lets one load fall on all subjects.
    fn part(&mut self, part: Part, phase: Duration) -> Result<()> {
        let large = Ask { prompt_bytes: 32 * 1024, ..Ask::WHOLE };
        let stream = Ask::stream(STREAM_CHUNKS, 0);
        let paced = Ask::stream((phase.as_micros() as u64 / PACE_US).max(10), PACE_US);
        let open =
            |on: &On<'_>, per_second| load::open_loop(on.subject.address, &on.request, per_second, phase);
        let closed =
            |on: &On<'_>, connections| load::closed_loop(on.subject, &on.request, connections, phase);
        let transit = |on: &On<'_>| load::transit(on.subject.address, &on.request, STREAM_CONNECTIONS);
        match part {
            Part::Calm => self.measure(Ask::WHOLE, |on| open(on, CALM_PER_SECOND), |to| &mut to.calm),
            Part::Busy => self.measure(Ask::WHOLE, |on| open(on, BUSY_PER_SECOND), |to| &mut to.busy),
            Part::Large => self.measure(large, |on| open(on, CALM_PER_SECOND), |to| &mut to.calm_large),
            Part::Saturated => self.measure(Ask::WHOLE, |on| closed(on, CONNECTIONS), |to| &mut to.saturated),
            Part::Streams => self.measure(stream, |on| closed(on, STREAM_CONNECTIONS), |to| &mut to.streams),
            Part::Bridged => {
                let [first, second] = BRIDGED.map(|pair| stream.between(pair));
                let load = |on: &On<'_>| closed(on, STREAM_CONNECTIONS);
                self.measure(first, load, |to| &mut to.bridged[0])?;
                self.measure(second, load, |to| &mut to.bridged[1])
            }
            Part::Transit => self.measure(paced, transit, |to| &mut to.transit),
            // On processes of its own.
            Part::Once => Ok(()),
        }
    }

    /// Lets a load fall on each subject, and puts what it gives into its `place`.
    fn measure<F>(
        &mut self,
        ask: Ask,
        load: impl Fn(&On<'_>) -> Result<F>,
        place: fn(&mut Round) -> &mut F,
    ) -> Result<()> {
        for ((name, subject), figures) in self.subjects.iter().zip(&mut self.figures) {
            let on = On { subject, request: subject.request(ask) };
            *place(figures) = load(&on).with_context(|| format!("{name}, asked {ask:?}"))?;
        }
        Ok(())
    }
}
