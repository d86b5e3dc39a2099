//! Canonical parts, written as content blocks: of messages, of results of tools, and of answers.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Kind, Object, Raw, ScanLimits, Writer};
use weighbridge_units::LossKind;

use super::cache_mark::{Among, Marks};
use super::{citations, media_encode};
use crate::conversation::{
    Audio, CallKind, Citation, Proof, ProofKind, Reasoning, Text, ToolCall, ToolResult,
};
use crate::{Content, Losses, Part, tool_id, tool_name};

/// Where blocks are written: not everything may stand everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// In instructions: text.
    System,
    /// In a message of the user, or in the result of a tool.
    User,
    /// In a message of the model that a request repeats.
    Assistant,
    /// In an answer.
    Answer,
}

/// What the writing of blocks depends on.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) place: Where,
    /// Whether the provider opens addresses.
    pub(super) addresses: bool,
    pub(super) marks: Marks,
}

impl Blocks {
    pub(super) const ANSWER: Self = Self { place: Where::Answer, addresses: true, marks: Marks::NONE };

    /// Writes `content`: as a string where it is one text, as a list of blocks otherwise.
    pub(super) fn content<'a>(&mut self, parts: &[&Part<'a>], writer: Writer<'_>, losses: &mut Losses<'a>) {
        if let [Part { content: Content::Text(text), bag, cache: None, .. }] = parts
            && !losses.keeps(bag)
            && text.citations.is_empty()
        {
            losses.bag(bag);
            return writer.string(&text.text);
        }
        let mut list = writer.array();
        for part in parts {
            self.block(part, &mut list, losses);
        }
    }

    /// Splits parts into those that will be blocks and those that are reported as lost.
    pub(super) fn expressible<'p, 'a: 'p>(
        &self,
        parts: impl IntoIterator<Item = &'p Part<'a>>,
        losses: &mut Losses<'a>,
    ) -> Vec<&'p Part<'a>> {
        let mut kept = Vec::new();
        for part in parts {
            match self.lost(part, losses.is_same_protocol()) {
                None => kept.push(part),
                Some(lost) => report(part, lost, losses),
            }
        }
        kept
    }

    /// Why a part will be no block, if so.
    fn lost(&self, part: &Part<'_>, same: bool) -> Option<Lost> {
        let lost = |reason, needed| Some(Lost::Because { reason, needed });
        match &part.content {
            // Empty texts are refused by the provider, and say nothing.
            Content::Text(text) if text.text.is_empty() => Some(Lost::Nothing),
            Content::Refusal(text) if text.is_empty() => Some(Lost::Nothing),
            Content::Text(_) | Content::Refusal(_) | Content::Json(_) => None,
            Content::Unknown { .. } => (!same).then_some(Lost::Unknown),
            _ if self.place == Where::System => {
                lost("instructions are text only", "such content in instructions")
            }
            Content::Reasoning(reasoning) => self.lost_reasoning(reasoning, same),
            Content::ToolCall(_) => None,
            Content::ToolResult(_) if self.place == Where::Answer => IN_ANSWERS,
            Content::ToolResult(_) => None,
            Content::Audio(Audio { transcript: Some(_), .. }) => None,
            Content::Audio(_) => lost("sound is not taken", "sound"),
            Content::Video(_) => lost("films are not taken", "films"),
            Content::Image(_) | Content::Document(_) if self.place == Where::Answer => IN_ANSWERS,
            Content::Image(_) | Content::Document(_) if self.place == Where::Assistant => {
                if same {
                    None
                } else {
                    lost("only the user can send it", "such content in messages of the model")
                }
            }
            Content::Image(image) => media_encode::lost_image(image, self.addresses, same),
            Content::Document(document) => media_encode::lost_document(document, self.addresses, same),
        }
    }

    /// A client is shown all reasoning, and brings every proof back. A provider takes its own proofs.
    fn lost_reasoning(&self, reasoning: &Reasoning<'_>, same: bool) -> Option<Lost> {
        let is_own = reasoning.proof.as_ref().is_some_and(|proof| proof.is(Proof::ANTHROPIC));
        if same || is_own {
            return None;
        }
        if self.place == Where::Answer {
            let is_empty = reasoning.visible().is_empty() && reasoning.proof.is_none();
            return is_empty.then_some(Lost::Nothing);
        }
        Some(match reasoning.proof {
            None => Lost::Because {
                reason: "reasoning is taken only with a signature of the provider",
                needed: "reasoning without a signature",
            },
            Some(_) => Lost::Because {
                reason: "reasoning of another provider is not taken",
                needed: "reasoning with the signature of another provider",
            },
        })
    }

    /// Writes a part that is [`Self::expressible`].
    pub(super) fn block<'a>(&mut self, part: &Part<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
        if let Content::Unknown { raw, .. } = &part.content {
            return list.item().raw(raw.text());
        }
        let mut object = list.item().object();
        match &part.content {
            Content::Text(text) => {
                text_block(&text.text, &mut object);
                self.citations(text, &mut object, losses);
            }
            Content::Json(json) => text_block(json.text(), &mut object),
            Content::Refusal(text) => {
                losses.report(
                    part.place,
                    LossKind::Approximated,
                    "a refusal stands as ordinary text",
                    "a part for refusals",
                );
                text_block(text, &mut object);
            }
            Content::Audio(audio) => {
                losses.report(
                    part.place,
                    LossKind::Approximated,
                    "the words of a sound stand in its place",
                    "sound",
                );
                text_block(audio.transcript.as_deref().unwrap_or_default(), &mut object);
            }
            Content::Image(image) => media_encode::image(image, &mut object, losses),
            Content::Document(document) => self.document(document, &mut object, losses),
            Content::ToolCall(call) => tool_use(call, &tool_id::legal(&call.id), part, &mut object, losses),
            Content::ToolResult(result) => self.tool_result(result, &mut object, losses),
            Content::Reasoning(thought) => reasoning(part, thought, &mut object, losses),
            Content::Video(_) | Content::Unknown { .. } => {}
        }
        self.marks.write(part.cache.as_ref(), Among::Messages, &mut object, losses);
        losses.write_bag(&part.bag, &mut object);
    }

    /// A history's citations are its own provider's: they need what only that one gives.
    fn citations<'a>(&self, text: &Text<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
        let same = losses.is_same_protocol();
        if self.place != Where::Answer && !same {
            return losses.uncited(&text.citations);
        }
        let kept: Vec<&Citation<'a>> =
            text.citations.iter().filter(|citation| citations::lost(citation, same).is_none()).collect();
        for citation in &text.citations {
            if let Some(why) = citations::lost(citation, same) {
                losses.dropped(citation.place, why, "citations of such sources");
            }
        }
        if kept.is_empty() {
            return;
        }
        let mut list = object.key("citations").array();
        for citation in kept {
            if citation.span.is_some_and(|span| span.start > 0 || span.end < text.text.chars().count() as u64)
            {
                losses.report(
                    citation.place,
                    LossKind::Approximated,
                    "a source supports its whole block, not a stretch of it",
                    "sources of a stretch of text",
                );
            }
            let mut object = list.item().object();
            citations::write(citation, same, &mut object);
            losses.write_bag(&citation.bag, &mut object);
        }
    }

    fn tool_result<'a>(&mut self, result: &ToolResult<'a>, object: &mut Object<'_>, losses: &mut Losses<'a>) {
        object.key("type").string("tool_result");
        object.key("tool_use_id").string(&tool_id::legal(&result.call_id));
        let parts = self.expressible(&result.parts, losses);
        if !parts.is_empty() {
            self.content(&parts, object.key("content"), losses);
        }
        if result.is_error {
            object.key("is_error").bool(true);
        }
    }
}

/// Why a part is no block.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lost {
    /// It says nothing.
    Nothing,
    /// Only its own protocol knows it.
    Unknown,
    Because {
        reason: &'static str,
        needed: &'static str,
    },
}

const IN_ANSWERS: Option<Lost> =
    Some(Lost::Because { reason: "it cannot stand in an answer", needed: "such parts in an answer" });

fn report<'a>(part: &Part<'a>, lost: Lost, losses: &mut Losses<'a>) {
    // In some protocols the mark is no field of what it marks, but stands behind it.
    if let Some(mark) = &part.cache {
        losses.dropped(mark.place, "what it marks is left out", "the content that is marked");
    }
    match (lost, &part.content) {
        (Lost::Unknown, Content::Unknown { name, raw }) => losses.unknown(*raw, "content", name),
        (Lost::Because { reason, needed }, _) => losses.dropped(part.place, reason, needed),
        _ => losses.bag(&part.bag),
    }
}

fn text_block(text: &str, object: &mut Object<'_>) {
    object.key("type").string("text");
    object.key("text").string(text);
}

/// Reasoning as a block that a client brings back: what can be read, and the proof. Encrypted
/// reasoning without a text has a block of its own.
fn reasoning<'a>(
    part: &Part<'a>,
    reasoning: &Reasoning<'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    let text = reasoning.visible();
    let id = reasoning.id.as_deref();
    match &reasoning.proof {
        Some(proof) if text.is_empty() && proof.kind == ProofKind::Sealed => {
            object.key("type").string("redacted_thinking");
            object.key("data").string(&proof.token(Proof::ANTHROPIC, ProofKind::Sealed, id));
        }
        proof => {
            if !reasoning.summary.is_empty() {
                losses.report(
                    part.place,
                    LossKind::Approximated,
                    "a summary stands as the text of the reasoning",
                    "summaries of reasoning",
                );
            }
            object.key("type").string("thinking");
            object.key("thinking").string(&text);
            let token = match proof {
                Some(proof) => proof.token(Proof::ANTHROPIC, ProofKind::Signature, id),
                None if losses.is_same_protocol() && id.is_none() => Cow::Borrowed(""),
                None => Cow::Owned(Proof::unproven(id)),
            };
            object.key("signature").string(&token);
        }
    }
}

/// Writes a call of a tool under an id that the format accepts.
pub(super) fn tool_use<'a>(
    call: &ToolCall<'a>,
    id: &str,
    part: &Part<'a>,
    object: &mut Object<'_>,
    losses: &mut Losses<'a>,
) {
    object.key("type").string("tool_use");
    object.key("id").string(id);
    object.key("name").string(&tool_name::legal(&call.name, call.kind));
    if call.kind == CallKind::Custom {
        return tool_name::write_custom(&call.arguments, &mut object.key("input").object());
    }
    let input = input(&call.arguments);
    if let Cow::Owned(_) = input {
        losses.report(
            part.place,
            LossKind::Approximated,
            "the arguments are no JSON object: their text stands in its field `arguments`",
            "arguments of any form",
        );
    }
    object.key("input").raw(&input);
}

/// The arguments as the JSON object that the format demands: the very text, where it is one.
fn input(arguments: &str) -> Cow<'_, str> {
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
