//! Canonical messages, written as the items of a request's `input`.

use std::borrow::Cow;
use std::collections::VecDeque;

use weighbridge_protocol::json::{Array, Object};
use weighbridge_units::LossKind;

use super::items_decode::CUSTOM_OUTPUT;
use super::parts_encode::{self, expressible};
use super::{bag_names, citations};
use crate::conversation::{CallKind, Image, MediaSource, Proof, ProofKind, Reasoning, ToolCall, ToolResult};
use crate::{Content, Losses, Message, Part, Role, tool_id};

/// Writes items, and knows of those that it wrote what later ones need.
#[derive(Debug)]
pub(super) struct Items {
    /// Whether the provider takes marks for the prompt cache.
    marks: bool,
    calls: Calls,
    /// How many ids of messages were made up.
    messages: usize,
}

impl Items {
    /// No items yet, for a provider that takes marks for the prompt cache, or does not.
    pub(super) fn new(marks: bool) -> Self {
        Self { marks, calls: Calls::default(), messages: 0 }
    }

    pub(super) fn message<'a>(
        &mut self,
        message: &Message<'a>,
        list: &mut Array<'_>,
        losses: &mut Losses<'a>,
    ) {
        match &message.role {
            Role::System => self.written("system", message, &message.parts, list, losses),
            Role::Developer => self.written("developer", message, &message.parts, list, losses),
            Role::User => self.user(message, list, losses),
            Role::Assistant => {
                self.assistant(message, list, losses);
                losses.bag(&message.bag);
            }
            Role::Other(_) => {
                for part in &message.parts {
                    match &part.content {
                        Content::Unknown { raw, .. } if losses.is_same_protocol() => {
                            list.item().raw(raw.text());
                        }
                        Content::Unknown { name, raw } => losses.unknown(*raw, "role", name),
                        _ => {}
                    }
                }
            }
        }
    }

    /// A message of anybody but the model.
    fn written<'a>(
        &self,
        role: &str,
        message: &Message<'a>,
        parts: &[Part<'a>],
        list: &mut Array<'_>,
        losses: &mut Losses<'a>,
    ) {
        let kept = expressible(parts, losses);
        if kept.is_empty() && !parts.is_empty() {
            return losses.bag(&message.bag);
        }
        let mut object = list.item().object();
        object.key("role").string(role);
        parts_encode::content(&kept, self.marks, object.key("content"), losses);
        losses.write_bag(&message.bag, &mut object);
    }

    /// Results are items of their own; what stands between them is a message.
    fn user<'a>(&mut self, message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
        let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
        if message.parts.is_empty() {
            return self.written("user", message, &[], list, losses);
        }
        for run in message.parts.chunk_by(|a, b| !is_result(a) && !is_result(b)) {
            match run {
                [Part { content: Content::ToolResult(result), .. }] => {
                    self.result(&run[0], result, list, losses);
                }
                said => self.written("user", message, said, list, losses),
            }
        }
        if message.parts.iter().all(is_result) {
            losses.bag(&message.bag);
        }
    }

    fn result<'a>(
        &mut self,
        part: &Part<'a>,
        result: &ToolResult<'a>,
        list: &mut Array<'_>,
        losses: &mut Losses<'a>,
    ) {
        if result.is_error {
            losses.dropped(part.place, "that the tool failed cannot be said", "a flag on results of tools");
        }
        let (id, is_custom) = self.calls.result(result);
        let named_so = losses.is_same_protocol() && bag_names::entry(&part.bag, "type").is_some();
        let mut object = list.item().object();
        let is_custom = is_custom || named_so;
        object.key("type").string(if is_custom { CUSTOM_OUTPUT } else { "function_call_output" });
        object.key("call_id").string(&id);
        if let Some(name) = result.name.as_ref().filter(|_| losses.is_same_protocol() && !is_custom) {
            object.key("name").string(name);
        }
        let parts = expressible(&result.parts, losses);
        parts_encode::content(&parts, self.marks, object.key("output"), losses);
        losses.uncached(part.cache.as_ref());
        if !losses.is_same_protocol() {
            return losses.bag(&part.bag);
        }
        for (name, value) in part.bag.iter().filter(|(name, _)| *name != "type") {
            object.key(name).raw(value.text());
        }
    }

    /// What the model said, thought and called, in order.
    fn assistant<'a>(&mut self, message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
        let keeps_items = losses.is_same_protocol();
        let is_said = |part: &Part<'_>| {
            matches!(part.content, Content::Text(_) | Content::Refusal(_) | Content::Json(_))
                || keeps_items && bag_names::is_in_message(part)
        };
        let goes_on = |a: &Part<'_>, b: &Part<'_>| {
            is_said(a) && is_said(b) && !(keeps_items && bag_names::begins_item(&b.bag))
        };
        for run in message.parts.chunk_by(goes_on) {
            match run {
                [first, ..] if is_said(first) => self.said(run, list, losses),
                [part] => self.made(part, list, losses),
                _ => {}
            }
        }
    }

    fn made<'a>(&mut self, part: &Part<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
        match &part.content {
            Content::ToolCall(call) => {
                let mut object = list.item().object();
                let id = self.calls.call(call);
                self::call(call, &id, &mut object);
                losses.uncached(part.cache.as_ref());
                losses.write_bag(&part.bag, &mut object);
            }
            Content::Reasoning(reasoning) if is_own(reasoning) || losses.is_same_protocol() => {
                let mut object = list.item().object();
                sent_reasoning(reasoning, &mut object);
                losses.write_bag(&part.bag, &mut object);
            }
            Content::Image(image) if losses.is_same_protocol() => {
                let mut object = list.item().object();
                made_image(image, &mut object);
                losses.write_bag(&part.bag, &mut object);
            }
            Content::Image(_) => {
                losses.uncached(part.cache.as_ref());
                losses.dropped(
                    part.place,
                    "an image that the model made cannot be brought back",
                    "images in messages of the model",
                );
            }
            Content::Audio(audio) => match &audio.transcript {
                Some(transcript) => {
                    losses.report(
                        part.place,
                        LossKind::Approximated,
                        "what the model spoke stands as text",
                        "sound in messages of the model",
                    );
                    let mut object = list.item().object();
                    object.key("role").string("assistant");
                    object.key("content").string(transcript);
                }
                None => parts_encode::report(part, losses),
            },
            Content::Unknown { raw, .. } if losses.is_same_protocol() => list.item().raw(raw.text()),
            _ => parts_encode::report(part, losses),
        }
    }

    /// A message of the model. The short form has a string as content and needs no id; the long one is
    /// that of answers.
    fn said<'a>(&mut self, run: &[Part<'a>], list: &mut Array<'_>, losses: &mut Losses<'a>) {
        let is_refusal = |part: &Part<'_>| matches!(part.content, Content::Refusal(_));
        let is_cited = |part: &Part<'a>| {
            let Content::Text(text) = &part.content else { return false };
            text.citations.iter().any(|citation| citations::is_expressible(citation, losses))
        };
        let names = ["id", "status"];
        let has_fields = |part: &Part<'_>| {
            losses.is_same_protocol() && names.iter().any(|name| bag_names::entry(&part.bag, name).is_some())
        };
        let is_long = run.iter().any(|part| {
            is_refusal(part) || is_cited(part) || has_fields(part) || bag_names::is_in_message(part)
        });
        let mut object = list.item().object();
        if is_long {
            object.key("type").string("message");
        }
        object.key("role").string("assistant");
        let bag = run.first().map(|first| &first.bag);
        if !is_long {
            let text: String = run.iter().map(said_text).collect();
            object.key("content").string(&text);
            for part in run {
                if let Content::Text(text) = &part.content {
                    losses.uncited(&text.citations);
                }
                losses.uncached(part.cache.as_ref());
                bag_names::write_item_fields(&part.bag, &mut object, losses);
                if !losses.is_same_protocol() {
                    losses.bag(&part.bag);
                }
            }
            return;
        }
        let mut content = object.key("content").array();
        for part in run {
            match &part.content {
                Content::Unknown { raw, .. } => content.item().raw(raw.text()),
                _ => output_part(part, &mut content.item().object(), losses),
            }
        }
        drop(content);
        let has =
            |name| losses.is_same_protocol() && bag.and_then(|bag| bag_names::entry(bag, name)).is_some();
        if !has("id") {
            self.messages += 1;
            object.key("id").string(&format!("msg_{}", self.messages));
        }
        if !has("status") {
            object.key("status").string("completed");
        }
        if let Some(bag) = bag {
            bag_names::write_item_fields(bag, &mut object, losses);
        }
    }
}

fn said_text<'p>(part: &'p Part<'_>) -> &'p str {
    match &part.content {
        Content::Text(text) => &text.text,
        Content::Json(json) => json.text(),
        Content::Refusal(text) => text,
        _ => "",
    }
}

/// A part of a message of the model in its long form.
fn output_part<'a>(part: &Part<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    match &part.content {
        Content::Refusal(text) => {
            object.key("type").string("refusal");
            object.key("refusal").string(text);
        }
        _ => {
            object.key("type").string("output_text");
            let text = said_text(part);
            object.key("text").string(text);
            let cited = match &part.content {
                Content::Text(text) => text.citations.as_slice(),
                _ => &[],
            };
            citations::write(text, cited, object.key("annotations"), losses);
        }
    }
    losses.uncached(part.cache.as_ref());
    bag_names::write_part_fields(&part.bag, object, losses);
}

/// Whether the provider accepts reasoning: it is encrypted, by the provider itself.
fn is_own(reasoning: &Reasoning<'_>) -> bool {
    reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::OPENAI) && proof.kind == ProofKind::Sealed)
}

/// Writes reasoning for the provider. An id that is made up spoils the encrypted content, which names
/// its own: without one the item has none.
fn sent_reasoning(reasoning: &Reasoning<'_>, object: &mut Object<'_>) {
    let token = reasoning.proof.as_ref().map(|proof| proof.token(Proof::OPENAI, ProofKind::Sealed, None));
    reasoning_item(reasoning, reasoning.id.as_deref(), token.as_deref(), object);
}

/// Writes reasoning for a client, as the item `item_id`. Where that is not the provider's own id of it,
/// the encrypted content tells this as well: see [`Proof::token`].
pub(super) fn answered_reasoning(reasoning: &Reasoning<'_>, item_id: &str, object: &mut Object<'_>) {
    let other = reasoning.id.as_deref().filter(|id| *id != item_id);
    let token = reasoning.proof.as_ref().map(|proof| proof.token(Proof::OPENAI, ProofKind::Sealed, other));
    reasoning_item(reasoning, Some(item_id), token.as_deref(), object);
}

fn reasoning_item(
    reasoning: &Reasoning<'_>,
    id: Option<&str>,
    encrypted: Option<&str>,
    object: &mut Object<'_>,
) {
    object.key("type").string("reasoning");
    if let Some(id) = id {
        object.key("id").string(id);
    }
    let mut summary = object.key("summary").array();
    for piece in &reasoning.summary {
        let mut part = summary.item().object();
        part.key("type").string("summary_text");
        part.key("text").string(piece);
    }
    drop(summary);
    if !reasoning.text.is_empty() {
        let mut content = object.key("content").array();
        let mut part = content.item().object();
        part.key("type").string("reasoning_text");
        part.key("text").string(&reasoning.text);
    }
    if let Some(encrypted) = encrypted {
        object.key("encrypted_content").string(encrypted);
    }
}

/// The fields of a call, the same in requests and answers. Names have the alphabet of ids.
pub(super) fn call(call: &ToolCall<'_>, id: &str, object: &mut Object<'_>) {
    match call.kind {
        CallKind::Function => {
            object.key("type").string("function_call");
            object.key("call_id").string(id);
            object.key("name").string(&tool_id::legal(&call.name));
            // Nothing at all is not JSON, and clients parse this.
            let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
            object.key("arguments").string(arguments);
        }
        CallKind::Custom => {
            object.key("type").string("custom_tool_call");
            object.key("call_id").string(id);
            object.key("name").string(&tool_id::legal(&call.name));
            object.key("input").string(&call.arguments);
        }
    }
}

/// An image that a tool of the provider made.
pub(super) fn made_image(image: &Image<'_>, object: &mut Object<'_>) {
    object.key("type").string("image_generation_call");
    if let MediaSource::Base64 { media_type, data } = &image.source {
        object.key("result").string(data);
        object.key("output_format").string(crate::conversation::format_of(media_type).unwrap_or("png"));
    }
}

/// The calls of a request: where a protocol has no ids for them, each gets one here, and its result
/// the same.
#[derive(Debug, Default)]
struct Calls {
    made: usize,
    /// Name, id and kind of the calls whose results have not come.
    open: VecDeque<(String, String, CallKind)>,
}

impl Calls {
    fn call<'c>(&mut self, call: &'c ToolCall<'_>) -> Cow<'c, str> {
        let id = match call.id.is_empty() {
            true => Cow::Owned(self.next()),
            false => Cow::Borrowed(call.id.as_ref()),
        };
        self.open.push_back((call.name.as_ref().to_owned(), id.as_ref().to_owned(), call.kind));
        id
    }

    /// The id of a result's call, and whether the call was of a custom tool. A result without an id
    /// belongs to the first call that has none yet: of its name, where it has one.
    fn result<'r>(&mut self, result: &'r ToolResult<'_>) -> (Cow<'r, str>, bool) {
        let is_its = |(name, id, _): &(String, String, CallKind)| match result.call_id.is_empty() {
            true => result.name.as_ref().is_none_or(|own| own == name),
            false => result.call_id == *id,
        };
        let call = self.open.iter().position(is_its).and_then(|place| self.open.remove(place));
        let is_custom = call.as_ref().is_some_and(|(_, _, kind)| *kind == CallKind::Custom);
        let id = match (result.call_id.is_empty(), call) {
            (false, _) => Cow::Borrowed(result.call_id.as_ref()),
            (true, Some((_, id, _))) => Cow::Owned(id),
            (true, None) => Cow::Owned(self.next()),
        };
        (id, is_custom)
    }

    fn next(&mut self) -> String {
        self.made += 1;
        format!("call_{}", self.made)
    }
}
