//! What the API, or the model behind it, refuses beyond the schema, without regard to the conversation.

use std::collections::BTreeSet;

use serde_json::Value;

use super::is_claude;
use super::refusal::{invalid, model_refuses};
use crate::price::Model;
use crate::refusal::Refusal;

/// The first rule that a body breaks.
pub(super) fn check(body: &Value, model: &Model) -> Result<(), Refusal> {
    let config = &body["inferenceConfig"];
    if config["maxTokens"].as_u64().is_some_and(|asked| asked > model.max_output) {
        return Err(invalid(format!(
            "The maximum tokens you requested exceeds the model limit of {}. Try again with a maximum tokens value \
             that is lower than {}.",
            model.max_output, model.max_output
        )));
    }
    if is_claude(model) && !config["temperature"].is_null() && !config["topP"].is_null() {
        return Err(model_refuses(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    tools(body)?;
    format(body)?;
    match is_claude(model) {
        true => claude(body),
        false => nova(body),
    }
}

fn tools(body: &Value) -> Result<(), Refusal> {
    let tools = body["toolConfig"]["tools"].as_array().into_iter().flatten();
    let mut names = BTreeSet::new();
    for tool in tools.filter(|tool| tool["toolSpec"].is_object()) {
        let name = tool["toolSpec"]["name"].as_str().unwrap_or_default();
        if !names.insert(name) {
            return Err(invalid(format!(
                "The tool name {name} is defined more than once in toolConfig.tools."
            )));
        }
        let schema = &tool["toolSpec"]["inputSchema"]["json"];
        if schema["type"] != "object" {
            return Err(invalid(format!(
                "The value at toolConfig.tools.{}.toolSpec.inputSchema.json.type must be one of the following: \
                 object.",
                names.len() - 1
            )));
        }
    }
    match body["toolConfig"]["toolChoice"]["tool"]["name"].as_str() {
        Some(name) if !names.contains(name) => {
            Err(invalid(format!("The tool {name} of toolChoice is not defined in toolConfig.tools.")))
        }
        _ => Ok(()),
    }
}

/// The schema of a structured answer is a text that holds JSON.
fn format(body: &Value) -> Result<(), Refusal> {
    let schema = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    match schema.as_str() {
        Some(text) if serde_json::from_str::<Value>(text).is_err() => Err(invalid(
            "The schema at outputConfig.textFormat.structure.jsonSchema.schema is not valid JSON.",
        )),
        _ => Ok(()),
    }
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html>
fn claude(body: &Value) -> Result<(), Refusal> {
    let fields = &body["additionalModelRequestFields"];
    for (name, _) in fields.as_object().into_iter().flatten() {
        let known = ["thinking", "reasoning_config", "top_k", "anthropic_beta", "tool_choice"];
        if !known.contains(&name.as_str()) {
            return Err(model_refuses(&format!("{name}: Extra inputs are not permitted")));
        }
    }
    let thinking = thinking(fields);
    if thinking["type"] != "enabled" {
        return Ok(());
    }
    let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
    if budget < 1_024 {
        return Err(model_refuses(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ));
    }
    let config = &body["inferenceConfig"];
    if config["maxTokens"].as_u64().is_some_and(|limit| limit <= budget) {
        return Err(model_refuses("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    if config["temperature"].as_f64().is_some_and(|temperature| temperature.total_cmp(&1.0).is_ne()) {
        return Err(model_refuses("`temperature` may only be set to 1 when thinking is enabled."));
    }
    let choice = &body["toolConfig"]["toolChoice"];
    if choice["any"].is_object() || choice["tool"].is_object() {
        return Err(model_refuses("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

/// What a body says of thinking, under either name.
pub(super) fn thinking(fields: &Value) -> &Value {
    match &fields["thinking"] {
        Value::Null => &fields["reasoning_config"],
        thinking => thinking,
    }
}

/// <https://docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html>
fn nova(body: &Value) -> Result<(), Refusal> {
    for (name, _) in body["additionalModelRequestFields"].as_object().into_iter().flatten() {
        if name != "inferenceConfig" {
            return Err(invalid(format!(
                "Malformed input request: #: extraneous key [{name}] is not permitted, please reformat your input \
                 and try again."
            )));
        }
    }
    Ok(())
}
