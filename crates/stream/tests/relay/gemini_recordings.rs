//! Recorded streams of Gemini, where the recordings are there.

use std::path::{Path, PathBuf};

use weighbridge_stream::testkit::{Verdict, check, check_array};
use weighbridge_stream::{Framing, RelayOptions, StreamForm, fold_stream};
use weighbridge_translate::Content;
use weighbridge_units::Protocol::{self, GeminiGenerateContent};

use crate::support::*;

struct Recording {
    name: String,
    framing: Framing,
    stream: Vec<u8>,
}

/// Every recorded stream; some of the whole answers are streams in the form of a JSON array.
fn recorded() -> Vec<Recording> {
    let folder: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/gemini-generatecontent");
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings in {}", folder.display());
        return Vec::new();
    };
    let mut streams = Vec::new();
    for case in cases.filter_map(Result::ok) {
        let name = case.file_name().to_string_lossy().into_owned();
        for (file, framing) in [
            ("stream.sse", Framing::Sse),
            ("stream.raw", Framing::Sse),
            ("response.json", Framing::JsonArray),
        ] {
            let Ok(stream) = std::fs::read(case.path().join(file)) else { continue };
            if framing == Framing::Sse || stream.trim_ascii_start().starts_with(b"[") {
                streams.push(Recording { name: name.clone(), framing, stream });
            }
        }
    }
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    streams
}

/// Recordings that break off with an error, or are no answer.
const BROKEN: [&str; 2] =
    ["google-vertex--streaming-failure-error-mid-stream", "google-vertex--streaming-failure-invalid-json"];

/// Recordings whose model ends with a reason that nobody knows, written for the collection.
const UNKNOWN_REASON: &str = "google-vertex--streaming-failure-unknown-finish-enum";

fn is_broken(name: &str) -> bool {
    BROKEN.contains(&name)
}

fn from(recording: &Recording, client: Protocol) -> RelayOptions<'static> {
    RelayOptions { framing: recording.framing, ..options(GeminiGenerateContent, client) }
}

#[test]
fn recordings_of_gemini_pass_through_and_are_weighed() {
    for recording in recorded() {
        let Recording { name, framing, stream } = &recording;
        for size in [1, 100, 1_000_000] {
            let ran = run(&from(&recording, GeminiGenerateContent), stream.chunks(size));
            assert_eq!(ran.end.is_complete(), !is_broken(name), "{name}: {:?}", ran.end);
            if is_broken(name) {
                continue;
            }
            if *framing == Framing::Sse {
                assert!(ran.bytes == *stream, "{name}");
            }
            let facts = ran.facts();
            let bridged = run(&from(&recording, OpenAiChat), stream.chunks(size));
            let read = bridged.facts();
            assert_eq!((&facts.id, &facts.model), (&read.id, &read.model), "{name}");
            assert_eq!((facts.usage, &facts.finish), (read.usage, &read.finish), "{name}");
            assert_eq!(facts.service_tier, read.service_tier, "{name}");
            // JSON text is never shorter, but the punctuation of streamed arguments is ours.
            assert!(facts.output_bytes + 64 >= read.output_bytes, "{name}");
        }
    }
}

#[test]
fn recordings_of_gemini_are_bridged_within_the_clients_grammar() {
    for client in Protocol::ALL.into_iter().filter(|client| *client != GeminiGenerateContent) {
        for recording in recorded() {
            let Recording { name, stream, .. } = &recording;
            let options = from(&recording, client);
            let ran = run(&options, stream.chunks(1_000));
            assert_eq!(ran.end.is_complete(), !is_broken(name), "{name}: {:?}", ran.end);
            let expected = if is_broken(name) { Verdict::EndedWithError } else { Verdict::EndedWell };
            assert_eq!(check(client, &ran.bytes), Ok(expected), "{name}\n{}", ran.text());
            assert!(run(&options, stream.chunks(1)).bytes == ran.bytes, "{name}");
        }
    }
}

#[test]
fn recordings_of_gemini_pass_into_the_other_form() {
    for recording in recorded().into_iter().filter(|recording| !is_broken(&recording.name)) {
        let Recording { name, framing, stream } = &recording;
        let form = if *framing == Framing::JsonArray { StreamForm::Events } else { StreamForm::JsonArray };
        let options = RelayOptions { form, ..from(&recording, GeminiGenerateContent) };
        let other = run(&options, stream.chunks(77));
        assert!(other.end.is_complete(), "{name}");
        let framing = match form {
            StreamForm::Events => Framing::Sse,
            StreamForm::JsonArray => Framing::JsonArray,
        };
        let facts = |framing, stream: &[u8]| {
            let (folder, end) = fold_stream(GeminiGenerateContent, framing, stream, 1 << 24);
            assert_eq!(end, Ok(()), "{name}");
            format!("{:?}", folder.answer().candidates)
        };
        assert_eq!(facts(framing, &other.bytes), facts(recording.framing, stream), "{name}");
    }
}

/// Apart from reading: the grammar that judges our output accepts what Google sends.
#[test]
fn the_grammar_accepts_recordings_of_google() {
    for Recording { name, framing, stream } in recorded() {
        let verdict = match framing {
            Framing::JsonArray => check_array(&stream),
            _ => check(GeminiGenerateContent, &stream),
        };
        if is_broken(&name) || name == UNKNOWN_REASON {
            assert_ne!(verdict, Ok(Verdict::EndedWell), "{name}");
        } else {
            assert_eq!(verdict, Ok(Verdict::EndedWell), "{name}");
        }
    }
}

/// protocols.md, section 1.5: `google-ai-studio--google-vertex-stream-tool-call-arguments-nested-1`.
#[test]
fn trap_arguments_that_vertex_streams_become_an_object() {
    let name = "google-ai-studio--google-vertex-stream-tool-call-arguments-nested-1";
    for recording in recorded().into_iter().filter(|recording| recording.name == name) {
        let (folder, end) = fold_stream(GeminiGenerateContent, recording.framing, &recording.stream, 1 << 20);
        assert_eq!(end, Ok(()));
        let answer = folder.answer();
        let calls: Vec<_> = answer.candidates[0]
            .parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::ToolCall(call) => Some(call),
                _ => None,
            })
            .collect();
        let arguments: serde_json::Value = serde_json::from_str(&calls[0].arguments).unwrap();
        let first = &arguments["recipe"]["ingredients"][0];
        assert_eq!(
            (first["amount"].as_str(), first["name"].as_str()),
            (Some("16 oz"), Some("Lasagna noodles"))
        );
        assert!(calls.iter().all(|call| serde_json::from_str::<serde_json::Value>(&call.arguments).is_ok()));
    }
}
