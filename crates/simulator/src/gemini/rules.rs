//! What the API refuses beyond its schema, without regard to the conversation.

use serde_json::Value;

use super::call::Dialect;
use super::refusal::{invalid, invalid_field};
use super::tools;
use crate::price::Model;
use crate::refusal::Refusal;

/// The first rule that a body breaks.
pub(super) fn check(body: &Value, model: &Model, dialect: Dialect) -> Result<(), Refusal> {
    let config = &body["generationConfig"];
    ranges(config)?;
    lengths(config, model)?;
    formats(config, body, model)?;
    thinking(&config["thinkingConfig"], model)?;
    modalities(config)?;
    tools::check(body)?;
    safety(body)?;
    if let Some(name) = body["cachedContent"].as_str() {
        let message = format!("CachedContent not found (or permission denied): {name}");
        return Err(Refusal::new(403, "PERMISSION_DENIED", message));
    }
    match dialect {
        Dialect::Gemini if !body["labels"].is_null() => {
            Err(invalid("labels parameter is not supported in Gemini API."))
        }
        _ => Ok(()),
    }
}

/// The names of the models' generation that says how much it thinks in levels.
pub(super) fn thinks_in_levels(model: &Model) -> bool {
    model.family.starts_with("gemini-3")
}

fn ranges(config: &Value) -> Result<(), Refusal> {
    for (name, field, low, high) in [
        ("temperature", "temperature", 0.0, 2.0),
        ("topP", "top_p", 0.0, 1.0),
        ("presencePenalty", "presence_penalty", -2.0, 2.0),
        ("frequencyPenalty", "frequency_penalty", -2.0, 2.0),
        ("topK", "top_k", 1.0, f64::MAX),
        ("candidateCount", "candidate_count", 1.0, 8.0),
    ] {
        if config[name].as_f64().is_some_and(|number| number < low || number > high) {
            let message = format!("{field} must be in the range [{low:.1}, {high:.1}].");
            return Err(invalid_field(&format!("generation_config.{field}"), &message));
        }
    }
    Ok(())
}

fn lengths(config: &Value, model: &Model) -> Result<(), Refusal> {
    if let Some(asked) = config["maxOutputTokens"].as_i64() {
        let bound = i64::try_from(model.max_output).unwrap_or(i64::MAX) + 1;
        if !(1..bound).contains(&asked) {
            return Err(invalid(format!(
                "Unable to submit request because it has a maxOutputTokens value of {asked} but the supported range \
                 is from 1 (inclusive) to {bound} (exclusive). Update the value and try again."
            )));
        }
    }
    let stops = config["stopSequences"].as_array().map(Vec::as_slice).unwrap_or_default();
    if stops.len() > 5 {
        return Err(invalid_field(
            "generation_config.stop_sequences",
            "at most 5 stop sequences may be specified.",
        ));
    }
    if stops.iter().any(|stop| stop == "") {
        return Err(invalid_field("generation_config.stop_sequences", "stop sequences must not be empty."));
    }
    Ok(())
}

/// <https://ai.google.dev/gemini-api/docs/structured-output>
fn formats(config: &Value, body: &Value, model: &Model) -> Result<(), Refusal> {
    let kind = config["responseMimeType"].as_str().unwrap_or("text/plain");
    if !["text/plain", "application/json", "text/x.enum"].contains(&kind) {
        return Err(invalid_field(
            "generation_config.response_mime_type",
            "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and \
             `text/x.enum`.",
        ));
    }
    let (schema, json_schema) = (&config["responseSchema"], &config["responseJsonSchema"]);
    if !schema.is_null() && !json_schema.is_null() {
        return Err(invalid("Only one of response_schema and response_json_schema may be set."));
    }
    if (!schema.is_null() || !json_schema.is_null()) && kind == "text/plain" {
        return Err(invalid_field(
            "generation_config.response_schema",
            "only allowed for responses of mime type application/json.",
        ));
    }
    if !schema.is_null() {
        tools::schema(schema, "generation_config.response_schema")?;
    }
    // Newer models can do both.
    let calls = tools::declarations(body).next().is_some() && !thinks_in_levels(model);
    if kind == "application/json" && calls {
        return Err(invalid("Function calling with a response mime type: 'application/json' is unsupported"));
    }
    if !config["logprobs"].is_null() && config["responseLogprobs"] != true {
        return Err(invalid("Logprobs is only allowed when response_logprobs is true."));
    }
    if config["logprobs"].as_i64().is_some_and(|number| !(0..=20).contains(&number)) {
        return Err(invalid_field("generation_config.logprobs", "must be in the range [0, 20]."));
    }
    Ok(())
}

/// <https://ai.google.dev/gemini-api/docs/thinking>
fn thinking(config: &Value, model: &Model) -> Result<(), Refusal> {
    let level = &config["thinkingLevel"];
    if !level.is_null() && !config["thinkingBudget"].is_null() {
        return Err(invalid("You can only set only one of thinking budget and thinking level."));
    }
    if !level.is_null() && !thinks_in_levels(model) {
        return Err(invalid("Thinking level is not supported for this model."));
    }
    let Some(budget) = config["thinkingBudget"].as_i64().filter(|budget| *budget != -1) else {
        return Ok(());
    };
    let (least, most) = match model.family {
        "gemini-2.5-pro" => (128, 32_768),
        "gemini-2.5-flash-lite" => (512, 24_576),
        _ => (0, 24_576),
    };
    if (least..=most).contains(&budget) || (budget == 0 && model.family == "gemini-2.5-flash-lite") {
        return Ok(());
    }
    Err(match (budget, model.family) {
        (0, "gemini-2.5-pro") => invalid("Budget 0 is invalid. This model only works in thinking mode."),
        _ => invalid(format!(
            "The thinking budget {budget} is invalid. Please choose a value between {least} and {most}."
        )),
    })
}

fn modalities(config: &Value) -> Result<(), Refusal> {
    let asked = config["responseModalities"].as_array().into_iter().flatten();
    match asked.into_iter().any(|kind| !matches!(kind.as_str(), Some("TEXT" | "MODALITY_UNSPECIFIED"))) {
        true => {
            Err(invalid("The requested combination of response modalities is not supported by the model."))
        }
        false => Ok(()),
    }
}

fn safety(body: &Value) -> Result<(), Refusal> {
    let mut seen: Vec<&Value> = Vec::new();
    for (place, setting) in body["safetySettings"].as_array().into_iter().flatten().enumerate() {
        let category = &setting["category"];
        if category.is_null() || category == "HARM_CATEGORY_UNSPECIFIED" {
            return Err(invalid_field(
                &format!("safety_settings[{place}]"),
                "element predicate failed: $.category in (HarmCategory.HARM_CATEGORY_SEXUALLY_EXPLICIT, \
                 HarmCategory.HARM_CATEGORY_HATE_SPEECH, HarmCategory.HARM_CATEGORY_HARASSMENT, \
                 HarmCategory.HARM_CATEGORY_DANGEROUS_CONTENT, HarmCategory.HARM_CATEGORY_CIVIC_INTEGRITY)",
            ));
        }
        if seen.contains(&category) {
            return Err(invalid("Duplicate safety settings for the same category."));
        }
        seen.push(category);
    }
    Ok(())
}
