//! Canonical parts, written: of messages, of instructions, and of answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use weighbridge_protocol::json::{Array, Kind, Object, Raw, ScanLimits, Writer};
use weighbridge_units::LossKind;

use super::nested::Leftovers;
use super::{call_ids, media_encode, signature, tool_results};
use crate::conversation::{CallKind, MediaSource, Proof, Reasoning, ToolCall};
use crate::{Content, Losses, Part};

/// Whom parts are written for: that decides which proofs of reasoning they may have.
pub(super) enum Reader<'n> {
    /// A model of Google's, which takes no proofs but its own.
    Model {
        /// The tools' names by the ids of their calls.
        names: BTreeMap<&'n str, &'n str>,
        /// Whether the model refuses a turn whose first call has no signature.
        wants_signatures: bool,
    },
    /// A client, which brings everything back.
    Client,
}

/// Splits parts into those that can be written and those that are reported as lost.
pub(super) fn expressible<'p, 'a>(
    parts: impl IntoIterator<Item = &'p Part<'a>>,
    losses: &mut Losses<'a>,
) -> Vec<&'p Part<'a>> {
    let mut kept = Vec::new();
    for part in parts {
        match why_not(part, losses) {
            Ok(()) => kept.push(part),
            Err(reason) => {
                match (&part.content, reason) {
                    (Content::Unknown { name, raw }, _) => losses.unknown(*raw, "content", name),
                    (_, Some(reason)) => losses.dropped(part.place, reason, "such content"),
                    (_, None) => {}
                }
                losses.uncached(part.cache.as_ref());
                losses.bag(&part.bag);
            }
        }
    }
    kept
}

/// Why a part cannot be written; without a reason, because it says nothing.
fn why_not(part: &Part<'_>, losses: &Losses<'_>) -> Result<(), Option<&'static str>> {
    let says = |text: &str| if text.is_empty() && !losses.is_same_protocol() { Err(None) } else { Ok(()) };
    match &part.content {
        Content::Text(text) => says(&text.text),
        Content::Refusal(text) => says(text),
        Content::Reasoning(reasoning) => {
            let is_empty =
                reasoning.text.is_empty() && reasoning.summary.is_empty() && reasoning.proof.is_none();
            if is_empty { Err(None) } else { Ok(()) }
        }
        Content::Json(_) | Content::ToolCall(_) | Content::ToolResult(_) => Ok(()),
        Content::Unknown { .. } if losses.is_same_protocol() => Ok(()),
        Content::Unknown { .. } => Err(Some("it is of a kind that only its protocol knows")),
        _ => media_encode::why_not(&part.content, losses).map_err(Some),
    }
}

/// Writes parts that are [`expressible`].
pub(super) fn write<'a>(
    parts: &[&Part<'a>],
    reader: &Reader<'_>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) {
    // A signature waits for the part that it belongs to.
    let mut waiting: Option<Cow<'_, str>> = None;
    let mut is_first_call = true;
    for part in parts {
        match &part.content {
            Content::Reasoning(reasoning) => {
                if let Some(signature) = waiting.take() {
                    thought("", Some(&signature), list);
                }
                waiting = self::reasoning(part, reasoning, reader, list, losses);
            }
            Content::Unknown { raw, .. } => {
                if let Some(signature) = waiting.take() {
                    alone(&signature, list);
                }
                list.item().raw(raw.text());
            }
            content => {
                let mut object = list.item().object();
                self::part(part, reader, &mut object, losses);
                let is_call = matches!(content, Content::ToolCall(_));
                let is_refused = is_call && std::mem::take(&mut is_first_call);
                match waiting.take() {
                    Some(signature) => object.key("thoughtSignature").string(&signature),
                    None if is_refused && !has_signature(part, losses) => skip(reader, &mut object, losses),
                    None => {}
                }
            }
        }
    }
    if let Some(signature) = waiting {
        alone(&signature, list);
    }
}

/// A signature that belongs to no part of those that follow.
fn alone(signature: &str, list: &mut Array<'_>) {
    let mut object = list.item().object();
    object.key("text").string("");
    object.key("thoughtSignature").string(signature);
}

fn thought(text: &str, signature: Option<&str>, list: &mut Array<'_>) {
    let mut object = list.item().object();
    object.key("text").string(text);
    object.key("thought").bool(true);
    if let Some(signature) = signature {
        object.key("thoughtSignature").string(signature);
    }
}

/// Whether the bag of a call holds what stands for a signature.
fn has_signature(part: &Part<'_>, losses: &Losses<'_>) -> bool {
    losses.is_same_protocol() && part.bag.iter().any(|(name, _)| name == "thoughtSignature")
}

/// The first call of a turn that some other model made.
fn skip(reader: &Reader<'_>, object: &mut Object<'_>, losses: &Losses<'_>) {
    if let Reader::Model { wants_signatures: true, .. } = reader
        && !losses.is_same_protocol()
    {
        object.key("thoughtSignature").string(signature::SKIP);
    }
}

/// Writes reasoning that can be read, and returns the signature of a part that is to follow.
fn reasoning<'p, 'a>(
    part: &Part<'a>,
    reasoning: &'p Reasoning<'a>,
    reader: &Reader<'_>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) -> Option<Cow<'p, str>> {
    losses.uncached(part.cache.as_ref());
    let signature = signature_of(part, reasoning, reader, losses);
    let is_thought = losses.is_same_protocol() && part.bag.iter().any(|(name, _)| name == "thought");
    if !reasoning.summary.is_empty() {
        losses.report(
            part.place,
            LossKind::Approximated,
            "a summary stands as the thought itself, in one piece",
            "summaries beside thoughts",
        );
    }
    let text = reasoning.visible();
    let left = Leftovers::new(&part.bag, losses);
    if text.is_empty() && !is_thought {
        if part.bag.is_empty() || !losses.is_same_protocol() {
            return signature;
        }
        let mut object = list.item().object();
        object.key("text").string("");
        if let Some(signature) = signature {
            object.key("thoughtSignature").string(&signature);
        }
        left.write_outside(&mut object);
        return None;
    }
    let mut object = list.item().object();
    object.key("text").string(&text);
    if !is_thought {
        object.key("thought").bool(true);
    }
    if let Some(signature) = signature {
        object.key("thoughtSignature").string(&signature);
    }
    left.write_outside(&mut object);
    None
}

fn signature_of<'p, 'a>(
    part: &Part<'a>,
    reasoning: &'p Reasoning<'a>,
    reader: &Reader<'_>,
    losses: &mut Losses<'a>,
) -> Option<Cow<'p, str>> {
    let proof = reasoning.proof.as_ref()?;
    match reader {
        Reader::Client => Some(signature::write(proof, reasoning.id.as_deref())),
        Reader::Model { .. } if proof.is(Proof::GEMINI) => Some(Cow::Borrowed(proof.data.as_ref())),
        Reader::Model { .. } => {
            losses.dropped(
                part.place,
                "only Google's own signatures are accepted",
                "proofs of reasoning by other providers",
            );
            None
        }
    }
}

/// Writes the fields of one part.
fn part<'a>(part: &Part<'a>, reader: &Reader<'_>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    match &part.content {
        Content::Text(text) => {
            object.key("text").string(&text.text);
            if let Reader::Model { .. } = reader {
                losses.uncited(&text.citations);
            }
        }
        Content::Json(json) => object.key("text").string(json.text()),
        Content::Refusal(text) => {
            losses.report(
                part.place,
                LossKind::Approximated,
                "a refusal stands as ordinary text",
                "a part for refusals",
            );
            object.key("text").string(text);
        }
        Content::ToolCall(_) | Content::ToolResult(_) => {}
        _ => return medium(part, object, losses),
    }
    losses.uncached(part.cache.as_ref());
    let left = Leftovers::new(&part.bag, losses);
    match &part.content {
        Content::ToolCall(call) => function_call(part, call, &left, object, losses),
        Content::ToolResult(result) => {
            let name = match (&result.name, reader) {
                (Some(name), _) => name.as_ref(),
                (None, Reader::Model { names, .. }) => {
                    names.get(result.call_id.as_ref()).copied().unwrap_or_default()
                }
                (None, Reader::Client) => "",
            };
            tool_results::write(part, result, named(part, name, losses), &left, object, losses);
        }
        _ => {}
    }
    left.write_outside(object);
}

/// Google demands the name of the tool with its result.
fn named<'n, 'a>(part: &Part<'a>, name: &'n str, losses: &mut Losses<'a>) -> &'n str {
    if !name.is_empty() || losses.is_same_protocol() {
        return name;
    }
    losses.report(
        part.place,
        LossKind::Defaulted,
        "no call has the id of this result, so nobody knows the name of its tool",
        "results without the name of their tool",
    );
    "unknown"
}

/// Writes a part of bytes or of a file.
pub(super) fn medium<'a>(part: &Part<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
    if let Content::Unknown { raw, .. } = &part.content {
        // Only the fields: the object is there already.
        for (name, value) in weighbridge_protocol::json::Fields::read(*raw)
            .map(weighbridge_protocol::json::Fields::rest)
            .unwrap_or_default()
            .iter()
        {
            object.key(name).raw(value.text());
        }
        return;
    }
    losses.uncached(part.cache.as_ref());
    let left = Leftovers::new(&part.bag, losses);
    media_encode::write(part, &left, object, losses);
    left.write_outside(object);
}

fn function_call<'a>(
    part: &Part<'a>,
    call: &ToolCall<'a>,
    left: &Leftovers<'_, 'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    if call.kind == CallKind::Custom {
        losses.report(
            part.place,
            LossKind::Approximated,
            "the call of a tool that takes free text stands as a call of a function",
            "tools that take free text",
        );
    }
    let mut inner = object.key("functionCall").object();
    id(&call.id, &mut inner);
    inner.key("name").string(&call.name);
    let arguments = arguments(&call.arguments);
    if let Cow::Owned(_) = arguments
        && call.kind == CallKind::Function
    {
        losses.report(
            part.place,
            LossKind::Approximated,
            "the arguments are no JSON object: their text stands in its field `arguments`",
            "arguments of any form",
        );
    }
    inner.key("args").raw(&arguments);
    left.write_inside("functionCall", &mut inner);
}

/// The id of a call, unless it was made because there is none.
pub(super) fn id(id: &str, object: &mut Object<'_>) {
    if !id.is_empty() && !call_ids::is_made(id) {
        object.key("id").string(id);
    }
}

/// The arguments as the JSON object that the format demands: the very text, where it is one.
pub(super) fn arguments(arguments: &str) -> Cow<'_, str> {
    if arguments.trim_ascii().is_empty() {
        return Cow::Borrowed("{}");
    }
    match Raw::parse(arguments, &ScanLimits::default()) {
        Ok(raw) if raw.kind() == Kind::Object => Cow::Borrowed(raw.text()),
        _ => {
            let mut wrapped = Vec::new();
            Writer::new(&mut wrapped).object().key("arguments").string(arguments);
            Cow::Owned(String::from_utf8(wrapped).unwrap_or_default())
        }
    }
}

/// Whether media can be fetched by whoever is told the address.
pub(super) fn is_reachable(source: &MediaSource<'_>, losses: &Losses<'_>) -> bool {
    match source {
        MediaSource::Base64 { data, .. } => !data.is_empty(),
        MediaSource::Url { url, .. } => !url.starts_with("data:"),
        MediaSource::File { .. } => losses.is_same_protocol(),
    }
}
