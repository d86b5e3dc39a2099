//! `weighbridge translate`: the translator alone, between files and pipes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use weighbridge_access::LossPolicy;
use weighbridge_stream::{End, Standalone, StandaloneOptions};
use weighbridge_translate::standalone::{self, Answered, StandaloneError};
use weighbridge_translate::{AnswerTarget, StreamForm};
use weighbridge_units::Loss;

use crate::cli::{TranslateArgs, complain};

/// The most that a document may have, in bytes. A stream may be of any length.
const DOCUMENT_MAX: u64 = 256 << 20;
/// How much of a stream is read at once at most, in bytes.
const PIECE: usize = 64 << 10;

/// Wrong usage, as clap has it.
const USAGE: u8 = 2;
/// Something was lost, and losses are rejected.
const REJECTED: u8 = 3;

/// Ids that an answer gets where its provider told none.
const ANSWER_ID: &str = "translated-1";
const REQUEST_ID: &str = "translate";

pub(crate) fn run(args: &TranslateArgs) -> anyhow::Result<ExitCode> {
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(io::stdin().lock()),
    };
    if args.stream {
        return stream(args, input);
    }
    let body = document(input)?;
    if args.response { answer(args, &body) } else { request(args, &body) }
}

fn document(input: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let length = input.take(DOCUMENT_MAX + 1).read_to_end(&mut body).context("cannot read the input")?;
    if length as u64 > DOCUMENT_MAX {
        bail!("the input has more than {DOCUMENT_MAX} bytes");
    }
    Ok(body)
}

fn request(args: &TranslateArgs, body: &[u8]) -> anyhow::Result<ExitCode> {
    match standalone::request(args.from, args.to, body, args.model.as_deref(), args.dialect) {
        Ok(translated) => tell(args, &translated.value, &translated.losses),
        Err(error @ StandaloneError::NoModel { .. }) => {
            complain(&anyhow::Error::new(error).context("--model is missing"));
            Ok(ExitCode::from(USAGE))
        }
        Err(error) => Err(told(&error)),
    }
}

/// An error that tells its causes itself.
fn told(error: &impl std::error::Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// The model that an answer without one is told to be of.
fn asked_for(args: &TranslateArgs) -> &str {
    args.model.as_deref().unwrap_or("unknown")
}

fn answer(args: &TranslateArgs, body: &[u8]) -> anyhow::Result<ExitCode> {
    let target = AnswerTarget::new(ANSWER_ID, now()).model(asked_for(args));
    let translated = standalone::answer(args.from, args.to, args.status, body, &target, REQUEST_ID)
        .map_err(|error| told(&error))?;
    match translated.value {
        Answered::Answer(body) => tell(args, &body, &translated.losses),
        Answered::Error { status, body, error } => {
            whisper(format_args!("error {status}: {error}"));
            tell(args, &body, &translated.losses)
        }
    }
}

/// Writes a document and what was lost, as the policy has it.
fn tell(args: &TranslateArgs, document: &[u8], losses: &[Loss]) -> anyhow::Result<ExitCode> {
    if !is_told(args, losses) {
        return Ok(ExitCode::from(REJECTED));
    }
    let mut out = io::stdout().lock();
    let end = if document.ends_with(b"\n") { &b""[..] } else { b"\n" };
    if write(&mut out, document)? {
        write(&mut out, end)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Names what was lost, and says whether the result may be written.
fn is_told(args: &TranslateArgs, losses: &[Loss]) -> bool {
    if args.loss_policy != LossPolicy::Allow {
        for loss in losses {
            whisper(format_args!("{loss} (needed: {})", loss.needed));
        }
    }
    args.loss_policy != LossPolicy::Reject || losses.is_empty()
}

fn stream(args: &TranslateArgs, mut input: impl Read) -> anyhow::Result<ExitCode> {
    let mut stream = Standalone::new(StandaloneOptions {
        from: args.from,
        to: args.to,
        form: if args.json_array { StreamForm::JsonArray } else { StreamForm::Events },
        id_fallback: ANSWER_ID,
        model_fallback: asked_for(args),
        created: now(),
        request_id: REQUEST_ID,
    });
    // What a stream loses is known at its end: where that decides, nothing is written before.
    let holds = args.loss_policy == LossPolicy::Reject;
    let mut out = io::stdout().lock();
    let mut pieces = VecDeque::new();
    let mut buffer = vec![0; PIECE];
    while stream.is_running() {
        let length = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read the input"),
        };
        stream.push(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()), &mut pieces);
        if !holds && !write_all(&mut out, &mut pieces)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let end = stream.finish(&mut pieces);
    if !is_told(args, &end.facts().losses) {
        return Ok(ExitCode::from(REJECTED));
    }
    write_all(&mut out, &mut pieces)?;
    match end {
        End::Complete(_) => Ok(ExitCode::SUCCESS),
        End::Broken(error, _) => Err(anyhow::Error::new(error).context("the stream broke off")),
    }
}

fn write_all(out: &mut impl Write, pieces: &mut VecDeque<Bytes>) -> anyhow::Result<bool> {
    for piece in pieces.drain(..) {
        if !write(out, &piece)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes and flushes; `false` where the reader has gone away, which is not our failure.
fn write(out: &mut impl Write, bytes: &[u8]) -> anyhow::Result<bool> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write the result"),
    }
}

/// Writes a line to standard error.
fn whisper(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Seconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}
