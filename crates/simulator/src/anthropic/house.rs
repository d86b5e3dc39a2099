//! Claude where others serve it: <https://docs.anthropic.com/en/api/claude-on-vertex-ai>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>.
//! The path names the model, and the body a version of the house's own.

use serde_json::{Map, Value, json};

use super::Version;
use super::refusal::context_too_long;
use super::{ask, rules, schema_allows};
use crate::ask::{Ask, Form, House};
use crate::bedrock;
use crate::prefix_cache::PrefixCache;
use crate::price::Model;
use crate::refusal::Refusal;
use crate::{Vendor, anthropic};

/// What a house wants and refuses in a body.
struct Rules {
    version: &'static str,
    /// Whether Anthropic's own version 2026-10-21 is served. Bedrock has it from Claude 4.7 on, and no such
    /// model is simulated: <https://platform.claude.com/docs/en/api/versioning>.
    has_october_2026: bool,
    /// Fields of Anthropic's that the house refuses.
    refused: &'static [&'static str],
    /// A field of the house's own.
    betas: Option<&'static str>,
}

const VERTEX: Rules =
    Rules { version: "vertex-2023-10-16", has_october_2026: true, refused: &["model"], betas: None };
const BEDROCK: Rules = Rules {
    version: "bedrock-2023-05-31",
    has_october_2026: false,
    refused: &["model", "stream", "service_tier"],
    betas: Some("anthropic_beta"),
};

/// Checks a body as Vertex does, and reads what it asks for. The body asks for a stream, as at Anthropic.
pub(crate) fn read_at_vertex(
    model: &'static Model,
    body: &Value,
    cache: &PrefixCache,
) -> Result<Ask, Refusal> {
    read(House::Vertex, model, body, cache)
        // Anthropic's errors are handed on as they are.
        .map_err(|refusal| Refusal { shape: Some(Vendor::Anthropic), ..refusal })
}

/// Checks a body as Bedrock does, and reads what it asks for. The path asks for a stream.
pub(crate) fn read_at_bedrock(
    model: &'static Model,
    streams: bool,
    body: &Value,
    cache: &PrefixCache,
) -> Result<Ask, Refusal> {
    let form = if streams { Form::Frames } else { Form::Whole };
    let read = read(House::Bedrock, model, body, cache).map(|ask| Ask { form, ..ask });
    // Errors have a class of AWS's.
    read.map_err(|refusal| match refusal.message.starts_with("prompt is too long") {
        true => bedrock::refusal::context_too_long(),
        false => Refusal::new(400, "ValidationException", refusal.message),
    })
}

fn read(house: House, model: &'static Model, body: &Value, cache: &PrefixCache) -> Result<Ask, Refusal> {
    let rules = if house == House::Bedrock { &BEDROCK } else { &VERTEX };
    let mut own = body.as_object().cloned().unwrap_or_default();
    let version = taken(rules, &mut own)?;
    own.insert("model".to_owned(), json!(model.snapshot));
    let own = Value::Object(own);
    schema_allows(&own)?;
    if house == House::Bedrock {
        addresses(&own)?;
    }
    rules::check(&own, model, version)?;
    Ok(Ask { house, ..ask::read(&own, model, cache)? })
}

/// Takes what only the house knows, and gives the version.
fn taken(rules: &Rules, body: &mut Map<String, Value>) -> Result<Version, Refusal> {
    let version = match body.remove("anthropic_version") {
        None => return rules::refuse("anthropic_version: Field required"),
        Some(version) if version == rules.version => Version::June2023,
        Some(version) if version == "2026-10-21" && rules.has_october_2026 => Version::October2026,
        Some(_) => return rules::refuse(format!("anthropic_version: Input should be '{}'", rules.version)),
    };
    if let Some(name) = rules.refused.iter().find(|name| body.contains_key(**name)) {
        return rules::refuse(format!("{name}: Extra inputs are not permitted"));
    }
    if let Some(betas) = rules.betas.and_then(|name| body.remove(name))
        && !betas.as_array().is_some_and(|names| names.iter().all(Value::is_string))
    {
        return rules::refuse("anthropic_beta: Input should be a valid list");
    }
    Ok(version)
}

/// Bedrock fetches nothing.
fn addresses(body: &Value) -> Result<(), Refusal> {
    for (place, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        for (block_place, block) in message["content"].as_array().into_iter().flatten().enumerate() {
            if let Some(kind @ ("url" | "file")) = block["source"]["type"].as_str() {
                return rules::refuse(format!(
                    "messages.{place}.content.{block_place}.{}.source: Input tag '{kind}' found using 'type' does not \
                     match any of the expected tags: 'base64'",
                    block["type"].as_str().unwrap_or_default()
                ));
            }
        }
    }
    Ok(())
}

/// The model, as an answer names it: Anthropic's name, whatever the house's is.
pub(super) fn told_model(model: &Model) -> String {
    let name = model.snapshot.rsplit("anthropic.").next().unwrap_or_default();
    name.trim_end_matches("-v1:0").replace('@', "-")
}

/// What stands in ids of the house's answers.
pub(crate) const fn id_mark(house: House) -> &'static str {
    match house {
        House::Vertex => "vrtx_01",
        House::Bedrock => "bdrk_01",
        House::Maker | House::Azure | House::Copyist(_) => "01",
    }
}

/// What the last event says at Bedrock.
pub(super) fn invocation_metrics(ask: &Ask, output: u64) -> Value {
    let mut metrics = json!({
        "inputTokenCount": ask.prompt.input, "outputTokenCount": output,
        "invocationLatency": 417, "firstByteLatency": 300,
    });
    let written = ask.prompt.cache_write_5m + ask.prompt.cache_write_1h;
    if written + ask.prompt.cache_read > 0 {
        metrics["cacheReadInputTokenCount"] = json!(ask.prompt.cache_read);
        metrics["cacheWriteInputTokenCount"] = json!(written);
    }
    metrics
}

/// The prompt is too long, in Anthropic's words, which Vertex hands on.
pub(crate) fn too_long_at_vertex(tokens: u64, window: u64) -> Refusal {
    Refusal { shape: Some(Vendor::Anthropic), ..context_too_long(tokens, window) }
}

/// The policy forbids the prompt, in the same words.
pub(crate) fn policy_at_vertex() -> Refusal {
    Refusal { shape: Some(Vendor::Anthropic), ..anthropic::refusal::content_policy() }
}
