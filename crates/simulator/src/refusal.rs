//! How a vendor says no: status, error object, and the words of its validators.

use serde_json::{Value, json};

use crate::Vendor;
use crate::schema::{Defect, Step, Violation};

/// An error answer, before it is put into the vendor's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The vendor's `type`.
    pub(crate) kind: &'static str,
    /// OpenAI's `code`.
    pub(crate) code: Option<&'static str>,
    /// OpenAI's `param`.
    pub(crate) param: Option<String>,
    pub(crate) message: String,
    /// The `retry-after` header, in seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code: None, param: None, message: message.into(), retry_after: None }
    }

    /// A request that breaks a rule: 400 `invalid_request_error`.
    pub(crate) fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            param: (!param.is_empty()).then(|| param.to_owned()),
            ..Self::new(400, "invalid_request_error", message)
        }
    }

    /// The error that a vendor gives with this status; see
    /// <https://platform.openai.com/docs/guides/error-codes> and
    /// <https://docs.anthropic.com/en/api/errors>.
    pub(crate) fn of_status(vendor: Vendor, status: u16, retry_after: Option<u32>) -> Self {
        let (kind, code, message) = match (vendor, status) {
            (Vendor::OpenAi, 400) => ("invalid_request_error", None, "The request is invalid."),
            (Vendor::OpenAi, 401) => {
                ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided.")
            }
            (Vendor::OpenAi, 403) => {
                ("invalid_request_error", None, "You are not allowed to use this resource.")
            }
            (Vendor::OpenAi, 404) => {
                ("invalid_request_error", Some("model_not_found"), "The model does not exist.")
            }
            (Vendor::OpenAi, 429) => {
                ("requests", Some("rate_limit_exceeded"), "Rate limit reached for requests.")
            }
            (Vendor::OpenAi, 503) => {
                ("server_error", None, "The engine is currently overloaded, please try again later.")
            }
            (Vendor::OpenAi, _) => {
                ("server_error", None, "The server had an error while processing your request.")
            }
            (Vendor::Anthropic, 400) => ("invalid_request_error", None, "The request is invalid."),
            (Vendor::Anthropic, 401) => ("authentication_error", None, "invalid x-api-key"),
            (Vendor::Anthropic, 402) => ("billing_error", None, "There is an issue with your billing."),
            (Vendor::Anthropic, 403) => ("permission_error", None, "Your API key does not have permission."),
            (Vendor::Anthropic, 404) => ("not_found_error", None, "Not found"),
            (Vendor::Anthropic, 413) => ("request_too_large", None, "Request exceeds the maximum size"),
            (Vendor::Anthropic, 429) => {
                ("rate_limit_error", None, "This request would exceed your rate limit.")
            }
            (Vendor::Anthropic, 504) => ("timeout_error", None, "The request timed out"),
            (Vendor::Anthropic, 529) => ("overloaded_error", None, "Overloaded"),
            (Vendor::Anthropic, _) => ("api_error", None, "Internal server error"),
        };
        Self { code, retry_after, ..Self::new(status, kind, message) }
    }

    /// The account has no credit left.
    pub(crate) fn no_credit(vendor: Vendor) -> Self {
        match vendor {
            Vendor::OpenAi => Self {
                code: Some("insufficient_quota"),
                ..Self::new(
                    429,
                    "insufficient_quota",
                    "You exceeded your current quota, please check your plan and billing details.",
                )
            },
            Vendor::Anthropic => Self::new(
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to \
                 upgrade or purchase credits.",
            ),
        }
    }

    /// The prompt does not fit the model's context window.
    pub(crate) fn context_too_long(vendor: Vendor, tokens: u64, window: u64) -> Self {
        match vendor {
            Vendor::OpenAi => Self::invalid(
                "messages",
                "context_length_exceeded",
                format!(
                    "This model's maximum context length is {window} tokens. However, your messages resulted \
                     in {tokens} tokens. Please reduce the length of the messages."
                ),
            ),
            Vendor::Anthropic => Self::new(
                400,
                "invalid_request_error",
                format!("prompt is too long: {tokens} tokens > {window} maximum"),
            ),
        }
    }

    /// The vendor's policy forbids the prompt.
    pub(crate) fn content_policy(vendor: Vendor) -> Self {
        match vendor {
            Vendor::OpenAi => Self::invalid(
                "",
                "content_policy_violation",
                "Your request was rejected as a result of our safety system.",
            ),
            Vendor::Anthropic => {
                Self::new(400, "invalid_request_error", "Output blocked by content filtering policy")
            }
        }
    }

    /// What a vendor's validator says about a violation of its schema.
    pub(crate) fn of_violation(vendor: Vendor, violation: &Violation) -> Self {
        match vendor {
            Vendor::OpenAi => openai_violation(violation),
            Vendor::Anthropic => Self::new(400, "invalid_request_error", anthropic_violation(violation)),
        }
    }

    /// The body in the vendor's shape.
    pub(crate) fn body(&self, vendor: Vendor, request_id: &str) -> Value {
        match vendor {
            Vendor::OpenAi => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
            Vendor::Anthropic => json!({
                "type": "error",
                "error": {"type": self.kind, "message": self.message},
                "request_id": request_id,
            }),
        }
    }
}

fn openai_violation(violation: &Violation) -> Refusal {
    let place = openai_path(&violation.path);
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
    }
}

fn anthropic_violation(violation: &Violation) -> String {
    let place = anthropic_path(&violation.path);
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
    }
}

/// `messages[0].content`
fn openai_path(path: &[Step]) -> String {
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

/// `messages.0.content`
fn anthropic_path(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Item(place) => place.to_string(),
        Step::Field(name) => name.clone(),
    });
    steps.collect::<Vec<_>>().join(".")
}

fn quoted(names: &[String], between: &str) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(between)
}

fn with_article(name: &str) -> String {
    match name {
        "null" => name.to_owned(),
        "array" | "integer" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}
