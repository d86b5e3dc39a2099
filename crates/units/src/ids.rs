use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::{Timestamp, base32};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// A key id is twelve characters of Crockford's base 32 in lower case.
    #[error("not a key id: twelve characters of 0-9 and a-z without i, l, o, u")]
    Key,
    /// An attempt id is a UUID.
    #[error("not an attempt id: a UUID is expected")]
    Attempt,
    /// A request id is 1 to 128 visible ASCII characters.
    #[error("not a request id: 1 to 128 visible ASCII characters without quotes or backslash")]
    Request,
}

/// One attempt at one provider: a UUID of version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(u128);

impl AttemptId {
    /// Builds an id from the wall clock and 80 random bits (the upper 48 of `random` are ignored).
    pub fn new(at: Timestamp, random: u128) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&random.to_be_bytes()[6..]);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().as_u128())
    }

    /// From the 128 bits that [`Self::get`] gave.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

impl FromStr for AttemptId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::try_parse(text).map(|uuid| Self(uuid.as_u128())).map_err(|_| IdError::Attempt)
    }
}

/// The public id of a virtual key: 60 bits, written as twelve characters.
///
/// It may appear in logs, rules and metrics; the secret behind it never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u64);

impl KeyId {
    const LENGTH: usize = 12;

    /// From random bits, of which the lowest 60 count.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << 60) - 1))
    }

    /// The 60 bits.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; Self::LENGTH];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            *digit = base32::DIGITS[(self.0 >> (5 * place)) as usize & 31];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for KeyId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != Self::LENGTH {
            return Err(IdError::Key);
        }
        let digit = |byte| base32::value(byte).ok_or(IdError::Key);
        text.bytes().try_fold(0_u64, |bits, byte| Ok(bits << 5 | u64::from(digit(byte)?))).map(Self)
    }
}

/// The id of a request as its client sees it: taken over from `x-request-id`, or made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest accepted id, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Takes an id over from a client.
    ///
    /// # Errors
    /// [`IdError::Request`] where it is empty, too long, or has characters that a header, a log
    /// line or a path would have to escape.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'/' | b'?' | b'#' | b'%');
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        (fits && text.bytes().all(plain)).then(|| Self(text.into())).ok_or(IdError::Request)
    }

    /// Makes an id from the first attempt's id, or any other.
    pub fn from_attempt(id: AttemptId) -> Self {
        let mut text = [0; Simple::LENGTH];
        let text = Uuid::from_u128(id.get()).simple().encode_lower(&mut text);
        Self(["req_", text].concat().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn key_ids_round_trip(bits in any::<u64>()) {
            let id = KeyId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_text_breaks_the_parsers(text in ".*") {
            let _ = text.parse::<KeyId>();
            let _ = text.parse::<AttemptId>();
            if let Ok(id) = RequestId::new(&text) {
                prop_assert!(id.as_str().is_ascii());
            }
        }

        #[test]
        fn attempt_ids_sort_by_time(at in 0_i64..4_000_000_000_000, a in any::<u128>(), b in any::<u128>()) {
            let first = AttemptId::new(Timestamp::from_micros(at * 1_000), a);
            let second = AttemptId::new(Timestamp::from_micros(at * 1_000 + 1_000), b);
            prop_assert!(first < second);
            prop_assert_eq!(first.to_string().parse(), Ok(first));
        }
    }
}
