//! What a request says to the strategies of its route: only what one of them wants to know.

use std::sync::Arc;

use weighbridge_pricing::ServiceTier;
use weighbridge_routing::{Demand, Needs, stable_hash};
use weighbridge_units::{Bucket, NanoUsd, Usage};

use crate::compiled::{Deployment, ModelRoute};
use crate::exchange::Exchange;
use crate::settings::AffinityBy;

/// The tokens of an answer that is expected to be no longer than its cap: a guess that is the same for every target,
/// so that it decides only between a dear prompt and a dear answer.
const ANSWER_EXPECTED: u64 = 500;
/// What is hashed of each part of a prompt's beginning, in bytes.
const PART_MOST: usize = 4_096;
/// The most messages that a prompt begins with.
const FIRST_MESSAGES: usize = 4;

/// What the strategies of a route want to know; `None` where none of them wants anything.
pub(crate) fn demand(exchange: &Exchange, route: &ModelRoute) -> Option<Demand> {
    let needs = route.route.needs();
    if needs == Needs::default() {
        return None;
    }
    let prompt = weighbridge_tokens::estimate(exchange.body.bytes().len() as u64);
    let cap = exchange.envelope.max_output;
    let answer = match exchange.vectors {
        Some(_) => 0,
        None => {
            cap.unwrap_or(ANSWER_EXPECTED).min(ANSWER_EXPECTED).saturating_mul(exchange.envelope.candidates)
        }
    };
    let affinity = needs.affinity.then(|| affinity(exchange, &route.affinity)).flatten();
    let costs = match needs.costs && route.deployments.len() > 1 {
        true => costs(exchange, &route.deployments, prompt, answer),
        false => Box::default(),
    };
    Some(Demand { affinity, tokens: prompt.saturating_add(answer), costs })
}

/// What the request is expected to cost at each deployment, by the price book in force.
fn costs(
    exchange: &Exchange,
    deployments: &[Arc<Deployment>],
    prompt: u64,
    answer: u64,
) -> Box<[Option<NanoUsd>]> {
    let tier = ServiceTier::from_wire(exchange.envelope.service_tier.as_deref());
    let (prices, at) = (exchange.core().prices.load(), exchange.wall());
    let mut usage = Usage::new().with(Bucket::Input, prompt);
    if answer > 0 {
        usage.set(Bucket::Output, answer);
    }
    let cost = |deployment: &Deployment| {
        let card = prices.book.find(&deployment.provider.price_as, &deployment.model, tier, at)?;
        Some(card.cost(&usage).ok()?.posted)
    };
    deployments.iter().map(|deployment| cost(deployment)).collect()
}

fn affinity(exchange: &Exchange, by: &AffinityBy) -> Option<u64> {
    // What callers name themselves is told apart by the caller.
    let key = exchange.principal.key().id.get();
    let own = |text: &str| {
        (!text.is_empty()).then(|| stable_hash(text.as_bytes()) ^ stable_hash(&key.to_be_bytes()))
    };
    match by {
        AffinityBy::Key => Some(stable_hash(&key.to_be_bytes())),
        AffinityBy::User => own(exchange.draft.record.end_user.as_deref()?),
        AffinityBy::Header(name) => own(exchange.client_headers.get(name)?.to_str().ok()?),
        AffinityBy::Prefix => prefix(exchange),
    }
}

/// A hash of what the prompt begins with, the same for every turn of a conversation: the system prompt, and the
/// messages up to the user's first one. Or of what the client wants to be kept together by:
/// <https://platform.openai.com/docs/guides/prompt-caching>.
fn prefix(exchange: &Exchange) -> Option<u64> {
    if exchange.vectors.is_some() {
        return None;
    }
    let body = &exchange.body;
    if let Some(key) =
        body.get("prompt_cache_key").and_then(|key| key.str().ok()).filter(|key| !key.is_empty())
    {
        return Some(stable_hash(key.as_bytes()));
    }
    let part = |text: &str| stable_hash(text.as_bytes().get(..PART_MOST).unwrap_or(text.as_bytes()));
    let mut hash = None;
    let mut add = |text: &str| {
        let both = [hash.unwrap_or(0_u64).to_be_bytes(), part(text).to_be_bytes()];
        hash = Some(stable_hash(both.as_flattened()));
    };
    let system = ["system", "instructions", "systemInstruction", "system_instruction"];
    system.iter().filter_map(|name| body.get(name)).for_each(|text| add(text.text()));
    let messages = ["messages", "input", "contents"].iter().find_map(|name| body.get(name));
    match messages.map(|messages| (messages, messages.items())) {
        Some((_, Ok(items))) => {
            for message in items.take(FIRST_MESSAGES) {
                add(message.text());
                if message.get("role").is_some_and(|role| role.text() == "\"user\"") {
                    break;
                }
            }
        }
        Some((text, Err(_))) => add(text.text()),
        None => {}
    }
    hash
}
