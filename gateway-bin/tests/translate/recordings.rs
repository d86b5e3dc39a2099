//! Recorded traffic of real providers, which lies beside the repository; where it is missing the tests
//! say so and pass. What the command does is done in this process, for every pair; the binary itself
//! takes a few of each kind.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge_stream::{Standalone, StandaloneOptions, StreamForm};
use weighbridge_translate::{AnswerTarget, Dialect, standalone};
use weighbridge_units::Protocol;

use crate::{assert_exit, between};

/// How many recordings of each kind the binary is run on.
const RUN: usize = 2;

/// The folders of recordings, and what they hold.
fn folder(name: &str) -> Option<Protocol> {
    match name {
        "bedrock-invoke-anthropic" => Some(Protocol::AnthropicMessages),
        "gemini-generatecontent" => Some(Protocol::GeminiGenerateContent),
        name => Protocol::from_name(name),
    }
}

/// Cases of Anthropic's Text Completions, which came before Messages.
const OLDER: [&str; 3] = [
    "aws-bedrock--anthropic-2-completion",
    "aws-bedrock--anthropic-invoke",
    "aws-bedrock--anthropic-invoke-stream",
];

struct Case {
    protocol: Protocol,
    path: PathBuf,
    model: String,
    status: u16,
}

impl Case {
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path.join(file)).ok()
    }

    fn stream(&self) -> Option<Vec<u8>> {
        ["stream.sse", "stream.bin", "stream.raw"].into_iter().find_map(|file| self.read(file))
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    let Ok(folders) = std::fs::read_dir(&root) else {
        println!("skipped: no recordings at {}", root.display());
        return Vec::new();
    };
    let mut cases = Vec::new();
    for entry in folders.flatten() {
        let Some(protocol) = folder(&entry.file_name().to_string_lossy()) else { continue };
        for case in std::fs::read_dir(entry.path()).unwrap().flatten() {
            let Ok(meta) = std::fs::read(case.path().join("meta.json")) else { continue };
            let meta: Value = serde_json::from_slice(&meta).unwrap();
            if !OLDER.contains(&case.file_name().to_string_lossy().as_ref()) {
                cases.push(Case {
                    protocol,
                    path: case.path(),
                    model: meta["model"].as_str().unwrap_or("m").to_owned(),
                    status: meta["status"].as_u64().unwrap_or(200).try_into().unwrap(),
                });
            }
        }
    }
    cases.sort_by(|a, b| a.path.cmp(&b.path));
    cases
}

#[test]
fn every_recorded_request_goes_to_every_protocol() {
    for case in cases() {
        let Some(body) = case.read("request.json") else { continue };
        for to in Protocol::ALL {
            let sent = standalone::request(case.protocol, to, &body, Some(&case.model), Dialect::Native);
            let sent = sent.unwrap_or_else(|error| panic!("{}: {error}", case.path.display()));
            let back = serde_json::from_slice::<Value>(&sent.value);
            assert!(back.is_ok(), "{} to {to}", case.path.display());
        }
    }
}

#[test]
fn every_recorded_answer_and_error_goes_to_every_protocol() {
    for case in cases() {
        let Some(body) = case.read("response.json") else { continue };
        if body.trim_ascii_start().starts_with(b"[") {
            // A stream in the form of an array.
            continue;
        }
        for to in Protocol::ALL {
            let target = AnswerTarget::new("id", 1_700_000_000);
            let told = standalone::answer(case.protocol, to, case.status, &body, &target, "req_1");
            assert!(told.is_ok(), "{} to {to}: {told:?}", case.path.display());
        }
    }
}

/// Recordings of streams that ended with an error, or in the middle.
const BROKEN: [&str; 7] = [
    "anthropic--error-first-event-overloaded",
    "aws-bedrock--error-midstream-internalserverexception",
    "google-vertex--streaming-failure-error-mid-stream",
    "google-vertex--streaming-failure-invalid-json",
    "groq--tool-use-failed-error-streaming-with-text-1",
    "openai--error-event-flat-shape",
    "openrouter--openrouter-stream-error",
];

#[test]
fn every_recorded_stream_goes_to_every_protocol() {
    let mut faults = Vec::new();
    for case in cases() {
        let array = case.read("response.json").filter(|body| body.trim_ascii_start().starts_with(b"["));
        let Some(stream) = case.stream().or(array) else { continue };
        let name = case.path.file_name().unwrap().to_string_lossy();
        for to in Protocol::ALL {
            let options = StandaloneOptions {
                from: case.protocol,
                to,
                form: StreamForm::Events,
                id_fallback: "id",
                model_fallback: "unknown",
                created: 1_700_000_000,
                request_id: "req_1",
            };
            let mut translation = Standalone::new(options);
            let mut out = VecDeque::new();
            for piece in stream.chunks(4096) {
                translation.push(bytes::Bytes::copy_from_slice(piece), &mut out);
            }
            let end = translation.finish(&mut out);
            if end.is_complete() == BROKEN.contains(&name.as_ref()) {
                faults.push(format!("{name} to {to}: {end:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_binary_takes_recordings_of_every_kind() {
    let cases = cases();
    for from in Protocol::ALL {
        let to =
            if from == Protocol::OpenAiChat { Protocol::AnthropicMessages } else { Protocol::OpenAiChat };
        let of = |file: &'static str| {
            let recorded = cases.iter().filter(move |case| case.protocol == from && case.status < 400);
            recorded.filter_map(move |case| Some((case, case.read(file)?))).take(RUN)
        };
        for (case, body) in of("request.json") {
            assert_exit(&between(from, to, &["--model", &case.model], &body), 0);
        }
        for (_, body) in of("response.json") {
            assert_exit(&between(from, to, &["--response"], &body), 0);
        }
        for (_, stream) in of("stream.sse").chain(of("stream.bin")) {
            assert_exit(&between(from, to, &["--stream"], &stream), 0);
        }
    }
}
