//! Amazon Bedrock: Converse, and models' own formats: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

mod answer;
mod ask;
mod call;
mod conversation;
mod embed;
mod event_frame;
pub(crate) mod refusal;
mod rules;
pub(crate) mod sigv4;
mod stream;

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::ask::{Ask, Form};
use crate::prefix_cache::PrefixCache;
use crate::price::{self, Model};
use crate::refusal::Refusal;
use crate::schema::{Schema, SchemaError};
use crate::{Vendor, anthropic};

pub(crate) use answer::whole;
pub(crate) use ask::Own;
pub(crate) use call::{Call, Operation};
pub(crate) use embed::embed;
pub(crate) use stream::{chunk, endless_head, error_frame, frames, malformed_chunk, malformed_frame};

/// Checks a body as the API does, and reads what it asks for.
pub(crate) fn read(call: &Call, form: Form, body: &Value, cache: &PrefixCache) -> Result<Ask, Refusal> {
    let model = model(call)?;
    checked("ConverseRequest", body)?;
    rules::check(body, model)?;
    conversation::check(body, model)?;
    ask::read(body, model, form, cache)
}

/// `CountTokens`: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html>.
pub(crate) fn count(call: &Call, body: &Value) -> Result<Value, Refusal> {
    let model = model(call)?;
    checked("CountTokensRequest", body)?;
    let converse = &body["input"]["converse"];
    if converse.is_null() {
        return Err(refusal::invalid("The provided model doesn't support counting tokens of this input."));
    }
    conversation::check(converse, model)?;
    Ok(json!({"inputTokens": ask::prompt_tokens(converse, model)}))
}

/// `InvokeModel`, whole or streamed, of a model of Anthropic's.
pub(crate) fn invoke(call: &Call, body: &Value, cache: &PrefixCache) -> Result<Ask, Refusal> {
    let streams = call.operation == Operation::InvokeModelWithResponseStream;
    anthropic::read_at_bedrock(model(call)?, streams, body, cache)
}

/// Whether a call is for a model that gives embeddings.
pub(crate) fn embeds(call: &Call) -> bool {
    model(call).is_ok_and(|model| model.dimensions.is_some())
}

/// Whether Anthropic has made the model.
fn is_claude(model: &Model) -> bool {
    model.family.contains("anthropic.")
}

/// The model that a path names, if it can do what is asked.
fn model(call: &Call) -> Result<&'static Model, Refusal> {
    // An inference profile may be named by its ARN.
    let name = call.model.rsplit('/').next().unwrap_or_default();
    if name.starts_with("anthropic.") && price::models(Vendor::Aws).any(|model| model.family.ends_with(name))
    {
        return Err(refusal::invalid(format!(
            "Invocation of model ID {name} with on-demand throughput isn’t supported. Retry your request with the ID \
             or ARN of an inference profile that contains this model."
        )));
    }
    price::model(Vendor::Aws, name)
        .filter(|model| match call.operation {
            Operation::InvokeModel => model.dimensions.is_some() || is_claude(model),
            Operation::InvokeModelWithResponseStream => is_claude(model),
            Operation::Converse | Operation::ConverseStream | Operation::CountTokens => {
                model.dimensions.is_none()
            }
        })
        .ok_or_else(|| refusal::invalid("The provided model identifier is invalid."))
}

fn checked(name: &str, body: &Value) -> Result<(), Refusal> {
    static SCHEMA: OnceLock<Result<Schema, SchemaError>> = OnceLock::new();
    match SCHEMA.get_or_init(|| Schema::compile(include_str!("../../schemas/bedrock-request.json"))) {
        Ok(schema) => schema.check_as(name, body).map_err(|violation| refusal::of_violation(&violation)),
        Err(error) => Err(Refusal::new(500, "InternalServerException", error.to_string())),
    }
}
