//! Recorded traffic of Gemini: everything is read, comes back as it was, and reaches every protocol.
//!
//! The recordings lie beside the repository; where they are missing the tests say so and pass.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::PathBuf;

use serde_json::{Map, Value};
use weighbridge_protocol::gemini::{count_tokens, embed, usage};
use weighbridge_protocol::json::{Raw, ScanLimits, Writer};
use weighbridge_translate::{
    AnswerTarget, RequestTarget, TranslateError, answer_facts, decode_error, encode_error, request, response,
    retry_delay,
};
use weighbridge_units::{ErrorClass, Protocol};

const GEMINI: Protocol = Protocol::GeminiGenerateContent;
const REQUEST: RequestTarget<'_> = RequestTarget::new("gemini-2.5-flash");
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

fn requests() -> Vec<Fixture> {
    fixtures("gemini-generatecontent", "request.json")
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

/// Fields that hold what is nobody's business: their inside is compared as it is.
const OPAQUE: [&str; 7] = [
    "args",
    "response",
    "parameters",
    "parametersJsonSchema",
    "responseSchema",
    "responseJsonSchema",
    "googleSearch",
];

/// What says the same to Google, in one form: either name of a field, either alphabet of base64, `null`
/// or an empty value for no field.
fn same(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut same_object = Map::new();
            for (name, value) in object {
                let name = camel_case(name);
                let value = if OPAQUE.contains(&name.as_str()) { value.clone() } else { same(value) };
                let says_nothing = match (name.as_str(), &value) {
                    ("generationConfig" | "content", Value::Object(inner)) => inner.is_empty(),
                    ("thought", Value::Bool(thought)) => !thought,
                    ("description", Value::String(text)) => text.is_empty(),
                    ("index", Value::Number(number)) => number.as_u64() == Some(0),
                    ("role", Value::String(role)) => role == "model",
                    (_, value) => value.is_null(),
                };
                match (name.as_str(), value) {
                    _ if says_nothing => {}
                    ("tools", Value::Array(tools)) => {
                        same_object.insert(name, tools.iter().flat_map(each_alone).collect());
                    }
                    ("parts", Value::Array(mut parts)) => {
                        for part in parts.iter_mut().filter(|part| **part == Value::Object(Map::new())) {
                            *part = serde_json::json!({"text": ""});
                        }
                        same_object.insert(name, Value::Array(parts));
                    }
                    ("data", Value::String(text)) => {
                        same_object.insert(name, text.replace('-', "+").replace('_', "/").into());
                    }
                    (_, value) => {
                        same_object.insert(name, value);
                    }
                }
            }
            Value::Object(same_object)
        }
        Value::Array(items) => items.iter().map(same).collect(),
        other => other.clone(),
    }
}

/// The tools of a list entry, which may hold several.
fn each_alone(tool: &Value) -> Vec<Value> {
    let entries = tool.as_object().into_iter().flatten();
    entries
        .flat_map(|(name, value)| match (name.as_str(), value) {
            ("functionDeclarations", Value::Array(functions)) => functions.clone(),
            _ => vec![serde_json::json!({name: value})],
        })
        .collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let mut chars = word.chars();
        let start: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
        camel + &start + chars.as_str()
    })
}

/// Whether a JSON pointer leads to a value of the document.
fn points_somewhere(document: &str, pointer: &str) -> bool {
    let value: Value = serde_json::from_str(document).unwrap();
    value.pointer(pointer).is_some()
}

#[test]
fn every_recorded_request_comes_back_as_it_was() {
    for Fixture { name, text, .. } in requests() {
        let back = request(GEMINI, GEMINI, &text, &REQUEST).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(back.losses.is_empty(), "{name}: {:?}", back.losses);
        let (back, text): (Value, Value) =
            (serde_json::from_slice(&back.value).unwrap(), serde_json::from_str(&text).unwrap());
        assert_eq!(same(&back), same(&text), "{name}");
    }
}

#[test]
fn every_recorded_answer_comes_back_as_it_was() {
    for Fixture { name, text, .. } in answers().into_iter().filter(|answer| answer.status < 400) {
        let back = response(GEMINI, GEMINI, &text, &ANSWER).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(back.losses.is_empty(), "{name}: {:?}", back.losses);
        let (back, text): (Value, Value) =
            (serde_json::from_slice(&back.value.0).unwrap(), serde_json::from_str(&text).unwrap());
        assert_eq!(same(&back), same(&text), "{name}");
    }
}

#[test]
fn every_recorded_request_reaches_every_protocol() {
    for to in Protocol::ALL {
        for Fixture { name, text, .. } in requests() {
            let there =
                request(GEMINI, to, &text, &REQUEST).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(serde_json::from_slice::<Value>(&there.value).unwrap().is_object(), "{name}");
            for loss in &there.losses {
                assert!(points_somewhere(&text, &loss.pointer), "{name}: {loss}");
            }
        }
    }
}

#[test]
fn m5_every_recorded_answer_reaches_every_protocol_with_all_its_tokens() {
    for to in Protocol::ALL {
        for Fixture { name, text, .. } in answers().into_iter().filter(|answer| answer.status < 400) {
            let there =
                response(GEMINI, to, &text, &ANSWER).unwrap_or_else(|error| panic!("{name}: {error}"));
            let (body, facts) = there.value;
            assert_eq!(answer_facts(GEMINI, &text).unwrap(), facts, "{name}");
            let body = String::from_utf8(body).unwrap();
            let read = answer_facts(to, &body).unwrap();
            let totals = |usage: Option<weighbridge_units::Usage>| usage.map(|u| (u.prompt(), u.answer()));
            assert_eq!(totals(facts.usage), totals(read.usage).filter(|_| facts.usage.is_some()), "{name}");
            for loss in &there.losses {
                assert!(points_somewhere(&text, &loss.pointer), "{name}: {loss}");
            }
        }
    }
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

#[test]
fn recorded_counts_and_vectors_are_read() {
    for Fixture { name, text, status } in fixtures("gemini-other", "response.json") {
        if status >= 400 {
            continue;
        }
        let body = raw(&text);
        if body.get("totalTokens").is_some() {
            assert!(count_tokens::read_answer(body).unwrap().total > 0, "{name}");
        } else {
            let vectors = embed::read_vectors(body).unwrap();
            assert!(vectors.iter().all(|vector| vector.items().unwrap().count() > 100), "{name}");
        }
    }
    for Fixture { name, text, .. } in fixtures("gemini-other", "request.json") {
        let body = raw(&text);
        if body.get("requests").is_some() {
            let requests = embed::read_requests(body).unwrap();
            assert!(requests.iter().all(|request| request.texts.len() == 1), "{name}");
            assert!(requests.iter().all(|request| request.bag.is_empty()), "{name}");
            continue;
        }
        let asked = count_tokens::read_request(body).unwrap();
        let chat = request(GEMINI, Protocol::OpenAiChat, asked.text(), &REQUEST);
        assert!(chat.is_ok(), "{name}: {chat:?}");
        let mut again = Vec::new();
        count_tokens::write_request("m", asked, Writer::new(&mut again)).unwrap();
        let again = String::from_utf8(again).unwrap();
        assert!(count_tokens::read_request(raw(&again)).unwrap().get("contents").is_some(), "{name}");
    }
}
