use weighbridge_units::NanoUsd;

/// What a request says to strategies. What nobody filled in plays no part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// What requests have in common that belong to one place: a [`stable_hash`](crate::stable_hash) of the prompt's
    /// beginning, of a key, of a session.
    pub affinity: Option<u64>,
    /// Tokens that it may take of a provider's limits, by estimate.
    pub tokens: u64,
    /// What it is expected to cost, by the position of the target; `None` where no price is known.
    pub costs: Box<[Option<NanoUsd>]>,
}

/// What a [`Strategy`](crate::Strategy) wants to know. Whatever no strategy of a route wants is not found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Latencies and rate limits of its targets ([`Observed`](crate::Observed)).
    pub observations: bool,
    /// [`Demand::affinity`].
    pub affinity: bool,
    /// [`Demand::costs`].
    pub costs: bool,
    /// Requests of one [`Demand::affinity`] should go out with one credential of their target's, where it is healthy.
    pub one_key: bool,
}

impl Needs {
    /// What either wants.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            observations: self.observations || other.observations,
            affinity: self.affinity || other.affinity,
            costs: self.costs || other.costs,
            one_key: self.one_key || other.one_key,
        }
    }
}
