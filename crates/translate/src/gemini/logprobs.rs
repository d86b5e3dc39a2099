//! `logprobsResult`: <https://ai.google.dev/api/generate-content#LogprobsResult>.
//!
//! The tokens of the answer and the likeliest tokens at each place are two lists side by side.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Bag, Fields, Object, Raw};

use super::nested::nest;
use crate::Losses;
use crate::conversation::TokenLogprob;

/// Takes the tokens of a candidate; what is left over goes to the bag.
pub(super) fn take<'a>(candidate: &mut Fields<'a>, bag: &mut Bag<'a>) -> Vec<TokenLogprob<'a>> {
    let Some(mut result) = candidate.offer::<Fields<'a>>("logprobsResult") else { return Vec::new() };
    let object = result.raw();
    let tokens = tokens(&mut result);
    nest(bag, "logprobsResult", object, result.rest());
    tokens
}

/// The tokens of a result.
pub(super) fn tokens<'a>(result: &mut Fields<'a>) -> Vec<TokenLogprob<'a>> {
    let chosen: Vec<Raw<'a>> = result.offer("chosenCandidates").unwrap_or_default();
    let top: Vec<Raw<'a>> = result.offer("topCandidates").unwrap_or_default();
    let likeliest = |index: usize| -> Vec<TokenLogprob<'a>> {
        let list = top.get(index).and_then(|raw| raw.get("candidates")?.items().ok());
        list.into_iter().flatten().filter_map(|raw| token(raw, Vec::new())).collect()
    };
    chosen.iter().enumerate().filter_map(|(index, raw)| token(*raw, likeliest(index))).collect()
}

fn token<'a>(raw: Raw<'a>, top: Vec<TokenLogprob<'a>>) -> Option<TokenLogprob<'a>> {
    let mut fields = Fields::read(raw).ok()?;
    let token: Cow<'a, str> = fields.offer("token").unwrap_or_default();
    let logprob = fields.number("logProbability").ok()?;
    Some(TokenLogprob { place: raw.into(), token, logprob, bytes: None, top, bag: fields.rest() })
}

/// Writes the fields of a result.
pub(super) fn write<'a>(tokens: &[TokenLogprob<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
    let mut chosen = object.key("chosenCandidates").array();
    for token in tokens {
        write_token(token, &mut chosen, losses);
    }
    drop(chosen);
    if tokens.iter().any(|token| !token.top.is_empty()) {
        let mut top = object.key("topCandidates").array();
        for token in tokens {
            let mut place = top.item().object();
            let mut list = place.key("candidates").array();
            token.top.iter().for_each(|likely| write_token(likely, &mut list, losses));
        }
    }
}

fn write_token<'a>(token: &TokenLogprob<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    candidate(token, list, |bag, object| losses.write_bag(bag, object));
    if !is_told_by_text(token) {
        losses.dropped(token.place, "the bytes of a token are told by its text alone", "bytes of tokens");
    }
}

/// Writes one token; `rest` takes care of what is not understood.
pub(super) fn candidate<'a>(
    token: &TokenLogprob<'a>,
    list: &mut Array<'_>,
    rest: impl FnOnce(&Bag<'a>, &mut Object<'_>),
) {
    let mut object = list.item().object();
    object.key("token").string(&token.token);
    if let Some(logprob) = token.logprob {
        object.key("logProbability").raw(logprob.text());
    }
    rest(&token.bag, &mut object);
}

/// Whether a token's bytes are those of its text, which is not the case where it is a piece of a
/// character.
pub(super) fn is_told_by_text(token: &TokenLogprob<'_>) -> bool {
    let Some(bytes) = token.bytes.and_then(|raw| raw.items().ok()) else { return true };
    bytes.map(|byte| byte.u64().ok()).eq(token.token.bytes().map(|byte| Some(u64::from(byte))))
}
