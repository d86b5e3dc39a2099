//! Requests that pass through to Google as they are, after turns that other providers answered.
//!
//! Google refuses signatures that it has not made, and models from Gemini 3 on a turn whose first call
//! has none: <https://ai.google.dev/gemini-api/docs/thought-signatures>.

use std::borrow::Cow;

use memchr::memmem;
use weighbridge_protocol::gemini::models::thinks_in_levels;
use weighbridge_protocol::json::Raw;

use super::signature::{self, SKIP, TOKEN_START};
use crate::amendment::{Item, list, quoted, with_fields};
use crate::conversation::Proof;
use crate::{Amendment, Losses};

/// Both spellings that Google takes.
const NAMES: [&str; 2] = ["thoughtSignature", "thought_signature"];

/// The fields that are written anew, if any are.
pub(super) fn amend<'a>(body: Raw<'a>, model: &str, losses: &mut Losses<'a>) -> Vec<Amendment> {
    // Hardly any request has a mark of ours, and none but those is read at all.
    if !is_marked(body) {
        return Vec::new();
    }
    let wants_signatures = thinks_in_levels(model);
    let contents = body
        .get("contents")
        .and_then(|contents| list(contents, |raw| content(raw, wants_signatures, losses)));
    contents.map(|contents| Amendment { field: "contents", json: contents.json }).into_iter().collect()
}

fn is_marked(raw: Raw<'_>) -> bool {
    memmem::find(raw.text().as_bytes(), TOKEN_START.as_bytes()).is_some()
}

/// A message without foreign signatures. One of which no part is left is left out.
fn content<'a>(raw: Raw<'a>, wants_signatures: bool, losses: &mut Losses<'a>) -> Item {
    let mut is_due = wants_signatures;
    let parts = raw.get("parts").filter(|_| is_marked(raw));
    match parts.and_then(|parts| list(parts, |raw| part(raw, &mut is_due, losses))) {
        None => Item::Same,
        Some(parts) if parts.is_empty => Item::Gone,
        Some(parts) => Item::Other(with_fields(raw, &[("parts", Some(&parts.json))])),
    }
}

/// `is_due`: whether the model demands a signature of the next call.
fn part<'a>(raw: Raw<'a>, is_due: &mut bool, losses: &mut Losses<'a>) -> Item {
    let is_call = raw.get("functionCall").or_else(|| raw.get("function_call")).is_some();
    let skips = is_call && std::mem::take(is_due);
    let skip = || quoted(SKIP);
    let signed = NAMES.into_iter().find_map(|name| Some((name, raw.get(name)?)));
    let Some((name, place)) = signed else {
        return if skips { Item::Other(with_fields(raw, &[(NAMES[0], Some(&skip()))])) } else { Item::Same };
    };
    let text = text_of(place);
    if !signature::is_token(&text) {
        return Item::Same;
    }
    let Some((proof, _)) = signature::read(text) else { return Item::Same };
    if proof.is(Proof::GEMINI) {
        // What only begins as a token is its own data.
        if proof.data == text_of(place) {
            return Item::Same;
        }
        // It came by way of a protocol in which it has an id.
        return Item::Other(with_fields(raw, &[(name, Some(&quoted(&proof.data)))]));
    }
    losses.dropped(
        place,
        "only Google's own signatures are accepted",
        "proofs of reasoning by other providers",
    );
    let says_something = raw.get("text").is_none_or(|text| !matches!(text.text(), "\"\"" | "null"));
    match (is_call, says_something) {
        (true, _) if skips => Item::Other(with_fields(raw, &[(name, Some(&skip()))])),
        // A part that only was the place of its signature.
        (false, false) => Item::Gone,
        _ => Item::Other(with_fields(raw, &[(name, None)])),
    }
}

fn text_of(raw: Raw<'_>) -> Cow<'_, str> {
    raw.str().unwrap_or_default()
}
