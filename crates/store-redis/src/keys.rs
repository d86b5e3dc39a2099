//! Names of keys. All share one hash tag: a script may touch any of them, and so they lie in one slot.

use weighbridge_access::{LimitCells, LimitKind, LimitOwner};

/// The era, how many questions there were, and since when it may be asked.
pub(crate) const STATE: &str = "{weighbridge}:limits";
/// Instances by their last sign of life.
pub(crate) const LIVING: &str = "{weighbridge}:instances";

/// The cells of an owner's rates.
pub(crate) fn rates(cells: &LimitCells) -> String {
    format!("{{weighbridge}}:rates:{}:{}", owner(cells.whose()), cells.name())
}

/// The places that an owner's requests have taken.
pub(crate) fn places(cells: &LimitCells) -> String {
    format!("{{weighbridge}}:places:{}:{}", owner(cells.whose()), cells.name())
}

const fn owner(whose: LimitOwner) -> &'static str {
    match whose {
        LimitOwner::Key => "key",
        LimitOwner::Team => "team",
        LimitOwner::Organisation => "organisation",
        LimitOwner::Model => "model",
        LimitOwner::Deployment => "deployment",
    }
}

/// How scripts call a limit.
pub(crate) const fn kind(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Rpm => "r",
        LimitKind::Tpm => "t",
        LimitKind::UsdPerMinute => "m",
        LimitKind::Concurrency => "p",
    }
}

/// The limits per minute, in the order in which scripts name them.
pub(crate) const RATES: [LimitKind; 3] = [LimitKind::Rpm, LimitKind::Tpm, LimitKind::UsdPerMinute];
