//! Anthropic's errors: <https://docs.anthropic.com/en/api/errors>.

use serde_json::{Value, json};

use crate::refusal::{Refusal, quoted};
use crate::schema::{Defect, Step, Violation};

/// The error that goes with a status.
pub(crate) fn of_status(status: u16) -> Refusal {
    let (kind, message) = match status {
        400 => ("invalid_request_error", "The request is invalid."),
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "There is an issue with your billing."),
        403 => ("permission_error", "Your API key does not have permission."),
        404 => ("not_found_error", "Not found"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your rate limit."),
        504 => ("timeout_error", "The request timed out"),
        529 => ("overloaded_error", "Overloaded"),
        _ => ("api_error", "Internal server error"),
    };
    Refusal::new(status, kind, message)
}

/// The account has no credit left.
pub(crate) fn no_credit() -> Refusal {
    Refusal::new(
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or \
         purchase credits.",
    )
}

/// The prompt does not fit the model's context window.
pub(crate) fn context_too_long(tokens: u64, window: u64) -> Refusal {
    let message = format!("prompt is too long: {tokens} tokens > {window} maximum");
    Refusal::new(400, "invalid_request_error", message)
}

/// The policy forbids the prompt.
pub(crate) fn content_policy() -> Refusal {
    Refusal::new(400, "invalid_request_error", "Output blocked by content filtering policy")
}

/// The body is not JSON.
pub(crate) fn not_json() -> Refusal {
    Refusal::new(400, "invalid_request_error", "The request body is not valid JSON")
}

/// The body in Anthropic's shape.
pub(crate) fn body(refusal: &Refusal, request_id: &str) -> Value {
    json!({
        "type": "error",
        "error": {"type": refusal.kind, "message": refusal.message},
        "request_id": request_id,
    })
}

/// What the validator says about a violation of the schema.
pub(crate) fn of_violation(violation: &Violation) -> Refusal {
    Refusal::new(400, "invalid_request_error", described(violation))
}

fn described(violation: &Violation) -> String {
    let place = written(&violation.path);
    let inside = |name: &str| match place.is_empty() {
        true => name.to_owned(),
        false => format!("{place}.{name}"),
    };
    match &violation.defect {
        Defect::Missing(name) => format!("{}: Field required", inside(name)),
        Defect::Unknown(name) => format!("{}: Extra inputs are not permitted", inside(name)),
        Defect::WrongType { expected, .. } => {
            let kind = match expected.first() {
                Some(&"boolean") => "boolean",
                Some(&"integer") => "integer",
                Some(&"decimal") => "number",
                Some(&"array") => "list",
                Some(&"object") => "dictionary",
                _ => "string",
            };
            format!("{place}: Input should be a valid {kind}")
        }
        Defect::NotAllowed { allowed, .. } => {
            format!("{place}: Input should be {}", quoted(allowed, " or "))
        }
        Defect::NotProto { .. } | Defect::Both { .. } | Defect::NoneOf(_) | Defect::Constraint { .. } => {
            format!("{place}: Input is not valid")
        }
    }
}

/// `messages.0.content`
fn written(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Item(place) => place.to_string(),
        Step::Field(name) => name.clone(),
    });
    steps.collect::<Vec<_>>().join(".")
}
