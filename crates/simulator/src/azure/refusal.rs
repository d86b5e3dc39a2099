//! Azure's errors: <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter>. The
//! gateway in front of the models names no `type`, and often a status as `code`; the models themselves
//! answer as at OpenAI.

use serde_json::{Value, json};

use super::Operation;
use super::answer::results;
use crate::openai;
use crate::refusal::Refusal;

/// The error that goes with a status.
pub(crate) fn of_status(status: u16, retry_after: Option<u32>) -> Refusal {
    let (code, message) = match status {
        401 => (
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key \
             for an active subscription and use a correct regional API endpoint for your resource.",
        ),
        403 => ("403", "Access denied due to Virtual Network/Firewall rules."),
        404 => ("404", "Resource not found"),
        408 => ("Timeout", "The operation was timeout."),
        429 => {
            let seconds = retry_after.unwrap_or(1);
            let message = format!(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded token rate limit \
                 of your current OpenAI S0 pricing tier. Please retry after {seconds} seconds."
            );
            return coded(status, "429", message);
        }
        503 => ("ServiceUnavailable", "The service is temporarily unable to process your request."),
        _ => (
            "InternalServerError",
            "Backend returned unexpected response. Please contact Microsoft for help.",
        ),
    };
    coded(status, code, message)
}

/// An error without a type.
fn coded(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code: Some(code), ..Refusal::new(status, "", message) }
}

/// The path is none, or names no version.
pub(super) fn unknown_path() -> Refusal {
    of_status(404, None)
}

pub(super) fn no_such_deployment() -> Refusal {
    let message = "The API deployment for this resource does not exist. If you created the deployment within the last \
                   5 minutes, please wait a moment and try again.";
    coded(404, "DeploymentNotFound", message)
}

/// The model cannot do that.
pub(super) fn not_for_this_model(operation: Operation, model: &str) -> Refusal {
    let name = match operation {
        Operation::Chat => "chatCompletion",
        Operation::Embeddings => "embeddings",
        Operation::Responses => "responses",
    };
    let message = format!(
        "The {name} operation does not work with the specified model, {model}. Please choose different model and try \
         again."
    );
    coded(400, "OperationNotSupported", message)
}

/// The model is younger than the version.
pub(super) fn too_new(model: &str, since: &str) -> Refusal {
    let message = format!("Model {model} is enabled only for api versions {since}-preview and later");
    coded(400, "BadRequest", message)
}

/// A field that came later.
pub(super) fn unrecognized(name: &str) -> Refusal {
    Refusal::new(400, "invalid_request_error", format!("Unrecognized request argument supplied: {name}"))
}

/// The quota is used up for good.
pub(crate) fn no_credit() -> Refusal {
    openai::refusal::no_credit()
}

/// A filter stopped the prompt.
pub(crate) fn content_policy() -> Refusal {
    let message = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. \
                   Please modify your prompt and retry. To learn more about our content filtering policies please read \
                   our documentation: https://go.microsoft.com/fwlink/?linkid=2198766";
    let inner = json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result": results(true, true)});
    Refusal {
        param: Some("prompt".to_owned()),
        details: vec![inner],
        ..coded(400, "content_filter", message)
    }
}

/// The body in the shape of whoever refuses.
pub(crate) fn body(refusal: &Refusal) -> Value {
    let Refusal { status, message, code, param, details, .. } = refusal;
    match details.first() {
        Some(inner) => json!({"error": {
            "message": message, "type": null, "param": param, "code": code, "status": status, "innererror": inner,
        }}),
        None if refusal.kind.is_empty() => json!({"error": {"code": code, "message": message}}),
        None => openai::refusal::body(refusal),
    }
}
