//! What a path of Azure's asks for.

use serde_json::{Value, json};

use super::refusal::{no_such_deployment, not_for_this_model, too_new, unknown_path, unrecognized};
use crate::Vendor;
use crate::headers::query;
use crate::price;
use crate::refusal::Refusal;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Chat,
    Embeddings,
    Responses,
}

/// A request by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// The deployment that the path names; else the body names it.
    deployment: Option<String>,
    /// The dated version, where the path demands one.
    version: Option<String>,
}

/// What requests may have in the version 2024-10-21, by its published description:
/// <https://github.com/Azure/azure-rest-api-specs/tree/main/specification/cognitiveservices/data-plane/AzureOpenAI/inference>;
/// `model` is ignored. `stream_options` came a month before, with 2024-09-01-preview.
const FIELDS: [&str; 25] = [
    "messages",
    "model",
    "data_sources",
    "temperature",
    "top_p",
    "stream",
    "stream_options",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "logprobs",
    "top_logprobs",
    "n",
    "parallel_tool_calls",
    "response_format",
    "seed",
    "tools",
    "tool_choice",
    "function_call",
    "functions",
    "prediction",
];

/// From this version on, models that reason are served, and the fields that came with them.
const REASONS_SINCE: &str = "2024-12-01";

impl Call {
    /// The call of a path with its query, if it is one.
    pub(crate) fn of(target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default().strip_prefix("/openai/")?;
        let version = query(target, "api-version").map(str::to_owned);
        let (deployment, operation) = match path.strip_prefix("deployments/") {
            Some(rest) => {
                let (deployment, operation) = rest.split_once('/')?;
                (Some(deployment.to_owned()), operation)
            }
            // The version named `v1` has no date.
            None => (None, path.strip_prefix("v1/")?),
        };
        let operation = match operation {
            "chat/completions" => Operation::Chat,
            "embeddings" => Operation::Embeddings,
            "responses" if deployment.is_none() => Operation::Responses,
            _ => return None,
        };
        let version = version.filter(|_| deployment.is_some());
        Some(Self { operation, deployment, version })
    }

    /// The body, with the model that is deployed.
    pub(crate) fn read(&self, mut body: Value) -> Result<Value, Refusal> {
        let named = body["model"].as_str().map(str::to_owned);
        let name = match &self.deployment {
            Some(deployment) => {
                let version = self.version.as_deref().filter(|version| is_date(version));
                let version = version.ok_or_else(unknown_path)?;
                if version < REASONS_SINCE {
                    self.dated(&body, deployment)?;
                }
                deployment.clone()
            }
            None => named.unwrap_or_default(),
        };
        let model = price::model(Vendor::Azure, &name).ok_or_else(no_such_deployment)?;
        if model.dimensions.is_some() != (self.operation == Operation::Embeddings) {
            return Err(not_for_this_model(self.operation, &name));
        }
        if body.is_object() {
            body["model"] = json!(name);
        }
        Ok(body)
    }

    /// What an older version refuses of a chat.
    fn dated(&self, body: &Value, deployment: &str) -> Result<(), Refusal> {
        if self.operation != Operation::Chat {
            return Ok(());
        }
        if price::model(Vendor::Azure, deployment).is_some_and(|model| model.reasons) {
            return Err(too_new(deployment, REASONS_SINCE));
        }
        let fields = body.as_object().into_iter().flatten();
        if let Some((name, _)) = fields.into_iter().find(|(name, _)| !FIELDS.contains(&name.as_str())) {
            return Err(unrecognized(name));
        }
        let messages = body["messages"].as_array().into_iter().flatten();
        match messages.into_iter().position(|message| message["role"] == "developer") {
            Some(place) => Err(Refusal::invalid(
                &format!("messages[{place}].role"),
                "invalid_value",
                "Invalid value: 'developer'. Supported values are: 'system', 'assistant', 'user', 'function', and \
                 'tool'.",
            )),
            None => Ok(()),
        }
    }
}

/// `2024-10-21`, `2025-04-01-preview`
fn is_date(version: &str) -> bool {
    let day = version.trim_end_matches("-preview").as_bytes();
    let fits = |(place, byte): (usize, &u8)| match place {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    day.len() == 10 && day.iter().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let read =
            |target: &str| Call::of(target).map(|call| (call.operation, call.deployment, call.version));
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("/openai/deployments/mine/chat/completions?api-version=2024-10-21"),
            Some((Operation::Chat, own("mine"), own("2024-10-21")))
        );
        assert_eq!(read("/openai/v1/responses"), Some((Operation::Responses, None, None)));
        assert_eq!(
            read("/openai/v1/embeddings?api-version=preview"),
            Some((Operation::Embeddings, None, None))
        );
        for other in ["/openai/deployments/mine/responses", "/v1/chat/completions", "/openai/v1/other"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn an_older_version_takes_no_newer_fields() {
        let refused = |deployment: &str, version: &str, body: Value| {
            let call = Call::of(&format!("/openai/deployments/{deployment}/chat/completions{version}"));
            call.expect("a call").read(body).expect_err("refused").message
        };
        let dated = "?api-version=2024-10-21";
        assert_eq!(refused("gpt-4o", "", json!({})), "Resource not found");
        assert!(refused("gpt-4o", dated, json!({"store": false})).contains("supplied: store"));
        let newer = refused("gpt-5", dated, json!({}));
        assert!(newer.contains("enabled only for api versions 2024-12-01"), "{newer}");
        let roles = json!({"messages": [{"role": "developer", "content": "x"}]});
        assert!(refused("gpt-4o", dated, roles).contains("'developer'"));
        assert!(refused("mine", dated, json!({})).contains("deployment for this resource does not exist"));
        assert!(refused("text-embedding-3-small", dated, json!({})).contains("does not work"));
    }
}
