//! Marks for the prompt cache: OpenAI's `prompt_cache_breakpoint`
//! (<https://developers.openai.com/api/docs/guides/prompt-caching>), and `cache_control`, which
//! routers take over from Anthropic (<https://openrouter.ai/docs/features/prompt-caching>).

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, FromRaw, Object, Raw, ReadError};
use weighbridge_units::LossKind;

use crate::conversation::{CacheMark, CacheTtl};
use crate::{Losses, Placed};

const OWN: &str = "prompt_cache_breakpoint";
const ROUTERS: &str = "cache_control";

/// Which marks a provider takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// None.
    No,
    /// OpenAI's.
    Own,
    /// Anthropic's, as routers take them over.
    Routers,
}

/// Takes a mark under either name. One that is not understood stays.
pub(super) fn take<'a>(fields: &mut Fields<'a>) -> Option<Placed<'a, CacheMark>> {
    let own: Option<Placed<'a, Mark>> = fields.offer(OWN);
    own.or_else(|| fields.offer(ROUTERS)).map(|mark| Placed { value: mark.value.0, place: mark.place })
}

struct Mark(CacheMark);

impl<'a> FromRaw<'a> for Mark {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        let mut fields = Fields::read(raw)?;
        let kind: Option<Cow<'a, str>> = fields.offer("type").or_else(|| fields.offer("mode"));
        let ttl: Option<Cow<'a, str>> = fields.take("ttl")?.value();
        let known = ttl.as_deref().map(CacheTtl::from_name);
        if !matches!(kind.as_deref(), Some("ephemeral" | "explicit"))
            || known == Some(None)
            || !fields.rest().is_empty()
        {
            return Err(ReadError::new(raw, "a mark for the prompt cache"));
        }
        Ok(Self(CacheMark { ttl: known.flatten() }))
    }
}

/// Writes a mark, or reports that there is none here.
pub(super) fn write<'a>(
    mark: Option<&Placed<'a, CacheMark>>,
    marks: Marks,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let Some(mark) = mark else { return };
    // Back to its own protocol it goes under the name that it had.
    let was_own = mark.place.raw().is_some_and(|raw| raw.get("mode").is_some());
    let (name, ttls) = match (losses.is_same_protocol(), marks) {
        (true, _) if was_own => (OWN, None),
        (true, _) => (ROUTERS, None),
        (false, Marks::No) => return losses.uncached(Some(mark)),
        (false, Marks::Own) => (OWN, Some((CacheTtl::HalfHour, CacheTtl::TwelveHours))),
        (false, Marks::Routers) => (ROUTERS, Some((CacheTtl::FiveMinutes, CacheTtl::OneHour))),
    };
    let mut object = object.key(name).object();
    match name {
        OWN => object.key("mode").string("explicit"),
        _ => object.key("type").string("ephemeral"),
    }
    let Some(wanted) = mark.value.ttl else { return };
    let ttl = ttls.map_or(wanted, |(short, long)| if wanted.is_long() { long } else { short });
    if ttl != wanted {
        losses.report(
            mark.place,
            LossKind::Approximated,
            format!("a cached prompt lives {} instead of {}", ttl.as_str(), wanted.as_str()),
            "such a lifetime of cached prompts",
        );
    }
    object.key("ttl").string(ttl.as_str());
}
