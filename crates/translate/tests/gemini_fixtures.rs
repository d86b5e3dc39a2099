//! Recorded traffic of Gemini: totals, errors, counts and vectors. Requests and answers are judged with those
//! of the other protocols.
//!
//! The recordings lie beside the repository; where they are missing the tests say so and pass.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::PathBuf;

use weighbridge_protocol::gemini::usage;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::{
    AnswerTarget, TranslateError, decode_error, encode_error, response, retry_delay,
};
use weighbridge_units::{ErrorClass, Protocol};

const GEMINI: Protocol = Protocol::GeminiGenerateContent;
const ANSWER: AnswerTarget<'_> = AnswerTarget::new("id", 1_700_000_000);

struct Fixture {
    name: String,
    text: String,
    status: u16,
}

/// The files of that name in the recordings of a folder.
#[expect(clippy::disallowed_methods, reason = "recordings are files")]
fn fixtures(folder: &str, file: &str) -> Vec<Fixture> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures");
    let folder = PathBuf::from(root).join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let read = |case: PathBuf| {
        let meta = std::fs::read_to_string(case.join("meta.json")).ok()?;
        let status = raw(&meta).get("status").and_then(|status| status.u64().ok()).unwrap_or(200);
        let name = case.file_name()?.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(case.join(file)).ok()?;
        Some(Fixture { name, text, status: status.try_into().ok()? })
    };
    let mut found: Vec<Fixture> = entries.filter_map(|entry| read(entry.ok()?.path())).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Whole answers; some recordings hold a stream in the form of a JSON array instead.
fn answers() -> Vec<Fixture> {
    let mut answers = fixtures("gemini-generatecontent", "response.json");
    answers.retain(|answer| !answer.text.trim_start().starts_with('['));
    answers
}

fn raw(text: &str) -> Raw<'_> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

/// The buckets add up to the provider's own total, but for Vertex AI, whose total can be off by one.
#[test]
fn m5_every_recorded_total_is_the_sum_of_its_buckets() {
    let mut totals = 0;
    let mut check = |name: &str, document: Raw<'_>| {
        let Some(raw) = document.get("usageMetadata") else { return };
        let Some(total) = raw.get("totalTokenCount") else { return };
        let (told, total) = (usage::read(raw).total(), total.u64().unwrap());
        assert!(told.abs_diff(total) <= 1, "{name}: {told} of {total}");
        assert!(told == total || name.starts_with("google-vertex"), "{name}: {told} of {total}");
        totals += 1;
    };
    for answer in answers() {
        check(&answer.name, raw(&answer.text));
    }
    for stream in fixtures("gemini-generatecontent", "stream.sse") {
        stream
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .for_each(|data| check(&stream.name, raw(data)));
    }
    println!("{totals} totals");
}

#[test]
fn every_recorded_error_has_a_message_and_a_fitting_class() {
    let errors = ["gemini-generatecontent", "gemini-other"];
    let errors = errors.into_iter().flat_map(|folder| fixtures(folder, "response.json"));
    for Fixture { name, text, status } in errors.filter(|fixture| fixture.status >= 400) {
        let error = decode_error(GEMINI, status, text.as_bytes());
        assert_eq!(error.status, status, "{name}");
        assert!(!error.message.is_empty() && !error.message.contains("no message"), "{name}");
        let fits = match error.class {
            ErrorClass::Server | ErrorClass::Overloaded | ErrorClass::Timeout => status >= 500,
            ErrorClass::RateLimit => status == 429,
            ErrorClass::Authentication => status == 401,
            ErrorClass::NotFound => status == 404,
            ErrorClass::Permission => status == 403,
            _ => (400..500).contains(&status),
        };
        assert!(fits, "{name}: {:?} under {status}", error.class);
        // The same in an array, as a stream that is not asked for in events gets it.
        assert_eq!(decode_error(GEMINI, status, format!("[{text}]").as_bytes()), error, "{name}");
        for client in Protocol::ALL {
            let (status, body) = encode_error(client, &error, "req_1");
            assert_eq!(decode_error(client, status, &body).message, error.message, "{name}");
        }
    }
}

/// protocols.md, section 4: `google-ai-studio--google-429-retry-info`.
#[test]
fn retry_info_stands_for_the_retry_after_header() {
    let recorded = fixtures("gemini-generatecontent", "response.json");
    for error in recorded.into_iter().filter(|error| error.name == "google-ai-studio--google-429-retry-info")
    {
        let delay = retry_delay(GEMINI, error.text.as_bytes());
        assert_eq!(delay, Some(std::time::Duration::from_millis(34_400)));
        assert_eq!(retry_delay(Protocol::OpenAiChat, error.text.as_bytes()), None);
    }
}

#[test]
fn an_array_of_chunks_is_no_whole_answer() {
    let error = response(GEMINI, Protocol::OpenAiChat, r#"[{"candidates":[]}]"#, &ANSWER).unwrap_err();
    assert!(matches!(error, TranslateError::Scan(_)), "{error}");
}
