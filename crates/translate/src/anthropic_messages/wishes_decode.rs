//! `thinking` and `output_config`: how the model is to reason, and what form its answer must have.
//! <https://platform.claude.com/docs/en/build-with-claude/effort>,
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};

use crate::bags::append;
use crate::conversation::{Effort, Format, JsonText, ReasoningExtent, ReasoningWish, Shown};
use crate::{Place, Placed};

type Output<'a> = (ReasoningWish<'a>, Option<Placed<'a, Format<'a>>>);

pub(super) fn output<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) -> Result<Output<'a>, ReadError> {
    let mut wish = ReasoningWish::NONE;
    thinking(fields, &mut wish, bag)?;
    let mut format = None;
    if let Some(mut config) = fields.take::<Fields<'a>>("output_config")?.value() {
        if let Some(raw) = config.take::<Raw<'a>>("effort")?.value() {
            match Effort::from_name(&raw.str()?) {
                Some(value) => wish.effort = Some(Placed { value, place: raw.into() }),
                None => bag.push("effort", raw),
            }
        }
        if let Some(raw) = config.take::<Raw<'a>>("format")?.value() {
            format = Some(self::format(raw, bag)?);
        }
        append(bag, config.rest());
    }
    // The name that it had before.
    if let Some(raw) = fields.take::<Raw<'a>>("output_format")?.value() {
        match format {
            None => format = Some(self::format(raw, bag)?),
            Some(_) => bag.push("output_format", raw),
        }
    }
    Ok((wish, format))
}

/// A kind of thinking that is not known stays in the bag.
fn thinking<'a>(
    fields: &mut Fields<'a>,
    wish: &mut ReasoningWish<'a>,
    bag: &mut Bag<'a>,
) -> Result<(), ReadError> {
    let Some(raw) = fields.take::<Raw<'a>>("thinking")?.value() else { return Ok(()) };
    let mut thinking = Fields::read(raw)?;
    let value = match thinking.variant("type").as_deref() {
        Some("enabled") => match thinking.take("budget_tokens")?.value() {
            Some(tokens) => ReasoningExtent::Budget(tokens),
            None => ReasoningExtent::Dynamic,
        },
        Some("adaptive") => ReasoningExtent::Dynamic,
        Some("disabled") => ReasoningExtent::Off,
        _ => {
            bag.push("thinking", raw);
            return Ok(());
        }
    };
    wish.extent = Some(Placed { value, place: raw.into() });
    if let Some(raw) = thinking.take::<Raw<'a>>("display")?.value() {
        let place = Place::from(raw);
        match raw.str()?.as_ref() {
            "summarized" => wish.shown = Some(Placed { value: Shown::Auto, place }),
            "omitted" => wish.shown = Some(Placed { value: Shown::Hidden, place }),
            _ => bag.push("display", raw),
        }
    }
    append(bag, thinking.rest());
    Ok(())
}

fn format<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Placed<'a, Format<'a>>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let kind: Option<Cow<'a, str>> = fields.variant("type");
    let value = match kind.as_deref() {
        Some("json_schema") => {
            let schema: Raw<'a> = fields.require("schema")?;
            append(bag, fields.rest());
            // It always is: the answer matches the schema.
            let strict = Some(true);
            Format::JsonSchema { name: None, description: None, schema: JsonText::from(schema), strict }
        }
        _ => Format::Unknown(raw),
    };
    Ok(Placed { value, place: raw.into() })
}
