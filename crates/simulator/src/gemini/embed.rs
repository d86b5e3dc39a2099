//! Embeddings: <https://ai.google.dev/api/embeddings>.

use serde_json::{Value, json};

use super::ask::content_tokens;
use super::call::{Call, Dialect, Method};
use super::conversation::parts;
use super::refusal::invalid;
use super::{checked, embed_vertex, model};
use crate::embedding::{Embedding, vector};
use crate::price::Model;
use crate::refusal::Refusal;

/// Most contents of one request.
const MOST: usize = 100;

/// The embeddings that a body asks for.
pub(crate) fn embed(call: &Call, body: &Value) -> Result<Embedding, Refusal> {
    if call.dialect == Dialect::Vertex {
        return embed_vertex::embed(call, body);
    }
    let model = model(call)?;
    let together = call.method == Method::EmbedAll;
    let body = match together {
        true => checked(call.dialect, "BatchEmbedContentsRequest", body)?,
        false => checked(call.dialect, "EmbedContentRequest", body)?,
    };
    let requests: Vec<&Value> = match together {
        true => body["requests"].as_array().into_iter().flatten().collect(),
        false => vec![&body],
    };
    if requests.is_empty() {
        return Err(invalid("* BatchEmbedContentsRequest.requests: requests is not specified\n"));
    }
    if requests.len() > MOST {
        return Err(invalid(format!(
            "* BatchEmbedContentsRequest.requests: at most {MOST} requests can be in one batch\n"
        )));
    }
    for (place, request) in requests.iter().enumerate() {
        check(request, model, place, together)?;
    }
    let values: Vec<Value> =
        requests.iter().map(|request| json!({"values": values(request, model)})).collect();
    let tokens = requests.iter().map(|request| content_tokens(&request["content"])).sum();
    let mut answer = match (together, values.as_slice()) {
        (false, [one]) => json!({"embedding": one}),
        _ => json!({"embeddings": values}),
    };
    // Only the newer model tells what it read.
    let told = model.family == "gemini-embedding-2";
    if told {
        let details = json!([{"modality": "TEXT", "tokenCount": tokens}]);
        answer["usageMetadata"] = json!({"promptTokenCount": tokens, "promptTokenDetails": details});
    }
    Ok(Embedding { model, tokens, answer, told })
}

fn check(request: &Value, model: &Model, place: usize, together: bool) -> Result<(), Refusal> {
    let name = request["model"].as_str();
    if together && name.is_none() {
        return Err(invalid(format!(
            "* BatchEmbedContentsRequest.requests[{place}].model: unexpected model name format\n"
        )));
    }
    if name.is_some_and(|name| name.trim_start_matches("models/") != model.family) {
        return Err(invalid(
            "* BatchEmbedContentsRequest.model: all requests must be for the model of the URL\n",
        ));
    }
    if parts(&request["content"]).next().is_none() {
        return Err(invalid("* EmbedContentRequest.content: contents is not specified\n"));
    }
    if parts(&request["content"]).any(|part| part["text"].is_null() && model.family == "gemini-embedding-001")
    {
        return Err(invalid("* EmbedContentRequest.content: only text parts are supported\n"));
    }
    if request["outputDimensionality"].as_i64().is_some_and(|wanted| !(1..=3_072).contains(&wanted)) {
        return Err(invalid("* EmbedContentRequest.output_dimensionality: must be in the range [1, 3072]\n"));
    }
    Ok(())
}

fn values(request: &Value, model: &Model) -> Vec<f32> {
    let text = request["content"]["parts"].to_string();
    let wanted = request["outputDimensionality"].as_u64().and_then(|wanted| usize::try_from(wanted).ok());
    vector(model, &text, wanted)
}
