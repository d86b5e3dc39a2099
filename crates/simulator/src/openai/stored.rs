//! Files and batches: <https://platform.openai.com/docs/api-reference/files>,
//! <https://platform.openai.com/docs/api-reference/batch>. Batches are taken and never worked on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use super::CREATED;
use crate::Vendor;
use crate::refusal::Refusal;

/// Objects that are kept. It forgets everything once it is full.
#[derive(Debug, Default)]
pub(crate) struct Stored(Mutex<Vec<(Value, Bytes)>>);

/// One of the calls, by the path below its collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    method: Method,
    is_batch: bool,
    id: String,
    /// What of the object is asked for: `content`, `cancel`.
    part: String,
}

/// What a call is answered with.
pub(crate) enum Told {
    Document(Value),
    Content(Bytes),
}

const CAPACITY: usize = 1_000;

impl Call {
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let (rest, is_batch) = match path.strip_prefix("/v1/files") {
            Some(rest) => (rest, false),
            None => (path.strip_prefix("/v1/batches")?, true),
        };
        let rest = if rest.is_empty() { "" } else { rest.strip_prefix('/')? };
        let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self { method: method.clone(), is_batch, id: id.to_owned(), part: part.to_owned() })
    }
}

impl Stored {
    pub(crate) fn answer(&self, call: &Call, headers: &HeaderMap, body: &Bytes) -> Result<Told, Refusal> {
        let kind = if call.is_batch { "batch" } else { "file" };
        let mut all = self.lock();
        let missing = || Refusal::new(404, "invalid_request_error", format!("No such {kind}: '{}'", call.id));
        let found =
            all.iter().position(|(object, _)| object["id"] == call.id.as_str() && object["object"] == kind);
        match (call.method.as_str(), call.id.is_empty(), call.part.as_str()) {
            ("GET", true, "") => {
                let data: Vec<&Value> =
                    all.iter().map(|(object, _)| object).filter(|it| it["object"] == kind).collect();
                let id = |object: Option<&&Value>| object.map_or(Value::Null, |object| object["id"].clone());
                let (first, last) = (id(data.first()), id(data.last()));
                Ok(Told::Document(json!({
                    "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": false,
                })))
            }
            ("POST", true, "") => {
                let number = all.len() + 1;
                let object = match call.is_batch {
                    true => batch(number, body, &all)?,
                    false => file(number, headers, body)?,
                };
                if all.len() >= CAPACITY {
                    all.clear();
                }
                let content = if call.is_batch {
                    Bytes::new()
                } else {
                    part(headers, body, "file").unwrap_or_default()
                };
                all.push((object.clone(), content));
                Ok(Told::Document(object))
            }
            ("GET", false, "") => {
                found.and_then(|at| all.get(at)).map(|it| Told::Document(it.0.clone())).ok_or_else(missing)
            }
            ("GET", false, "content") if !call.is_batch => {
                found.and_then(|at| all.get(at)).map(|it| Told::Content(it.1.clone())).ok_or_else(missing)
            }
            ("DELETE", false, "") if !call.is_batch => {
                all.remove(found.ok_or_else(missing)?);
                Ok(Told::Document(json!({"id": call.id, "object": "file", "deleted": true})))
            }
            ("POST", false, "cancel") if call.is_batch => {
                let object = found.and_then(|at| all.get_mut(at)).map(|it| &mut it.0).ok_or_else(missing)?;
                object["status"] = json!("cancelling");
                Ok(Told::Document(object.clone()))
            }
            _ => Err(Refusal::of_status(Vendor::OpenAi, 405, None)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Value, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(number: usize, headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    let missing = |name: &str| {
        Refusal::invalid(name, "missing_required_parameter", format!("'{name}' is a required property"))
    };
    let content = part(headers, body, "file").ok_or_else(|| missing("file"))?;
    let purpose = part(headers, body, "purpose").ok_or_else(|| missing("purpose"))?;
    Ok(json!({
        "id": format!("file-{number:022}"), "object": "file", "bytes": content.len(), "created_at": CREATED,
        "expires_at": null, "filename": "weighed.jsonl", "purpose": String::from_utf8_lossy(&purpose),
        "status": "processed", "status_details": null,
    }))
}

fn batch(number: usize, body: &Bytes, all: &[(Value, Bytes)]) -> Result<Value, Refusal> {
    let asked: Value = serde_json::from_slice(body).map_err(|_| Refusal::not_json(Vendor::OpenAi))?;
    for name in ["input_file_id", "endpoint", "completion_window"] {
        if !asked[name].is_string() {
            let message = format!("Missing required parameter: '{name}'.");
            return Err(Refusal::invalid(name, "missing_required_parameter", message));
        }
    }
    if !all.iter().any(|(object, _)| object["id"] == asked["input_file_id"]) {
        return Err(Refusal::invalid("input_file_id", "invalid_value", "The input file does not exist."));
    }
    Ok(json!({
        "id": format!("batch_{number:024}"), "object": "batch", "endpoint": asked["endpoint"], "errors": null,
        "input_file_id": asked["input_file_id"], "completion_window": asked["completion_window"],
        "status": "validating", "output_file_id": null, "error_file_id": null, "created_at": CREATED,
        "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": asked["metadata"],
    }))
}

/// A field of a form: <https://www.rfc-editor.org/rfc/rfc7578>.
fn part(headers: &HeaderMap, body: &Bytes, name: &str) -> Option<Bytes> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let boundary =
        kind.strip_prefix("multipart/form-data;")?.trim().strip_prefix("boundary=")?.trim_matches('"');
    let find = |text: &[u8], from: usize| memchr::memmem::find(body.get(from..)?, text).map(|at| from + at);
    let mark = format!("--{boundary}");
    let mut from = 0;
    while let Some(start) = find(mark.as_bytes(), from) {
        let head = start + mark.len();
        let content = find(b"\r\n\r\n", head)? + 4;
        let end = find(format!("\r\n{mark}").as_bytes(), content)?;
        let described = String::from_utf8_lossy(body.get(head..content)?).into_owned();
        if described.contains(&format!("name=\"{name}\"")) {
            return Some(body.slice(content..end));
        }
        from = end + 2;
    }
    None
}
