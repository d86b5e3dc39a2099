//! Requests that pass through to OpenAI as they are, after turns that other providers answered.
//!
//! OpenAI refuses encrypted reasoning that it has not made, and looks up reasoning without any by its id,
//! where it finds none of ours: <https://platform.openai.com/docs/guides/reasoning>. Ids of messages and
//! calls that we made up are of OpenAI's form and looked up by nobody: they stay.

use memchr::memmem;
use weighbridge_protocol::json::Raw;

use super::items_decode;
use super::output_encode::{MADE_REASONING, is_made_up};
use crate::amendment::{Item, list, quoted, with_fields};
use crate::conversation::{Proof, ProofKind};
use crate::{Amendment, Losses};

/// The fields that are written anew, if any are.
pub(super) fn amend<'a>(body: Raw<'a>, losses: &mut Losses<'a>) -> Vec<Amendment> {
    // Hardly any request has a mark of ours, and none but those is read at all.
    if !is_marked(body) {
        return Vec::new();
    }
    let input = body.get("input").and_then(|input| list(input, |raw| item(raw, losses)));
    input.map(|input| Amendment { field: "input", json: input.json }).into_iter().collect()
}

fn is_marked(raw: Raw<'_>) -> bool {
    let has = |mark: &str| memmem::find(raw.text().as_bytes(), mark.as_bytes()).is_some();
    has(Proof::MARK) || has(MADE_REASONING)
}

fn item<'a>(raw: Raw<'a>, losses: &mut Losses<'a>) -> Item {
    if !is_marked(raw) {
        return Item::Same;
    }
    let text = |name: &str| raw.get(name).and_then(|text| text.str().ok());
    let is_ours = text("id").is_some_and(|id| is_made_up(&id));
    match text("type").as_deref() {
        Some("item_reference") | None if is_ours && raw.get("role").is_none() => gone(raw, losses),
        Some("reasoning") => {
            let sealed = text("encrypted_content").unwrap_or_default();
            reasoning(raw, &sealed, is_ours, losses)
        }
        _ => Item::Same,
    }
}

fn reasoning<'a>(raw: Raw<'a>, sealed: &str, is_ours: bool, losses: &mut Losses<'a>) -> Item {
    if !sealed.starts_with(Proof::MARK) {
        return match (is_ours, sealed.is_empty()) {
            (false, _) => Item::Same,
            (true, true) => gone(raw, losses),
            // OpenAI's own, by way of a protocol without ids: the content names its own.
            (true, false) => Item::Other(with_fields(raw, &[("id", None)])),
        };
    }
    match items_decode::proof_of(raw) {
        // It only begins as a token does.
        Some((proof, _)) if proof.data == sealed => Item::Same,
        Some((proof, id)) if proof.is(Proof::OPENAI) && proof.kind == ProofKind::Sealed => {
            let (id, data) = (id.map(|id| quoted(&id)), quoted(&proof.data));
            Item::Other(with_fields(raw, &[("id", id.as_deref()), ("encrypted_content", Some(&data))]))
        }
        _ => gone(raw, losses),
    }
}

fn gone<'a>(raw: Raw<'a>, losses: &mut Losses<'a>) -> Item {
    losses.dropped(
        raw,
        "reasoning of another provider is not taken",
        "reasoning that another provider has encrypted",
    );
    Item::Gone
}
