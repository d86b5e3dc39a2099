use std::net::IpAddr;

use thiserror::Error;
use weighbridge_units::ErrorClass;

/// Why a request is not let in.
///
/// A caller without a working secret learns nothing but [`AccessError::InvalidKey`]: whether the key
/// is malformed, unknown, or wrong in its last character looks the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// No such key, or not its secret, or no key at all.
    #[error("the API key is missing or not valid: send a key of the form wb-<id>-<secret>")]
    InvalidKey,
    /// The secret is right, but the key's time is over.
    #[error("the API key has expired: ask for a new one")]
    Expired,
    /// The secret is right, but the key was taken back.
    #[error("the API key was revoked: ask for a new one")]
    Revoked,
    /// The secret is right, but the key, its team or its organisation is blocked.
    #[error("the API key is blocked, or whom it belongs to: ask whoever administers it")]
    Blocked,
    /// The key may not be used from this address.
    #[error("the API key may not be used from {0}: ask for this address to be allowed")]
    AddressNotAllowed(IpAddr),
    /// The key may only be used from certain pages, and the request names no such page.
    #[error("the API key may not be used from this page: its referrer is not among the allowed ones")]
    ReferrerNotAllowed,
}

impl AccessError {
    /// The class that decides status and error type in the client's protocol.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::InvalidKey | Self::Expired | Self::Revoked => ErrorClass::Authentication,
            Self::Blocked | Self::AddressNotAllowed(_) | Self::ReferrerNotAllowed => ErrorClass::Permission,
        }
    }
}

/// Why a part of a key's definition cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidDefinition {
    /// Not an address range.
    #[error("`{0}` is not an address range: write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32")]
    Cidr(String),
    /// An address range with bits set behind its prefix.
    #[error("`{given}` has bits set behind its prefix: write {meant} for the whole range")]
    CidrHostBits {
        /// What was given.
        given: String,
        /// The range that contains it.
        meant: String,
    },
    /// Not a model pattern.
    #[error("`{0}` is not a model pattern: write a model's name, or its beginning followed by one `*`")]
    ModelPattern(String),
    /// Not a referrer pattern.
    #[error("`{0}` is not a referrer pattern: write https://host, https://*.host or https://host/path*")]
    ReferrerPattern(String),
    /// Not a tenant's name.
    #[error("`{0}` is not a tenant name: 1 to 128 characters of a-z, A-Z, 0-9, `.`, `_`, `-`, `/`")]
    Tenant(String),
    /// A tenant's name that is neither an organisation nor a team in one.
    #[error("`{0}` is neither an organisation nor a team in one: write `acme` or `acme/search`")]
    TenantPath(String),
    /// A wallet that would have to be filled beyond what it owes.
    #[error("a credit limit is 0 or more: 0 for a wallet that is filled in advance")]
    CreditLimit,
    /// A subscription that pays the tenant.
    #[error("a subscription is 0 or more dollars a month")]
    Subscription,
    /// Not a key's name.
    #[error("a key's name has 1 to 128 characters and no control characters")]
    Name,
    /// A limit that cannot be counted.
    #[error("a limit of {0} per minute is too large: leave it out for no limit")]
    Limit(u64),
    /// A negative limit of money.
    #[error("a limit of money per minute cannot be negative: leave it out for no limit")]
    NegativeLimit,
    /// Not a budget.
    #[error("the budget is not right: {0}")]
    Budget(String),
    /// Not a time zone.
    #[error("`{0}` is not a time zone: write a name of the IANA database such as UTC or Europe/Berlin")]
    Zone(String),
    /// Not a tag.
    #[error("`{0}` is not a list of tags: write key=value,key=value with at most {max} tags", max = crate::Tags::MAX)]
    Tags(String),
    /// A pepper that could be guessed.
    #[error("the key pepper has fewer than {min} bytes: give at least that many random ones", min = crate::Pepper::MIN_BYTES)]
    Pepper,
    /// A master key that could be guessed.
    #[error("the master key has fewer than {min} bytes: make one with `openssl rand -hex 32`", min = crate::MasterKey::MIN_BYTES)]
    MasterKey,
    /// Not a provider's key.
    #[error(
        "a provider's key has {min} to {max} visible ASCII characters and no spaces",
        min = crate::ProviderSecret::MIN_BYTES, max = crate::ProviderSecret::MAX_BYTES
    )]
    ProviderSecret,
    /// Not the id of a provider's key.
    #[error("the id of a provider's key is `pk-` and twelve characters")]
    ProviderKeyId,
    /// Not a provider's name.
    #[error("a provider's name has 1 to 128 characters and no control characters")]
    ProviderName,
    /// Not a label.
    #[error("a label has 1 to 128 characters and no control characters")]
    Label,
    /// Not a weight.
    #[error("a weight is at most {max}", max = crate::ProviderKey::MAX_WEIGHT)]
    Weight,
}

impl InvalidDefinition {
    /// A budget that cannot be accepted.
    pub(crate) fn budget(why: impl Into<String>) -> Self {
        Self::Budget(why.into())
    }
}
