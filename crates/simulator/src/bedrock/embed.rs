//! Embeddings: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>.
//! The model has no published schema.

use serde_json::{Value, json};

use super::call::Call;
use super::model;
use super::refusal::invalid;
use crate::embedding::{Embedding, vector};
use crate::refusal::Refusal;
use crate::tokens;

/// The embedding that a body asks for.
pub(crate) fn embed(call: &Call, body: &Value) -> Result<Embedding, Refusal> {
    let model = model(call)?;
    for (name, value) in body.as_object().into_iter().flatten() {
        let fits = match name.as_str() {
            "inputText" => value.is_string(),
            "dimensions" => value.as_u64().is_some_and(|wanted| [256, 512, 1_024].contains(&wanted)),
            "normalize" => value.is_boolean(),
            "embeddingTypes" => value.is_array(),
            _ => {
                return Err(invalid(format!(
                    "Malformed input request: #: extraneous key [{name}] is not permitted, please reformat your \
                     input and try again."
                )));
            }
        };
        if !fits {
            return Err(invalid(format!(
                "Malformed input request: #/{name}: {value} is not a valid value, please reformat your input and try \
                 again."
            )));
        }
    }
    let Some(text) = body["inputText"].as_str().filter(|text| !text.is_empty()) else {
        return Err(invalid(
            "Malformed input request: #: required key [inputText] not found, please reformat your input and try \
             again.",
        ));
    };
    let wanted = body["dimensions"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    let values = vector(model, text, wanted);
    let tokens = tokens::count(text);
    let answer =
        json!({"embedding": values, "embeddingsByType": {"float": values}, "inputTextTokenCount": tokens});
    Ok(Embedding { model, tokens, answer, told: true })
}
