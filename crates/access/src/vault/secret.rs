use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::InvalidDefinition;

/// A provider's key in clear. It has no `Debug`, and is erased when it is dropped.
#[derive(Clone)]
pub struct ProviderSecret(SecretString);

impl ProviderSecret {
    /// The fewest bytes of a key.
    pub const MIN_BYTES: usize = 8;
    /// The most bytes of a key.
    pub const MAX_BYTES: usize = 4096;

    /// A key of visible ASCII characters, as a header can carry. White space around it is not part of it: files end
    /// with a line break.
    ///
    /// # Errors
    /// [`InvalidDefinition::ProviderSecret`], which repeats nothing of the text.
    pub fn new(text: &str) -> Result<Self, InvalidDefinition> {
        let text = text.trim();
        let fits = (Self::MIN_BYTES..=Self::MAX_BYTES).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidDefinition::ProviderSecret);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The key, for the one header that it is sent in.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What may be shown of it.
    pub fn fingerprint(&self) -> Fingerprint {
        let text = self.expose();
        // Of a short one, four characters would be too much.
        let shown =
            if text.len() < Fingerprint::LONG { "" } else { &text[text.len() - Fingerprint::SHOWN..] };
        Fingerprint(shown.into())
    }
}

impl PartialEq for ProviderSecret {
    /// In constant time, but for the length.
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

/// What may be shown of a provider's key: its last four characters, as providers' own pages do, or nothing where
/// the key is so short that they would help to guess it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    const SHOWN: usize = 4;
    /// The shortest key that anything is shown of.
    const LONG: usize = 20;

    /// The characters, without the ellipsis: what stores keep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidDefinition;

    /// From what a store has kept.
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = plain && (text.is_empty() || text.len() == Self::SHOWN);
        fits.then(|| Self(text.into())).ok_or(InvalidDefinition::ProviderSecret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_what_a_header_can_carry() {
        for wrong in
            ["", "short", "sk-with space in it", "sk-ümlaut-0123456789", "sk-line\nbreak", &"x".repeat(4097)]
        {
            let Err(error) = ProviderSecret::new(wrong) else { panic!("{wrong:?}") };
            assert!(wrong.is_empty() || !error.to_string().contains(wrong), "{error}");
        }
        assert_eq!(ProviderSecret::new(" sk-0123456789 \n").unwrap().expose(), "sk-0123456789");
    }

    #[test]
    fn a_fingerprint_tells_four_characters_at_most() {
        let long = ProviderSecret::new("sk-proj-0123456789abcdef").unwrap().fingerprint();
        assert_eq!((long.as_str(), &*long.to_string()), ("cdef", "…cdef"));
        assert_eq!(long.as_str().parse(), Ok(long));
        let short = ProviderSecret::new("sk-0123456789").unwrap().fingerprint();
        assert_eq!((short.as_str(), &*short.to_string()), ("", "…"));
        assert_eq!("".parse(), Ok(short));
        assert!("abcde".parse::<Fingerprint>().is_err() && "abc\n".parse::<Fingerprint>().is_err());
    }
}
