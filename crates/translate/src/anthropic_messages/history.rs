//! Requests that pass through to Anthropic as they are, after turns that other providers answered.
//!
//! A client brings back what it was given, without knowing who made it. Anthropic refuses reasoning
//! that it has not signed, and sources that its own search has not found:
//! <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>.

use memchr::memmem;
use weighbridge_protocol::json::{Raw, ScanLimits};

use super::{blocks_decode, citations, plan, request_decode};
use crate::amendment::{Item, list, quoted, with_fields};
use crate::conversation::{Content, Proof, Reasoning};
use crate::{Amendment, Losses, Message};

/// The fields that are written anew, if any are.
pub(super) fn amend<'a>(body: Raw<'a>, losses: &mut Losses<'a>) -> Vec<Amendment> {
    // Hardly any request has a mark of ours, and none but those is read at all.
    if !is_marked(body) {
        return Vec::new();
    }
    let messages = body.get("messages").and_then(|messages| list(messages, |raw| message(raw, losses)));
    let Some(messages) = messages else { return Vec::new() };
    let mut amendments = Vec::new();
    let budget = body.get("thinking").filter(|thinking| thinking.get("budget_tokens").is_some());
    if let Some(thinking) = budget.filter(|_| has_unproven_calls(&messages.json)) {
        plan::report_unproven_calls(thinking.into(), losses);
        amendments.push(Amendment { field: "thinking", json: r#"{"type":"disabled"}"#.to_owned() });
    }
    amendments.push(Amendment { field: "messages", json: messages.json });
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

/// A message without what Anthropic refuses. One that consists of nothing else is left out.
fn message<'a>(raw: Raw<'a>, losses: &mut Losses<'a>) -> Item {
    let content = raw.get("content").filter(|_| is_marked(raw));
    match content.and_then(|content| list(content, |raw| block(raw, losses))) {
        None => Item::Same,
        Some(blocks) if blocks.is_empty => Item::Gone,
        Some(blocks) => Item::Other(with_fields(raw, &[("content", Some(&blocks.json))])),
    }
}

fn block<'a>(raw: Raw<'a>, losses: &mut Losses<'a>) -> Item {
    if !is_marked(raw) {
        return Item::Same;
    }
    match blocks_decode::block(raw).map(|part| part.content) {
        Ok(Content::Reasoning(reasoning)) => self::reasoning(raw, &reasoning, losses),
        Ok(Content::Text(_)) => text(raw, losses),
        _ => Item::Same,
    }
}

fn reasoning<'a>(raw: Raw<'a>, reasoning: &Reasoning<'a>, losses: &mut Losses<'a>) -> Item {
    let name = if raw.get("data").is_some() { "data" } else { "signature" };
    let token = raw.get(name).and_then(|token| token.str().ok()).unwrap_or_default();
    let own = reasoning.proof.as_ref().filter(|proof| proof.is(Proof::ANTHROPIC));
    match own {
        _ if !token.starts_with(Proof::MARK) => Item::Same,
        // It only begins as a token does.
        Some(proof) if proof.data == token => Item::Same,
        // It came by way of a router, under a name of the router's.
        Some(proof) => Item::Other(with_fields(raw, &[(name, Some(&quoted(&proof.data)))])),
        None => {
            losses.dropped(
                raw,
                "reasoning of another provider is not taken",
                "reasoning with the signature of another provider",
            );
            Item::Gone
        }
    }
}

/// A text without sources that Anthropic's own search has not found.
fn text<'a>(raw: Raw<'a>, losses: &mut Losses<'a>) -> Item {
    let is_foreign = |citation: Raw<'_>| {
        let index = citation.get("encrypted_index").and_then(|index| index.str().ok());
        index.is_some_and(|index| index == citations::FOREIGN_INDEX)
    };
    let citations = raw.get("citations").and_then(|citations| {
        list(citations, |citation| {
            if !is_foreign(citation) {
                return Item::Same;
            }
            losses.dropped(
                citation,
                "sources are taken only from a search of the provider's",
                "sources of other providers",
            );
            Item::Gone
        })
    });
    match citations {
        Some(own) => Item::Other(with_fields(raw, &[("citations", Some(&own.json))])),
        None => Item::Same,
    }
}
