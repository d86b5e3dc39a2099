//! Google's errors: <https://ai.google.dev/gemini-api/docs/troubleshooting>,
//! <https://cloud.google.com/apis/design/errors>.

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::schema::{Defect, Step, Violation};

/// The error that goes with a status.
pub(crate) fn of_status(status: u16) -> Refusal {
    let (kind, message) = match status {
        400 => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
        401 => (
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
             valid authentication credential.",
        ),
        403 => ("PERMISSION_DENIED", "The caller does not have permission"),
        404 => ("NOT_FOUND", "Requested entity was not found."),
        429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        499 => ("CANCELLED", "The operation was cancelled."),
        501 => ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
        503 | 529 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        _ => (
            "INTERNAL",
            "An internal error has occurred. Please retry or report in \
                           https://developers.generativeai.google/guide/troubleshooting",
        ),
    };
    Refusal::new(status, kind, message)
}

/// A request that breaks a rule.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "INVALID_ARGUMENT", message)
}

/// A field of the request that breaks a rule.
pub(super) fn invalid_field(field: &str, message: &str) -> Refusal {
    invalid(format!("* GenerateContentRequest.{field}: {message}\n"))
}

/// The project has no billing.
pub(crate) fn no_credit() -> Refusal {
    let message = "This API method requires billing to be enabled. Please enable billing on project #1 by visiting \
                   https://console.developers.google.com/billing/enable?project=1 then retry.";
    let details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED",
        "domain": "googleapis.com",
    })];
    Refusal { details, ..Refusal::new(403, "PERMISSION_DENIED", message) }
}

/// The key is none.
pub(crate) fn bad_key() -> Refusal {
    let details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
        "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"},
    })];
    Refusal { details, ..invalid("API key not valid. Please pass a valid API key.") }
}

/// There is no key.
pub(crate) fn no_key() -> Refusal {
    let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API \
                   Key or other form of API consumer identity to call this API.";
    Refusal::new(403, "PERMISSION_DENIED", message)
}

/// The prompt does not fit the model's context window.
pub(crate) fn context_too_long(tokens: u64, window: u64) -> Refusal {
    invalid(format!(
        "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window})."
    ))
}

/// The body is not JSON.
pub(crate) fn not_json() -> Refusal {
    invalid("Invalid JSON payload received. Unexpected end of string. Expected a value.\n\n^")
}

/// The body in Google's shape.
pub(crate) fn body(refusal: &Refusal) -> Value {
    let mut error = json!({"code": refusal.status, "message": refusal.message, "status": refusal.kind});
    // An error under status 200 still says which it is.
    if refusal.status == 200 {
        error["code"] = json!(500);
    }
    let mut details = refusal.details.clone();
    if let Some(seconds) = refusal.retry_after {
        details.push(
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}),
        );
    }
    if !details.is_empty() {
        error["details"] = details.into();
    }
    json!({"error": error})
}

/// What the parser says about a violation of the schema.
pub(crate) fn of_violation(violation: &Violation) -> Refusal {
    let place = written(&violation.path);
    let at = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
    let description = match &violation.defect {
        Defect::Unknown(name) => {
            format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.")
        }
        Defect::NotProto { kind, found } if kind == "TYPE_BYTES" && found.starts_with('"') => {
            format!("Invalid value{at} (TYPE_BYTES), Base64 decoding failed for {found}")
        }
        Defect::NotProto { kind, found } => format!("Invalid value{at} ({kind}), {found}"),
        Defect::Both { first, second } => format!(
            "Invalid value{at} (oneof), oneof field 'data' is already set. Cannot set '{second}' beside '{first}'"
        ),
        _ => format!("Invalid value{at}"),
    };
    let details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": place, "description": description}],
    })];
    Refusal { details, ..invalid(description) }
}

/// `generation_config.thinking_config`, `contents[0].parts[1]`
fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Item(place) => text.push_str(&format!("[{place}]")),
            Step::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                for c in name.chars() {
                    if c.is_ascii_uppercase() {
                        text.push('_');
                    }
                    text.push(c.to_ascii_lowercase());
                }
            }
        }
    }
    text
}
