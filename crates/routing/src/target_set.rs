use std::fmt;

/// The place of a target in its [`Route`](crate::Route): primaries first, then fallbacks in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetIndex(u8);

impl TargetIndex {
    /// From a position, which is below [`TargetSet::CAPACITY`].
    pub(crate) fn new(position: usize) -> Option<Self> {
        u8::try_from(position).ok().map(Self)
    }

    /// The position, for indexing what the caller keeps beside the route.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for TargetIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of targets of one route: a bit each, so that a plan allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TargetSet([u64; 4]);

impl TargetSet {
    /// The most targets that a route may have.
    pub(crate) const CAPACITY: usize = 256;

    pub(crate) fn contains(&self, target: TargetIndex) -> bool {
        self.0[target.get() / 64] & bit(target) != 0
    }

    /// Adds a target; whether it is new.
    pub(crate) fn insert(&mut self, target: TargetIndex) -> bool {
        let word = &mut self.0[target.get() / 64];
        let is_new = *word & bit(target) == 0;
        *word |= bit(target);
        is_new
    }

    pub(crate) fn remove(&mut self, target: TargetIndex) {
        self.0[target.get() / 64] &= !bit(target);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The members, lowest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = TargetIndex> {
        self.0.into_iter().zip(0_u8..).flat_map(|(mut word, number)| {
            std::iter::from_fn(move || {
                let low = u8::try_from(word.trailing_zeros()).ok().filter(|low| *low < 64)?;
                word &= word - 1;
                Some(TargetIndex(number * 64 + low))
            })
        })
    }
}

const fn bit(target: TargetIndex) -> u64 {
    1 << (target.get() % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_target_set_is_a_set(added in proptest::collection::vec(any::<u8>(), 0..64), removed in any::<u8>()) {
            let (mut set, mut model) = (TargetSet::default(), BTreeSet::new());
            for target in added.into_iter().map(TargetIndex) {
                prop_assert_eq!(set.insert(target), model.insert(target));
            }
            set.remove(TargetIndex(removed));
            model.remove(&TargetIndex(removed));
            prop_assert_eq!(set.len(), model.len());
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!((0..=255).map(TargetIndex).all(|t| set.contains(t) == model.contains(&t)));
        }
    }
}
