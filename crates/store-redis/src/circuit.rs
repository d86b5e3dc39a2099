use std::time::Duration;

use weighbridge_units::Monotonic;

/// Between two tries to reach Redis.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The same where it is reached again and again, and does not last.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Who lasts so long counts as well.
const STEADY: Duration = Duration::from_secs(20);

/// When Redis is tried again: soon while it is away, which costs no request anything; later and later where it
/// comes back and fails, because each time costs some requests their patience.
#[derive(Debug)]
pub(crate) struct Circuit {
    wait: Duration,
    not_before: Option<Monotonic>,
    joined: Option<Monotonic>,
}

impl Circuit {
    pub(crate) const fn new() -> Self {
        Self { wait: FIRST_WAIT, not_before: None, joined: None }
    }

    /// Whether it may be tried.
    pub(crate) fn is_due(&self, now: Monotonic) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// It is asked from now on.
    pub(crate) fn joined(&mut self, now: Monotonic) {
        self.joined = Some(now);
    }

    /// It could not be reached, or is not asked any more.
    pub(crate) fn failed(&mut self, now: Monotonic) {
        if let Some(joined) = self.joined.take() {
            let was_steady = now.since(joined) >= STEADY;
            self.wait = if was_steady { FIRST_WAIT } else { (self.wait * 2).min(LONGEST_WAIT) };
        }
        let wait = if self.wait > FIRST_WAIT { self.wait } else { FIRST_WAIT };
        self.not_before = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Monotonic {
        Monotonic::from_micros(secs * 1_000_000)
    }

    #[test]
    fn who_is_away_is_tried_each_second_and_who_flaps_less_and_less() {
        let mut circuit = Circuit::new();
        assert!(circuit.is_due(at(0)));
        for now in 0..100 {
            circuit.failed(at(now));
            assert!(!circuit.is_due(at(now)) && circuit.is_due(at(now + 1)));
        }
        let mut waits = Vec::new();
        for now in [100, 200, 300, 400, 500, 600] {
            circuit.joined(at(now));
            circuit.failed(at(now + 1));
            waits.push((0..60).find(|wait| circuit.is_due(at(now + 1 + wait))).unwrap());
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
        circuit.joined(at(700));
        circuit.failed(at(730));
        assert!(circuit.is_due(at(731)), "it has lasted");
    }
}
