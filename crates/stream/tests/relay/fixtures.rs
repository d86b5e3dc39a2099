//! Recorded streams of real providers, where the recordings are there.

use std::path::{Path, PathBuf};

use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::Protocol;

use crate::support::*;

/// The files of that name in the recordings of one protocol: name of the case, and bytes.
pub(crate) fn recorded(protocol: Protocol, file: &str) -> Vec<(String, Vec<u8>)> {
    let name = match protocol {
        Protocol::GeminiGenerateContent => "gemini-generatecontent",
        other => other.as_str(),
    };
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder: PathBuf = all.join(name);
    assert!(folder.is_dir() || !all.is_dir(), "{} is missing", folder.display());
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings in {}", folder.display());
        return Vec::new();
    };
    let mut streams: Vec<(String, Vec<u8>)> = cases
        .filter_map(|case| {
            let case = case.ok()?;
            let mut stream = std::fs::read(case.path().join(file)).ok()?;
            // One recording holds the streams of three turns.
            let end = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
            if let Some(at) = memchr::memmem::find(&stream, end) {
                stream.truncate(at + end.len());
            }
            if protocol == Protocol::OpenAiResponses {
                stream.truncate(end_of_first_response(&stream));
            }
            Some((case.file_name().to_string_lossy().into_owned(), stream))
        })
        .collect();
    streams.sort();
    streams
}

/// Where the first answer of a stream of Responses ends: one recording holds two, and OpenRouter says
/// `[DONE]` behind its.
fn end_of_first_response(stream: &[u8]) -> usize {
    let find = |needle: &[u8], from: usize| Some(memchr::memmem::find(stream.get(from..)?, needle)? + from);
    let named = find(b"event: response.completed\n", 0).and_then(|at| find(b"\n\n", at)).map(|at| at + 2);
    named.or_else(|| find(b"data: [DONE]", 0)).unwrap_or(stream.len())
}

/// Recordings that end with an error, or in the middle.
const BROKEN: [&str; 4] = [
    "anthropic--error-first-event-overloaded",
    "groq--tool-use-failed-error-streaming-with-text-1",
    "openai--error-event-flat-shape",
    "openrouter--openrouter-stream-error",
];

#[test]
fn recordings_pass_through_untouched_and_are_weighed() {
    // Those of Gemini have a test of their own: it has two framings, and broken ones of other kinds.
    for protocol in Protocol::ALL.into_iter().filter(|protocol| *protocol != Protocol::GeminiGenerateContent)
    {
        for (name, stream) in recorded(protocol, "stream.sse") {
            let is_broken = BROKEN.contains(&name.as_str());
            for size in [1, 100, 1_000_000] {
                let ran = run(&options(protocol, protocol), stream.chunks(size));
                assert_eq!(ran.end.is_complete(), !is_broken, "{name}: {:?}", ran.end);
                let facts = ran.facts();
                if is_broken {
                    assert!(stream.starts_with(&ran.bytes), "{name}");
                    continue;
                }
                assert!(ran.bytes == stream, "{name}");
                assert!(ran.committed && facts.model.is_some(), "{name}");
                // What the bridge reads of every frame, the tee has read of a few.
                let client = if protocol == OpenAiChat { AnthropicMessages } else { OpenAiChat };
                let bridged = run(&options(protocol, client), stream.chunks(size));
                let read = bridged.facts();
                assert_eq!(
                    (&facts.id, &facts.model, &facts.service_tier),
                    (&read.id, &read.model, &read.service_tier),
                    "{name}"
                );
                assert_eq!((facts.usage, &facts.finish), (read.usage, &read.finish), "{name}");
                // JSON text is never shorter, but the `{}` of calls without arguments is ours.
                assert!(facts.output_bytes + 8 >= read.output_bytes, "{name}");
            }
        }
    }
}

#[test]
fn recordings_are_bridged_within_the_clients_grammar() {
    // Those of Gemini have a test of their own, as above.
    let bridges = pairs()
        .filter(|(provider, client)| provider != client && *provider != Protocol::GeminiGenerateContent);
    for (provider, client) in bridges {
        for (name, stream) in recorded(provider, "stream.sse") {
            let is_broken = BROKEN.contains(&name.as_str());
            let options = options(provider, client);
            let ran = run(&options, stream.chunks(1_000));
            assert_eq!(ran.end.is_complete(), !is_broken, "{name}: {:?}", ran.end);
            let expected = if is_broken { Verdict::EndedWithError } else { Verdict::EndedWell };
            assert_eq!(check(client, &ran.bytes), Ok(expected), "{name}\n{}", ran.text());
            assert!(run(&options, stream.chunks(1)).bytes == ran.bytes, "{name}");
        }
    }
}

/// Apart from reading: the grammar that judges our output accepts what Anthropic sends.
#[test]
fn the_grammar_accepts_recordings_of_anthropic() {
    for (name, stream) in recorded(AnthropicMessages, "stream.sse")
        .into_iter()
        .filter(|(name, _)| name.starts_with("anthropic--"))
    {
        let verdict = check(AnthropicMessages, &stream);
        let expected =
            if BROKEN.contains(&name.as_str()) { Verdict::EndedWithError } else { Verdict::EndedWell };
        assert_eq!(verdict, Ok(expected), "{name}");
    }
}

/// The same for chunks of OpenAI itself, but for a recording that lacks its finish reason.
#[test]
fn the_grammar_accepts_recordings_of_openai() {
    let unfinished = "openai--tools-streaming-variant-b-1";
    let of_openai = |name: &str| name.starts_with("openai--") && name != unfinished;
    for (name, stream) in recorded(OpenAiChat, "stream.sse").into_iter().filter(|(name, _)| of_openai(name)) {
        assert_eq!(check(OpenAiChat, &stream), Ok(Verdict::EndedWell), "{name}");
    }
}
