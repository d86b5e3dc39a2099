//! Bedrock's own calls, Converse and InvokeModel: which model they name, what they come to at most, and what the answer
//! tells of what they used.
//!
//! No client's protocol is framed as theirs, so that they pass as they are; what is read is read beside.

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use weighbridge_catalogue::Spoken;
use weighbridge_ledger::{Billing, EndFacts, Name};
use weighbridge_pricing::{ServiceTier, Terms};
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_protocol::{Dialect, unescaped};
use weighbridge_records::AttemptRecord;
use weighbridge_stream::{
    Decoded, Decoder, End, Facts, Framing, Relay, RelayOptions, RelayState, StreamForm,
};
use weighbridge_tokens::{Searches, UNBOUNDED};
use weighbridge_translate::{FinishReason, answer_facts};
use weighbridge_units::{AttemptOutcome, Bucket, NanoUsd, Protocol, Timestamp, Usage};

use super::NativePath;
use crate::compiled::{Compiled, Deployment, Provider};
use crate::in_flight::{Ending, absorbed_reason};
use crate::metering::{Bounds, Meter, Metered, Prices, Worst};
use crate::pipeline::Core;
use crate::receive::Authenticated;

/// Where a request names a guardrail, whose price is no model's.
const GUARDRAIL: &str = "x-amzn-bedrock-guardrailidentifier";
const TIER: &str = "x-amzn-bedrock-service-tier";
/// How the headers begin in which InvokeModel tells its counts.
const COUNTS: &str = "x-amzn-bedrock-";
/// The field of the last event of a stream in which it does.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// A call that asks a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    /// The model, as the path names it.
    pub(super) model: String,
    speaks: Speaks,
    streamed: bool,
}

/// What an invocation and its answer are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// Bedrock's own format for all models.
    Converse,
    /// Anthropic's, to which Claude's models are invoked.
    Messages,
    /// Whatever the model's maker has. Nothing but the counts around the answer is understood.
    OfTheModel,
}

impl Speaks {
    const fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Converse => Some(Protocol::BedrockConverse),
            Self::Messages => Some(Protocol::AnthropicMessages),
            Self::OfTheModel => None,
        }
    }
}

impl Provider {
    /// The invocation at a path of this provider's, where it is Bedrock and asks a model.
    pub(super) fn invocation_at(&self, path: &NativePath) -> Option<Invocation> {
        let is_bedrock = self.spoken.iter().any(|it| it.protocol == Protocol::BedrockConverse);
        let rest = path.path().strip_prefix("/model/").filter(|_| is_bedrock)?;
        let (model, call) = rest.split_once('/')?;
        let model = unescaped(model).filter(|model| !model.is_empty())?.into_owned();
        let (converses, streamed) = match call {
            "converse" => (true, false),
            "converse-stream" => (true, true),
            "invoke" => (false, false),
            "invoke-with-response-stream" => (false, true),
            _ => return None,
        };
        let takes_messages = || {
            let messages = |it: &Spoken| {
                (it.protocol, it.dialect) == (Protocol::AnthropicMessages, Dialect::Bedrock)
                    && it.models.admits(&model)
            };
            self.spoken.iter().any(messages)
        };
        let speaks = match converses {
            true => Speaks::Converse,
            false if takes_messages() => Speaks::Messages,
            false => Speaks::OfTheModel,
        };
        Some(Invocation { model, speaks, streamed })
    }
}

impl Invocation {
    /// Whether the model has a price at all.
    pub(super) fn is_priced(&self, prices: &Prices, provider: &Provider, at: Timestamp) -> bool {
        prices.book.find(&provider.price_as, &self.model, ServiceTier::Standard, at).is_some()
    }

    /// The meter of the call, and what it comes to at most; `None` where the model has no price.
    pub(super) fn weigh(
        &self,
        caller: &Authenticated,
        settings: &Compiled,
        core: &Core,
        deployment: &Deployment,
        billing: Billing,
        body: &[u8],
    ) -> Option<Weighed> {
        let (prices, at) = (core.prices.load_full(), core.env.now());
        let text = std::str::from_utf8(body).unwrap_or_default();
        let said = Raw::parse(text, &ScanLimits::default()).ok();
        let asked = |path: [&str; 2]| said?.get(path[0])?.get(path[1]);
        let header = caller.head.headers.get(TIER).and_then(|value| value.to_str().ok());
        let in_body = asked(["serviceTier", "type"]).and_then(|tier| tier.str().ok());
        let tier = ServiceTier::from_wire(header.or(in_body.as_deref()));
        let card = prices.book.find(&deployment.provider.price_as, &deployment.model, tier, at)?;
        let name = deployment.target_name();
        let terms = match billing {
            Billing::Platform => settings.markups.markup(&caller.principal, &name),
            Billing::OwnKey => settings.surcharges.surcharge(&caller.principal, &name),
            Billing::House => Terms::AT_COST,
        };
        let prompt_estimate = weighbridge_tokens::estimate(body.len() as u64);
        let meter = Meter {
            prices,
            card: Some(card),
            tier,
            terms,
            at,
            prompt_estimate,
            prompt_is_text: false,
            alarm: None,
            baseline: None,
        };
        let is_guarded = caller.head.headers.contains_key(GUARDRAIL)
            || said.is_none_or(|said| said.get("guardrailConfig").is_some());
        let worst = if is_guarded { None } else { self.worst(&meter, deployment, said, text) };
        Some(Weighed { meter, worst, invocation: self.clone(), tally: Tally::Nothing, told: None })
    }

    /// What the call comes to at most; `None` where that has no bound that is known.
    fn worst(
        &self,
        meter: &Meter,
        deployment: &Deployment,
        said: Option<Raw<'_>>,
        text: &str,
    ) -> Option<Worst> {
        let protocol = self.speaks.protocol()?;
        let said = said?;
        let named = match self.speaks {
            Speaks::Converse => said.get("inferenceConfig").and_then(|config| config.get("maxTokens")),
            Speaks::Messages | Speaks::OfTheModel => said.get("max_tokens"),
        };
        let cap = named.and_then(|cap| cap.u64().ok()).or(deployment.info.map(|info| info.max_output))?;
        let media = weighbridge_tokens::media(protocol, text);
        let bound = weighbridge_tokens::prompt_bound(protocol, text.len() as u64, media);
        let window = deployment.info.map(|info| info.context_window);
        let prompt = weighbridge_tokens::within_context(bound, window);
        if prompt == UNBOUNDED || media.searches != Searches::default() {
            return None;
        }
        meter.worst(&Bounds { prompt, searches: media.searches }, cap, 1)
    }
}

/// What weighs a call, from before it is sent up to its end.
pub(super) struct Weighed {
    meter: Meter,
    /// What it comes to at most, where that is known.
    pub(super) worst: Option<Worst>,
    invocation: Invocation,
    tally: Tally,
    /// What the head of the answer tells.
    told: Option<Usage>,
}

/// How an answer ended that HTTP took for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// It was.
    Whole,
    /// It told of an error, or could not be read; the client has it as it came.
    Failed,
    /// Its own end is missing.
    Cut,
}

/// What reads an answer as it passes.
enum Tally {
    /// Nothing is to be read of it.
    Nothing,
    /// A whole answer, of so many bytes at most.
    Whole { bytes: Vec<u8>, most: usize },
    /// A stream whose events are understood.
    Stream(Box<Relay>, VecDeque<Bytes>),
    /// A stream of which only the counts at its end are.
    Counts(Box<Decoder>, Box<Counts>),
    /// A stream that cannot be read on.
    Unreadable,
}

/// What is understood of a stream whose events are not.
#[derive(Default)]
struct Counts {
    facts: Facts,
    /// Its framing has told of an error.
    failed: bool,
}

impl Weighed {
    /// The book that it is priced by.
    pub(super) fn price_version(&self) -> Name {
        self.meter.prices.version.clone()
    }

    /// The head of an answer has come, whose body may have so many bytes to be read.
    pub(super) fn head_came(&mut self, status: u16, headers: &HeaderMap, most: usize) {
        if !(200..300).contains(&status) {
            return;
        }
        self.told = counts_in(headers);
        self.tally = match (self.invocation.streamed, self.invocation.speaks.protocol()) {
            (false, Some(_)) => Tally::Whole { bytes: Vec::new(), most },
            (false, None) => Tally::Nothing,
            (true, Some(protocol)) => Tally::Stream(Box::new(relay(protocol)), VecDeque::new()),
            (true, None) => Tally::Counts(Box::new(Decoder::new(Framing::AwsEventStream)), Box::default()),
        };
    }

    /// A piece of the answer passes.
    pub(super) fn push(&mut self, piece: &Bytes) {
        match &mut self.tally {
            Tally::Nothing | Tally::Unreadable => {}
            // What is too large to be read passes all the same, and is estimated.
            Tally::Whole { bytes, most } if bytes.len() + piece.len() <= *most => {
                bytes.extend_from_slice(piece);
            }
            Tally::Whole { .. } => self.tally = Tally::Nothing,
            Tally::Stream(relay, passed) => {
                relay.push(piece.clone(), passed);
                passed.clear();
            }
            Tally::Counts(decoder, counts) => {
                if decoder.push(piece, &mut |decoded| counts.add(&decoded)).is_err() {
                    tracing::debug!("a stream of Bedrock's cannot be read, and is estimated");
                    self.tally = Tally::Unreadable;
                }
            }
        }
    }

    /// The answer has ended, as far as HTTP goes.
    pub(super) fn finish(&mut self) -> Finish {
        let (relay, passed) = match &mut self.tally {
            Tally::Stream(relay, passed) => (relay, passed),
            Tally::Unreadable => return Finish::Failed,
            Tally::Counts(_, counts) if counts.failed => return Finish::Failed,
            Tally::Counts(decoder, counts) => {
                let ended = decoder.finish(&mut |decoded| counts.add(&decoded));
                return if ended.is_ok() { Finish::Whole } else { Finish::Cut };
            }
            Tally::Nothing | Tally::Whole { .. } => return Finish::Whole,
        };
        let had_failed = relay.state() == RelayState::Failed;
        match relay.finish(None, passed) {
            End::Complete(_) => Finish::Whole,
            End::Broken(..) if had_failed => Finish::Failed,
            End::Broken(..) => Finish::Cut,
        }
    }

    /// Enters what was used, and what it costs, in the record of the attempt, whose outcome is known; gives what the
    /// ledger is told. `None` where nobody knows, since the answer told nothing and is not understood.
    pub(super) fn enter(&self, at: Timestamp, record: &mut AttemptRecord) -> Option<EndFacts> {
        let outcome = record.outcome;
        let refused = record.status.is_some_and(|status| (400..500).contains(&status));
        let ending = Ending { error: record.error, refused, ..Ending::of(outcome) };
        let metered = self.read(&ending)?;
        let charged = if outcome.tenant_pays() { metered.price } else { NanoUsd::ZERO };
        self.meter.enter(&metered, charged, record);
        let Metered { usage, provenance, exact, cost, price, .. } = metered;
        Some(EndFacts {
            at,
            outcome,
            usage,
            provenance,
            price,
            cost,
            exact,
            reason: absorbed_reason(outcome),
        })
    }

    fn read(&self, ending: &Ending) -> Option<Metered> {
        let told = || self.told.map(told);
        let facts = match &self.tally {
            Tally::Nothing | Tally::Unreadable => told(),
            Tally::Whole { bytes, .. } => self.whole(bytes).or_else(told),
            Tally::Stream(relay, _) => Some(relay.facts().clone()),
            Tally::Counts(_, counts) => Some(counts.facts.clone()),
        };
        let facts = facts.unwrap_or_default();
        let is_understood = self.invocation.speaks != Speaks::OfTheModel || facts.usage.is_some();
        // What failed before it began cost nothing, however it is written.
        let is_known = is_understood || ending.outcome == AttemptOutcome::FailedBeforeOutput;
        is_known.then(|| self.meter.read(ending, &facts, self.worst.unwrap_or(Worst::NOTHING)))
    }

    fn whole(&self, bytes: &[u8]) -> Option<Facts> {
        let protocol = self.invocation.speaks.protocol()?;
        let found = answer_facts(protocol, std::str::from_utf8(bytes).ok()?).ok()?;
        Some(Facts {
            usage: found.usage,
            finish: found.finish,
            service_tier: found.service_tier,
            output_bytes: bytes.len() as u64,
            ..Facts::default()
        })
    }
}

/// A relay whose facts are wanted, and nothing of what it writes.
fn relay(protocol: Protocol) -> Relay {
    Relay::new(&RelayOptions {
        provider: protocol,
        framing: Framing::AwsEventStream,
        client: protocol,
        hide_usage: false,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "",
        model_fallback: "",
        created: 0,
        request_id: "",
        legacy_functions: false,
    })
}

/// The facts of an answer that ended, by its counts alone.
fn told(usage: Usage) -> Facts {
    Facts { usage: Some(usage), finish: Some(FinishReason::Stop), ..Facts::default() }
}

/// What the headers of a whole answer count: the prompt without what was read from or written to a cache, and these
/// beside it.
fn counts_in(headers: &HeaderMap) -> Option<Usage> {
    let count = |name: &str| {
        let value = headers.get(format!("{COUNTS}{name}-token-count"))?.to_str().ok()?;
        value.trim().parse::<u64>().ok()
    };
    usage([count("input"), count("output"), count("cache-read-input"), count("cache-write-input")])
}

impl Counts {
    /// What the last event of a stream counts, and whether the framing tells of an error.
    fn add(&mut self, decoded: &Decoded<'_>) {
        let frame = match decoded {
            Decoded::Frame(frame) => frame,
            Decoded::Failed(_) => {
                self.failed = true;
                return;
            }
            _ => return,
        };
        self.facts.output_bytes = self.facts.output_bytes.saturating_add(frame.data.len() as u64);
        // Most events are not looked at twice.
        if !frame.data.contains(METRICS) {
            return;
        }
        let Ok(event) = Raw::parse(frame.data, &ScanLimits::default()) else { return };
        let Some(metrics) = event.get(METRICS) else { return };
        let count = |name: &str| metrics.get(name)?.u64().ok();
        let names =
            ["inputTokenCount", "outputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"];
        if let Some(usage) = usage(names.map(count)) {
            (self.facts.usage, self.facts.finish) = (Some(usage), Some(FinishReason::Stop));
        }
    }
}

/// A usage of prompt, answer, and what was read from a cache and written to one; `None` where none of it is told.
fn usage([input, output, read, written]: [Option<u64>; 4]) -> Option<Usage> {
    let mut usage = Usage::new();
    // Models that make vectors tell the prompt and no answer.
    let output = output.or(input.map(|_| 0));
    let told = [
        (Bucket::Input, input),
        (Bucket::Output, output),
        (Bucket::CacheRead, read),
        (Bucket::CacheWrite5m, written),
    ];
    for (bucket, count) in told {
        if let Some(count) = count {
            usage.set(bucket, count);
        }
    }
    (!usage.is_untold()).then_some(usage)
}
