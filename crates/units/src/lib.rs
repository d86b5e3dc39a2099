//! The leaf of Weighbridge: the words that every other crate speaks.
//!
//! Nothing here decides anything. The crate holds the newtypes that keep wrong states from being
//! written down: token [`Usage`] in disjoint buckets, money as whole [`NanoUsd`] (posted) or exact
//! [`Usd`] (calculated), identifiers that cannot be mixed up, wall-clock [`Timestamp`]s apart from
//! [`Monotonic`] time, the [`Loss`] that a translation reports, the [`AttemptOutcome`] that a
//! charge depends on, and the [`ErrorClass`] that providers' errors are sorted into.
//!
//! # Money in one paragraph
//!
//! A rate times a count is exact ([`Usd`], a decimal). It is rounded once, half to even, when it is
//! posted ([`Usd::post`]), to whole nano-dollars, which are added and subtracted with checks only.
//!
//! ```
//! use weighbridge_units::{Bucket, NanoUsd, Usage, Usd};
//!
//! let usage = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Output, 20);
//! assert_eq!(usage.total(), 1_020);
//!
//! let exact: Usd = "0.0000000125".parse()?;
//! assert_eq!(exact.post()?, NanoUsd::new(12)); // half to even
//! # Ok::<(), weighbridge_units::MoneyError>(())
//! ```

pub mod base32;
mod charges;
mod error_class;
pub mod failpoint;
mod feature;
mod ids;
mod labels;
mod loss;
mod model_alias;
mod model_name;
mod money;
mod outcome;
mod protocol;
mod time;
mod usage;

pub use charges::{Charges, ChargesError, Percent};
pub use error_class::ErrorClass;
pub use failpoint::Failpoint;
pub use feature::{Feature, Features};
pub use ids::{AttemptId, IdError, KeyId, RequestId};
pub use labels::{LabelError, Labels};
pub use loss::{Loss, LossKind};
pub use model_alias::{AliasSource, ModelAlias, model_aliases, names_of, vendor_of};
pub use model_name::family_of;
pub use money::{MoneyError, NanoUsd, Usd};
pub use outcome::{AttemptOutcome, Provenance};
pub use protocol::Protocol;
pub use time::{Monotonic, NotATimestamp, Timestamp};
pub use usage::{Bucket, Usage};
