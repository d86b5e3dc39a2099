//! How the next message is to be made: its form, sound, probabilities, reasoning.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Field, Fields, Kind, Raw, ReadError};

use crate::bags::append;
use crate::conversation::{AudioWish, Effort, Format, JsonText, ReasoningExtent, ReasoningWish, Shown};
use crate::{Place, Placed};

pub(super) fn format<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Option<Placed<'a, Format<'a>>>, ReadError> {
    let Some(raw) = fields.take::<Raw<'a>>("response_format")?.value() else { return Ok(None) };
    let mut format = Fields::read(raw)?;
    let value = match format.variant("type").as_deref() {
        Some("text") => Format::Text,
        Some("json_object") => Format::JsonObject,
        Some("json_schema") => {
            let mut inner: Fields<'a> = format.require("json_schema")?;
            let schema = inner.take::<Raw<'a>>("schema")?.value();
            let value = Format::JsonSchema {
                name: inner.take("name")?.value(),
                description: inner.take("description")?.value(),
                schema: schema.map_or_else(|| JsonText::made(|w| drop(w.object())), JsonText::from),
                strict: inner.take("strict")?.value(),
            };
            append(bag, inner.rest());
            value
        }
        _ => return Ok(Some(Placed { value: Format::Unknown(raw), place: raw.into() })),
    };
    append(bag, format.rest());
    Ok(Some(Placed { value, place: raw.into() }))
}

/// `modalities` and `audio` together: sound is wanted where the first names it.
pub(super) fn audio<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<Option<Placed<'a, AudioWish<'a>>>, ReadError> {
    let Some(raw) = fields.take::<Raw<'a>>("modalities")?.value() else { return Ok(None) };
    let modalities: Vec<Cow<'a, str>> = raw.read()?;
    let has = |name: &str| modalities.iter().any(|modality| modality == name);
    if !has("audio") || modalities.iter().any(|modality| modality != "audio" && modality != "text") {
        bag.push("modalities", raw);
        return Ok(None);
    }
    let mut wish = AudioWish { with_text: has("text"), ..AudioWish::default() };
    if let Some(mut audio) = fields.take::<Fields<'a>>("audio")?.value() {
        // A voice of the client's own is an object.
        wish.voice = audio.offer("voice");
        wish.format = audio.take("format")?.value();
        append(bag, audio.rest());
    }
    Ok(Some(Placed { value: wish, place: raw.into() }))
}

/// `logprobs` switches them on, `top_logprobs` says how many more are wanted.
pub(super) fn logprobs<'a>(fields: &mut Fields<'a>) -> Result<Option<Placed<'a, u64>>, ReadError> {
    let switch: Field<Placed<'a, bool>> = fields.take("logprobs")?;
    let top: Option<Placed<'a, u64>> = fields.take("top_logprobs")?.value();
    Ok(match (switch.value(), top) {
        (Some(Placed { value: false, .. }), _) | (None, None) => None,
        (_, Some(top)) => Some(top),
        (Some(switch), None) => Some(Placed { value: 0, place: switch.place }),
    })
}

pub(super) fn metadata<'a>(fields: &mut Fields<'a>) -> Result<Option<Raw<'a>>, ReadError> {
    match fields.take::<Raw<'a>>("metadata")?.value() {
        Some(raw) if raw.kind() != Kind::Object => Err(ReadError::new(raw, "an object")),
        metadata => Ok(metadata),
    }
}

/// OpenAI has `reasoning_effort`; OpenRouter has `reasoning`, which also knows budgets; Z.ai, DeepSeek
/// and routers take over Anthropic's `thinking`. The first that is there counts.
pub(super) fn reasoning<'a>(
    fields: &mut Fields<'a>,
    bag: &mut Bag<'a>,
) -> Result<ReasoningWish<'a>, ReadError> {
    let mut wish = ReasoningWish::NONE;
    if let Some(raw) = fields.take::<Raw<'a>>("reasoning_effort")?.value()
        && !effort(&raw.str()?, raw, &mut wish)
    {
        bag.push("reasoning_effort", raw);
    }
    let others: [(&'static str, Read<'a>); 2] = [("reasoning", openrouters), ("thinking", anthropics)];
    for (name, read) in others {
        let Some(raw) = fields.take::<Raw<'a>>(name)?.value() else { continue };
        if raw.kind() == Kind::Object && wish == ReasoningWish::NONE {
            read(raw, &mut wish, bag)?;
        } else {
            bag.push(name, raw);
        }
    }
    Ok(wish)
}

type Read<'a> = fn(Raw<'a>, &mut ReasoningWish<'a>, &mut Bag<'a>) -> Result<(), ReadError>;

fn effort<'a>(name: &str, raw: Raw<'a>, wish: &mut ReasoningWish<'a>) -> bool {
    let place = Place::from(raw);
    match (name, Effort::from_name(name)) {
        ("none", _) => wish.extent = Some(Placed { value: ReasoningExtent::Off, place }),
        (_, Some(value)) => wish.effort = Some(Placed { value, place }),
        (_, None) => return false,
    }
    true
}

/// <https://openrouter.ai/docs/use-cases/reasoning-tokens>
fn openrouters<'a>(raw: Raw<'a>, wish: &mut ReasoningWish<'a>, bag: &mut Bag<'a>) -> Result<(), ReadError> {
    let mut fields = Fields::read(raw)?;
    if let Some(raw) = fields.take::<Raw<'a>>("effort")?.value()
        && !effort(&raw.str()?, raw, wish)
    {
        bag.push("effort", raw);
    }
    let budget: Option<Placed<'a, u64>> = fields.take("max_tokens")?.value();
    let enabled: Option<Placed<'a, bool>> = fields.take("enabled")?.value();
    let excluded: Option<Placed<'a, bool>> = fields.take("exclude")?.value();
    if let Some(budget) = budget {
        wish.extent = Some(Placed { value: ReasoningExtent::Budget(budget.value), place: budget.place });
    } else if let Some(enabled) = enabled {
        let value = if enabled.value { ReasoningExtent::Dynamic } else { ReasoningExtent::Off };
        wish.extent = Some(Placed { value, place: enabled.place });
    }
    wish.shown = excluded.map(|excluded| Placed {
        value: if excluded.value { Shown::Hidden } else { Shown::Auto },
        place: excluded.place,
    });
    append(bag, fields.rest());
    Ok(())
}

/// <https://docs.z.ai/guides/capabilities/thinking-mode>
fn anthropics<'a>(raw: Raw<'a>, wish: &mut ReasoningWish<'a>, bag: &mut Bag<'a>) -> Result<(), ReadError> {
    let mut fields = Fields::read(raw)?;
    let budget: Option<u64> = fields.take("budget_tokens")?.value();
    let value = match fields.variant("type").as_deref() {
        Some("disabled") => ReasoningExtent::Off,
        Some("enabled" | "adaptive" | "auto") => {
            budget.map_or(ReasoningExtent::Dynamic, ReasoningExtent::Budget)
        }
        _ => {
            bag.push("thinking", raw);
            return Ok(());
        }
    };
    wish.extent = Some(Placed { value, place: raw.into() });
    append(bag, fields.rest());
    Ok(())
}
