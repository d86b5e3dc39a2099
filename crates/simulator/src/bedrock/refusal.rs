//! AWS's errors: <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>. The class
//! stands in the header `x-amzn-errortype`, the message in the body.

use serde_json::{Value, json};

use crate::refusal::{Refusal, with_article};
use crate::schema::{Defect, Step, Violation};

/// The error that goes with a status.
pub(crate) fn of_status(status: u16) -> Refusal {
    let (kind, message) = match status {
        400 => {
            ("ValidationException", "The input fails to satisfy the constraints specified by Amazon Bedrock.")
        }
        401 | 403 => {
            ("AccessDeniedException", "You don't have access to the model with the specified model ID.")
        }
        404 => ("ResourceNotFoundException", "The specified resource ARN was not found."),
        408 => ("ModelTimeoutException", "The request took too long to process."),
        424 => ("ModelErrorException", "The request failed due to an error while processing the model."),
        429 => ("ThrottlingException", "Too many requests, please wait before trying again."),
        503 | 529 => ("ServiceUnavailableException", "Bedrock is unable to process your request."),
        _ => ("InternalServerException", "The system encountered an unexpected error during processing."),
    };
    Refusal::new(status, kind, message)
}

/// A request that breaks a rule.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "ValidationException", message)
}

/// A request that breaks a rule of the model's, not of Bedrock's.
pub(super) fn model_refuses(message: &str) -> Refusal {
    invalid(format!("The model returned the following errors: {message}"))
}

/// A credential that is not accepted.
pub(super) fn denied(kind: &'static str, message: &str) -> Refusal {
    Refusal::new(403, kind, message)
}

/// The account has used what it may use.
pub(crate) fn no_credit() -> Refusal {
    let message = "Your request exceeds the service quota for your account.";
    Refusal::new(400, "ServiceQuotaExceededException", message)
}

/// The prompt does not fit the model's context window.
pub(crate) fn context_too_long() -> Refusal {
    invalid("Input is too long for requested model.")
}

/// The policy forbids the prompt.
pub(crate) fn content_policy() -> Refusal {
    model_refuses("Output blocked by content filtering policy")
}

/// The body is not JSON.
pub(crate) fn not_json() -> Refusal {
    Refusal::new(400, "SerializationException", "Unexpected token at the start of the request body")
}

/// The body in AWS's shape.
pub(crate) fn body(refusal: &Refusal) -> Value {
    json!({"message": refusal.message})
}

/// What the validator says about a violation of the schema.
pub(crate) fn of_violation(violation: &Violation) -> Refusal {
    let place = written(&violation.path);
    let failed = |value: &str, at: &str, constraint: &str| {
        invalid(format!(
            "1 validation error detected: Value {value} at '{at}' failed to satisfy constraint: {constraint}"
        ))
    };
    let inside = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match &violation.defect {
        Defect::Missing(name) => failed("null", &inside(name), "Member must not be null"),
        Defect::Unknown(name) => invalid(format!(
            "Malformed input request: #/{}: extraneous key [{name}] is not permitted, please reformat your input and \
             try again.",
            place.replace('.', "/")
        )),
        Defect::WrongType { expected, found } => {
            let expected = expected.first().copied().unwrap_or("value");
            let message = format!(
                "{}_VALUE can not be converted to {} at '{place}'",
                found.to_uppercase(),
                with_article(expected)
            );
            Refusal::new(400, "SerializationException", message)
        }
        Defect::NotAllowed { allowed, found } => failed(
            &format!("'{found}'"),
            &place,
            &format!("Member must satisfy enum value set: [{}]", allowed.join(", ")),
        ),
        Defect::Constraint { found, constraint } => failed(&format!("'{found}'"), &place, constraint),
        Defect::NoneOf(names) => invalid(format!(
            "The object at {place} must set one of the following keys: {}.",
            names.join(", ")
        )),
        Defect::Both { first, second } => invalid(format!(
            "The object at {place} must set only one of its keys, but sets {first} and {second}."
        )),
        Defect::NotProto { .. } => invalid(format!("The value at {place} is not valid.")),
    }
}

/// `messages.1.member.content`
fn written(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Item(place) => format!("{}.member", place + 1),
        Step::Field(name) => name.clone(),
    });
    steps.collect::<Vec<_>>().join(".")
}
