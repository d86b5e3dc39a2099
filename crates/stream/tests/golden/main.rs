//! Small streams of each protocol, as the client of each other protocol gets them.
//!
//! `<case>/<protocol>.sse` is what a provider sends (frames of Bedrock Converse in their text form);
//! beside it lies its golden file. After a change that is meant,
//!
//! ```console
//! $ WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-stream --test golden
//! ```
//!
//! writes all of them anew; what changed is for the reviewer to judge.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{End, Framing, Relay, RelayOptions, StreamForm};
use weighbridge_units::Protocol;

const PROTOCOLS: [Protocol; 5] = [
    Protocol::OpenAiChat,
    Protocol::AnthropicMessages,
    Protocol::OpenAiResponses,
    Protocol::GeminiGenerateContent,
    Protocol::BedrockConverse,
];

/// Cases of streams that do not end well.
const BROKEN: [&str; 2] = ["error-in-mid-stream", "cut"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

struct Case {
    name: String,
    provider: Protocol,
    path: PathBuf,
    stream: Bytes,
}

#[expect(clippy::disallowed_methods, reason = "cases are files")]
fn cases() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = root().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let of = |folder: &PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let folder = folder.clone();
        PROTOCOLS.into_iter().filter_map(move |provider| {
            let path = folder.join(provider.as_str()).with_extension("sse");
            let stream = std::fs::read(&path).ok()?.into();
            Some(Case { name: name.clone(), provider, path, stream })
        })
    };
    folders.iter().flat_map(of).collect()
}

/// What the client gets of a stream that comes in pieces of this size.
fn relayed(case: &Case, client: Protocol, piece: usize) -> (Vec<u8>, End) {
    let mut relay = Relay::new(&RelayOptions {
        provider: case.provider,
        framing: Framing::Sse,
        client,
        hide_usage: false,
        show_usage: true,
        form: StreamForm::Events,
        id_fallback: "made-up",
        model_fallback: "asked-for",
        created: 1_700_000_000,
        request_id: "req_1",
        legacy_functions: false,
    });
    let mut out = VecDeque::new();
    for piece in case.stream.chunks(piece) {
        relay.push(Bytes::copy_from_slice(piece), &mut out);
    }
    let end = relay.finish(None, &mut out);
    (out.into_iter().flatten().collect(), end)
}

/// Who may be the client of a provider: no client speaks Bedrock Converse.
fn clients(provider: Protocol) -> impl Iterator<Item = Protocol> {
    PROTOCOLS.into_iter().filter(move |client| *client != provider && client.is_clients())
}

fn golden(case: &Case) -> String {
    let one = |client| {
        let (written, end) = relayed(case, client, usize::MAX);
        let facts = end.facts();
        let losses: String =
            facts.losses.iter().map(|loss| format!("{loss} (needed: {})\n", loss.needed)).collect();
        let losses = if losses.is_empty() { losses } else { format!("--- lost\n{losses}") };
        let stream = String::from_utf8(written).unwrap().replace('\r', "");
        format!("=== {client}\n{stream}{losses}")
    };
    clients(case.provider).map(one).collect::<Vec<_>>().join("\n")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files are files")]
fn every_stream_gives_what_its_golden_file_says() {
    let rewrites = std::env::var_os("WEIGHBRIDGE_REWRITE").is_some();
    let mut differing = Vec::new();
    for case in cases() {
        let (path, golden) = (case.path.with_extension("golden"), golden(&case));
        if rewrites {
            std::fs::write(&path, golden).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != golden {
            differing.push(format!("{}\n{golden}", path.display()));
        }
    }
    assert!(
        differing.is_empty(),
        "{}\n\nthese {} file(s) should be so. If the change is meant: \
         WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-stream --test golden",
        differing.join("\n"),
        differing.len()
    );
}

#[test]
fn every_stream_obeys_the_clients_grammar_however_it_is_cut() {
    for case in cases() {
        let is_broken = BROKEN.contains(&case.name.as_str());
        for client in clients(case.provider) {
            let about = format!("{} from {} to {client}", case.name, case.provider);
            let (written, end) = relayed(&case, client, usize::MAX);
            assert_eq!(end.is_complete(), !is_broken, "{about}: {end:?}");
            let expected = if is_broken { Verdict::EndedWithError } else { Verdict::EndedWell };
            assert_eq!(check(client, &written), Ok(expected), "{about}");
            for piece in [1, 7, 100] {
                assert!(relayed(&case, client, piece).0 == written, "{about}, in pieces of {piece}");
            }
        }
    }
}
