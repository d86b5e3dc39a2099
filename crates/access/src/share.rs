use std::num::NonZeroU32;

/// The part of each limit that one instance may give out by itself: all of it, or one of equal parts where others
/// give out the rest and nobody can be asked for all of them together (rule C5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(NonZeroU32);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(NonZeroU32::MIN);

    /// One of so many equal parts; none counts as one.
    pub const fn among(instances: u32) -> Self {
        match NonZeroU32::new(instances) {
            Some(instances) => Self(instances),
            None => Self::WHOLE,
        }
    }

    /// Into how many parts a limit is divided.
    pub const fn parts(self) -> u32 {
        self.0.get()
    }

    /// Whether it is all of it.
    pub const fn is_whole(self) -> bool {
        self.0.get() == 1
    }

    /// So much of a limit. A limit that admits anything admits at least one: a part that no request fits into
    /// would refuse for ever what the whole allows.
    pub fn of(self, limit: u64) -> u64 {
        match (self.is_whole(), limit) {
            (true, _) | (_, 0) => limit,
            _ => (limit / u64::from(self.0.get())).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn c5_parts_are_never_more_than_the_whole_but_for_the_one_that_each_may(
            limit in 0_u64..10_000, instances in 0_u32..50
        ) {
            let share = Share::among(instances);
            let parts = u64::from(share.parts());
            let all = share.of(limit) * parts;
            prop_assert!(all <= limit || (limit > 0 && all == parts));
            prop_assert!(limit == 0 || share.of(limit) >= 1);
        }
    }
}
