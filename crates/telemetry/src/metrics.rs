use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use weighbridge_records::{AttemptRecord, Observer, RequestRecord};
use weighbridge_units::AttemptOutcome;

use crate::labels::{self, OperationDetail};
use crate::model_cells::{ModelCells, ModelMap};
use crate::money_counter;

/// The content type of [`Metrics::render`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Models at providers that have series of their own; further ones share `other`.
const MOST_MODELS: usize = 500;

/// Bounds of OpenTelemetry's `gen_ai.client.operation.duration`, in seconds:
/// <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>.
const DURATIONS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds of OpenTelemetry's times to the first token or chunk, in seconds.
const FIRST_CHUNKS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of OpenTelemetry's times per output token or chunk, in seconds, and two beyond.
const GAPS: [f64; 15] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 10.0, 60.0];
/// Bounds of OpenTelemetry's `gen_ai.client.token.usage`.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// How long people talk, in seconds.
const SESSIONS: [f64; 10] = [1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];
/// What the gateway itself takes, in seconds.
const OVERHEADS: [f64; 12] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1.0];

/// Counts what requests do, for a scrape in the OpenMetrics text format.
///
/// Counting takes one map read per attempt and no allocation once a model is known.
pub struct Metrics {
    registry: Mutex<Registry>,
    models: ModelMap,
    requests: Family<labels::Request, Counter>,
    attempts: Family<labels::Attempt, Counter>,
    tokens: Family<labels::Tokens, Counter>,
    losses: Family<labels::Loss, Counter>,
    refusals: Family<labels::Refusal, Counter>,
    resumed: Counter,
    overhead: Histogram,
    durations: Operations,
    first_chunks: Operations,
    first_tokens: Operations,
    gaps: Operations,
    longest_gaps: Operations,
    token_usage: Operations,
    sessions: Family<labels::Session, Histogram, Bounds>,
    session_bytes: Family<labels::SessionBytes, Counter>,
}

type Operations = Family<labels::Operation, Histogram, Bounds>;

/// Makes histograms with the same bounds.
#[derive(Clone, Copy)]
struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Metrics {
    /// Nothing counted yet; `version` is shown as `weighbridge_build_info`.
    pub fn new(version: &str) -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            models: ModelMap::new(MOST_MODELS),
            requests: Family::default(),
            attempts: Family::default(),
            tokens: Family::default(),
            losses: Family::default(),
            refusals: Family::default(),
            resumed: Counter::default(),
            overhead: Bounds(&OVERHEADS).new_metric(),
            durations: Family::new_with_constructor(Bounds(&DURATIONS)),
            first_chunks: Family::new_with_constructor(Bounds(&FIRST_CHUNKS)),
            first_tokens: Family::new_with_constructor(Bounds(&FIRST_CHUNKS)),
            gaps: Family::new_with_constructor(Bounds(&GAPS)),
            longest_gaps: Family::new_with_constructor(Bounds(&GAPS)),
            token_usage: Family::new_with_constructor(Bounds(&TOKENS)),
            sessions: Family::new_with_constructor(Bounds(&SESSIONS)),
            session_bytes: Family::default(),
        };
        metrics.register(version);
        metrics
    }

    fn register(&self, version: &str) {
        let mut registry = self.lock();
        let build = Info::new(labels::Build { version: version.to_owned() });
        registry.register("weighbridge_build", "The version that runs", build);
        registry.register(
            "weighbridge_requests",
            "Requests by what the client was answered",
            self.requests.clone(),
        );
        registry.register(
            "weighbridge_attempts",
            "Attempts at providers by how they ended",
            self.attempts.clone(),
        );
        registry.register("weighbridge_tokens", "What was used, by bucket", self.tokens.clone());
        registry.register(
            "weighbridge_losses",
            "What translations could not carry over",
            self.losses.clone(),
        );
        registry.register(
            "weighbridge_refusals",
            "Requests that the gateway refused, by why",
            self.refusals.clone(),
        );
        registry.register(
            "weighbridge_resumed_streams",
            "Streams that broke off and were continued by another target",
            self.resumed.clone(),
        );
        let help = "Time that the gateway itself took before the first byte could leave";
        registry.register_with_unit("weighbridge_overhead", help, Unit::Seconds, self.overhead.clone());
        let help = "Time of an attempt from request to end";
        registry.register_with_unit(
            "gen_ai_client_operation_duration",
            help,
            Unit::Seconds,
            self.durations.clone(),
        );
        let help = "Time of a streamed attempt from request to first byte";
        registry.register_with_unit(
            "gen_ai_client_operation_time_to_first_chunk",
            help,
            Unit::Seconds,
            self.first_chunks.clone(),
        );
        for (name, help, times) in [
            (
                "weighbridge_time_to_first_token",
                "Time of a streamed attempt from request to first content",
                &self.first_tokens,
            ),
            ("weighbridge_token_gap", "Mean time between the pieces of content of a stream", &self.gaps),
            (
                "weighbridge_longest_token_gap",
                "Longest time between two pieces of content of a stream",
                &self.longest_gaps,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        }
        registry.register("gen_ai_client_token_usage", "Tokens of an attempt", self.token_usage.clone());
        let help = "Time of a session, such as a websocket, from its switch to its end";
        registry.register_with_unit("weighbridge_session", help, Unit::Seconds, self.sessions.clone());
        let help = "What sessions that have ended carried";
        registry.register_with_unit(
            "weighbridge_session_passed",
            help,
            Unit::Bytes,
            self.session_bytes.clone(),
        );
    }

    /// Adds a gauge whose value is asked for at each scrape, such as the ledger's open intents.
    ///
    /// `help` has no final full stop.
    pub fn add_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        let read = Box::new(read);
        self.lock().register_collector(Box::new(Reading { name, help, read, kind: ReadingKind::Gauge }));
    }

    /// Adds a counter whose value is asked for at each scrape, such as the lines that a log dropped;
    /// `_total` is appended to its name.
    pub fn add_counter(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let read = Box::new(move || i64::try_from(read()).unwrap_or(i64::MAX));
        self.lock().register_collector(Box::new(Reading { name, help, read, kind: ReadingKind::Counter }));
    }

    /// Adds gauges of one name that differ in one label, whose values are asked for at each scrape.
    ///
    /// `help` has no final full stop.
    pub fn add_gauges(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, i64)> + Send + Sync + 'static,
    ) {
        self.lock().register_collector(Box::new(Readings { name, help, label, read: Box::new(read) }));
    }

    /// Everything counted so far, as OpenMetrics text ([`METRICS_CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail, and a failure would only cut the text short of its end
        // marker, which scrapers notice.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        encode_registry(text, &self.lock())?;
        let models = self.models.all();
        let used = models.iter().filter(|cells| cells.outcomes.iter().any(|cell| cell.get().is_some()));
        let series = used.map(|cells| (&*cells.model, &*cells.provider, cells.cost.sum()));
        money_counter::write_counter(text, "weighbridge_cost_usd", "What providers charge", series)?;
        encode_eof(text)
    }

    fn count_attempt(&self, record: &RequestRecord, attempt: &AttemptRecord) {
        let cells = self.models.get(&attempt.provider, &attempt.model);
        let outcome = attempt.outcome;
        if let Some(cell) = cells.outcomes.get(outcome as usize) {
            cell.get_or_init(|| {
                let provider = cells.provider.clone();
                self.attempts.get_or_create_owned(&labels::Attempt { provider, outcome: outcome.as_str() })
            })
            .inc();
        }
        for (bucket, count) in attempt.usage.iter().filter(|(_, count)| *count > 0) {
            if let Some(cell) = cells.tokens.get(bucket as usize) {
                cell.get_or_init(|| {
                    let (model, provider) = (cells.model.clone(), cells.provider.clone());
                    let bucket = bucket.as_str();
                    self.tokens.get_or_create_owned(&labels::Tokens { model, provider, bucket })
                })
                .inc_by(count);
            }
        }
        cells.cost.add(attempt.cost);
        self.time_attempt(record, attempt, &cells);
        self.count_session(attempt, &cells);
    }

    fn count_session(&self, attempt: &AttemptRecord, cells: &ModelCells) {
        let Some(bytes) = attempt.session else { return };
        let provider = || cells.provider.clone();
        for (direction, count) in [("up", bytes.up_bytes), ("down", bytes.down_bytes)] {
            let labels = labels::SessionBytes { provider: provider(), direction };
            self.session_bytes.get_or_create(&labels).inc_by(count);
        }
        if let Some(lasted) = attempt.session_us() {
            let labels = labels::Session { provider: provider() };
            self.sessions.get_or_create(&labels).observe(seconds(lasted));
        }
    }

    fn time_attempt(&self, record: &RequestRecord, attempt: &AttemptRecord, cells: &ModelCells) {
        // Whatever became of it then: a stream that was slow until it broke was slow.
        if let Some(first_token) = attempt.first_token_us {
            let waited = seconds(first_token.saturating_sub(attempt.started_us));
            observe(&cells.first_token, &self.first_tokens, cells, OperationDetail::None, waited);
        }
        if let Some(gaps) = attempt.token_gaps {
            observe(&cells.gap, &self.gaps, cells, OperationDetail::None, seconds(gaps.mean_us));
            let longest = seconds(gaps.longest_us);
            observe(&cells.longest_gap, &self.longest_gaps, cells, OperationDetail::None, longest);
        }
        let took = seconds(attempt.ended_us.saturating_sub(attempt.started_us));
        if attempt.outcome != AttemptOutcome::Success {
            let kind = attempt.error.map_or(attempt.outcome.as_str(), |class| class.as_str());
            self.durations.get_or_create(&operation(cells, OperationDetail::ErrorType(kind))).observe(took);
            return;
        }
        observe(&cells.duration, &self.durations, cells, OperationDetail::None, took);
        if let Some(first_byte) = attempt.first_byte_us.filter(|_| record.stream) {
            let waited = seconds(first_byte.saturating_sub(attempt.started_us));
            observe(&cells.first_chunk, &self.first_chunks, cells, OperationDetail::None, waited);
        }
        if !attempt.usage.is_untold() {
            let (input, output) = (OperationDetail::TokenType("input"), OperationDetail::TokenType("output"));
            let (prompt, answer) = (attempt.usage.prompt(), attempt.usage.answer());
            observe(&cells.prompt_tokens, &self.token_usage, cells, input, prompt as f64);
            observe(&cells.answer_tokens, &self.token_usage, cells, output, answer as f64);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Metrics {
    fn ended(&self, record: &Arc<RequestRecord>) {
        let protocol = record.client_protocol.as_str();
        self.requests.get_or_create(&labels::Request { protocol, status: record.status }).inc();
        self.overhead.observe(seconds(record.overhead_us));
        if let Some(kind) = record.refused {
            self.refusals.get_or_create(&labels::Refusal { kind }).inc();
        }
        if record.resumed {
            self.resumed.inc();
        }
        let to = record.last_attempt().map_or("none", |attempt| attempt.provider_protocol.as_str());
        for loss in &record.losses {
            let loss = labels::Loss { kind: loss.kind.as_str(), from: protocol, to };
            self.losses.get_or_create(&loss).inc();
        }
        for attempt in &record.attempts {
            self.count_attempt(record, attempt);
        }
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn operation(cells: &ModelCells, detail: OperationDetail) -> labels::Operation {
    labels::Operation { provider: cells.provider.clone(), model: cells.model.clone(), detail }
}

/// Observes a value in the histogram of a model, which is looked up once.
fn observe(
    cell: &OnceLock<Histogram>,
    family: &Operations,
    cells: &ModelCells,
    detail: OperationDetail,
    value: f64,
) {
    cell.get_or_init(|| family.get_or_create_owned(&operation(cells, detail))).observe(value);
}

/// A value that lives elsewhere and is read at each scrape.
struct Reading {
    name: &'static str,
    help: &'static str,
    read: Box<dyn Fn() -> i64 + Send + Sync>,
    kind: ReadingKind,
}

#[derive(Clone, Copy)]
enum ReadingKind {
    Gauge,
    Counter,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let value = (self.read)();
        match self.kind {
            ReadingKind::Gauge => {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?)
            }
            ReadingKind::Counter => {
                let counter = ConstCounter::new(u64::try_from(value).unwrap_or(0));
                counter.encode(encoder.encode_descriptor(
                    self.name,
                    self.help,
                    None,
                    counter.metric_type(),
                )?)
            }
        }
    }
}

/// Values by one label.
type Labelled = Vec<(&'static str, i64)>;

/// Values under one name that live elsewhere and are read at each scrape.
struct Readings {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    read: Box<dyn Fn() -> Labelled + Send + Sync>,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (value, reading) in (self.read)() {
            ConstGauge::new(reading).encode(family.encode_family(&[(self.label, value)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weighbridge_units::{
        AttemptId, Bucket, ErrorClass, Loss, LossKind, NanoUsd, Protocol, RequestId, Timestamp, Usage,
    };

    use weighbridge_records::{SessionBytes, TokenGaps};

    use super::*;

    fn attempt(model: &str, nanos: i64) -> AttemptRecord {
        let protocol = Protocol::AnthropicMessages;
        let mut attempt =
            AttemptRecord::new(AttemptId::from_u128(1), "claude".into(), model.into(), protocol, 100);
        attempt.outcome = AttemptOutcome::Success;
        attempt.usage =
            Usage::new().with(Bucket::Input, 20).with(Bucket::Output, 3).with(Bucket::CacheRead, 0);
        attempt.cost = NanoUsd::new(nanos);
        attempt.first_byte_us = Some(30_100);
        attempt.first_token_us = Some(200_100);
        attempt.token_gaps = Some(TokenGaps { count: 3, mean_us: 60_000, longest_us: 120_000 });
        attempt.ended_us = 500_100;
        attempt
    }

    fn record(attempts: Vec<AttemptRecord>) -> RequestRecord {
        let id = RequestId::new("r").unwrap();
        let mut record = RequestRecord::new(id, Timestamp::default(), Protocol::OpenAiChat);
        record.status = 200;
        record.stream = true;
        record.overhead_us = 75;
        record.attempts = attempts;
        record
    }

    /// The samples in alphabetical order, without the buckets of histograms, which would fill pages.
    fn samples(metrics: &Metrics) -> String {
        let text = metrics.render();
        assert!(text.ends_with("\n# EOF\n"), "scrapers take anything else for cut off");
        let is_sample = |line: &&str| !line.starts_with('#') && !line.contains("_bucket{");
        let mut samples: Vec<_> = text.lines().filter(is_sample).collect();
        samples.sort_unstable();
        samples.join("\n")
    }

    #[test]
    fn everything_is_counted_once() {
        let metrics = Metrics::new("0.1.0");
        metrics.add_gauge("weighbridge_ledger_open_intents", "Attempts under way", || 4);
        metrics.add_gauges("weighbridge_states", "Which state", "state", || vec![("one", 1), ("two", 0)]);
        metrics.add_counter("weighbridge_log_dropped", "Log lines dropped", || 2);
        let mut failed = attempt("claude-haiku-4-5", 0);
        failed.outcome = AttemptOutcome::FailedBeforeOutput;
        failed.error = Some(ErrorClass::Overloaded);
        failed.usage = Usage::new();
        (failed.first_token_us, failed.token_gaps) = (None, None);
        let mut request = record(vec![failed, attempt("claude-haiku-4-5", 12_345_678_901)]);
        request.losses.push(Loss {
            pointer: "/seed".into(),
            kind: LossKind::Dropped,
            reason: "".into(),
            needed: "".into(),
        });
        request.resumed = true;
        metrics.ended(&Arc::new(request));
        let mut refused = record(vec![]);
        refused.status = 429;
        refused.refused = Some("rpm");
        metrics.ended(&Arc::new(refused));
        insta::assert_snapshot!(samples(&metrics), @r#"
        gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5",error_type="overloaded"} 1
        gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 1
        gen_ai_client_operation_duration_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5",error_type="overloaded"} 0.5
        gen_ai_client_operation_duration_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 0.5
        gen_ai_client_operation_time_to_first_chunk_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 1
        gen_ai_client_operation_time_to_first_chunk_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 0.03
        gen_ai_client_token_usage_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5",gen_ai_token_type="input"} 1
        gen_ai_client_token_usage_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5",gen_ai_token_type="output"} 1
        gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5",gen_ai_token_type="input"} 20.0
        gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5",gen_ai_token_type="output"} 3.0
        weighbridge_attempts_total{provider="claude",outcome="failed-before-output"} 1
        weighbridge_attempts_total{provider="claude",outcome="success"} 1
        weighbridge_build_info{version="0.1.0"} 1
        weighbridge_cost_usd_total{model="claude-haiku-4-5",provider="claude"} 12.345678901
        weighbridge_ledger_open_intents 4
        weighbridge_log_dropped_total 2
        weighbridge_longest_token_gap_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 1
        weighbridge_longest_token_gap_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 0.12
        weighbridge_losses_total{kind="dropped",from="openai-chat",to="anthropic-messages"} 1
        weighbridge_overhead_seconds_count 2
        weighbridge_overhead_seconds_sum 0.00015
        weighbridge_refusals_total{kind="rpm"} 1
        weighbridge_requests_total{protocol="openai-chat",status="200"} 1
        weighbridge_requests_total{protocol="openai-chat",status="429"} 1
        weighbridge_resumed_streams_total 1
        weighbridge_states{state="one"} 1
        weighbridge_states{state="two"} 0
        weighbridge_time_to_first_token_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 1
        weighbridge_time_to_first_token_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 0.2
        weighbridge_token_gap_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 1
        weighbridge_token_gap_seconds_sum{gen_ai_operation_name="chat",gen_ai_provider_name="claude",gen_ai_request_model="claude-haiku-4-5"} 0.06
        weighbridge_tokens_total{model="claude-haiku-4-5",provider="claude",bucket="input"} 20
        weighbridge_tokens_total{model="claude-haiku-4-5",provider="claude",bucket="output"} 3
        "#);
    }

    #[test]
    fn a_session_is_counted_by_its_bytes_and_its_time() {
        let metrics = Metrics::new("");
        for (up_bytes, down_bytes) in [(10, 1_000), (1, 0)] {
            let mut session = attempt("native", 0);
            session.session = Some(SessionBytes { up_bytes, down_bytes });
            session.outcome = AttemptOutcome::ClientLeft;
            metrics.ended(&Arc::new(record(vec![session, attempt("other", 0)])));
        }
        let samples = samples(&metrics);
        for expected in [
            "weighbridge_session_passed_bytes_total{provider=\"claude\",direction=\"up\"} 11",
            "weighbridge_session_passed_bytes_total{provider=\"claude\",direction=\"down\"} 1000",
            // From the switch (30.1 ms) to the end (500.1 ms).
            "weighbridge_session_seconds_sum{provider=\"claude\"} 0.94",
            "weighbridge_session_seconds_count{provider=\"claude\"} 2",
        ] {
            assert!(samples.lines().any(|line| line == expected), "{expected}\n{samples}");
        }
    }

    proptest! {
        #[test]
        fn m1_costs_are_rendered_exactly(amounts in prop::collection::vec(0_i64..i64::MAX / 64, 0..40)) {
            let metrics = Metrics::new("");
            for nanos in &amounts {
                metrics.ended(&Arc::new(record(vec![attempt("m", *nanos)])));
            }
            let text = metrics.render();
            let line = text.lines().find(|line| line.starts_with("weighbridge_cost_usd_total"));
            let rendered = line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned());
            let sum = NanoUsd::new(amounts.iter().sum());
            prop_assert_eq!(rendered, (!amounts.is_empty()).then(|| sum.to_string()));
        }
    }
}
