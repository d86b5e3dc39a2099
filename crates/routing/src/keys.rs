use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use weighbridge_units::Monotonic;

use crate::affinity::{distance, mixed};

/// How long a credential is benched when it is refused for the first time; doubles each time.
const FIRST_BENCH: Duration = Duration::from_secs(10);
/// The longest time that a credential is benched for.
const LONGEST_BENCH: Duration = Duration::from_secs(300);

/// The longest time for which a provider's `retry-after` is believed of a credential.
const LONGEST_REST: Duration = Duration::from_secs(3_600);

/// The credentials of one provider, by position: which of them are worth trying.
///
/// Routing never sees the secrets. Targets at the same provider share a pool, so that a credential
/// refused for one model is not tried for the next. A request may bring a pool of its own for a target
/// ([`Plan::with_own_keys`](crate::Plan::with_own_keys)).
pub struct KeyPool {
    keys: Box<[Key]>,
    /// Whose turn begins where, where shares differ: the sums of the weights so far. Empty where they are equal.
    turns: Box<[usize]>,
    turn: AtomicUsize,
}

#[derive(Default)]
struct Key {
    /// Microseconds; 0 if it was not refused since it last worked.
    benched_until: AtomicU64,
    refused_in_a_row: AtomicU32,
}

/// Credentials of one pool, a bit each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeySet(u64);

impl KeySet {
    pub(crate) fn insert(&mut self, key: usize) {
        self.0 |= 1_u64.checked_shl(key as u32).unwrap_or(0);
    }

    /// The credentials of either.
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn contains(self, key: usize) -> bool {
        1_u64.checked_shl(key as u32).is_none_or(|bit| self.0 & bit != 0)
    }
}

impl KeyPool {
    /// The most credentials of a pool that are used; further ones are ignored.
    pub const CAPACITY: usize = 64;

    /// A pool of `count` credentials. A provider that needs none counts as having one.
    pub fn new(count: usize) -> Self {
        let keys = (0..count.clamp(1, Self::CAPACITY)).map(|_| Key::default()).collect();
        Self { keys, turns: Box::default(), turn: AtomicUsize::new(0) }
    }

    /// A pool of credentials that are used in these shares. One of weight 0 is used for want of anything better.
    pub fn weighted(weights: &[u32]) -> Self {
        let mut sum = 0_usize;
        let turns = weights.iter().take(Self::CAPACITY).map(|weight| {
            sum = sum.saturating_add(*weight as usize);
            sum
        });
        let turns = turns.collect();
        Self { turns, ..Self::new(weights.len()) }
    }

    /// How many credentials there are, at least 1.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: see [`Self::new`].
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether any credential is not benched.
    pub fn any_ready(&self, now: Monotonic) -> bool {
        self.keys.iter().any(|key| key.is_ready(now))
    }

    /// The next credential in turn that is neither benched nor in `except`.
    pub(crate) fn pick(&self, except: KeySet, now: Monotonic) -> Option<usize> {
        let count = self.keys.len();
        let start = if count == 1 { 0 } else { self.take_turn(count) };
        (start..count)
            .chain(0..start)
            .find(|&at| !except.contains(at) && self.keys.get(at).is_some_and(|key| key.is_ready(now)))
    }

    /// The credential for requests that belong together: the nearest to their affinity value by weighted rendezvous
    /// hashing, of those that are neither benched nor in `except`. While it is away only its own values move, and they
    /// come back with it. One of weight 0 comes last. Without a value, credentials take turns.
    ///
    /// It goes by places: secrets never come here, and one that is rotated keeps its place.
    pub(crate) fn pick_for(&self, together: Option<u64>, except: KeySet, now: Monotonic) -> Option<usize> {
        let Some(value) = together.filter(|_| self.keys.len() > 1) else { return self.pick(except, now) };
        let ready =
            self.keys.iter().enumerate().filter(|(at, key)| !except.contains(*at) && key.is_ready(now));
        let far = |at: usize| {
            let weight = NonZeroU32::new(self.weight(at));
            weight.map_or(i64::MAX, |weight| distance(value, mixed(at as u64 + 1), weight))
        };
        ready.map(|(at, _)| at).min_by_key(|at| far(*at))
    }

    /// A credential's share beside the others.
    fn weight(&self, at: usize) -> u32 {
        let end = |at: usize| self.turns.get(at).copied();
        let Some(sum) = end(at) else { return 1 };
        let before = at.checked_sub(1).and_then(end).unwrap_or(0);
        u32::try_from(sum - before).unwrap_or(u32::MAX)
    }

    fn take_turn(&self, count: usize) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match self.turns.last().copied() {
            None | Some(0) => turn % count,
            Some(round) => self.turns.partition_point(|end| *end <= turn % round),
        }
    }

    /// The credential outside of `except` that was benched for the shortest time to come: for want of
    /// anything better.
    pub(crate) fn pick_benched(&self, except: KeySet) -> Option<usize> {
        let free = self.keys.iter().enumerate().filter(|(at, _)| !except.contains(*at));
        free.min_by_key(|(_, key)| key.benched_until.load(Ordering::Relaxed)).map(|(at, _)| at)
    }

    /// Takes note that the provider accepted a credential.
    pub fn accepted(&self, key: usize) {
        if let Some(key) = self.keys.get(key)
            && key.benched_until.load(Ordering::Relaxed) != 0
        {
            key.benched_until.store(0, Ordering::Relaxed);
            key.refused_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Takes note that the provider refused a credential: it is benched.
    pub fn refused(&self, key: usize, now: Monotonic) {
        if let Some(key) = self.keys.get(key) {
            // Requests in flight at the same time learn of the same refusal: they count as one.
            if !key.is_ready(now) {
                return;
            }
            let doubled = 2_u32.saturating_pow(key.refused_in_a_row.fetch_add(1, Ordering::Relaxed).min(31));
            let bench = FIRST_BENCH.saturating_mul(doubled).min(LONGEST_BENCH);
            key.benched_until.store((now + bench).as_micros(), Ordering::Relaxed);
        }
    }
}

impl KeyPool {
    /// What is known of the credentials by now, and whose turn it is, apart from what will be.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let keys = self.keys.iter().map(|key| Key {
            benched_until: AtomicU64::new(key.benched_until.load(Ordering::Relaxed)),
            refused_in_a_row: AtomicU32::new(key.refused_in_a_row.load(Ordering::Relaxed)),
        });
        let turn = AtomicUsize::new(self.turn.load(Ordering::Relaxed));
        Self { keys: keys.collect(), turns: self.turns.clone(), turn }
    }

    /// Takes note that a credential has come to a limit of its own at the provider: it rests for so long.
    pub fn rests(&self, key: usize, time: Duration, now: Monotonic) {
        if let Some(key) = self.keys.get(key) {
            let until = (now + time.min(LONGEST_REST)).as_micros();
            key.benched_until.fetch_max(until, Ordering::Relaxed);
        }
    }
}

impl Key {
    fn is_ready(&self, now: Monotonic) -> bool {
        self.benched_until.load(Ordering::Relaxed) <= now.as_micros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Monotonic = Monotonic::from_micros(1_000_000);

    #[test]
    fn keys_take_turns() {
        let pool = KeyPool::new(3);
        let picked: Vec<_> = (0..6).map(|_| pool.pick(KeySet::default(), START)).collect();
        assert_eq!(picked, [Some(0), Some(1), Some(2), Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_refused_key_is_benched_for_longer_each_time_and_forgiven_when_it_works() {
        let pool = KeyPool::new(1);
        let mut now = START;
        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            pool.refused(0, now);
            pool.refused(0, now); // the same refusal, told by another request
            assert!(!pool.any_ready(now + Duration::from_secs(seconds - 1)));
            now = now + Duration::from_secs(seconds);
            assert!(pool.any_ready(now), "after {seconds} s");
        }
        pool.accepted(0);
        pool.refused(0, now);
        assert!(pool.any_ready(now + FIRST_BENCH));
    }

    #[test]
    fn for_want_of_anything_better_a_benched_key_is_given() {
        let pool = KeyPool::new(2);
        pool.refused(1, START);
        pool.refused(0, START + Duration::from_secs(1));
        assert_eq!(pool.pick(KeySet::default(), START + Duration::from_secs(2)), None);
        assert_eq!(pool.pick_benched(KeySet::default()), Some(1));
        let mut tried = KeySet::default();
        tried.insert(1);
        assert_eq!(pool.pick_benched(tried), Some(0));
        tried.insert(0);
        assert_eq!(pool.pick_benched(tried), None);
    }

    #[test]
    fn keys_of_different_weight_take_as_many_turns() {
        let pool = KeyPool::weighted(&[1, 0, 3]);
        let turns = |pool: &KeyPool, except| -> [usize; 3] {
            let picked: Vec<_> = (0..400).filter_map(|_| pool.pick(except, START)).collect();
            [0, 1, 2].map(|key| picked.iter().filter(|picked| **picked == key).count())
        };
        assert_eq!(turns(&pool, KeySet::default()), [100, 0, 300]);
        pool.refused(2, START);
        pool.refused(0, START);
        assert_eq!(turns(&pool, KeySet::default()), [0, 400, 0]);
        assert_eq!(turns(&KeyPool::weighted(&[0, 0]), KeySet::default())[..2], [200, 200]);
    }

    /// How often each of some credentials is picked for a thousand values.
    fn picked_for(pool: &KeyPool, except: KeySet) -> Vec<Option<usize>> {
        (0..1_000).map(|value| pool.pick_for(Some(mixed(value)), except, START)).collect()
    }

    #[test]
    fn requests_that_belong_together_keep_their_key_while_it_is_healthy() {
        for weights in [[1, 1, 1], [1, 5, 2]] {
            let pool = KeyPool::weighted(&weights);
            let before = picked_for(&pool, KeySet::default());
            assert_eq!(picked_for(&pool, KeySet::default()), before, "whatever was picked meanwhile");
            let of = |key| before.iter().filter(|picked| **picked == Some(key)).count();
            for (key, weight) in weights.iter().enumerate() {
                let share = 1_000 * *weight as usize / weights.iter().sum::<u32>() as usize;
                assert!(
                    (share * 8 / 10..share * 12 / 10).contains(&of(key)),
                    "{key} of {weights:?}: {}",
                    of(key)
                );
            }
            // Of a key that is away only its own values move, and they come back.
            pool.refused(1, START);
            for (now, then) in picked_for(&pool, KeySet::default()).into_iter().zip(&before) {
                assert_ne!(now, Some(1));
                assert!(now == *then || *then == Some(1));
            }
            pool.accepted(1);
            assert_eq!(picked_for(&pool, KeySet::default()), before);
        }
    }

    #[test]
    fn for_values_too_a_key_of_weight_0_comes_last_and_one_that_was_tried_not_again() {
        let pool = KeyPool::weighted(&[0, 1, 1]);
        assert!(picked_for(&pool, KeySet::default()).iter().all(|picked| *picked != Some(0)));
        let mut tried = KeySet::default();
        tried.insert(1);
        assert!(picked_for(&pool, tried).iter().all(|picked| *picked == Some(2)));
        tried.insert(2);
        assert!(picked_for(&pool, tried).iter().all(|picked| *picked == Some(0)));
        tried.insert(0);
        assert!(picked_for(&pool, tried).iter().all(Option::is_none));
        let turns: Vec<_> = (0..4).map(|_| pool.pick_for(None, KeySet::default(), START)).collect();
        assert_eq!(turns, [Some(1), Some(2), Some(1), Some(2)]);
    }

    #[test]
    fn what_is_done_to_a_snapshot_is_not_done_to_the_pool() {
        let pool = KeyPool::new(2);
        pool.refused(0, START);
        let copy = pool.snapshot();
        assert_eq!(copy.pick(KeySet::default(), START), Some(1));
        copy.refused(1, START);
        assert!(!copy.any_ready(START) && pool.any_ready(START));
        let all = KeyPool::new(2);
        assert_eq!(all.snapshot().pick(KeySet::default(), START), Some(0));
        assert_eq!(all.pick(KeySet::default(), START), Some(0), "nor is its turn taken");
    }

    #[test]
    fn a_key_at_its_limit_rests_for_as_long_as_it_was_told() {
        let pool = KeyPool::new(1);
        pool.rests(0, Duration::from_secs(3), START);
        assert!(
            !pool.any_ready(START + Duration::from_secs(2)) && pool.any_ready(START + Duration::from_secs(3))
        );
        pool.rests(0, Duration::MAX, START);
        assert!(pool.any_ready(START + LONGEST_REST));
    }

    #[test]
    fn a_pool_is_bounded() {
        let pool = KeyPool::new(1_000);
        assert_eq!(pool.len(), KeyPool::CAPACITY);
        let mut all = KeySet::default();
        (0..1_000).for_each(|key| all.insert(key));
        assert_eq!((pool.pick(all, START), pool.pick_benched(all)), (None, None));
        assert_eq!(KeyPool::new(0).len(), 1);
    }
}
