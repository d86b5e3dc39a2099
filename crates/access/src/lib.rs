//! Who may use the gateway, from where, for which models, and how fast.
//!
//! A **virtual key** reads `wb-<public id>-<secret>`. The public id may be logged; the secret is shown
//! once, when the key is minted, and kept only as a keyed hash ([`KeyHash`], HMAC-SHA256 under a
//! [`Pepper`] that lives outside the store).
//!
//! | question | answered by |
//! |---|---|
//! | whose key is this, is it alive, may it come from here? | [`Directory::authenticate`] |
//! | may it use this model? | [`Principal::may_use`] |
//! | is there room in its requests and tokens per minute? | [`Principal::admit`] |
//! | is there room in what all instances count together? | [`Admission::attempt_among`], of a [`FleetLimits`] |
//! | which address does the request come from, proxies considered? | [`client_ip`] |
//! | which keys exist? | a [`KeyStore`], such as [`MemoryKeyStore`] |
//! | which keys of providers do tenants bring along? | a [`ProviderKeyStore`], opened by [`MasterKeys`] |
//!
//! The directory is compiled from the store and swapped as a whole, so that a request costs one map
//! read and no lock. Limits count in cells that outlive a reload: changing a key's name, models or
//! even its limits gives nobody a fresh minute.
//!
//! A **provider key** is a tenant's own, or the installation's, at a model provider. It has to be sent on, so that it
//! is kept sealed, under a [`MasterKey`] that lives outside the store.
//!
//! The crate is pure: the current time, random bits and the client's address are arguments.
//!
//! ```
//! use std::net::{IpAddr, Ipv4Addr};
//! use weighbridge_access::{ClientOrigin, Directory, Limits, Pepper, TenantName, VirtualKey, mint_key};
//! use weighbridge_units::{Monotonic, Timestamp};
//!
//! let pepper = Pepper::new(b"at least sixteen bytes that only the gateway knows")?;
//! let random = [7; 40]; // from the system's random source
//! let minted = mint_key(&random, &pepper);
//!
//! let mut key = VirtualKey::new(minted.id, "search", TenantName::new("acme")?, minted.hash, Timestamp::default());
//! key.limits.rpm = Some(1);
//! let directory = Directory::new(pepper);
//! directory.refresh(vec![key], Vec::new());
//!
//! let origin = ClientOrigin { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), referrer: None };
//! let principal = directory.authenticate(minted.expose(), &origin, Timestamp::from_secs(1))?;
//! assert!(principal.may_use("openai/gpt-4o-mini"));
//!
//! let admission = principal.admit(Monotonic::default(), 100)?;
//! assert!(principal.admit(Monotonic::default(), 100).is_err()); // one request per minute
//! drop(admission); // nothing was dispatched: the place is free again
//! assert!(principal.admit(Monotonic::default(), 100).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod budget;
mod calendar;
mod cidr;
mod claim;
mod directory;
mod error;
mod fleet;
mod key;
mod limit_cells;
mod limits;
mod memory_store;
mod origin;
mod pattern;
mod principal;
mod rate;
mod secret;
mod share;
mod store;
mod tags;
mod tenant;
pub mod testkit;
mod vault;
mod webhook;

pub use admission::{Admission, AttemptClaim, AttemptMoney};
pub use budget::{Budget, BudgetLimit, BudgetMeter, Counted, OnExceed};
pub use calendar::{BudgetPeriod, Window, Zone};
pub use cidr::Cidr;
pub use directory::Directory;
pub use error::{AccessError, InvalidDefinition};
pub use fleet::{
    Decision, FleetHold, FleetLimits, FleetReturn, FleetStanding, FleetTake, FleetWorld, Held, Want,
};
pub use key::{Limits, LossPolicy, PromptCache, RetiredSecret, VirtualKey};
pub use limit_cells::LimitCells;
pub use limits::{LimitKind, LimitOwner, LimitRefusal};
pub use memory_store::MemoryKeyStore;
pub use origin::{ClientOrigin, client_ip};
pub use pattern::{ModelPattern, ModelScope, ReferrerPattern};
pub use principal::{Principal, TenantNode};
pub use rate::{RateCell, Standing, Take};
pub use secret::{KEY_RANDOM_BYTES, KeyHash, MintedKey, Pepper, PresentedKey, mint_key, mint_secret};
pub use share::Share;
pub use store::{KeyStore, KeyStoreError};
pub use tags::Tags;
pub use tenant::{OwnKeys, Tenant, TenantName};
pub use vault::{
    Fingerprint, KeyOwner, KeySecret, MasterKey, MasterKeyId, MasterKeys, OpenKey, ProviderKey,
    ProviderKeyError, ProviderKeyId, ProviderKeyStore, ProviderSecret, SECRET_NONCE_BYTES, SealPlace,
    SealedSecret, VaultError,
};
pub use webhook::WebhookSecret;
