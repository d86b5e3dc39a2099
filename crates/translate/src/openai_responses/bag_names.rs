//! Names of what is kept in bags although it stood inside another object.
//!
//! A node has one bag. What is left of an object inside it (`reasoning`, `text`) is kept there under a
//! name with a dot, so that the same protocol can put it back.

use weighbridge_protocol::json::{Bag, Fields, Object, Raw};

use crate::Losses;
use crate::conversation::{Content, Part};

/// Objects inside a node whose leftovers are kept.
pub(super) const REASONING: &str = "reasoning.";
pub(super) const TEXT: &str = "text.";
pub(super) const FORMAT: &str = "text.format.";
pub(super) const STREAM_OPTIONS: &str = "stream_options.";
pub(super) const TOOL_CHOICE: &str = "tool_choice.";
pub(super) const BREAKPOINT: &str = "prompt_cache_breakpoint.";
pub(super) const INCOMPLETE: &str = "incomplete_details.";
pub(super) const AUDIO: &str = "input_audio.";

/// A field with an entry for each of its items that is not understood.
pub(super) const INCLUDE: &str = "include";

/// Those of a request.
const OF_REQUEST: [&str; 5] = [REASONING, TEXT, FORMAT, STREAM_OPTIONS, TOOL_CHOICE];

/// The fields of an item that holds parts. They are kept in the bag of its first part, and tell where
/// an item begins.
const OF_ITEM: [&str; 3] = ["id", "status", "phase"];

/// What an answer repeats of its request, under the name that it has in the answer's bag. None of it
/// is lost when it is left out: the client has said it.
const ECHOED: [&str; 27] = [
    "request.access_programs",
    "request.background",
    "request.conversation",
    "request.frequency_penalty",
    "request.image",
    "request.instructions",
    "request.max_output_tokens",
    "request.max_tool_calls",
    "request.metadata",
    "request.parallel_tool_calls",
    "request.presence_penalty",
    "request.previous_response_id",
    "request.prompt",
    "request.prompt_cache_key",
    "request.prompt_cache_options",
    "request.prompt_cache_retention",
    "request.reasoning",
    "request.safety_identifier",
    "request.store",
    "request.temperature",
    "request.text",
    "request.tool_choice",
    "request.tools",
    "request.top_logprobs",
    "request.top_p",
    "request.truncation",
    "request.user",
];

const REQUEST: &str = "request.";

/// Whether an entry of an answer's bag repeats the request.
pub(super) fn is_echo(name: &str) -> bool {
    name.starts_with(REQUEST)
}

/// Moves what an answer repeats of its request to its bag.
pub(super) fn take_echo<'a>(fields: &mut Fields<'a>, bag: &mut Bag<'a>) {
    for name in ECHOED {
        let Some(own) = name.strip_prefix(REQUEST) else { continue };
        if let Some(value) = fields.offer::<Raw<'a>>(own) {
            bag.push(name, value);
        }
    }
}

/// The value of an answer's field that repeats the request, if the answer's bag has it.
pub(super) fn echoed<'a>(bag: &Bag<'a>, own: &str) -> Option<Raw<'a>> {
    bag.iter().find(|(name, _)| name.strip_prefix(REQUEST) == Some(own)).map(|(_, value)| value)
}

/// Keeps what is left of an object inside a node.
pub(super) fn keep<'a>(bag: &mut Bag<'a>, inside: &str, rest: Bag<'a>) {
    for (name, value) in rest.iter() {
        bag.push(format!("{inside}{name}"), value);
    }
    for (name, value) in rest.superseded() {
        bag.push_superseded(format!("{inside}{name}"), value);
    }
}

/// What a bag keeps of the object `inside`, under the object's own names.
pub(super) fn kept<'b, 'a>(bag: &'b Bag<'a>, inside: &'b str) -> impl Iterator<Item = (&'b str, Raw<'a>)> {
    bag.iter().filter_map(move |(name, value)| {
        // `text.format.x` is not a field of `text`.
        let own = name.strip_prefix(inside)?;
        (!own.contains('.')).then_some((own, value))
    })
}

/// Writes back what a bag keeps of the object `inside`, if the target is the same protocol.
pub(super) fn write_kept<'a>(bag: &Bag<'a>, inside: &str, object: &mut Object<'_>, losses: &Losses<'a>) {
    if losses.is_same_protocol() {
        for (name, value) in kept(bag, inside) {
            object.key(name).raw(value.text());
        }
    }
}

/// Writes the bag of a request back, but for what it keeps of inner objects, or reports it.
pub(super) fn write_request<'a>(bag: &Bag<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if !losses.is_same_protocol() {
        return losses.bag(bag);
    }
    losses.superseded(bag);
    let is_inner = |name: &str| name == INCLUDE || OF_REQUEST.iter().any(|inside| name.starts_with(inside));
    for (name, value) in bag.iter().filter(|(name, _)| !is_inner(name)) {
        object.key(name).raw(value.text());
    }
}

/// Marks a part of no known type that stood in a message of the model: an item of no known type has none.
pub(super) const IN_MESSAGE: &str = "message.part";

/// Remembers of the parts of a message that they stood in one, where their content does not tell.
pub(super) fn mark_unknown(parts: &mut [Part<'_>]) {
    for part in parts {
        if let Content::Unknown { raw, .. } = part.content {
            part.bag.push(IN_MESSAGE, raw);
        }
    }
}

/// Whether a part of no known type stood in a message of the model.
pub(super) fn is_in_message(part: &Part<'_>) -> bool {
    matches!(part.content, Content::Unknown { .. }) && entry(&part.bag, IN_MESSAGE).is_some()
}

/// Whether a part's bag says that an item begins with it.
pub(super) fn begins_item(bag: &Bag<'_>) -> bool {
    bag.iter().any(|(name, _)| OF_ITEM.contains(&name))
}

/// Writes the fields of the item that begins with a part.
pub(super) fn write_item_fields<'a>(bag: &Bag<'a>, object: &mut Object<'_>, losses: &Losses<'a>) {
    if losses.is_same_protocol() {
        for (name, value) in bag.iter().filter(|(name, _)| OF_ITEM.contains(name)) {
            object.key(name).raw(value.text());
        }
    }
}

/// Writes the fields of a part itself, or reports the whole bag.
pub(super) fn write_part_fields<'a>(bag: &Bag<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if !losses.is_same_protocol() {
        return losses.bag(bag);
    }
    losses.superseded(bag);
    let is_inner = |name: &str| name.starts_with(BREAKPOINT) || name.starts_with(AUDIO);
    let is_other = |name: &str| OF_ITEM.contains(&name) || is_inner(name);
    for (name, value) in bag.iter().filter(|(name, _)| !is_other(name)) {
        object.key(name).raw(value.text());
    }
}

/// The value of a bag's entry.
pub(super) fn entry<'a>(bag: &Bag<'a>, wanted: &str) -> Option<Raw<'a>> {
    bag.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
}
