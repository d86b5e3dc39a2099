use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A label is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A pair without its form.
    #[error("`{0}` is not a label: write name=value, of letters, digits, `.`, `_` and `-`, at most 64 each")]
    Form(String),
    /// Too many of them.
    #[error("more than {} labels: give fewer", Labels::MOST)]
    TooMany,
}

/// Names with values: `region=eu,compliance=gdpr,compliance=hipaa`.
///
/// Said of a provider, they are what holds there; of a request, what must hold wherever it goes. A name may have
/// several values. Bounded and sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The most labels of one provider, or that one request may demand in one place.
    pub const MOST: usize = 32;
    const LONGEST: usize = 64;

    /// Checks and sorts them.
    ///
    /// # Errors
    /// [`LabelError`] where a name or a value is malformed, or where there are more than [`Labels::MOST`].
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelError> {
        let fits = |text: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(plain)
        };
        let mut labels = Vec::new();
        for (name, value) in pairs {
            if !fits(name) || !fits(value) {
                let shown = format!("{name}={value}");
                return Err(LabelError::Form(shown.chars().take(140).collect()));
            }
            labels.push((Arc::from(name), Arc::from(value)));
        }
        labels.sort_unstable();
        labels.dedup();
        if labels.len() > Self::MOST { Err(LabelError::TooMany) } else { Ok(Self(labels.into())) }
    }

    /// The labels, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of the demanded labels that is not here; none where all demands are met.
    pub fn lacks<'a>(&self, demanded: &'a Self) -> Option<(&'a str, &'a str)> {
        demanded.iter().find(|wanted| !self.iter().any(|label| label == *wanted))
    }
}

impl FromStr for Labels {
    type Err = LabelError;

    /// Reads `name=value,name=value`. Spaces around names and values are ignored, empty text is no labels.
    fn from_str(text: &str) -> Result<Self, LabelError> {
        let pairs = text.split(',').filter(|_| !text.trim().is_empty());
        // A part without `=` has an empty value, which is refused.
        let parted = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self::new(parted.map(|(name, value)| (name.trim(), value.trim())))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Labels> {
        let pair = (prop::sample::select(vec!["region", "zone", "law"]), "[a-c]");
        prop::collection::vec(pair, 0..6)
            .prop_map(|pairs| Labels::new(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap())
    }

    proptest! {
        #[test]
        fn demands_are_met_by_those_only_who_have_all_of_them(has in labels(), demanded in labels(), more in labels()) {
            let every = demanded.iter().all(|wanted| has.iter().any(|label| label == wanted));
            prop_assert_eq!(has.lacks(&demanded).is_none(), every);
            prop_assert_eq!(has.lacks(&has), None);
            prop_assert!(has.lacks(&Labels::default()).is_none());
            // Whoever has more meets whatever it met before.
            let both = Labels::new(has.iter().chain(more.iter())).unwrap();
            prop_assert!(!every || both.lacks(&demanded).is_none());
            prop_assert_eq!(has.to_string().parse::<Labels>().unwrap(), has);
        }

        #[test]
        fn whatever_is_read_is_bounded(text in any::<String>()) {
            if let Ok(labels) = text.parse::<Labels>() {
                prop_assert!(labels.iter().len() <= Labels::MOST);
                prop_assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
            }
        }
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for wrong in ["region", "region=", "=eu", "region=eu,,law=x", "re gion=eu", "region=e,u"] {
            assert!(matches!(wrong.parse::<Labels>(), Err(LabelError::Form(_))), "{wrong}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("a=v{n}")).collect();
        assert_eq!(many.join(",").parse::<Labels>(), Err(LabelError::TooMany));
    }
}
