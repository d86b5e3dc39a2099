use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;
use weighbridge_units::{AttemptId, Bucket, NanoUsd, Timestamp, Usage};

/// A text of a log is not a record, or one of a release that is not known here.
#[derive(Debug, Error)]
#[error("a record of the request log cannot be read: {0}")]
pub struct NotARecord(#[from] serde_json::Error);

/// What a log's JSON tells of a request and its money; whatever else it tells is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedRequest {
    /// The id that the client saw.
    pub id: String,
    /// When it arrived.
    #[serde(deserialize_with = "parsed")]
    pub at: Timestamp,
    /// Whose it was; `None` without a valid key.
    #[serde(default)]
    caller: Option<LoggedCaller>,
    /// The model that was asked for.
    #[serde(default)]
    pub model: String,
    /// The status that the client was answered with.
    #[serde(default)]
    pub status: u16,
    /// Why the gateway refused it.
    #[serde(default)]
    pub refused: Option<String>,
    /// Every attempt, in order.
    #[serde(default)]
    pub attempts: Vec<LoggedAttempt>,
    /// What chose the targets.
    #[serde(default)]
    pub strategy: String,
    /// How the first target was chosen, where there were several.
    #[serde(default)]
    pub choice: Option<LoggedChoice>,
    /// Rules of models that it met.
    #[serde(default)]
    pub rules: Vec<LoggedRule>,
    /// Targets that were passed over.
    #[serde(default)]
    pub excluded: Vec<LoggedExclusion>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The end user that was named.
    #[serde(default)]
    pub end_user: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct LoggedCaller {
    key: String,
    tenant: String,
}

/// How a target was chosen among several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedChoice {
    /// The random number that the strategies were given.
    pub seed: String,
    /// How many targets there were.
    pub candidates: usize,
    /// The chosen one, then those that came furthest.
    pub scores: Vec<LoggedScore>,
}

/// How a candidate fared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedScore {
    /// The target.
    pub target: String,
    /// Its score, least being best.
    pub score: i64,
    /// The strategy that gave it.
    pub by: String,
}

/// A model's rules, as a request met them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct LoggedRule {
    /// The model whose rules they are.
    pub of: String,
    /// The rule that matched; `None` where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The model that it leads to; `None` where it refuses, or none matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How difficult the classifier thought the request, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u16>,
    /// What it thought the request was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// A target that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedExclusion {
    /// The target.
    pub target: String,
    /// Why.
    pub reason: String,
}

/// An attempt of a [`LoggedRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedAttempt {
    /// The id in the ledger.
    #[serde(deserialize_with = "parsed")]
    pub attempt: AttemptId,
    /// The provider's name.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
    /// How it ended.
    pub outcome: String,
    /// The provider's status, if it answered.
    #[serde(default)]
    pub status: Option<u16>,
    /// What kind of error it ended with.
    #[serde(default)]
    pub error: Option<String>,
    /// What was used.
    #[serde(deserialize_with = "usage")]
    pub usage: Usage,
    /// Where the usage is from.
    pub provenance: String,
    /// The version of the price book.
    pub price_version: String,
    /// What in it priced the attempt.
    #[serde(default)]
    pub priced: Option<LoggedPrice>,
    /// What was posted.
    #[serde(rename = "cost_usd", deserialize_with = "parsed")]
    pub cost: NanoUsd,
    /// What the tenant was charged.
    #[serde(rename = "charged_usd", deserialize_with = "parsed")]
    pub charged: NanoUsd,
    /// What the tenant is asked for the cost, where that is not the cost.
    #[serde(default)]
    pub terms: Option<String>,
    /// What it would have cost at the baseline.
    #[serde(default)]
    pub baseline: Option<LoggedBaseline>,
    /// Whether the provider's count of tokens was far from ours.
    #[serde(default)]
    pub counts_differ: Option<Value>,
}

/// What an attempt would have cost elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedBaseline {
    /// Where: `provider/model`.
    pub model: String,
    /// What it would have cost.
    #[serde(rename = "cost_usd", deserialize_with = "parsed")]
    pub cost: NanoUsd,
}

/// What priced a [`LoggedAttempt`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedPrice {
    /// The provider in the book.
    pub provider: String,
    /// The model in the book.
    pub model: String,
    /// The service tier.
    pub tier: String,
    /// The instant that it was priced at.
    #[serde(deserialize_with = "parsed")]
    pub at: Timestamp,
}

impl LoggedRequest {
    /// Reads a record that a log gave.
    ///
    /// # Errors
    /// [`NotARecord`], for unknown buckets too: a part of a usage is not priced as if it were the whole.
    pub fn read(json: &str) -> Result<Self, NotARecord> {
        Ok(serde_json::from_str(json)?)
    }

    /// The tenant, if a valid key was presented.
    pub fn tenant(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| &*caller.tenant)
    }

    /// The key's public id, if a valid one was presented.
    pub fn key(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| &*caller.key)
    }
}

fn parsed<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

fn usage<'de, D: Deserializer<'de>>(from: D) -> Result<Usage, D::Error> {
    let mut usage = Usage::new();
    for (name, told) in BTreeMap::<String, Value>::deserialize(from)? {
        match (Bucket::from_name(&name), told.as_u64()) {
            (Some(bucket), Some(count)) => usage.set(bucket, count),
            (None, None) if name == "contradictory" && told == true => usage.flag_contradiction(),
            _ => return Err(serde::de::Error::custom(format!("`{name}` is no bucket that is known"))),
        }
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use weighbridge_units::{KeyId, Protocol, RequestId};

    use super::*;
    use crate::{AttemptRecord, Caller, PricedBy, RequestRecord};

    proptest! {
        /// P1: what was written of an attempt's price is read to the last unit.
        #[test]
        fn p1_what_is_logged_is_read(
            counts in prop::collection::vec(prop::option::of(any::<u64>()), Bucket::ALL.len()),
            cost in any::<i64>(), at in 0..4_000_000_000_000_i64, odd in any::<bool>(),
        ) {
            let mut usage = Usage::new();
            for (bucket, count) in Bucket::ALL.into_iter().zip(counts) {
                if let Some(count) = count {
                    usage.set(bucket, count);
                }
            }
            if odd {
                usage.flag_contradiction();
            }
            let at = Timestamp::from_micros(at * 1_000);
            let mut record = RequestRecord::new(RequestId::new("r").unwrap(), at, Protocol::OpenAiChat);
            record.caller = Some(Caller { key: KeyId::from_bits(1), tenant: "acme".into() });
            let id = weighbridge_units::AttemptId::from_u128(1);
            let name = |text: &str| -> Arc<str> { text.into() };
            let mut attempt = AttemptRecord::new(id, name("openai"), name("gpt-x"), Protocol::OpenAiChat, 1);
            attempt.usage = usage;
            attempt.cost = NanoUsd::new(cost);
            attempt.priced = Some(PricedBy { provider: name("openai@eu"), model: name("gpt"), tier: "batch", at });
            record.attempts.push(attempt);
            let read = LoggedRequest::read(&record.to_json()).unwrap();
            prop_assert_eq!((read.at, read.tenant()), (at, Some("acme")));
            let logged = &read.attempts[0];
            prop_assert_eq!((logged.usage, logged.cost), (usage, NanoUsd::new(cost)));
            let priced = logged.priced.as_ref().unwrap();
            prop_assert_eq!((&*priced.provider, &*priced.model, &*priced.tier, priced.at), ("openai@eu", "gpt", "batch", at));
        }
    }

    #[test]
    fn m7_a_bucket_that_is_not_known_is_an_error() {
        let record = |usage: &str| {
            let attempt = r#""attempt":"00000000-0000-0000-0000-000000000001","provider":"p","model":"m",
                "outcome":"success","provenance":"reported","price_version":"v","cost_usd":"1.000000000",
                "charged_usd":"1.000000000""#;
            format!(
                r#"{{"id":"r","at":"2026-11-21","attempts":[{{{attempt},"usage":{usage}}}],"new":[1.5]}}"#
            )
        };
        assert!(LoggedRequest::read(&record(r#"{"input":1}"#)).is_ok());
        for usage in [r#"{"bread":1}"#, r#"{"input":-1}"#, r#"{"input":1.5}"#, r#"{"input":true}"#, "[]"] {
            assert!(LoggedRequest::read(&record(usage)).is_err(), "{usage}");
        }
    }
}
