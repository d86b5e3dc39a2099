use std::sync::Arc;

use serde::Serialize;
use weighbridge_units::{
    AttemptId, AttemptOutcome, ErrorClass, KeyId, Loss, NanoUsd, Protocol, Provenance, RequestId, Timestamp,
    Usage,
};

use crate::choice::ChoiceRecord;
use crate::text;

/// What became of one request.
///
/// Offsets and durations are microseconds; offsets count from the request's arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The id that the client sees; a client may have chosen it.
    #[serde(serialize_with = "text::id")]
    pub id: RequestId,
    /// When the request arrived.
    #[serde(serialize_with = "text::displayed")]
    pub at: Timestamp,
    /// Whose request it was; `None` where no valid key was presented.
    pub caller: Option<Caller>,
    /// The protocol that the client spoke.
    #[serde(serialize_with = "text::displayed")]
    pub client_protocol: Protocol,
    /// The model that the client asked for; empty where the body could not be read.
    #[serde(serialize_with = "text::redacted")]
    pub model: Arc<str>,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The status that the client was answered with.
    pub status: u16,
    /// Why the gateway itself refused the request: one of a fixed set of names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<&'static str>,
    /// The request whose answer the client got: the same under the same idempotency key.
    #[serde(serialize_with = "text::maybe_id", skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<RequestId>,
    /// The request that this one is a copy of: its answer went nowhere.
    #[serde(serialize_with = "text::maybe_id", skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<RequestId>,
    /// Whether its stream broke off, and another attempt went on from there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// Every attempt at a provider, in order.
    pub attempts: Vec<AttemptRecord>,
    /// Rules of models that it met, in order: those that matched, and what the classifier thought where it was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleMatch>,
    /// The name of the strategy that chose the targets; empty where none was asked.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub strategy: &'static str,
    /// How the first target was chosen, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Box<ChoiceRecord>>,
    /// Targets that were passed over, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<ExcludedTarget>,
    /// What translations could not carry over.
    #[serde(serialize_with = "text::losses", skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// Attributes from the key and from `x-gateway-tags`.
    #[serde(serialize_with = "text::tags", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// The end user that the client named.
    #[serde(serialize_with = "text::maybe_redacted", skip_serializing_if = "Option::is_none")]
    pub end_user: Option<Arc<str>>,
    /// Time that the gateway itself took before the first byte could leave.
    pub overhead_us: u64,
    /// Time from arrival to the end of the answer.
    pub total_us: u64,
}

/// Whose request it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The virtual key's public id.
    #[serde(serialize_with = "text::displayed")]
    pub key: KeyId,
    /// The tenant that the key belongs to.
    #[serde(serialize_with = "text::displayed")]
    pub tenant: Arc<str>,
}

/// What became of one attempt at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// The id in the ledger, and in the provider's `x-client-request-id`.
    #[serde(serialize_with = "text::displayed")]
    pub attempt: AttemptId,
    /// The provider's name.
    #[serde(serialize_with = "text::displayed")]
    pub provider: Arc<str>,
    /// The model's name at the provider.
    #[serde(serialize_with = "text::redacted")]
    pub model: Arc<str>,
    /// The protocol that the provider speaks.
    #[serde(serialize_with = "text::displayed")]
    pub provider_protocol: Protocol,
    /// How it ended.
    #[serde(serialize_with = "text::displayed")]
    pub outcome: AttemptOutcome,
    /// The status that the provider answered with, if it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What kind of error it ended with.
    #[serde(serialize_with = "text::maybe_displayed", skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorClass>,
    /// What was used, by bucket.
    #[serde(serialize_with = "text::usage")]
    pub usage: Usage,
    /// Where the usage comes from.
    #[serde(serialize_with = "text::displayed")]
    pub provenance: Provenance,
    /// The version of the price book that priced it.
    #[serde(serialize_with = "text::displayed")]
    pub price_version: Arc<str>,
    /// What in that book priced it; `None` where no price was known, or the usage was beyond pricing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priced: Option<PricedBy>,
    /// What the provider charges.
    #[serde(rename = "cost_usd", serialize_with = "text::displayed")]
    pub cost: NanoUsd,
    /// What the tenant pays.
    #[serde(rename = "charged_usd", serialize_with = "text::displayed")]
    pub charged: NanoUsd,
    /// What the tenant is asked for what the provider charges, where that is not the cost: `cost + 20%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Box<str>>,
    /// The id of the tenant's own key that it was sent with, if it was one: the provider bills the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_key: Option<Box<str>>,
    /// What the same usage would have cost at the model that the route is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineCost>,
    /// Where the provider's count of tokens is far from our own estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts_differ: Option<CountsDiffer>,
    /// When it was sent.
    pub started_us: u64,
    /// When the first byte of its answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// When the first content of a streamed answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_us: Option<u64>,
    /// What lay between the pieces of content of a streamed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_gaps: Option<TokenGaps>,
    /// What passed after the provider had left HTTP, where it did: a session, which began with the first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionBytes>,
    /// When it ended.
    pub ended_us: u64,
}

/// The bytes of a session, such as a websocket's, as they were handed on: frames and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SessionBytes {
    /// From the client to the provider.
    pub up_bytes: u64,
    /// From the provider to the client.
    pub down_bytes: u64,
}

/// The place of a price in its book: with it, the attempt can be priced again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PricedBy {
    /// The provider in the book.
    #[serde(serialize_with = "text::displayed")]
    pub provider: Arc<str>,
    /// The model in the book.
    #[serde(serialize_with = "text::redacted")]
    pub model: Arc<str>,
    /// The service tier.
    pub tier: &'static str,
    /// The instant that it was priced at.
    #[serde(serialize_with = "text::displayed")]
    pub at: Timestamp,
}

/// What a usage would have cost elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaselineCost {
    /// Where: `provider/model`.
    #[serde(serialize_with = "text::displayed")]
    pub model: Arc<str>,
    /// What the provider would have charged.
    #[serde(rename = "cost_usd", serialize_with = "text::displayed")]
    pub cost: NanoUsd,
}

/// A provider's count of tokens that is far from our own estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CountsDiffer {
    /// Which tokens.
    pub side: CountedSide,
    /// As the provider told it.
    pub told: u64,
    /// As we estimate it from bytes.
    pub estimated: u64,
}

/// Which tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CountedSide {
    /// Those of the prompt.
    Prompt,
    /// Those of the answer, without reasoning.
    Answer,
}

impl CountedSide {
    /// The name in logs and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Answer => "answer",
        }
    }
}

/// The gaps between the pieces of content of a streamed answer, as they came from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokenGaps {
    /// How many there were.
    pub count: u64,
    /// How long they were on average.
    pub mean_us: u64,
    /// How long the longest was.
    pub longest_us: u64,
}

/// A model's rules, as a request met them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleMatch {
    /// The model whose rules they are.
    #[serde(serialize_with = "text::displayed")]
    pub of: Arc<str>,
    /// The rule that matched; `None` where none did.
    #[serde(serialize_with = "text::maybe_redacted", skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The model that it leads to; `None` where it refuses, or none matched.
    #[serde(serialize_with = "text::maybe_redacted", skip_serializing_if = "Option::is_none")]
    pub to: Option<Arc<str>>,
    /// How difficult the classifier thought the request, from 0 to 1000, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u16>,
    /// What it thought the request was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'static str>,
}

/// A target that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExcludedTarget {
    /// The target's name.
    #[serde(serialize_with = "text::redacted")]
    pub target: Arc<str>,
    /// Why: one of a fixed set of names.
    pub reason: &'static str,
}

impl RequestRecord {
    /// A record of a request that has arrived, and of which nothing else is known yet.
    pub fn new(id: RequestId, at: Timestamp, client_protocol: Protocol) -> Self {
        Self {
            id,
            at,
            caller: None,
            client_protocol,
            model: Arc::default(),
            stream: false,
            status: 0,
            refused: None,
            replay_of: None,
            copy_of: None,
            resumed: false,
            attempts: Vec::new(),
            rules: Vec::new(),
            strategy: "",
            choice: None,
            excluded: Vec::new(),
            losses: Vec::new(),
            tags: Vec::new(),
            end_user: None,
            overhead_us: 0,
            total_us: 0,
        }
    }

    /// The attempt whose answer, or whose failure, the client got: the last.
    pub fn last_attempt(&self) -> Option<&AttemptRecord> {
        self.attempts.last()
    }

    /// What all attempts cost the tenant; saturates.
    pub fn charged(&self) -> NanoUsd {
        let add = |sum: NanoUsd, attempt: &AttemptRecord| sum.plus(attempt.charged).unwrap_or(NanoUsd::MAX);
        self.attempts.iter().fold(NanoUsd::ZERO, add)
    }

    /// The record as one JSON object on one line; money as decimal strings.
    pub fn to_json(&self) -> String {
        // Nothing in a record can fail to serialise: no maps with odd keys, no floats.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl AttemptRecord {
    /// How long its session lasted, in microseconds; `None` where it had none.
    pub fn session_us(&self) -> Option<u64> {
        self.session?;
        Some(self.ended_us.saturating_sub(self.first_byte_us?))
    }

    /// A record of an attempt that was sent at `started_us`, and of which nothing else is known yet:
    /// that is what [`AttemptOutcome::Crashed`] means.
    pub fn new(
        attempt: AttemptId,
        provider: Arc<str>,
        model: Arc<str>,
        provider_protocol: Protocol,
        started_us: u64,
    ) -> Self {
        Self {
            attempt,
            provider,
            model,
            provider_protocol,
            outcome: AttemptOutcome::Crashed,
            status: None,
            error: None,
            usage: Usage::new(),
            provenance: Provenance::Estimated,
            price_version: Arc::default(),
            priced: None,
            cost: NanoUsd::ZERO,
            charged: NanoUsd::ZERO,
            terms: None,
            own_key: None,
            baseline: None,
            counts_differ: None,
            started_us,
            first_byte_us: None,
            first_token_us: None,
            token_gaps: None,
            session: None,
            ended_us: started_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use weighbridge_units::{Bucket, LossKind};

    use super::*;
    use crate::choice::{CandidateScore, CandidateScores};

    fn record() -> RequestRecord {
        let at = Timestamp::from_micros(1_795_226_938_123_456);
        let mut record = RequestRecord::new(RequestId::new("req_7").unwrap(), at, Protocol::OpenAiChat);
        record.caller = Some(Caller { key: KeyId::from_bits(5), tenant: "acme".into() });
        record.model = "support".into();
        record.status = 200;
        let mut attempt = AttemptRecord::new(
            AttemptId::from_u128(1),
            "openai".into(),
            "gpt-4o-mini".into(),
            Protocol::OpenAiChat,
            80,
        );
        attempt.outcome = AttemptOutcome::FailedBeforeOutput;
        attempt.status = Some(503);
        attempt.error = Some(ErrorClass::Overloaded);
        attempt.ended_us = 900;
        record.attempts.push(attempt);
        let mut attempt = AttemptRecord::new(
            AttemptId::from_u128(2),
            "claude".into(),
            "claude-haiku-4-5".into(),
            Protocol::AnthropicMessages,
            950,
        );
        attempt.outcome = AttemptOutcome::Success;
        attempt.status = Some(200);
        attempt.usage = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Output, 0);
        attempt.provenance = Provenance::Reported;
        attempt.price_version = "1f2e".into();
        attempt.cost = NanoUsd::new(1_000_000);
        attempt.charged = NanoUsd::new(1_100_000);
        attempt.first_byte_us = Some(2_000);
        attempt.first_token_us = Some(2_400);
        attempt.token_gaps = Some(TokenGaps { count: 3, mean_us: 100, longest_us: 180 });
        attempt.ended_us = 3_000;
        record.attempts.push(attempt);
        record.strategy = "weighted-round-robin";
        let score = CandidateScore { position: 1, score: -3, by: "weighted-round-robin" };
        let names = vec!["openai/gpt-4o".into(), "openai/gpt-4o-mini".into()].into();
        let scores = CandidateScores { names, scores: vec![score] };
        record.choice = Some(Box::new(ChoiceRecord { seed: 7, candidates: 2, scores }));
        record.excluded.push(ExcludedTarget { target: "openai/gpt-4o".into(), reason: "benched" });
        record.losses.push(Loss {
            pointer: "/logit_bias".into(),
            kind: LossKind::Dropped,
            reason: "Anthropic Messages has no logit bias".into(),
            needed: "a logit bias".into(),
        });
        record.tags.push(("feature".into(), "search".into()));
        record.end_user = Some("u1".into());
        record.overhead_us = 75;
        record.total_us = 3_050;
        record
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let json = record().to_json();
        assert!(!json.contains('\n'));
        let pretty: serde_json::Value = serde_json::from_str(&json).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&pretty).unwrap(), @r#"
        {
          "at": "2026-11-21T02:08:58.123Z",
          "attempts": [
            {
              "attempt": "00000000-0000-0000-0000-000000000001",
              "charged_usd": "0.000000000",
              "cost_usd": "0.000000000",
              "ended_us": 900,
              "error": "overloaded",
              "model": "gpt-4o-mini",
              "outcome": "failed-before-output",
              "price_version": "",
              "provenance": "estimated",
              "provider": "openai",
              "provider_protocol": "openai-chat",
              "started_us": 80,
              "status": 503,
              "usage": {}
            },
            {
              "attempt": "00000000-0000-0000-0000-000000000002",
              "charged_usd": "0.001100000",
              "cost_usd": "0.001000000",
              "ended_us": 3000,
              "first_byte_us": 2000,
              "first_token_us": 2400,
              "model": "claude-haiku-4-5",
              "outcome": "success",
              "price_version": "1f2e",
              "provenance": "reported",
              "provider": "claude",
              "provider_protocol": "anthropic-messages",
              "started_us": 950,
              "status": 200,
              "token_gaps": {
                "count": 3,
                "longest_us": 180,
                "mean_us": 100
              },
              "usage": {
                "input": 1000,
                "output": 0
              }
            }
          ],
          "caller": {
            "key": "000000000005",
            "tenant": "acme"
          },
          "choice": {
            "candidates": 2,
            "scores": [
              {
                "by": "weighted-round-robin",
                "score": -3,
                "target": "openai/gpt-4o-mini"
              }
            ],
            "seed": "0000000000000007"
          },
          "client_protocol": "openai-chat",
          "end_user": "u1",
          "excluded": [
            {
              "reason": "benched",
              "target": "openai/gpt-4o"
            }
          ],
          "id": "req_7",
          "losses": [
            {
              "kind": "dropped",
              "needed": "a logit bias",
              "pointer": "/logit_bias",
              "reason": "Anthropic Messages has no logit bias"
            }
          ],
          "model": "support",
          "overhead_us": 75,
          "status": 200,
          "strategy": "weighted-round-robin",
          "stream": false,
          "tags": {
            "feature": "search"
          },
          "total_us": 3050
        }
        "#);
    }

    #[test]
    fn a_bare_record_is_valid_json() {
        let bare =
            RequestRecord::new(RequestId::new("r").unwrap(), Timestamp::default(), Protocol::OpenAiChat);
        insta::assert_snapshot!(bare.to_json(), @r#"{"id":"r","at":"1970-01-01T00:00:00.000Z","caller":null,"client_protocol":"openai-chat","model":"","stream":false,"status":0,"attempts":[],"overhead_us":0,"total_us":0}"#);
    }

    #[test]
    fn credentials_in_texts_that_a_client_chose_are_masked() {
        let canary = "sk-CANARY0123456789";
        let mut record = record();
        record.id = RequestId::new(canary).unwrap();
        record.model = canary.into();
        record.end_user = Some(canary.into());
        record.tags.push((canary.into(), canary.into()));
        record.attempts[0].model = canary.into();
        record.losses[0].pointer = format!("/{canary}");
        record.losses[0].reason = canary.into();
        record.losses[0].needed = canary.into();
        record.excluded[0].target = canary.into();
        assert!(!record.to_json().contains("CANARY"), "{}", record.to_json());
    }

    #[test]
    fn what_the_tenant_owes_is_the_sum_over_attempts() {
        let mut record = record();
        assert_eq!(record.charged(), NanoUsd::new(1_100_000));
        record.attempts[0].charged = NanoUsd::MAX;
        assert_eq!(record.charged(), NanoUsd::MAX);
    }
}
