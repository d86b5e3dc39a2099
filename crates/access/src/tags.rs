use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::InvalidDefinition;

/// Attributes of a request: `feature=search,env=prod`, as `x-gateway-tags` carries them.
///
/// Bounded, sorted by name, one value per name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(Vec<(Arc<str>, Arc<str>)>);

impl Tags {
    /// The most tags that a request or a key may have.
    pub const MAX: usize = 16;
    const MAX_NAME: usize = 64;
    const MAX_VALUE: usize = 128;

    /// The tags, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The tags as shared pairs, sorted by name.
    pub fn into_pairs(self) -> Vec<(Arc<str>, Arc<str>)> {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a tag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// These tags, with those of a key over them: a pinned tag wins over what a request says.
    ///
    /// Where both together are more than [`Tags::MAX`], the request's last ones give way.
    #[must_use]
    pub fn pinned(mut self, key: &Self) -> Self {
        self.0.retain(|(name, _)| key.get(name).is_none());
        self.0.truncate(Self::MAX.saturating_sub(key.0.len()));
        self.0.extend(key.0.iter().cloned());
        self.0.sort_unstable();
        self
    }
}

impl FromStr for Tags {
    type Err = InvalidDefinition;

    /// Reads `name=value,name=value`. Spaces around names and values are ignored, empty text is no tags.
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let invalid = || InvalidDefinition::Tags(text.chars().take(200).collect());
        let mut tags = Vec::new();
        for pair in text.split(',').filter(|_| !text.trim().is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(invalid)?;
            let (name, value) = (name.trim(), value.trim());
            let name_fits = (1..=Self::MAX_NAME).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            let value_fits =
                value.len() <= Self::MAX_VALUE && !value.chars().any(|c| c.is_control() || c == '=');
            if !name_fits || !value_fits || tags.len() == Self::MAX {
                return Err(invalid());
            }
            tags.push((Arc::from(name), Arc::from(value)));
        }
        tags.sort_unstable();
        if tags.windows(2).any(|two| two.first().map(|tag| &tag.0) == two.last().map(|tag| &tag.0)) {
            return Err(invalid());
        }
        Ok(Self(tags))
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags(text: &str) -> Tags {
        text.parse().unwrap()
    }

    #[test]
    fn tags_are_read_sorted() {
        assert_eq!(tags(" feature = search, env=prod").to_string(), "env=prod,feature=search");
        assert_eq!(tags("a=").get("a"), Some(""));
        assert!(tags("  ").is_empty());
    }

    #[test]
    fn what_is_not_a_list_of_tags_is_refused() {
        let many: String = (0..17).map(|n| format!("t{n}=1,")).collect();
        for wrong in ["a", "=b", "a=b,", "a=1,a=2", "a b=c", "a=b=c", "a=\u{7}", many.trim_end_matches(',')] {
            assert!(wrong.parse::<Tags>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pinned_tags_win() {
        let key = tags("env=prod");
        assert_eq!(tags("env=test,feature=search").pinned(&key), tags("env=prod,feature=search"));
        let full: String = (10..26).map(|n| format!("t{n}=1,")).collect();
        let merged = tags(full.trim_end_matches(',')).pinned(&key);
        assert_eq!((merged.iter().len(), merged.get("env")), (Tags::MAX, Some("prod")));
    }

    proptest! {
        #[test]
        fn tags_round_trip(text in "[a-c=, ]{0,20}") {
            if let Ok(read) = text.parse::<Tags>() {
                prop_assert_eq!(read.to_string().parse(), Ok(read));
            }
        }
    }
}
