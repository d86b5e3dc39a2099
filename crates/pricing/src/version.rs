use std::fmt;
use std::sync::Arc;

/// Names the content of a price book: sixteen hexadecimal characters of a hash over its files.
///
/// Two books of the same version price everything alike (rule P1). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PriceVersion(Arc<str>);

impl PriceVersion {
    /// The version of these files, in this order, and of the overrides behind them.
    pub(crate) fn of(files: &[(&str, &str)], overrides: &[(&str, &str)]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mark = (!overrides.is_empty()).then_some(&("overrides", ""));
        for (name, text) in files.iter().chain(mark).chain(overrides) {
            // The lengths keep "ab" + "c" apart from "a" + "bc".
            for part in [name.as_bytes(), text.as_bytes()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        Self(hasher.finalize().to_hex().chars().take(16).collect::<String>().into())
    }

    /// The text, as records and the ledger hold it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for PriceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
