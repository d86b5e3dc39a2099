//! Recorded traffic: every request and answer is read, and translated to every format that takes it.

use std::path::PathBuf;

use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::EmbeddingsProtocol::{self, *};
use weighbridge_translate::TranslateError;
use weighbridge_translate::embeddings::{self, AnswerTarget, Encoding, RequestTarget};

use crate::support::all;

struct Recorded {
    name: String,
    format: EmbeddingsProtocol,
    status: u64,
    request: String,
    response: String,
}

#[expect(clippy::disallowed_methods, reason = "recordings are files")]
fn recordings() -> Vec<Recorded> {
    let mut found = Vec::new();
    for folder in ["openai-embeddings", "gemini-other"] {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            println!("skipped: no recordings of {folder}");
            continue;
        };
        for case in entries.map(|entry| entry.unwrap().path()) {
            let read = |file| std::fs::read_to_string(case.join(file)).unwrap();
            let meta = read("meta.json");
            let meta = Raw::parse(&meta, &ScanLimits::default()).unwrap();
            let path = meta.get("url_path").unwrap().str().unwrap().into_owned();
            let format = match path.rsplit([':', '/']).next().unwrap() {
                "batchEmbedContents" => GeminiBatchEmbed,
                "embedContent" => GeminiEmbed,
                "embeddings" if path.starts_with("/v1") => OpenAi,
                _ => continue,
            };
            found.push(Recorded {
                name: case.file_name().unwrap().to_string_lossy().into_owned(),
                format,
                status: meta.get("status").unwrap().u64().unwrap(),
                request: read("request.json"),
                response: read("response.json"),
            });
        }
    }
    found
}

#[test]
fn requests_are_read_and_reach_every_format_that_takes_them() {
    for recorded in recordings() {
        let asked = embeddings::asked(recorded.format, &recorded.request).unwrap();
        assert!(asked.inputs > 0, "{}", recorded.name);
        for to in all() {
            let sent = embeddings::request(recorded.format, to, &recorded.request, &RequestTarget::new("m"));
            match sent {
                Ok(sent) => {
                    let again = embeddings::asked(to, std::str::from_utf8(&sent.value).unwrap()).unwrap();
                    assert_eq!(again.inputs, asked.inputs, "{} to {to}", recorded.name);
                }
                Err(TranslateError::Unsupported { .. }) => assert_ne!(to, recorded.format),
                Err(error) => unreachable!("{} to {to}: {error}", recorded.name),
            }
        }
    }
}

#[test]
fn answers_are_read_and_reach_every_client() {
    for recorded in recordings() {
        if recorded.status != 200 {
            continue;
        }
        // Perplexity's whole numbers of 8 bits in base64 are nobody else's format.
        if recorded.request.contains("pplx-embed") {
            continue;
        }
        let facts = embeddings::answer_facts(recorded.format, &recorded.response, None).unwrap();
        let asked = embeddings::asked(recorded.format, &recorded.request).unwrap();
        assert_eq!(facts.vectors, asked.inputs, "{}", recorded.name);
        for encoding in [Encoding::Float, Encoding::Base64] {
            let target = AnswerTarget { encoding, ..AnswerTarget::new("m") };
            let to_openai =
                embeddings::answer(recorded.format, OpenAi, &recorded.response, &target).unwrap().value;
            // Back again, then the same once more: nothing was rounded on the way.
            let text = String::from_utf8(to_openai.0).unwrap();
            let back = embeddings::answer(OpenAi, GeminiBatchEmbed, &text, &target).unwrap().value;
            let back = String::from_utf8(back.0).unwrap();
            let again = embeddings::answer(GeminiBatchEmbed, OpenAi, &back, &target).unwrap().value;
            let numbers = |text: &str| {
                let raw = Raw::parse(text, &ScanLimits::default()).unwrap();
                raw.get("data").unwrap().text().to_owned()
            };
            assert_eq!(numbers(&String::from_utf8(again.0).unwrap()), numbers(&text), "{}", recorded.name);
        }
    }
}
