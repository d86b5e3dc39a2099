//! Items into canonical messages and parts: of a request's `input`, and of an answer's `output`.

use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError};

use super::bag_names;
use super::output_encode::is_made_up;
use super::parts_decode::{Tokens, content};
use crate::bags::append;
use crate::conversation::{
    CallKind, Image, MediaSource, Proof, ProofKind, Reasoning, TokenLogprob, ToolCall, ToolResult,
    media_type_of,
};
use crate::{Content, Message, Part, Role, tool_id};

/// What an item is.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A message of anybody but the model.
    Message(Message<'a>),
    /// A message of the model.
    Said(Vec<Part<'a>>),
    /// Something else that comes from the model: a call, reasoning, what a tool of the provider did.
    Made(Part<'a>),
    /// What a tool of the client's gave back.
    Result(Part<'a>),
    /// Something of which only its type is known.
    Other(Cow<'a, str>, Raw<'a>),
}

/// Reads one item.
///
/// # Errors
/// [`ReadError`] where a field that is understood is missing or wrongly typed.
pub(super) fn item<'a>(raw: Raw<'a>, tokens: Tokens<'_, 'a>) -> Result<Item<'a>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let name = match fields.variant("type") {
        Some(name) => name,
        None if fields.peek("role").is_some() => Cow::Borrowed("message"),
        None => Cow::Borrowed("item_reference"),
    };
    let part = match name.as_ref() {
        "message" => return message(fields, tokens),
        "function_call" => call(&mut fields, "arguments", CallKind::Function)?,
        "custom_tool_call" => call(&mut fields, "input", CallKind::Custom)?,
        "function_call_output" | "custom_tool_call_output" => return result(&name, fields),
        "reasoning" => return reasoning(fields),
        "image_generation_call" => match image(&mut fields) {
            Some(image) => Content::Image(image),
            None => return Ok(Item::Made(Part::new(raw, Content::Unknown { name, raw }))),
        },
        own if is_the_models(own) => {
            return Ok(Item::Made(Part::new(raw, Content::Unknown { name, raw })));
        }
        _ => return Ok(Item::Other(name, raw)),
    };
    Ok(Item::Made(Part { bag: fields.rest(), ..Part::new(raw, part) }))
}

/// Whether an item of a type that is not understood stands on the model's side of a conversation:
/// calls of tools that the provider has, and what it did with them.
fn is_the_models(name: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "mcp_list_tools",
        "mcp_approval_request",
        "tool_search_output",
        "program",
        "program_output",
        "compaction",
    ];
    name.ends_with("_call") || OTHERS.contains(&name)
}

fn message<'a>(mut fields: Fields<'a>, tokens: Tokens<'_, 'a>) -> Result<Item<'a>, ReadError> {
    let raw = fields.raw();
    let role: Cow<'a, str> = fields.require("role")?;
    let role = match role.as_ref() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => {
            let mut parts = match fields.take::<Raw<'a>>("content")?.value() {
                Some(raw) => content(raw, tokens)?,
                None => Vec::new(),
            };
            bag_names::mark_unknown(&mut parts);
            if let Some(first) = parts.first_mut() {
                append(&mut first.bag, fields.rest());
            }
            return Ok(Item::Said(parts));
        }
        _ => {
            let parts = vec![Part::new(raw, Content::Unknown { name: role.clone(), raw })];
            return Ok(Item::Message(Message::new(raw, Role::Other(role), parts)));
        }
    };
    let parts = content(fields.require("content")?, None)?;
    Ok(Item::Message(Message { place: raw.into(), role, parts, bag: fields.rest() }))
}

fn call<'a>(
    fields: &mut Fields<'a>,
    arguments: &'static str,
    kind: CallKind,
) -> Result<Content<'a>, ReadError> {
    Ok(Content::ToolCall(ToolCall {
        id: fields.take("call_id")?.value().unwrap_or_default(),
        name: original(fields.require("name")?),
        // Some servers send the object itself instead of its text.
        arguments: match fields.take::<Raw<'a>>(arguments)?.value() {
            Some(object) if object.kind() == Kind::Object => Cow::Borrowed(object.text()),
            Some(text) => text.str()?,
            None => Cow::Borrowed(""),
        },
        kind,
    }))
}

/// The name that a tool has where any name is legal.
pub(super) fn original(name: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&name) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => name,
    }
}

fn result<'a>(kind: &str, mut fields: Fields<'a>) -> Result<Item<'a>, ReadError> {
    let raw = fields.raw();
    let parts = match fields.take::<Raw<'a>>("output")?.value() {
        Some(output) => content(output, None)?,
        None => Vec::new(),
    };
    let result = ToolResult {
        call_id: fields.take("call_id")?.value().unwrap_or_default(),
        name: fields.take("name")?.value(),
        parts,
        is_error: false,
    };
    let mut bag = Bag::EMPTY;
    // Elsewhere the call of the same id tells what kind of result it is; the call need not be here.
    if kind == CUSTOM_OUTPUT
        && let Some(kind) = raw.get("type")
    {
        bag.push("type", kind);
    }
    append(&mut bag, fields.rest());
    Ok(Item::Result(Part { bag, ..Part::new(raw, Content::ToolResult(result)) }))
}

/// The type of a custom tool's result.
pub(super) const CUSTOM_OUTPUT: &str = "custom_tool_call_output";

fn reasoning(mut fields: Fields<'_>) -> Result<Item<'_>, ReadError> {
    let raw = fields.raw();
    let mut bag = Bag::EMPTY;
    let summary = texts(&mut fields, "summary", &mut bag)?;
    let text = texts(&mut fields, "content", &mut bag)?.into_iter().reduce(|text, more| text + more);
    let item_id: Option<Cow<'_, str>> = fields.take("id")?.value();
    let own_id = item_id.filter(|id| !is_made_up(id));
    let sealed = fields.take::<Cow<'_, str>>("encrypted_content")?.value().filter(|data| !data.is_empty());
    let (proof, id) = match sealed {
        Some(token) => {
            let (proof, id) = Proof::from_token(token, Proof::OPENAI, ProofKind::Sealed);
            (Some(proof), id.or(own_id))
        }
        None => (None, own_id),
    };
    append(&mut bag, fields.rest());
    let reasoning = Reasoning { id, text: text.unwrap_or_default(), summary, proof };
    Ok(Item::Made(Part { bag, ..Part::new(raw, Content::Reasoning(reasoning)) }))
}

/// The proof of an item of reasoning, and the provider's own id of it, where it tells them.
pub(super) fn proof_of(raw: Raw<'_>) -> Option<(Proof<'_>, Option<Cow<'_, str>>)> {
    match reasoning(Fields::read(raw).ok()?).ok()? {
        Item::Made(Part { content: Content::Reasoning(reasoning), .. }) => {
            Some((reasoning.proof?, reasoning.id))
        }
        _ => None,
    }
}

/// The texts of a list of `{type, text}`.
fn texts<'a>(
    fields: &mut Fields<'a>,
    name: &'static str,
    bag: &mut Bag<'a>,
) -> Result<Vec<Cow<'a, str>>, ReadError> {
    let mut texts = Vec::new();
    for mut piece in fields.take::<Vec<Fields<'a>>>(name)?.value().unwrap_or_default() {
        let _always_the_same: Option<Raw<'a>> = piece.offer("type");
        texts.push(piece.require("text")?);
        append(bag, piece.rest());
    }
    Ok(texts)
}

/// The image of a call that made one; `None` where there is none.
fn image<'a>(fields: &mut Fields<'a>) -> Option<Image<'a>> {
    let data = fields.offer::<Cow<'a, str>>("result").filter(|data| !data.is_empty())?;
    let format: Option<Cow<'a, str>> = fields.offer("output_format");
    let media_type = media_type_of(format.as_deref().unwrap_or("png")).unwrap_or("image/png");
    let source = MediaSource::Base64 { media_type: Cow::Borrowed(media_type), data };
    Some(Image { source, detail: None })
}

/// The messages that a list of items amounts to.
///
/// What the model says, thinks and calls in one turn becomes one message, as other protocols have it;
/// so do the results of one turn's calls, together with what the user says right after.
pub(super) fn messages(items: Vec<Item<'_>>) -> Vec<Message<'_>> {
    let mut turns = Turns::default();
    for item in items {
        turns.push(item);
    }
    turns.end()
}

/// Messages as they grow, item by item.
#[derive(Debug, Default)]
struct Turns<'a> {
    messages: Vec<Message<'a>>,
}

impl<'a> Turns<'a> {
    fn push(&mut self, item: Item<'a>) {
        match item {
            Item::Said(parts) => self.said(parts),
            Item::Made(part) => self.made(part),
            Item::Result(part) => self.result(part),
            Item::Message(message) => match self.messages.last_mut() {
                Some(last) if is_followed(last, &message) => last.parts.extend(message.parts),
                _ => self.messages.push(message),
            },
            Item::Other(name, raw) => {
                let part = Part::new(raw, Content::Unknown { name: name.clone(), raw });
                self.messages.push(Message::new(raw, Role::Other(name), vec![part]));
            }
        }
    }

    /// A message of the model belongs to the turn that has begun, unless that has a message already and
    /// no calls whose results are still to come. Two in a row without ids belong to no one answer.
    fn said(&mut self, parts: Vec<Part<'a>>) {
        let place = parts.first().map(|part| part.place).unwrap_or_default();
        let is_answers = parts.first().is_some_and(|first| bag_names::begins_item(&first.bag));
        let joins = |last: &&mut Message<'_>| {
            last.role == Role::Assistant && is_open(last) && (is_answers || !ends_said(last))
        };
        match self.messages.last_mut().filter(joins) {
            Some(last) => last.parts.extend(parts),
            None => self.messages.push(Message::new(place, Role::Assistant, parts)),
        }
    }

    fn made(&mut self, part: Part<'a>) {
        match self.messages.last_mut().filter(|last| last.role == Role::Assistant) {
            Some(last) => last.parts.push(part),
            None => self.messages.push(Message::new(part.place, Role::Assistant, vec![part])),
        }
    }

    fn result(&mut self, part: Part<'a>) {
        let only_results = |message: &&mut Message<'_>| {
            message.role == Role::User
                && message.parts.iter().all(|part| matches!(part.content, Content::ToolResult(_)))
                && !message.parts.is_empty()
        };
        match self.messages.last_mut().filter(only_results) {
            Some(last) => last.parts.push(part),
            None => self.messages.push(Message::new(part.place, Role::User, vec![part])),
        }
    }

    /// The messages. One with nothing but items that only this protocol knows is nobody's.
    fn end(mut self) -> Vec<Message<'a>> {
        for message in self.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
            let is_item = |part: &Part<'_>| {
                matches!(part.content, Content::Unknown { .. }) && !bag_names::is_in_message(part)
            };
            if message.parts.iter().all(is_item)
                && let Some(Part { content: Content::Unknown { name, .. }, .. }) = message.parts.first()
            {
                message.role = Role::Other(name.clone());
            }
        }
        self.messages
    }
}

/// Whether what the user says now belongs to the results in `last`. Only messages of tools have
/// results, so where the last part is one, all are.
fn is_followed(last: &Message<'_>, next: &Message<'_>) -> bool {
    let ends_with_result =
        last.parts.last().is_some_and(|part| matches!(part.content, Content::ToolResult(_)));
    ends_with_result && next.role == Role::User && next.bag.is_empty()
}

/// Whether another message of the model may still belong to this one.
fn is_open(message: &Message<'_>) -> bool {
    let has_calls = message.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    has_calls || !message.parts.iter().any(is_said)
}

fn ends_said(message: &Message<'_>) -> bool {
    message.parts.last().is_some_and(is_said)
}

fn is_said(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Text(_) | Content::Refusal(_)) || bag_names::is_in_message(part)
}

/// The items of a list.
///
/// # Errors
/// As [`item`].
pub(super) fn items(list: Raw<'_>) -> Result<Vec<Item<'_>>, ReadError> {
    list.items()?.map(|raw| item(raw, None)).collect()
}

/// The parts of an answer's items, in order. An item that is not what its type promises is kept whole.
pub(super) fn parts<'a>(
    output: Raw<'a>,
    tokens: &mut Vec<TokenLogprob<'a>>,
) -> Result<Vec<Part<'a>>, ReadError> {
    let mut parts = Vec::new();
    for raw in output.items()? {
        output_item(raw, tokens, &mut parts);
    }
    Ok(parts)
}

/// As [`parts`], of one item.
pub(super) fn output_item<'a>(raw: Raw<'a>, tokens: &mut Vec<TokenLogprob<'a>>, parts: &mut Vec<Part<'a>>) {
    let before = tokens.len();
    match item(raw, Some(tokens)) {
        Ok(Item::Said(said)) => parts.extend(said),
        Ok(Item::Made(part)) => parts.push(part),
        Ok(Item::Message(_) | Item::Result(_) | Item::Other(..)) | Err(_) => {
            tokens.truncate(before);
            let name = raw.get("type").and_then(|name| name.str().ok()).unwrap_or_default();
            parts.push(Part::new(raw, Content::Unknown { name, raw }));
        }
    }
}

/// One part of a message of an answer; `None` where it is not what its type promises.
pub(super) fn output_part<'a>(raw: Raw<'a>, tokens: &mut Vec<TokenLogprob<'a>>) -> Option<Part<'a>> {
    super::parts_decode::part(raw, Some(tokens)).ok()
}
