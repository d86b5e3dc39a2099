use std::fmt;

/// What a request may need beside text, and a model may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Calls of tools.
    Tools,
    /// Images in the prompt.
    Images,
    /// Sound in the prompt.
    Audio,
    /// Documents, such as PDF, in the prompt.
    Documents,
    /// An answer after a JSON schema.
    JsonSchema,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tools, Self::Images, Self::Audio, Self::Documents, Self::JsonSchema];

    /// The name in configuration, messages and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Documents => "documents",
            Self::JsonSchema => "json-schema",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Feature`]s.
///
/// ```
/// use weighbridge_units::{Feature, Features};
///
/// const SEES: Features = Features::of(&[Feature::Images, Feature::Documents]);
/// assert!(SEES.has(Feature::Images));
/// assert_eq!(SEES.and(Features::of(&[Feature::Documents])).to_string(), "documents");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Features(u8);

impl Features {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These.
    pub const fn of(features: &[Feature]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < features.len() {
            set |= 1 << features[at] as u8;
            at += 1;
        }
        Self(set)
    }

    /// These and one more, if `holds`.
    #[must_use]
    pub const fn with(self, feature: Feature, holds: bool) -> Self {
        if holds { Self(self.0 | 1 << feature as u8) } else { self }
    }

    /// Whether one of them is `feature`.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u8) != 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.has(*feature))
    }
}

impl fmt::Display for Features {
    /// Their names, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, feature) in self.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            f.write_str(feature.as_str())?;
        }
        Ok(())
    }
}
