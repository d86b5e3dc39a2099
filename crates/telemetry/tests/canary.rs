//! The canary test: credentials are put into every text that somebody else chose, and looked for in
//! all that is written (invariants, Security: no secret in logs and metrics at any level).

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use weighbridge_records::{AttemptRecord, Caller, ExcludedTarget, Observer, RequestRecord};
use weighbridge_telemetry::{AccessLog, LogFormat, Metrics, subscriber};
use weighbridge_units::{
    AttemptId, AttemptOutcome, KeyId, Loss, LossKind, Protocol, RequestId, Timestamp, Usage,
};

const CANARIES: [&str; 3] =
    ["sk-ant-api03-CANARY0123456789", "wb-0123456789ab-CANARY0123456789", "AIzaCANARY0123456789"];

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner()).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn record(canary: &str) -> Result<Arc<RequestRecord>, Box<dyn std::error::Error>> {
    let mut record =
        RequestRecord::new(RequestId::new(canary)?, Timestamp::from_secs(0), Protocol::OpenAiChat);
    record.caller = Some(Caller { key: KeyId::from_bits(1), tenant: "acme".into() });
    record.model = canary.into();
    record.end_user = Some(canary.into());
    record.tags = vec![(canary.into(), canary.into())];
    record.excluded = vec![ExcludedTarget { target: canary.into(), reason: "benched" }];
    record.losses = vec![Loss {
        pointer: format!("/{canary}"),
        kind: LossKind::Dropped,
        reason: canary.to_owned().into(),
        needed: canary.to_owned().into(),
    }];
    for outcome in AttemptOutcome::ALL {
        let mut attempt = AttemptRecord::new(
            AttemptId::from_u128(1),
            "openai".into(),
            canary.into(),
            Protocol::OpenAiChat,
            0,
        );
        attempt.outcome = outcome;
        attempt.usage = Usage::new().with(weighbridge_units::Bucket::Input, 1);
        record.attempts.push(attempt);
    }
    Ok(Arc::new(record))
}

#[test]
fn no_credential_reaches_metrics_or_access_log() -> Result<(), Box<dyn std::error::Error>> {
    let (paper, metrics) = (Paper::default(), Metrics::new("0.1.0"));
    let log = AccessLog::start(paper.clone(), 100)?;
    for canary in CANARIES {
        let record = record(canary)?;
        metrics.ended(&record);
        log.ended(&record);
    }
    drop(log);
    let (lines, scrape) = (paper.text(), metrics.render());
    assert_eq!(lines.lines().count(), CANARIES.len());
    assert!(scrape.contains("weighbridge_attempts_total"));
    assert!(!lines.contains("CANARY") && !scrape.contains("CANARY"), "{lines}\n{scrape}");
    Ok(())
}

#[test]
fn no_credential_reaches_messages_at_any_level() -> Result<(), Box<dyn std::error::Error>> {
    for format in [LogFormat::Text, LogFormat::Json] {
        let paper = Paper::default();
        let theirs = paper.clone();
        let subscriber = subscriber(format, "trace", move || theirs.clone())?;
        tracing::subscriber::with_default(subscriber, || {
            for canary in CANARIES {
                tracing::error!(said = canary, "the provider said: {canary}");
                tracing::warn!(said = %format_args!("line\n{canary}\u{1b}{canary}"), "authorization: Bearer {canary}");
                tracing::info!("{canary} {canary}");
                tracing::debug!(body = format!("{{\"api_key\":\"{canary}\"}}"));
                tracing::trace_span!("attempt", key = canary).in_scope(|| tracing::trace!("within"));
            }
        });
        assert!(paper.text().lines().count() >= 5 * CANARIES.len());
        assert!(!paper.text().contains("CANARY"), "{}", paper.text());
    }
    Ok(())
}

#[test]
fn a_level_that_is_not_understood_says_what_to_write() {
    let refused = subscriber(LogFormat::Text, "lots=of=noise", io::sink).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|message| message.contains("write `info`")));
}
