use std::fmt;

/// How fast, and at which price, a provider is asked to work.
///
/// The name on the wire is `service_tier` for OpenAI
/// (<https://platform.openai.com/docs/api-reference/chat/create>) and, in answers, for Anthropic
/// (<https://docs.anthropic.com/en/api/service-tiers>); Anthropic's fast mode is asked for with
/// `speed` (<https://docs.anthropic.com/en/docs/build-with-claude/fast-mode>). Batches are not asked
/// for by a field at all: the route says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
#[non_exhaustive]
pub enum ServiceTier {
    /// The ordinary price.
    #[default]
    Standard,
    /// Answered within a day, at a discount.
    Batch,
    /// Answered when there is room, at a discount.
    Flex,
    /// Answered sooner, at a premium. OpenAI calls the same price `fast` too.
    Priority,
    /// Generated faster, at a premium: Anthropic's `speed: fast`, OpenAI's `ultrafast`.
    Fast,
    /// A name on the wire that is not known. It has no price, so it is refused (rule M7).
    Unknown,
}

impl ServiceTier {
    /// Every tier that can have a price, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority, Self::Fast];

    /// The name in price files, records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Unknown => "unknown",
        }
    }

    /// The tier of that name in price files, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }

    /// The tier that a `service_tier` on the wire stands for; absent means [`Self::Standard`].
    ///
    /// `auto` reads as standard too: which tier served the request is told by the answer, and a
    /// project whose default is another tier is configured as such.
    ///
    /// A name that is not known is [`Self::Unknown`], for which no card is ever found.
    pub fn from_wire(name: Option<&str>) -> Self {
        match name {
            None | Some("auto" | "default" | "standard" | "standard_only") => Self::Standard,
            Some("batch") => Self::Batch,
            Some("flex") => Self::Flex,
            // OpenAI lists one price for `priority` and `fast`.
            Some("priority" | "fast") => Self::Priority,
            Some("ultrafast") => Self::Fast,
            Some(_) => Self::Unknown,
        }
    }
}

impl fmt::Display for ServiceTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for tier in ServiceTier::ALL {
            assert_eq!(ServiceTier::from_name(tier.as_str()), Some(tier));
        }
    }

    #[test]
    fn m7_an_unknown_tier_has_no_price() {
        for (name, tier) in [
            (None, ServiceTier::Standard),
            (Some("auto"), ServiceTier::Standard),
            (Some("priority"), ServiceTier::Priority),
            (Some("scale"), ServiceTier::Unknown),
            (Some("Priority"), ServiceTier::Unknown),
        ] {
            assert_eq!(ServiceTier::from_wire(name), tier, "{name:?}");
        }
        assert_eq!(ServiceTier::from_name("unknown"), None);
    }
}
