//! `additionalModelRequestFields`, read: what stands in fields of the model's own.
//!
//! Claude's fields are those of Anthropic's format. Fields of other models are none that others know.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::leftovers::{keep, keep_field};
use crate::conversation::{ReasoningExtent, ReasoningWish, Shown, ToolChoice};
use crate::{Conversation, Placed};

/// Where the leftovers are kept.
pub(super) const PATH: &str = "additionalModelRequestFields";

/// The same of the wish for reasoning, whichever of its names it has.
pub(super) const THINKING_PATH: &str = "additionalModelRequestFields/thinking";

/// Two names of the same field.
const THINKING: [&str; 2] = ["thinking", "reasoning_config"];

pub(super) fn read<'a>(
    mut fields: Fields<'a>,
    conversation: &mut Conversation<'a>,
    bag: &mut Bag<'a>,
) -> Result<(), ReadError> {
    if fields.peek("top_k").is_some_and(|raw| raw.kind() == Kind::Number) {
        conversation.sampling.top_k = fields.offer("top_k");
    }
    for name in THINKING {
        // Other models have something else under the same name.
        let found = fields.peek(name).filter(|raw| raw.kind() == Kind::Object);
        let is_first = conversation.reasoning.extent.is_none();
        if let Some(raw) = found.filter(|_| is_first)
            && let Some(wish) = thinking(raw, bag)?
        {
            let _: Option<Raw<'a>> = fields.offer(name);
            conversation.reasoning = ReasoningWish { effort: conversation.reasoning.effort, ..wish };
        }
    }
    if let Some(raw) = fields.peek("tool_choice").filter(|_| conversation.tool_choice.is_none())
        && let Some((choice, parallel)) = tool_choice(raw, bag)?
    {
        let _: Option<Raw<'a>> = fields.offer("tool_choice");
        conversation.tool_choice = Some(Placed { value: choice, place: raw.into() });
        conversation.parallel_tool_calls = parallel;
    }
    keep(bag, PATH, fields);
    Ok(())
}

/// `None` where it is of a type that is not understood.
fn thinking<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Option<ReasoningWish<'a>>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let extent = match fields.variant("type").as_deref() {
        Some("disabled") => ReasoningExtent::Off,
        Some("adaptive") => ReasoningExtent::Dynamic,
        Some("enabled") => match fields.take("budget_tokens")?.value() {
            Some(tokens) => ReasoningExtent::Budget(tokens),
            None => ReasoningExtent::Dynamic,
        },
        _ => return Ok(None),
    };
    let mut shown = None;
    if let Some(display) = fields.take::<Placed<'a, Cow<'a, str>>>("display")?.value() {
        let value = match display.value.as_ref() {
            "omitted" => Some(Shown::Hidden),
            "summarized" => Some(Shown::Auto),
            _ => None,
        };
        match (value, raw.get("display")) {
            (None, Some(raw)) => keep_field(bag, THINKING_PATH, "display", raw),
            (value, _) => shown = value.map(|value| Placed { value, place: display.place }),
        }
    }
    keep(bag, THINKING_PATH, fields);
    Ok(Some(ReasoningWish { extent: Some(Placed { value: extent, place: raw.into() }), effort: None, shown }))
}

type Choice<'a> = (ToolChoice<'a>, Option<Placed<'a, bool>>);

/// Anthropic's own field, which alone can say that only one tool is to be called.
fn tool_choice<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Option<Choice<'a>>, ReadError> {
    let Ok(mut fields) = Fields::read(raw) else { return Ok(None) };
    let choice = match fields.variant("type").as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => ToolChoice::Named(fields.require("name")?),
        _ => return Ok(None),
    };
    let disabled: Option<Placed<'a, bool>> = fields.take("disable_parallel_tool_use")?.value();
    keep(bag, &format!("{PATH}/tool_choice"), fields);
    let parallel = disabled.map(|disabled| Placed { value: !disabled.value, place: disabled.place });
    Ok(Some((choice, parallel)))
}
