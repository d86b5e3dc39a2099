//! Embeddings, in the formats of the models' makers, which have no published schema:
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>. A header tells the tokens.

use serde_json::{Value, json};

use super::call::Call;
use super::model;
use super::refusal::invalid;
use crate::embedding::{Embedding, vector};
use crate::price::Model;
use crate::refusal::Refusal;
use crate::tokens;

/// A field, and what it may be.
type Field = (&'static str, fn(&Value) -> bool);

/// A maker's format.
struct Format {
    /// Whose models: a part of their names.
    models: &'static str,
    fields: &'static [Field],
    required: &'static [&'static str],
}

/// The first that fits counts.
const FORMATS: [Format; 4] = [
    Format {
        models: "titan-embed-text-v2",
        fields: &[
            ("inputText", is_text),
            ("dimensions", |value| is_one_of(value, &[256, 512, 1_024])),
            ("normalize", Value::is_boolean),
            ("embeddingTypes", Value::is_array),
        ],
        required: &["inputText"],
    },
    Format { models: "titan-embed", fields: &[("inputText", is_text)], required: &["inputText"] },
    Format {
        models: "cohere.embed-v4",
        fields: &[
            ("texts", are_texts),
            ("inputs", Value::is_array),
            ("input_type", is_purpose),
            ("output_dimension", |value| is_one_of(value, &[256, 512, 1_024, 1_536])),
            ("max_tokens", Value::is_u64),
            ("embedding_types", Value::is_array),
            ("truncate", |value| is_name(value, &["NONE", "LEFT", "RIGHT"])),
        ],
        required: &["input_type", "texts"],
    },
    Format {
        models: "cohere.embed",
        fields: &[
            ("texts", are_texts),
            ("input_type", is_purpose),
            ("embedding_types", Value::is_array),
            ("truncate", |value| is_name(value, &["NONE", "START", "END"])),
        ],
        required: &["input_type", "texts"],
    },
];

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// At most 96, as Cohere says.
fn are_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|texts| (1..=96).contains(&texts.len()) && texts.iter().all(is_text))
}

fn is_one_of(value: &Value, sizes: &[u64]) -> bool {
    value.as_u64().is_some_and(|size| sizes.contains(&size))
}

fn is_name(value: &Value, names: &[&str]) -> bool {
    value.as_str().is_some_and(|name| names.contains(&name))
}

fn is_purpose(value: &Value) -> bool {
    is_name(value, &["search_document", "search_query", "classification", "clustering", "image"])
}

/// The embedding that a body asks for.
pub(crate) fn embed(call: &Call, body: &Value) -> Result<Embedding, Refusal> {
    let model = model(call)?;
    let malformed = |what: &str| {
        invalid(format!("Malformed input request: {what}, please reformat your input and try again."))
    };
    let format = FORMATS.iter().find(|format| model.family.contains(format.models));
    let format = format.ok_or_else(|| malformed("the model is not known"))?;
    for (name, value) in body.as_object().into_iter().flatten() {
        match format.fields.iter().find(|(known, _)| known == name) {
            None => return Err(malformed(&format!("#: extraneous key [{name}] is not permitted"))),
            Some((_, fits)) if !fits(value) => {
                return Err(malformed(&format!("#/{name}: {value} is not a valid value")));
            }
            Some(_) => {}
        }
    }
    if let Some(name) = format.required.iter().find(|name| body[**name].is_null()) {
        return Err(malformed(&format!("#: required key [{name}] not found")));
    }
    Ok(match body["texts"].as_array() {
        Some(texts) => cohere(model, body, texts),
        None => titan(model, body),
    })
}

fn titan(model: &'static Model, body: &Value) -> Embedding {
    let text = body["inputText"].as_str().unwrap_or_default();
    let wanted = body["dimensions"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    let values = vector(model, text, wanted);
    let tokens = tokens::count(text);
    let mut answer = json!({"embedding": values, "inputTextTokenCount": tokens});
    if model.family.contains("text-v2") {
        answer["embeddingsByType"] = json!({"float": values});
    }
    Embedding { model, tokens, answer, told: true }
}

/// Only a header tells the tokens.
fn cohere(model: &'static Model, body: &Value, texts: &[Value]) -> Embedding {
    let wanted = body["output_dimension"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
    let values: Vec<_> = texts.iter().map(|text| vector(model, text, wanted)).collect();
    let tokens = texts.iter().map(|text| tokens::count(text)).sum();
    let mut answer = json!({"id": "3a6ecc1f-0d0f-4f6b-8a1c-000000000001", "texts": texts});
    if body["embedding_types"].is_null() {
        answer["embeddings"] = json!(values);
        answer["response_type"] = json!("embeddings_floats");
    } else {
        answer["embeddings"] = json!({"float": values});
        answer["response_type"] = json!("embeddings_by_type");
    }
    Embedding { model, tokens, answer, told: true }
}
