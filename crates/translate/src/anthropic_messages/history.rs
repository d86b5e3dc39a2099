//! Requests that pass through to Anthropic as they are, after turns that other providers answered.
//!
//! A client brings back what it was given, without knowing who made it. Anthropic refuses reasoning
//! that it has not signed, and sources that its own search has not found:
//! <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>.

use memchr::memmem;
use weighbridge_protocol::json::{Array, Fields, Raw, ScanLimits, Writer};

use super::{blocks_decode, citations, plan, request_decode};
use crate::conversation::{Content, Proof, Reasoning};
use crate::{Amendment, Losses, Message};

/// The fields that are written anew, if any are.
pub(super) fn amend<'a>(body: Raw<'a>, losses: &mut Losses<'a>) -> Vec<Amendment> {
    // Hardly any request has a mark of ours, and none but those is read at all.
    if !is_marked(body) {
        return Vec::new();
    }
    let Some(list) = body.get("messages").and_then(|list| list.items().ok()) else { return Vec::new() };
    let mut out = Vec::with_capacity(body.text().len());
    let mut messages = Writer::new(&mut out).array();
    let mut changed = false;
    for raw in list {
        changed |= message(raw, &mut messages, losses);
    }
    drop(messages);
    let Some(json) = String::from_utf8(out).ok().filter(|_| changed) else { return Vec::new() };
    let mut amendments = Vec::new();
    let budget = body.get("thinking").filter(|thinking| thinking.get("budget_tokens").is_some());
    if let Some(thinking) = budget.filter(|_| has_unproven_calls(&json)) {
        plan::report_unproven_calls(thinking.into(), losses);
        amendments.push(Amendment { field: "thinking", json: r#"{"type":"disabled"}"#.to_owned() });
    }
    amendments.push(Amendment { field: "messages", json });
    amendments
}

fn is_marked(raw: Raw<'_>) -> bool {
    memmem::find(raw.text().as_bytes(), Proof::MARK.as_bytes()).is_some()
}

fn has_unproven_calls(messages: &str) -> bool {
    let list = Raw::parse(messages, &ScanLimits::default()).ok().and_then(|list| list.items().ok());
    let messages: Vec<Message<'_>> =
        list.into_iter().flatten().filter_map(|raw| request_decode::message(raw).ok()).collect();
    plan::has_unproven_calls(&messages)
}

/// Writes a message without what Anthropic refuses, and says whether there was any. A message that
/// consists of nothing else is left out.
fn message<'a>(raw: Raw<'a>, messages: &mut Array<'_>, losses: &mut Losses<'a>) -> bool {
    let fields = Fields::read(raw).ok().filter(|_| is_marked(raw));
    let blocks = fields.and_then(|fields| fields.peek("content")?.items().ok());
    let Some(blocks) = blocks else {
        messages.item().raw(raw.text());
        return false;
    };
    let mut out = Vec::with_capacity(raw.text().len());
    let mut list = Writer::new(&mut out).array();
    let (mut changed, mut left) = (false, false);
    for block in blocks {
        let (differs, stays) = self::block(block, &mut list, losses);
        changed |= differs;
        left |= stays;
    }
    drop(list);
    if !changed {
        messages.item().raw(raw.text());
    } else if left {
        let content = String::from_utf8(out).unwrap_or_default();
        with_field(raw, "content", &content, messages);
    }
    changed
}

/// Writes a block, and says whether it differs, and whether it is there at all.
fn block<'a>(raw: Raw<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) -> (bool, bool) {
    if !is_marked(raw) {
        list.item().raw(raw.text());
        return (false, true);
    }
    match blocks_decode::block(raw).map(|part| part.content) {
        Ok(Content::Reasoning(reasoning)) => self::reasoning(raw, &reasoning, list, losses),
        Ok(Content::Text(_)) => (text(raw, list, losses), true),
        _ => {
            list.item().raw(raw.text());
            (false, true)
        }
    }
}

fn reasoning<'a>(
    raw: Raw<'a>,
    reasoning: &Reasoning<'a>,
    list: &mut Array<'_>,
    losses: &mut Losses<'a>,
) -> (bool, bool) {
    let name = if raw.get("data").is_some() { "data" } else { "signature" };
    let token = raw.get(name).and_then(|token| token.str().ok()).unwrap_or_default();
    let own = reasoning.proof.as_ref().filter(|proof| proof.is(Proof::ANTHROPIC));
    match own {
        _ if !token.starts_with(Proof::MARK) => {
            list.item().raw(raw.text());
            (false, true)
        }
        // It came by way of a router, under a name of the router's.
        Some(proof) => {
            let mut data = Vec::new();
            Writer::new(&mut data).string(&proof.data);
            with_field(raw, name, &String::from_utf8(data).unwrap_or_default(), list);
            (true, true)
        }
        None => {
            losses.dropped(
                raw,
                "reasoning of another provider is not taken",
                "reasoning with the signature of another provider",
            );
            (true, false)
        }
    }
}

/// A text without sources that Anthropic's own search has not found.
fn text<'a>(raw: Raw<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) -> bool {
    let all = raw.get("citations").and_then(|list| list.items().ok()).into_iter().flatten();
    let is_foreign = |citation: &Raw<'_>| {
        let index = citation.get("encrypted_index").and_then(|index| index.str().ok());
        index.is_some_and(|index| index == citations::FOREIGN_INDEX)
    };
    let (foreign, own): (Vec<Raw<'a>>, Vec<Raw<'a>>) = all.partition(is_foreign);
    if foreign.is_empty() {
        list.item().raw(raw.text());
        return false;
    }
    for citation in foreign {
        losses.dropped(
            citation,
            "sources are taken only from a search of the provider's",
            "sources of other providers",
        );
    }
    let own: Vec<&str> = own.into_iter().map(Raw::text).collect();
    with_field(raw, "citations", &format!("[{}]", own.join(",")), list);
    true
}

/// An object with another value of one field.
fn with_field(raw: Raw<'_>, field: &str, json: &str, list: &mut Array<'_>) {
    let mut object = list.item().object();
    for (name, value) in Fields::read(raw).map(Fields::rest).unwrap_or_default().iter() {
        object.key(name).raw(if name == field { json } else { value.text() });
    }
}
