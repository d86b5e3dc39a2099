//! How a vendor says no. The words are in each vendor's own `refusal.rs`.

use serde_json::Value;

use crate::api::Api;
use crate::schema::Violation;
use crate::{Vendor, anthropic, azure, bedrock, gemini, openai};

/// An error answer, before it is put into the vendor's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The vendor's name for the class of the error.
    pub(crate) kind: &'static str,
    /// OpenAI's `code`.
    pub(crate) code: Option<&'static str>,
    /// OpenAI's `param`.
    pub(crate) param: Option<String>,
    pub(crate) message: String,
    /// Google's `details`; Azure's `innererror`.
    pub(crate) details: Vec<Value>,
    /// How long to wait, in seconds.
    pub(crate) retry_after: Option<u32>,
    /// Whose shape the body has, where not the vendor's.
    pub(crate) shape: Option<Vendor>,
}

impl Refusal {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
            shape: None,
        }
    }

    /// A request that breaks a rule of OpenAI's: 400 `invalid_request_error`.
    pub(crate) fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            param: (!param.is_empty()).then(|| param.to_owned()),
            ..Self::new(400, "invalid_request_error", message)
        }
    }

    /// The error that a vendor gives with this status.
    pub(crate) fn of_status(vendor: Vendor, status: u16, retry_after: Option<u32>) -> Self {
        let refusal = match vendor {
            Vendor::OpenAi => openai::refusal::of_status(status),
            Vendor::Anthropic => anthropic::refusal::of_status(status),
            Vendor::Google => gemini::refusal::of_status(status),
            Vendor::Aws => bedrock::refusal::of_status(status),
            Vendor::Azure => azure::refusal::of_status(status, retry_after),
        };
        Self { retry_after, ..refusal }
    }

    /// The account has no credit left.
    pub(crate) fn no_credit(vendor: Vendor) -> Self {
        match vendor {
            Vendor::OpenAi => openai::refusal::no_credit(),
            Vendor::Anthropic => anthropic::refusal::no_credit(),
            Vendor::Google => gemini::refusal::no_credit(),
            Vendor::Aws => bedrock::refusal::no_credit(),
            Vendor::Azure => azure::refusal::no_credit(),
        }
    }

    /// The prompt does not fit the model's context window.
    pub(crate) fn context_too_long(api: Api, tokens: u64, window: u64) -> Self {
        match api {
            Api::Chat => openai::refusal::context_too_long(tokens, window),
            Api::Responses => openai::refusal::input_too_long(),
            Api::Messages => anthropic::refusal::context_too_long(tokens, window),
            Api::Gemini => gemini::refusal::context_too_long(tokens, window),
            Api::Converse => bedrock::refusal::context_too_long(),
        }
    }

    /// The vendor's policy forbids the prompt. Google says so in an answer instead.
    pub(crate) fn content_policy(vendor: Vendor) -> Self {
        match vendor {
            Vendor::OpenAi => openai::refusal::content_policy(),
            Vendor::Anthropic => anthropic::refusal::content_policy(),
            Vendor::Google => gemini::refusal::of_status(400),
            Vendor::Aws => bedrock::refusal::content_policy(),
            Vendor::Azure => azure::refusal::content_policy(),
        }
    }

    /// The body is not JSON.
    pub(crate) fn not_json(vendor: Vendor) -> Self {
        match vendor {
            Vendor::OpenAi | Vendor::Azure => openai::refusal::not_json(),
            Vendor::Anthropic => anthropic::refusal::not_json(),
            Vendor::Google => gemini::refusal::not_json(),
            Vendor::Aws => bedrock::refusal::not_json(),
        }
    }

    /// What a vendor's validator says about a violation of its schema.
    pub(crate) fn of_violation(vendor: Vendor, violation: &Violation) -> Self {
        match vendor {
            Vendor::OpenAi | Vendor::Azure => openai::refusal::of_violation(violation),
            Vendor::Anthropic => anthropic::refusal::of_violation(violation),
            Vendor::Google => gemini::refusal::of_violation(violation),
            Vendor::Aws => bedrock::refusal::of_violation(violation),
        }
    }

    /// The body in the vendor's shape, unless it is another's.
    pub(crate) fn body(&self, vendor: Vendor, request_id: &str) -> Value {
        match self.shape.unwrap_or(vendor) {
            Vendor::OpenAi => openai::refusal::body(self),
            Vendor::Anthropic => anthropic::refusal::body(self, request_id),
            Vendor::Google => gemini::refusal::body(self),
            Vendor::Aws => bedrock::refusal::body(self),
            Vendor::Azure => azure::refusal::body(self),
        }
    }
}

/// Names in quotes, with something between them.
pub(crate) fn quoted(names: &[String], between: &str) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(between)
}

/// The name of a type in a sentence.
pub(crate) fn with_article(name: &str) -> String {
    match name {
        "null" => name.to_owned(),
        "array" | "integer" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}
