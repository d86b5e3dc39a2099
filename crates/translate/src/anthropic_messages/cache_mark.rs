//! Marks for the prompt cache: `cache_control`.
//! <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>

use std::borrow::Cow;

use weighbridge_protocol::json::{Fields, FromRaw, Object, Raw, ReadError};
use weighbridge_units::LossKind;

use crate::conversation::{CacheMark, CacheTtl, Content, Conversation, Part};
use crate::{Losses, Placed};

pub(super) const FIELD: &str = "cache_control";

/// At most this many marks are taken.
const MARKS_MAX: usize = 4;

/// Takes a mark. One that is not understood stays.
pub(super) fn take<'a>(fields: &mut Fields<'a>) -> Option<Placed<'a, CacheMark>> {
    fields.offer::<Placed<'a, Mark>>(FIELD).map(|mark| Placed { value: mark.value.0, place: mark.place })
}

struct Mark(CacheMark);

impl<'a> FromRaw<'a> for Mark {
    fn from_raw(raw: Raw<'a>) -> Result<Self, ReadError> {
        let mut fields = Fields::read(raw)?;
        let kind = fields.variant("type");
        let ttl: Option<Cow<'a, str>> = fields.take("ttl")?.value();
        let known = ttl.as_deref().map(CacheTtl::from_name);
        if kind.as_deref() != Some("ephemeral") || known == Some(None) || !fields.rest().is_empty() {
            return Err(ReadError::new(raw, "a mark for the prompt cache"));
        }
        Ok(Self(CacheMark { ttl: known.flatten() }))
    }
}

/// Which marks of a request are written, and with what lifetime: the latest four, and no longer
/// lifetime behind a shorter one.
#[derive(Debug)]
pub(super) struct Marks {
    lifetimes: Vec<Option<CacheTtl>>,
    /// How many do not fit.
    too_many: usize,
    /// The next mark among the tools, and the next among the messages.
    next: [usize; 2],
}

/// Where a mark stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Among {
    Tools,
    Messages,
}

impl Marks {
    /// The marks of an answer: it has none.
    pub(super) const NONE: Self = Self { lifetimes: Vec::new(), too_many: 0, next: [0, 0] };

    pub(super) fn of(conversation: &Conversation<'_>) -> Self {
        let mut found: Vec<Option<CacheTtl>> =
            conversation.tools.iter().filter_map(|tool| Some(tool.cache.as_ref()?.value.ttl)).collect();
        let tools = found.len();
        for message in &conversation.messages {
            marks_of(&message.parts, &mut found);
        }
        let too_many = found.len().saturating_sub(MARKS_MAX);
        let mut is_short = false;
        let lifetimes = found.into_iter().enumerate().map(|(place, ttl)| {
            let long = ttl.is_some_and(CacheTtl::is_long);
            if place >= too_many {
                is_short |= !long;
            }
            match ttl {
                Some(_) if long && !is_short => Some(CacheTtl::OneHour),
                Some(_) => Some(CacheTtl::FiveMinutes),
                None => None,
            }
        });
        Self { lifetimes: lifetimes.collect(), too_many, next: [0, tools] }
    }

    /// Writes a mark as planned; back to its own protocol, as it was.
    pub(super) fn write<'a>(
        &mut self,
        mark: Option<&Placed<'a, CacheMark>>,
        among: Among,
        object: &mut Object<'_>,
        losses: &mut Losses<'a>,
    ) {
        let Some(mark) = mark else { return };
        let wanted = mark.value.ttl;
        let mut ttl = wanted;
        if !losses.is_same_protocol() {
            let next = &mut self.next[among as usize];
            let place = *next;
            *next += 1;
            if place < self.too_many {
                return losses.dropped(
                    mark.place,
                    "at most four marks are taken",
                    "more marks for the cache",
                );
            }
            ttl = self.lifetimes.get(place).copied().flatten();
            if ttl != wanted {
                losses.report(
                    mark.place,
                    LossKind::Approximated,
                    "a cached prompt lives five minutes or one hour, and the longer must come first",
                    "such a lifetime of cached prompts",
                );
            }
        }
        let mut object = object.key(FIELD).object();
        object.key("type").string("ephemeral");
        if let Some(ttl) = ttl {
            object.key("ttl").string(ttl.as_str());
        }
    }
}

fn marks_of(parts: &[Part<'_>], found: &mut Vec<Option<CacheTtl>>) {
    for part in parts {
        if let Content::ToolResult(result) = &part.content {
            marks_of(&result.parts, found);
        }
        found.extend(part.cache.as_ref().map(|mark| mark.value.ttl));
    }
}
