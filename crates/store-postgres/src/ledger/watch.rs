//! Which of the other writers live.
//!
//! Every instance raises a number of its own in the database, its beat, once a second, and looks at the beats of the
//! others. Who has not beaten for as many looks as [`Watch::LOOKS`] is dead. Looks are counted, not time: clocks do
//! not matter, and while the database is away nobody looks and nobody dies of it. Whose process has ended on this host
//! need not be waited for (`presence.rs`).

use std::collections::HashMap;

use weighbridge_ledger::Epoch;

/// What was seen of the other writers.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: HashMap<Epoch, Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    beat: i64,
    /// Looks in a row that found the same beat.
    looks: u32,
    /// Whether it was ever seen to beat.
    lives: bool,
}

impl Watch {
    /// So many looks at the same beat, and its writer is dead.
    pub(super) const LOOKS: u32 = 5;

    /// Takes a look: the beats of all other writers that nobody has closed.
    pub(super) fn look(&mut self, beats: impl IntoIterator<Item = (Epoch, i64)>) {
        let before = std::mem::take(&mut self.seen);
        self.seen.extend(beats.into_iter().map(|(epoch, beat)| {
            let seen = match before.get(&epoch) {
                None => Seen { beat, looks: 0, lives: false },
                Some(seen) if seen.beat == beat => Seen { looks: seen.looks.saturating_add(1), ..*seen },
                Some(_) => Seen { beat, looks: 0, lives: true },
            };
            (epoch, seen)
        }));
    }

    /// Those that are dead, with the beat that was their last.
    pub(super) fn dead(&self) -> Vec<(Epoch, i64)> {
        let dead = self.seen.iter().filter(|(_, seen)| seen.looks >= Self::LOOKS);
        dead.map(|(epoch, seen)| (*epoch, seen.beat)).collect()
    }

    /// Whether it is known of a writer if it lives.
    pub(super) fn knows(&self, epoch: Epoch) -> bool {
        self.seen.get(&epoch).is_some_and(|seen| seen.lives || seen.looks >= Self::LOOKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Epoch = Epoch::new(1);
    const B: Epoch = Epoch::new(2);

    #[test]
    fn c6_who_does_not_beat_is_dead_after_some_looks() {
        let mut watch = Watch::default();
        for look in 0..i64::from(Watch::LOOKS) {
            watch.look([(A, 7), (B, look)]);
            assert_eq!(watch.dead(), []);
        }
        watch.look([(A, 7), (B, 100)]);
        assert_eq!(watch.dead(), [(A, 7)]);
        assert!(watch.knows(A) && watch.knows(B));
    }

    #[test]
    fn c6_one_beat_in_time_is_a_life() {
        let mut watch = Watch::default();
        for round in 0..3 {
            (0..Watch::LOOKS).for_each(|_| watch.look([(A, round)]));
            assert_eq!(watch.dead(), []);
        }
        assert!(watch.knows(A));
    }

    #[test]
    fn nothing_is_known_at_first_and_the_closed_are_forgotten() {
        let mut watch = Watch::default();
        watch.look([(A, 1)]);
        assert!(!watch.knows(A) && !watch.knows(B));
        watch.look([]);
        watch.look([(A, 1)]);
        assert!(!watch.knows(A));
    }
}
