//! What a request says to the strategies of its route: only what one of them wants to know.

use std::sync::Arc;

use http::HeaderMap;
use weighbridge_pricing::{PriceBook, ServiceTier};
use weighbridge_protocol::{Body, Envelope};
use weighbridge_routing::{Demand, Needs, stable_hash};
use weighbridge_units::{Bucket, KeyId, NanoUsd, Timestamp, Usage};

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

/// What strategies may be told of a request.
pub(crate) struct Told<'a> {
    pub(crate) body: &'a Body,
    pub(crate) envelope: &'a Envelope,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) key: KeyId,
    pub(crate) end_user: Option<&'a str>,
    /// Whether vectors are asked for.
    pub(crate) is_vectors: bool,
}

/// What the strategies of a route want to know; `None` where none of them wants anything.
pub(crate) fn demand(exchange: &Exchange, route: &ModelRoute) -> Option<Demand> {
    let needs = route.route.needs();
    if needs == Needs::default() {
        return None;
    }
    let told = Told {
        body: &exchange.body,
        envelope: &exchange.envelope,
        headers: &exchange.client_headers,
        key: exchange.principal.key().id,
        end_user: exchange.draft.record.end_user.as_deref(),
        is_vectors: exchange.vectors.is_some(),
    };
    let costs = match needs.costs && route.deployments.len() > 1 {
        true => told.costs(&exchange.core().prices.load().book, exchange.wall(), &route.deployments),
        false => Box::default(),
    };
    Some(told.demand(route, costs))
}

impl Told<'_> {
    /// The demand, with what the request costs where that is known.
    pub(crate) fn demand(&self, route: &ModelRoute, costs: Box<[Option<NanoUsd>]>) -> Demand {
        let affinity = route.route.needs().affinity.then(|| self.affinity(&route.affinity)).flatten();
        Demand { affinity, tokens: self.prompt().saturating_add(self.answer()), costs }
    }

    /// Tokens of the prompt, by estimate.
    fn prompt(&self) -> u64 {
        weighbridge_tokens::estimate(self.body.bytes().len() as u64)
    }

    /// Tokens of all answers, as far as they are expected.
    fn answer(&self) -> u64 {
        if self.is_vectors {
            return 0;
        }
        let cap = self.envelope.max_output;
        cap.unwrap_or(ANSWER_EXPECTED).min(ANSWER_EXPECTED).saturating_mul(self.envelope.candidates)
    }

    /// What the request is expected to cost at each deployment.
    pub(crate) fn costs(
        &self,
        book: &PriceBook,
        at: Timestamp,
        deployments: &[Arc<Deployment>],
    ) -> Box<[Option<NanoUsd>]> {
        let tier = ServiceTier::from_wire(self.envelope.service_tier.as_deref());
        let (mut usage, answer) = (Usage::new().with(Bucket::Input, self.prompt()), self.answer());
        if answer > 0 {
            usage.set(Bucket::Output, answer);
        }
        let cost = |deployment: &Deployment| {
            let card = book.find(&deployment.provider.price_as, &deployment.model, tier, at)?;
            Some(card.cost(&usage).ok()?.posted)
        };
        deployments.iter().map(|deployment| cost(deployment)).collect()
    }

    fn affinity(&self, by: &AffinityBy) -> Option<u64> {
        // What callers name themselves is told apart by the caller.
        let key = self.key.get();
        let own = |text: &str| {
            (!text.is_empty()).then(|| stable_hash(text.as_bytes()) ^ stable_hash(&key.to_be_bytes()))
        };
        match by {
            AffinityBy::Key => Some(stable_hash(&key.to_be_bytes())),
            AffinityBy::User => own(self.end_user?),
            AffinityBy::Header(name) => own(self.headers.get(name)?.to_str().ok()?),
            AffinityBy::Prefix if self.is_vectors => None,
            AffinityBy::Prefix => prefix(self.body),
        }
    }
}

/// A hash of what the prompt begins with, the same for every turn of a conversation: the system prompt, and the
/// messages up to the user's first one. Or of what the client wants to be kept together by:
/// <https://platform.openai.com/docs/guides/prompt-caching>.
fn prefix(body: &Body) -> Option<u64> {
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
