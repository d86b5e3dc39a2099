use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Serialize, Serializer};
use weighbridge_records::{AttemptRecord, Backlog, Observer, RequestRecord, redact};
use weighbridge_units::{KeyId, NanoUsd, Timestamp};

/// How long a line may wait until it is written.
const INTERVAL: Duration = Duration::from_millis(100);
/// How many lines are to wait until they are written, where they come that quickly: so many records are still in the
/// processor's cache, and where they are let go of, the next ones find room there.
const LINES: usize = 256;
/// The log looks for lines at most so often.
const SHORTEST: Duration = Duration::from_millis(2);
/// Lines that are rendered in one go. Then the thread pauses: a scheduler lets it run for a slice of some
/// milliseconds even where a request waits for the processor.
const GO: usize = 16;
/// How long it pauses. Where [`LINES`] or more wait it does not: to pause would cost more than it gives.
const PAUSE: Duration = Duration::from_micros(20);
/// Room for rendered lines that the log keeps.
const ROOM: usize = 256 * 1024;
/// How long the last lines may take at the end. Whoever should read them may have stopped doing so, and the process
/// has to end all the same (rule C8).
const LAST_LINES: Duration = Duration::from_secs(2);

/// Writes one line of JSON per request, from a thread of its own.
///
/// A request only leaves its record in a [`Backlog`]; nobody is woken for it. The lines of each
/// 100 ms, or of less time where they are many, are rendered and written in one piece, the last of them when the log is
/// dropped, which waits two seconds for that at most.
pub struct AccessLog {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

struct Shared {
    backlog: Backlog<Arc<RequestRecord>>,
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// How far the log's thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Writing,
    /// It is to write what waits, and end.
    Stopping,
    Ended,
}

impl AccessLog {
    /// Lines that wait to be written at most, at 10,000 requests per second for half a second.
    pub const DEFAULT_CAPACITY: usize = 5_000;

    /// Starts the log's thread; `capacity` is how many lines may wait.
    ///
    /// # Errors
    /// Where the operating system gives no thread.
    pub fn start(writer: impl Write + Send + 'static, capacity: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            backlog: Backlog::new(capacity),
            phase: Mutex::new(Phase::Writing),
            changed: Condvar::new(),
        });
        let theirs = shared.clone();
        let flusher = std::thread::Builder::new().name("access-log".into()).spawn(move || {
            stand_back();
            theirs.write_until_stopped(writer);
        })?;
        Ok(Self { shared, flusher: Some(flusher) })
    }

    /// How many lines were dropped since the start, for want of room or because writing failed.
    pub fn dropped(&self) -> u64 {
        self.shared.backlog.dropped()
    }
}

impl Observer for AccessLog {
    fn ended(&self, record: &Arc<RequestRecord>) {
        self.shared.backlog.push(record.clone());
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let Some(flusher) = self.flusher.take() else { return };
        if self.shared.stop_within(LAST_LINES) || flusher.is_finished() {
            // A panic of the log's thread has been reported by then; there is nothing left to write.
            let _ = flusher.join();
        } else {
            tracing::warn!("standard output takes no more lines of the access log: the last ones are lost");
        }
    }
}

/// Lets this thread stand back behind those that serve requests: its lines can wait.
fn stand_back() {
    // Linux has this for each thread; elsewhere the whole process would stand back. Where it is not granted,
    // nothing is lost but some microseconds.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}

impl Shared {
    fn write_until_stopped(&self, mut writer: impl Write) {
        let (mut lines, mut interval) = (Vec::new(), INTERVAL);
        loop {
            let phase = self.wait_while(Phase::Writing, interval);
            let written = self.write_waiting(&mut lines, &mut writer);
            if phase == Phase::Stopping {
                return self.enter(Phase::Ended);
            }
            interval = next_interval(interval, written);
            lines.clear();
            lines.shrink_to(ROOM);
        }
    }

    /// Lets the thread write what waits; `false` where that takes longer than `most`.
    fn stop_within(&self, most: Duration) -> bool {
        self.enter(Phase::Stopping);
        self.wait_while(Phase::Stopping, most) == Phase::Ended
    }

    fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.changed.notify_all();
    }

    fn wait_while(&self, still: Phase, most: Duration) -> Phase {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(phase, most, |phase| *phase == still);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes what waits; how many lines that were. `lines` is the room for them, and empty.
    fn write_waiting(&self, lines: &mut Vec<u8>, writer: &mut impl Write) -> usize {
        let records = self.backlog.take();
        if records.is_empty() {
            return 0;
        }
        for some in records.chunks(GO) {
            for record in some {
                // Nothing in a line can fail to serialise, and a vector takes every byte.
                let _ = serde_json::to_writer(&mut *lines, &Line::of(record));
                lines.push(b'\n');
            }
            if records.len() < LINES {
                std::thread::sleep(PAUSE);
            }
        }
        if writer.write_all(lines).and_then(|()| writer.flush()).is_err() {
            // Standard output is gone: lines are lost, requests are not held up.
            self.backlog.count_dropped(records.len());
        }
        records.len()
    }
}

/// How long to wait for the next lines, after so many have come within an interval.
fn next_interval(last: Duration, lines: usize) -> Duration {
    let lines = u32::try_from(lines.max(1)).unwrap_or(u32::MAX);
    (last * LINES as u32 / lines).clamp(SHORTEST, INTERVAL)
}

/// What an operator wants to see of each request. End users and tags stay in the request log.
#[derive(Serialize)]
struct Line<'a> {
    at: Written<Timestamp>,
    request: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Written<KeyId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    protocol: &'static str,
    model: Cow<'a, str>,
    stream: bool,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
    attempts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_model: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    prompt_tokens: u64,
    answer_tokens: u64,
    charged_usd: Written<NanoUsd>,
    losses: usize,
    overhead_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_gap_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_gap_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_up_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_down_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_us: Option<u64>,
    total_us: u64,
}

/// A value as people read it, written without a text of its own.
struct Written<T>(T);

impl<T: fmt::Display> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'a> Line<'a> {
    fn of(record: &'a RequestRecord) -> Self {
        let last = record.last_attempt();
        let gaps = last.and_then(|attempt| attempt.token_gaps);
        let session = last.and_then(|attempt| attempt.session);
        let all = |count: fn(&weighbridge_units::Usage) -> u64| {
            record.attempts.iter().fold(0, |sum: u64, attempt| sum.saturating_add(count(&attempt.usage)))
        };
        Self {
            at: Written(record.at),
            request: redact(record.id.as_str()),
            key: record.caller.as_ref().map(|caller| Written(caller.key)),
            tenant: record.caller.as_ref().map(|caller| &*caller.tenant),
            protocol: record.client_protocol.as_str(),
            model: redact(&record.model),
            stream: record.stream,
            status: record.status,
            refused: record.refused,
            attempts: record.attempts.len(),
            provider: last.map(|attempt| &*attempt.provider),
            provider_model: last.map(|attempt| redact(&attempt.model)),
            outcome: last.map(|attempt| attempt.outcome.as_str()),
            error: last.and_then(|attempt| attempt.error).map(|class| class.as_str()),
            prompt_tokens: all(|usage| usage.prompt()),
            answer_tokens: all(|usage| usage.answer()),
            charged_usd: Written(record.charged()),
            losses: record.losses.len(),
            overhead_us: record.overhead_us,
            first_token_us: last.and_then(|attempt| attempt.first_token_us),
            mean_gap_us: gaps.map(|gaps| gaps.mean_us),
            longest_gap_us: gaps.map(|gaps| gaps.longest_us),
            session_up_bytes: session.map(|bytes| bytes.up_bytes),
            session_down_bytes: session.map(|bytes| bytes.down_bytes),
            session_us: last.and_then(AttemptRecord::session_us),
            total_us: record.total_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use weighbridge_records::{Caller, SessionBytes, TokenGaps};
    use weighbridge_units::{
        AttemptId, AttemptOutcome, Bucket, ErrorClass, KeyId, NanoUsd, Protocol, RequestId, Timestamp, Usage,
    };

    use super::*;

    /// A writer that others can look into, and that fails once it is closed.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }

        fn close(&self) {
            self.0.lock().unwrap().1 = true;
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut paper = self.0.lock().unwrap();
            if paper.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            paper.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(number: usize) -> Arc<RequestRecord> {
        let id = RequestId::new(&format!("req_{number}")).unwrap();
        Arc::new(RequestRecord::new(id, Timestamp::from_secs(0), Protocol::OpenAiChat))
    }

    #[test]
    fn a_request_is_one_line() {
        let mut record = RequestRecord::clone(&record(1));
        record.caller = Some(Caller { key: KeyId::from_bits(5), tenant: "acme".into() });
        record.model = "support".into();
        record.status = 503;
        record.end_user = Some("not for the log".into());
        let (provider, model) = ("openai".into(), "gpt-4o-mini".into());
        let mut attempt =
            AttemptRecord::new(AttemptId::from_u128(1), provider, model, Protocol::OpenAiChat, 80);
        attempt.outcome = AttemptOutcome::FailedBeforeOutput;
        attempt.error = Some(ErrorClass::Overloaded);
        attempt.usage = Usage::new().with(Bucket::Input, 7).with(Bucket::Output, 2);
        attempt.charged = NanoUsd::new(1_500);
        attempt.first_token_us = Some(900);
        attempt.token_gaps = Some(TokenGaps { count: 3, mean_us: 20, longest_us: 50 });
        record.attempts = vec![attempt.clone(), attempt];
        insta::assert_snapshot!(serde_json::to_string(&Line::of(&record)).unwrap(), @r#"{"at":"1970-01-01T00:00:00.000Z","request":"req_1","key":"000000000005","tenant":"acme","protocol":"openai-chat","model":"support","stream":false,"status":503,"attempts":2,"provider":"openai","provider_model":"gpt-4o-mini","outcome":"failed-before-output","error":"overloaded","prompt_tokens":14,"answer_tokens":4,"charged_usd":"0.000003000","losses":0,"overhead_us":0,"first_token_us":900,"mean_gap_us":20,"longest_gap_us":50,"total_us":0}"#);
    }

    #[test]
    fn a_session_tells_what_passed() {
        let mut record = RequestRecord::clone(&record(1));
        let (provider, model) = ("openai".into(), "native".into());
        let mut attempt =
            AttemptRecord::new(AttemptId::from_u128(1), provider, model, Protocol::OpenAiChat, 80);
        attempt.session = Some(SessionBytes { up_bytes: 7, down_bytes: 900 });
        (attempt.first_byte_us, attempt.ended_us) = (Some(200), 5_200);
        record.attempts = vec![attempt];
        let line = serde_json::to_value(Line::of(&record)).unwrap();
        let told = ["session_up_bytes", "session_down_bytes", "session_us"].map(|name| line[name].as_u64());
        assert_eq!(told, [Some(7), Some(900), Some(5_000)]);
    }

    #[test]
    fn lines_come_without_a_stop_and_the_last_ones_with_it() {
        let paper = Paper::default();
        let log = AccessLog::start(paper.clone(), 100).unwrap();
        log.ended(&record(1));
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        while paper.text().is_empty() && std::time::Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(paper.text().lines().count(), 1);
        (2..50).for_each(|number| log.ended(&record(number)));
        drop(log);
        let text = paper.text();
        assert_eq!(text.lines().count(), 49);
        assert!(text.ends_with('\n'));
        for (number, line) in (1..).zip(text.lines()) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["request"], format!("req_{number}"));
        }
    }

    #[test]
    fn the_log_looks_more_often_where_lines_come_quickly() {
        let ms = Duration::from_millis;
        assert_eq!(next_interval(INTERVAL, 0), INTERVAL);
        assert_eq!(next_interval(INTERVAL, 200), INTERVAL);
        assert_eq!(next_interval(INTERVAL, 2_560), ms(10));
        assert_eq!(next_interval(ms(10), 256), ms(10));
        assert_eq!(next_interval(ms(10), 20), INTERVAL);
        assert_eq!(next_interval(ms(10), 1_000_000), SHORTEST);
    }

    /// A pipe that is full, and whose reader has stopped reading: until the test lets go.
    struct FullPipe(std::sync::mpsc::Receiver<()>);

    impl Write for FullPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn c8_an_output_that_nobody_reads_does_not_hold_up_the_end() {
        let (release, held) = std::sync::mpsc::channel();
        let log = AccessLog::start(FullPipe(held), 10).unwrap();
        log.ended(&record(1));
        let (done, ended) = std::sync::mpsc::channel();
        let dropping = std::thread::spawn(move || {
            drop(log);
            done.send(())
        });
        ended.recv_timeout(Duration::from_secs(60)).expect("it waits for its output");
        drop(release);
        dropping.join().unwrap().unwrap();
    }

    #[test]
    fn lines_that_do_not_fit_or_cannot_be_written_are_counted() {
        let paper = Paper::default();
        let log = AccessLog::start(paper.clone(), 10).unwrap();
        (0..10_000).for_each(|number| log.ended(&record(number)));
        let shared = log.shared.clone();
        drop(log);
        let written = paper.text().lines().count() as u64;
        assert_eq!(written + shared.backlog.dropped(), 10_000);
        assert!(shared.backlog.dropped() > 0);

        let paper = Paper::default();
        paper.close();
        let log = AccessLog::start(paper, 10).unwrap();
        (0..7).for_each(|number| log.ended(&record(number)));
        let shared = log.shared.clone();
        drop(log);
        assert_eq!(shared.backlog.dropped(), 7);
    }
}
