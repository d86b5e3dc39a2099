//! The price book: effective-dated rates, and costs as an itemised breakdown.
//!
//! A [`PriceBook`] is read from TOML files, wholly or not at all. It gives a [`PriceCard`] for a
//! provider, model, service tier and instant. A card prices a [`Usage`](weighbridge_units::Usage)
//! ([`PriceCard::cost`]) and bounds what a request can cost before it is sent ([`PriceCard::worst`]).
//!
//! ```
//! use weighbridge_pricing::{PriceBook, ServiceTier};
//! use weighbridge_units::{Bucket, NanoUsd, Timestamp, Usage};
//!
//! let book = PriceBook::from_toml(&[("prices.toml", r#"
//!     provider = "acme"
//!
//!     [[price]]
//!     models = ["weigh-1"]
//!     from = "start"
//!     source = "acme-price-list 3.1"
//!     date = "2026-11-21"
//!     rates = [
//!       { tier = "standard", input = "2.50", cache_read = "0.25", output = "10" },
//!       { tier = "standard", above = 200000, input = "5", cache_read = "0.50", output = "15" },
//!       { tier = "batch", input = "1.25", output = "5" },
//!     ]
//! "#)])?;
//!
//! let now = Timestamp::from_secs(1_795_226_938);
//! let card = book.find("acme", "weigh-1-2026-10-01", ServiceTier::Standard, now).expect("it has a price");
//!
//! let worst = card.worst(10_000, 500, 1)?; // before the request: 10,000 × 2.50 + 500 × 10
//! assert_eq!(worst, "0.03".parse()?);
//!
//! let usage = Usage::new().with(Bucket::Input, 900).with(Bucket::CacheRead, 8_000).with(Bucket::Output, 77);
//! let cost = card.cost(&usage)?; // afterwards
//! assert_eq!(cost.posted, NanoUsd::new(5_020_000));
//! assert_eq!(cost.items.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The files
//!
//! A file is about one `provider`, and has an entry (`[[price]]`) for each model and each change of its price:
//!
//! | field of an entry | what it says |
//! |---|---|
//! | `models` | the exact names that the entry is for |
//! | `from` | the first day, in UTC, that the entry holds for, or the second of a day (`2026-11-26T09:30:00Z`); or `start`, where no earlier price is known |
//! | `source`, `date` | where every figure is from (packages and versions), and on which day that was read, or `unknown` |
//! | `rates` | a row for each service tier (`tier`), for each context tier in it (`above`), and for each kind of pieces (`variant`) |
//! | `provider` | another provider than the file's |
//!
//! A row's other fields are named for [buckets](weighbridge_units::Bucket) and hold dollars per
//! million units, as text: money is never a number in a file (rule M1). At most six decimals, at
//! most 10¹⁰ dollars (rule M2). A figure from elsewhere than its row says so:
//! `output = { usd = "10", source = "…" }`; so does a row: `source = "…"`.
//!
//! - **Pieces.** A model may be billed by the token, by the piece (images, seconds, characters, pages, calls …), or both. What an
//!   image or a second costs may hang on its size and quality: `{ tier = "standard", variant =
//!   "1024x1024/high", images = "40000" }`. [`PriceCard::variant`] chooses among them; a row without
//!   `variant` is for all others. Where `calls` has a rate, each call costs that much beside the rest.
//! - **Regions.** `[[region]]` names models whose rates are others in a region, by a factor: `name = "eu"`,
//!   `factor = "1.1"`, `models`, `source`, `date`. The factor is folded into the rates of tokens at load, exactly or not at
//!   all, under the provider `openai@eu`; models that the region does not name cost there what they cost elsewhere.
//! - **A correction is a new entry** with a later `from`; entries are never edited. What was
//!   dispatched keeps the card that it was dispatched under (rule P1).
//! - **Context tiers** follow the rule of OpenAI, Anthropic and Google: if the prompt, cached tokens
//!   included, has more than `above` tokens, the row holds for every token of the request, the
//!   answer's too. A field that the loader does not know is an error, so a provider with another
//!   rule cannot be written down by accident. A longer prompt never has a lower rate: checked at
//!   load, and with it a cost never falls when a bucket grows (rule M6).
//! - **Missing is not free** (rule M7). `input` and `output` must be there, unless all that is billed are pieces, or
//!   what is made is no text. Reasoning without a rate
//!   is charged as output, cache reads and writes and images given as input: that is how providers bill them. Any
//!   other bucket without a rate, or a longer-lived cache without one beside a shorter-lived cache
//!   that has one, is [`PriceError::Unpriced`] as soon as its count is not zero.
//! - **Dated names.** `name-YYYY-MM-DD` and `name-YYYYMMDD` without an entry have the price of
//!   `name`, if that is an entry. Nothing else is guessed.
//!
//! # Exactness
//!
//! A rate per unit has at most 12 decimals, 15 with a factor folded in, and a mantissa of at most 10¹⁶, and
//! counts stay below 2⁴⁰, so rate × count is exact in `rust_decimal`; sums are checked. The one rounding is at the end ([`Breakdown::rounding`], rule M3).

mod book;
mod breakdown;
mod card;
mod error;
mod file;
mod litellm;
mod rate;
mod rerate;
mod revise;
mod sources;
mod terms;
mod tier;
mod update;
mod version;
mod write;

pub use book::{BUILTIN_FILES, PriceBook};
pub use breakdown::{Breakdown, Item};
pub use card::PriceCard;
pub use error::{Mistake, Mistakes, PriceError};
pub use litellm::{Imported, LeftOut, MapError};
pub use rate::{COUNT_LIMIT, Factor, Rate, RateError};
pub use rerate::{PastAttempt, PricedBy, Rerated, Rerating};
pub use revise::{ReviseError, Revision, read_prices};
pub use sources::{DEFAULT_ENTRY, PriceSources, PriceText};
pub use terms::{Asked, Terms};
pub use tier::ServiceTier;
pub use update::{Approval, BEGINS_AFTER, Change, Held, Step, Update};
pub use version::PriceVersion;
pub use write::{Entry, EntryRow};
