//! Embeddings of Vertex AI: `predict` for models of texts before Gemini,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>, and
//! `embedContent` and `batchEmbedContents` for others. There is no published schema: the fields are those that
//! Google's own SDK sends.

use serde_json::{Value, json};

use super::ask::content_tokens;
use super::call::{Call, Method};
use super::conversation::parts;
use super::model;
use super::refusal::invalid;
use crate::embedding::{Embedding, vector};
use crate::price::Model;
use crate::refusal::Refusal;
use crate::tokens;

/// Most texts of one request.
const MOST: usize = 250;

/// What may stand where.
const BODY: [(Method, &[&str]); 3] = [
    (Method::Predict, &["instances", "parameters"]),
    (Method::Embed, &["content", "embedContentConfig", "model"]),
    (Method::EmbedAll, &["requests"]),
];
const INSTANCE: &[&str] = &["content", "title", "task_type", "mimeType"];
const PARAMETERS: &[&str] = &["outputDimensionality", "autoTruncate"];
const REQUEST: &[&str] = &["content", "embedContentConfig", "model"];
const CONFIG: &[&str] =
    &["taskType", "title", "outputDimensionality", "autoTruncate", "documentOcr", "audioTrackExtraction"];

const TASKS: [&str; 8] = [
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
];

/// The embeddings that a body asks for.
pub(super) fn embed(call: &Call, body: &Value) -> Result<Embedding, Refusal> {
    let model = model(call)?;
    let known =
        BODY.into_iter().find(|(method, _)| *method == call.method).map_or(&[][..], |(_, known)| known);
    fields(body, known, "")?;
    let is_predicted = model.family.starts_with("text-");
    if is_predicted != (call.method == Method::Predict) {
        let message = format!("{} is not supported in the {} API.", model.family, call.method.name());
        return Err(invalid(message));
    }
    match call.method {
        Method::Predict => predict(model, body),
        Method::EmbedAll => together(model, body),
        _ => alone(model, body),
    }
}

/// Refuses what is not known.
fn fields(object: &Value, known: &[&str], place: &str) -> Result<(), Refusal> {
    let given = object.as_object().into_iter().flatten();
    match given.into_iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(invalid(format!(
            "Invalid JSON payload received. Unknown name \"{name}\"{}: Cannot find field.",
            if place.is_empty() { String::new() } else { format!(" at '{place}'") }
        ))),
        None => Ok(()),
    }
}

/// What is wished of one vector; how many numbers.
fn wishes(task: &Value, title: &Value, size: &Value, model: &Model) -> Result<Option<usize>, Refusal> {
    if let Some(name) = task.as_str().filter(|name| !TASKS.contains(name)) {
        return Err(invalid(format!("Invalid task type: {name}.")));
    }
    if !title.is_null() && task != "RETRIEVAL_DOCUMENT" {
        return Err(invalid("A title is only valid with the task type RETRIEVAL_DOCUMENT."));
    }
    let most = model.dimensions.unwrap_or(1);
    match size.as_u64().and_then(|size| usize::try_from(size).ok()) {
        None if size.is_null() => Ok(None),
        Some(size) if (1..=most).contains(&size) => Ok(Some(size)),
        _ => Err(invalid(format!("output_dimensionality must be between 1 and {most}."))),
    }
}

fn predict(model: &'static Model, body: &Value) -> Result<Embedding, Refusal> {
    let instances = body["instances"].as_array().map(Vec::as_slice).unwrap_or_default();
    if instances.is_empty() || instances.len() > MOST {
        return Err(invalid(format!("{} instance(s) is allowed per prediction, from 1 on.", MOST)));
    }
    let parameters = &body["parameters"];
    fields(parameters, PARAMETERS, "parameters")?;
    let mut predictions = Vec::new();
    let mut all = 0;
    for instance in instances {
        fields(instance, INSTANCE, "instances")?;
        let Some(text) = instance["content"].as_str().filter(|text| !text.is_empty()) else {
            return Err(invalid("The text content is empty."));
        };
        let size =
            wishes(&instance["task_type"], &instance["title"], &parameters["outputDimensionality"], model)?;
        let count = tokens::count(text);
        if count > model.context_window && parameters["autoTruncate"] == false {
            return Err(invalid(format!(
                "The input token count is {count} but the model supports up to 2048."
            )));
        }
        let count = count.min(model.context_window);
        all += count;
        predictions.push(json!({"embeddings": {
            "values": vector(model, text, size), "statistics": {"truncated": false, "token_count": count},
        }}));
    }
    let characters: usize =
        instances.iter().map(|one| one["content"].as_str().unwrap_or_default().len()).sum();
    let answer = json!({"predictions": predictions, "metadata": {"billableCharacterCount": characters}});
    Ok(Embedding { model, tokens: all, answer, told: true })
}

/// The vector of one request, and its tokens.
fn one(model: &Model, request: &Value) -> Result<(Value, u64), Refusal> {
    fields(request, REQUEST, "requests")?;
    let config = &request["embedContentConfig"];
    fields(config, CONFIG, "embed_content_config")?;
    let size = wishes(&config["taskType"], &config["title"], &config["outputDimensionality"], model)?;
    if parts(&request["content"]).next().is_none() {
        return Err(invalid("content is not specified"));
    }
    let text = request["content"]["parts"].to_string();
    Ok((json!(vector(model, &text, size)), content_tokens(&request["content"])))
}

fn alone(model: &'static Model, body: &Value) -> Result<Embedding, Refusal> {
    let (values, tokens) = one(model, body)?;
    let answer = json!({
        "embedding": {"values": values},
        "usageMetadata": {
            "promptTokenCount": tokens, "totalTokenCount": tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        },
        "truncated": false,
    });
    Ok(Embedding { model, tokens, answer, told: true })
}

fn together(model: &'static Model, body: &Value) -> Result<Embedding, Refusal> {
    let requests = body["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
    if requests.is_empty() || requests.len() > MOST {
        return Err(invalid(format!(
            "at most {MOST} requests can be in one batch, and at least one must be"
        )));
    }
    let mut embeddings = Vec::new();
    let mut all = 0;
    for request in requests {
        let (values, tokens) = one(model, request)?;
        all += tokens;
        embeddings.push(json!({"values": values, "statistics": {"truncated": false, "token_count": tokens}}));
    }
    Ok(Embedding { model, tokens: all, answer: json!({"embeddings": embeddings}), told: true })
}
