//! OpenAI's errors: <https://platform.openai.com/docs/guides/error-codes>.

use serde_json::{Value, json};

use crate::refusal::{Refusal, quoted, with_article};
use crate::schema::{Defect, Step, Violation};

/// The error that goes with a status.
pub(crate) fn of_status(status: u16) -> Refusal {
    let (kind, code, message) = match status {
        400 => ("invalid_request_error", None, "The request is invalid."),
        401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
        403 => ("invalid_request_error", None, "You are not allowed to use this resource."),
        404 => ("invalid_request_error", Some("model_not_found"), "The model does not exist."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests."),
        503 => ("server_error", None, "The engine is currently overloaded, please try again later."),
        _ => ("server_error", None, "The server had an error while processing your request."),
    };
    Refusal { code, ..Refusal::new(status, kind, message) }
}

/// The account has no credit left.
pub(crate) fn no_credit() -> Refusal {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    Refusal { code: Some("insufficient_quota"), ..Refusal::new(429, "insufficient_quota", message) }
}

/// The prompt does not fit the context window of a chat.
pub(crate) fn context_too_long(tokens: u64, window: u64) -> Refusal {
    Refusal::invalid(
        "messages",
        "context_length_exceeded",
        format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in \
             {tokens} tokens. Please reduce the length of the messages."
        ),
    )
}

/// The model is none.
pub(crate) fn no_such_model(name: &str) -> Refusal {
    let message = format!("The model `{name}` does not exist or you do not have access to it.");
    Refusal { code: Some("model_not_found"), ..Refusal::new(404, "invalid_request_error", message) }
}

/// A field that every request needs is not there.
pub(crate) fn missing(param: &str) -> Refusal {
    Refusal::invalid(param, "missing_required_parameter", format!("Missing required parameter: '{param}'."))
}

/// A field that the model does not know.
pub(crate) fn unsupported(name: &str) -> Refusal {
    let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
    Refusal::invalid(name, "unsupported_parameter", message)
}

/// A number that is smaller or larger than it may be; `kind` is "decimal" or "integer".
pub(crate) fn out_of_range(
    name: &str,
    kind: &'static str,
    number: f64,
    low: f64,
    high: f64,
) -> Result<(), Refusal> {
    let (side, sign, bound) = match number {
        n if n < low => ("below minimum", ">=", low),
        n if n > high => ("above maximum", "<=", high),
        _ => return Ok(()),
    };
    let code = match (kind, side) {
        ("decimal", "below minimum") => "decimal_below_min_value",
        ("decimal", _) => "decimal_above_max_value",
        (_, "below minimum") => "integer_below_min_value",
        _ => "integer_above_max_value",
    };
    let message = format!(
        "Invalid '{name}': {kind} {side} value. Expected a value {sign} {bound}, but got {number} instead."
    );
    Err(Refusal::invalid(name, code, message))
}

/// The prompt does not fit the context window of a response.
pub(crate) fn input_too_long() -> Refusal {
    let message =
        "Your input exceeds the context window of this model. Please adjust your input and try again.";
    Refusal::invalid("input", "context_length_exceeded", message)
}

/// The policy forbids the prompt.
pub(crate) fn content_policy() -> Refusal {
    let message = "Your request was rejected as a result of our safety system.";
    Refusal::invalid("", "content_policy_violation", message)
}

/// The body is not JSON.
pub(crate) fn not_json() -> Refusal {
    let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using \
                   your HTTP library correctly.)";
    Refusal::new(400, "invalid_request_error", message)
}

/// The body in OpenAI's shape.
pub(crate) fn body(refusal: &Refusal) -> Value {
    json!({"error": {
        "message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code,
    }})
}

/// What the validator says about a violation of the schema.
pub(crate) fn of_violation(violation: &Violation) -> Refusal {
    let place = written(&violation.path);
    let inside = |name: &str| match place.is_empty() {
        true => name.to_owned(),
        false => format!("{place}.{name}"),
    };
    match &violation.defect {
        Defect::Missing(name) => {
            let param = inside(name);
            let message = format!("Missing required parameter: '{param}'.");
            Refusal::invalid(&param, "missing_required_parameter", message)
        }
        Defect::Unknown(name) => {
            let param = inside(name);
            Refusal::invalid(&param, "unknown_parameter", format!("Unknown parameter: '{param}'."))
        }
        Defect::WrongType { expected, found } => {
            let expected = match expected.as_slice() {
                [one] => with_article(one),
                many => format!(
                    "one of {}",
                    many.iter().map(|n| with_article(n)).collect::<Vec<_>>().join(" or ")
                ),
            };
            let message = format!(
                "Invalid type for '{place}': expected {expected}, but got {} instead.",
                with_article(found)
            );
            Refusal::invalid(&place, "invalid_type", message)
        }
        Defect::NotAllowed { allowed, found } => {
            let message =
                format!("Invalid value: '{found}'. Supported values are: {}.", quoted(allowed, ", "));
            Refusal::invalid(&place, "invalid_value", message)
        }
        Defect::NotProto { .. } | Defect::Both { .. } | Defect::NoneOf(_) | Defect::Constraint { .. } => {
            Refusal::invalid(&place, "invalid_value", format!("Invalid value for '{place}'."))
        }
    }
}

/// `messages[0].content`
fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Item(place) => text.push_str(&format!("[{place}]")),
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.push_str(&format!(".{name}")),
        }
    }
    text
}
