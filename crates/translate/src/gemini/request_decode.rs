//! Requests into the canonical conversation. <https://ai.google.dev/api/generate-content>

use std::borrow::Cow;

use weighbridge_protocol::gemini::{MODEL, names};
use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};
use weighbridge_units::Protocol;

use super::call_ids::CallIds;
use super::nested::nest;
use super::schema::json_schema;
use super::{content_decode, wishes_decode};
use crate::bags::append;
use crate::conversation::{AllowedMode, JsonText, ServiceTier, Tool, ToolChoice, ToolKind};
use crate::{Content, Conversation, Message, Part, Placed, Role};

pub(super) fn decode(body: Raw<'_>) -> Result<Conversation<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut conversation = Conversation::new(Protocol::GeminiGenerateContent);
    // The route names the model; counting tokens repeats it in the body.
    conversation.model = fields.take("model")?.value().unwrap_or_default();
    if let Some(raw) = names::take::<Raw<'_>>(&mut fields, "systemInstruction", "system_instruction")? {
        conversation.messages.extend(instruction(raw)?);
    }
    let mut ids = CallIds::default();
    for raw in contents(&mut fields)? {
        conversation.messages.push(message(raw, &mut ids)?);
    }
    if let Some(config) = names::take(&mut fields, "generationConfig", "generation_config")? {
        wishes_decode::generation_config(config, &mut conversation)?;
    }
    if let Some(raw) = fields.take::<Raw<'_>>("tools")?.value() {
        conversation.tools = tools(raw, &mut conversation.bag)?;
    }
    if let Some(config) = names::take(&mut fields, "toolConfig", "tool_config")? {
        tool_config(config, &mut conversation)?;
    }
    let tier: Option<Placed<'_, Cow<'_, str>>> = names::take(&mut fields, "serviceTier", "service_tier")?;
    conversation.service_tier = tier.map(service_tier);
    conversation.metadata = fields.take("labels")?.value();
    conversation.store = fields.take("store")?.value();
    append(&mut conversation.bag, fields.rest());
    Ok(conversation)
}

fn service_tier<'a>(tier: Placed<'a, Cow<'a, str>>) -> Placed<'a, ServiceTier<'a>> {
    let value = match tier.value.to_ascii_lowercase().as_str() {
        "unspecified" => ServiceTier::Auto,
        // Google's SDKs write them in either case.
        known @ ("standard" | "flex" | "priority") => ServiceTier::named(Cow::Owned(known.to_owned())),
        _ => ServiceTier::Other(tier.value),
    };
    Placed { value, place: tier.place }
}

/// `contents`: a list, one content alone, or a text.
fn contents<'a>(fields: &mut Fields<'a>) -> Result<Vec<Raw<'a>>, ReadError> {
    let raw: Raw<'a> = fields.require("contents")?;
    match raw.kind() {
        Kind::Array => Ok(raw.items()?.collect()),
        Kind::Object | Kind::String => Ok(vec![raw]),
        _ => Err(ReadError::new(raw, "a list of contents")),
    }
}

fn message<'a>(raw: Raw<'a>, ids: &mut CallIds<'a>) -> Result<Message<'a>, ReadError> {
    if raw.kind() == Kind::String {
        ids.other();
        return Ok(Message::new(raw, Role::User, vec![text(raw)?]));
    }
    let mut fields = Fields::read(raw)?;
    let role: Cow<'a, str> = fields.take("role")?.value().unwrap_or(Cow::Borrowed("user"));
    let role = match role.as_ref() {
        MODEL => Role::Assistant,
        // The name that results of tools once came under.
        "user" | "function" | "tool" => Role::User,
        _ => {
            let parts = vec![Part::new(raw, Content::Unknown { name: role.clone(), raw })];
            return Ok(Message::new(raw, Role::Other(role), parts));
        }
    };
    if role == Role::Assistant {
        ids.model();
    } else {
        ids.other();
    }
    let parts = match fields.take::<Raw<'a>>("parts")?.value() {
        Some(parts) => content_decode::parts(parts, Some(ids))?,
        None => Vec::new(),
    };
    Ok(Message { place: raw.into(), role, parts, bag: fields.rest() })
}

fn text(raw: Raw<'_>) -> Result<Part<'_>, ReadError> {
    Ok(Part::new(raw, Content::Text(raw.str()?.into())))
}

/// `systemInstruction`: a content whose role means nothing, or a text.
fn instruction(raw: Raw<'_>) -> Result<Option<Message<'_>>, ReadError> {
    if raw.kind() == Kind::String {
        return Ok(Some(Message::new(raw, Role::System, vec![text(raw)?])));
    }
    let mut fields = Fields::read(raw)?;
    let parts = match fields.take::<Raw<'_>>("parts")?.value() {
        Some(parts) => content_decode::parts(parts, None)?,
        None => Vec::new(),
    };
    let bag = fields.rest();
    let says_something = !parts.is_empty() || !bag.is_empty();
    Ok(says_something.then(|| Message { place: raw.into(), role: Role::System, parts, bag }))
}

/// `tools`: each holds any number of functions, and of tools that Google runs.
fn tools<'a>(raw: Raw<'a>, bag: &mut Bag<'a>) -> Result<Vec<Tool<'a>>, ReadError> {
    let items: Vec<Raw<'_>> = match raw.kind() {
        Kind::Object => vec![raw],
        _ => raw.items()?.collect(),
    };
    let mut tools = Vec::new();
    for item in items {
        let mut fields = Fields::read(item)?;
        let functions: Option<Raw<'_>> =
            names::take(&mut fields, "functionDeclarations", "function_declarations")?;
        match functions {
            Some(one) if one.kind() == Kind::Object => tools.push(function(one)?),
            Some(list) => {
                for raw in list.items()? {
                    tools.push(function(raw)?);
                }
            }
            None => {}
        }
        let rest = fields.rest();
        for (name, raw) in rest.superseded() {
            bag.push_superseded(name.to_owned(), raw);
        }
        for (name, raw) in rest.iter().filter(|(_, raw)| !raw.is_null()) {
            let kind = ToolKind::Unknown { name: Cow::Owned(name.to_owned()), raw };
            tools.push(Tool { place: raw.into(), kind, cache: None, bag: Bag::EMPTY });
        }
    }
    Ok(tools)
}

fn function(raw: Raw<'_>) -> Result<Tool<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = fields.require("name")?;
    let description: Option<Cow<'_, str>> = fields.take("description")?.value();
    let json: Option<Raw<'_>> = names::take(&mut fields, "parametersJsonSchema", "parameters_json_schema")?;
    let own: Option<Raw<'_>> = fields.take("parameters")?.value();
    let mut bag = Bag::EMPTY;
    if let Some(own) = own {
        // Goes back in the form in which it came.
        bag.push("parameters", own);
    }
    let kind = ToolKind::Function {
        name,
        // An empty text is the same as no field.
        description: description.filter(|text| !text.is_empty()),
        parameters: json.map(JsonText::from).or(own.map(json_schema)),
        strict: None,
    };
    append(&mut bag, fields.rest());
    Ok(Tool { place: raw.into(), kind, cache: None, bag })
}

fn tool_config<'a>(mut config: Fields<'a>, conversation: &mut Conversation<'a>) -> Result<(), ReadError> {
    let object = config.raw();
    let calling: Option<Fields<'a>> =
        names::take(&mut config, "functionCallingConfig", "function_calling_config")?;
    nest(&mut conversation.bag, "toolConfig", object, config.rest());
    let Some(mut calling) = calling else { return Ok(()) };
    let object = calling.raw();
    let mode: Option<Cow<'a, str>> = calling.take("mode")?.value();
    let names: Vec<Cow<'a, str>> =
        names::take(&mut calling, "allowedFunctionNames", "allowed_function_names")?.unwrap_or_default();
    let rest = calling.rest();
    let choice = match (mode.unwrap_or_default().to_ascii_uppercase().as_str(), names.as_slice()) {
        ("" | "MODE_UNSPECIFIED", []) => None,
        ("AUTO", []) => Some(ToolChoice::Auto),
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", []) => Some(ToolChoice::Required),
        ("ANY", [name]) => Some(ToolChoice::Named(name.clone())),
        ("ANY", _) => Some(ToolChoice::Allowed { mode: AllowedMode::Required, names }),
        ("VALIDATED", []) => {
            for tool in &mut conversation.tools {
                if let ToolKind::Function { strict, .. } = &mut tool.kind {
                    *strict = Some(true);
                }
            }
            Some(ToolChoice::Auto)
        }
        ("VALIDATED", _) => Some(ToolChoice::Allowed { mode: AllowedMode::Auto, names }),
        _ => Some(ToolChoice::Unknown(object)),
    };
    if !matches!(choice, Some(ToolChoice::Unknown(_))) {
        nest(&mut conversation.bag, "functionCallingConfig", object, rest);
    }
    conversation.tool_choice = choice.map(|value| Placed { value, place: object.into() });
    Ok(())
}
