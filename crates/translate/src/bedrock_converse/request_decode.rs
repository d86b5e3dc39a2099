//! Requests into the canonical conversation.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError};
use weighbridge_units::Protocol;

use super::blocks_decode::{self, Speaker};
use super::leftovers::{keep, keep_field};
use super::{model_fields, tools_decode};
use crate::conversation::{Effort, Format, JsonText, ReasoningWish, Sampling, ServiceTier};
use crate::{Content, Conversation, Message, Part, Placed, Role};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut bag = Bag::EMPTY;
    let mut conversation = Conversation {
        // The model stands in the path; SDKs have it among the parameters.
        model: fields.take("modelId")?.value().unwrap_or_default(),
        ..Conversation::new(Protocol::BedrockConverse)
    };
    if let Some(raw) = fields.take::<Raw<'_>>("system")?.value() {
        conversation.messages.extend(instructions(raw)?);
    }
    if let Some(list) = fields.take::<Raw<'_>>("messages")?.value() {
        for raw in list.items()? {
            conversation.messages.push(message(raw)?);
        }
    }
    if let Some(config) = fields.take::<Fields<'_>>("inferenceConfig")?.value() {
        inference_config(config, &mut conversation, &mut bag)?;
    }
    if let Some(config) = fields.take::<Fields<'_>>("toolConfig")?.value() {
        tools_decode::read(config, &mut conversation, &mut bag)?;
    }
    if let Some(config) = fields.take::<Fields<'_>>("outputConfig")?.value() {
        output_config(config, &mut conversation, &mut bag)?;
    }
    if let Some(additional) = fields.take::<Fields<'_>>("additionalModelRequestFields")?.value() {
        model_fields::read(additional, &mut conversation, &mut bag)?;
    }
    if let Some(mut tier) = fields.take::<Fields<'_>>("serviceTier")?.value() {
        let named = tier.take::<Placed<'_, Cow<'_, str>>>("type")?.value();
        conversation.service_tier =
            named.map(|tier| Placed { value: ServiceTier::named(tier.value), place: tier.place });
        keep(&mut bag, "serviceTier", tier);
    }
    conversation.metadata = fields.take("requestMetadata")?.value();
    keep(&mut bag, "", fields);
    conversation.bag = bag;
    Ok(conversation)
}

/// Instructions that stand first. Without any content there are none.
pub(super) fn instructions(raw: Raw<'_>) -> Result<Option<Message<'_>>, ReadError> {
    let parts = blocks_decode::content(raw, Speaker::User)?;
    Ok((!parts.is_empty()).then(|| Message::new(raw, Role::System, parts)))
}

pub(super) fn message(raw: Raw<'_>) -> Result<Message<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let role: Cow<'_, str> = fields.require("role")?;
    let (role, speaker) = match role.as_ref() {
        "user" => (Role::User, Speaker::User),
        "assistant" => (Role::Assistant, Speaker::Model),
        "system" => (Role::System, Speaker::User),
        _ => {
            let parts = vec![Part::new(raw, Content::Unknown { name: role.clone(), raw })];
            return Ok(Message::new(raw, Role::Other(role), parts));
        }
    };
    let parts = blocks_decode::content(fields.require("content")?, speaker)?;
    let mut bag = Bag::EMPTY;
    keep(&mut bag, "", fields);
    Ok(Message { place: raw.into(), role, parts, bag })
}

fn inference_config<'a>(
    mut config: Fields<'a>,
    conversation: &mut Conversation<'a>,
    bag: &mut Bag<'a>,
) -> Result<(), ReadError> {
    conversation.max_output = config.take("maxTokens")?.value();
    conversation.stop = config.take("stopSequences")?.value().unwrap_or_default();
    conversation.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        ..Sampling::NONE
    };
    keep(bag, "inferenceConfig", config);
    Ok(())
}

fn output_config<'a>(
    mut config: Fields<'a>,
    conversation: &mut Conversation<'a>,
    bag: &mut Bag<'a>,
) -> Result<(), ReadError> {
    if let Some(format) = config.take::<Fields<'a>>("textFormat")?.value() {
        conversation.format = Some(text_format(format, bag)?);
    }
    if let Some(effort) = config.take::<Placed<'a, Cow<'a, str>>>("effort")?.value() {
        match Effort::from_name(&effort.value) {
            Some(known) => {
                let effort = Some(Placed { value: known, place: effort.place });
                conversation.reasoning = ReasoningWish { effort, ..conversation.reasoning };
            }
            None => {
                if let Some(raw) = config.raw().get("effort") {
                    keep_field(bag, "outputConfig", "effort", raw);
                }
            }
        }
    }
    keep(bag, "outputConfig", config);
    Ok(())
}

/// The schema is a string of JSON, and the answer always matches it.
fn text_format<'a>(mut format: Fields<'a>, bag: &mut Bag<'a>) -> Result<Placed<'a, Format<'a>>, ReadError> {
    let raw = format.raw();
    let unknown = Ok(Placed { value: Format::Unknown(raw), place: raw.into() });
    if format.variant("type").as_deref() != Some("json_schema") {
        return unknown;
    }
    let Some(mut structure) = format.take::<Fields<'a>>("structure")?.value() else { return unknown };
    let Some(mut json) = structure.take::<Fields<'a>>("jsonSchema")?.value() else { return unknown };
    let Some(schema) = JsonText::parse(json.require("schema")?) else { return unknown };
    let (name, description) = (json.take("name")?.value(), json.take("description")?.value());
    keep(bag, "outputConfig/textFormat/structure/jsonSchema", json);
    keep(bag, "outputConfig/textFormat/structure", structure);
    keep(bag, "outputConfig/textFormat", format);
    let value = Format::JsonSchema { name, description, schema, strict: Some(true) };
    Ok(Placed { value, place: raw.into() })
}
