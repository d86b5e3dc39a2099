use weighbridge_units::Monotonic;

use crate::demand::{Demand, Needs};
use crate::strategy::{Candidate, Candidates, Strategy};

/// Those that have lately been fastest: within a tenth of the least, by the median of at most 16 answers of the last
/// minute.
///
/// - Whoever has given no answer for a minute is unknown, and gets one request to find out; until that is answered, it
///   counts as slowest. So a target that has become fast again is noticed, at the price of one request a minute.
/// - What is under way counts too: each attempt in flight adds an eighth. A target that has just begun to hang, of which
///   only old answers are known, is not given everything until the first of them times out; and the fastest one is not
///   driven to where it is fastest no more.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastLatency {
    /// Which time is compared.
    pub of: LatencyOf,
}

/// Which time [`LeastLatency`] compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatencyOf {
    /// To the end of the answer.
    #[default]
    Answer,
    /// To the first content of a streamed answer; where a target has streamed none lately, to the end of the answer.
    FirstToken,
}

/// Of what nothing is known, while somebody is finding out.
const UNKNOWN: i64 = i64::MAX;

impl LeastLatency {
    fn score(self, one: &Candidate<'_>, now: Monotonic) -> i64 {
        let observed = one.target.observed();
        let first_token = match self.of {
            LatencyOf::Answer => None,
            LatencyOf::FirstToken => observed.first_token(now),
        };
        let in_flight = i64::from(observed.in_flight());
        match first_token.or_else(|| observed.latency(now)) {
            // At most some hours, and some thousand attempts.
            Some(median) => {
                let micros = i64::try_from(median.as_micros()).unwrap_or(i64::MAX);
                micros.saturating_mul(8 + in_flight) / 8
            }
            None if in_flight == 0 => 0,
            None => UNKNOWN,
        }
    }
}

impl Strategy for LeastLatency {
    fn name(&self) -> &'static str {
        "least-latency"
    }

    fn needs(&self) -> Needs {
        Needs { observations: true, ..Needs::default() }
    }

    fn copied(&self) -> Box<dyn Strategy> {
        Box::new(*self)
    }

    fn narrow(&self, candidates: &mut Candidates<'_>, _: &Demand, now: Monotonic, _: u64) {
        candidates.leave_least(|one| self.score(one, now), |least| least.saturating_add(least / 10));
    }
}
