use std::time::Duration;

use weighbridge_units::{
    AttemptId, AttemptOutcome, Bucket, KeyId, NanoUsd, Provenance, Timestamp, Usage, Usd,
};

use crate::{Billing, EndFacts, Reserve};

/// A reservation like any other, of 100 nano-dollars and 1,000 tokens for a minute, which is bound by nothing. A test
/// says what else its own have: `Reserve { holds, ..plain_reserve(attempt, at) }`.
pub fn plain_reserve(attempt: AttemptId, at: Timestamp) -> Reserve {
    Reserve {
        attempt,
        at,
        expires: at + Duration::from_secs(60),
        key: KeyId::from_bits(7),
        tenant: "acme".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        price_version: "2026-11".into(),
        billing: Billing::Platform,
        amount: NanoUsd::new(100),
        tokens: 1_000,
        credit_limit: None,
        claim: None,
        holds: Vec::new(),
        estimate: NanoUsd::new(90),
    }
}

/// The end of an attempt like any other, of which the provider told what it used: 70 nano-dollars for the tenant, 60 for
/// the provider.
pub fn plain_facts(outcome: AttemptOutcome, at: Timestamp) -> EndFacts {
    EndFacts {
        at,
        outcome,
        usage: Usage::new().with(Bucket::Input, 10).with(Bucket::Output, 1),
        provenance: Provenance::Reported,
        price: NanoUsd::new(70),
        cost: NanoUsd::new(60),
        exact: Usd::from(NanoUsd::new(60)),
        reason: "cut".into(),
    }
}
