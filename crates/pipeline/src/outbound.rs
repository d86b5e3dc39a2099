//! What is sent to a provider: the client's own bytes with a few edits, or a translation.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use weighbridge_protocol::Edits;
use weighbridge_routing::Rejection;
use weighbridge_translate::{RequestTarget, TranslateError};
use weighbridge_transport::Rope;
use weighbridge_units::{AttemptId, Loss, LossKind, Protocol};

use crate::compiled::Deployment;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reserve::Unfit;

/// The id under which a provider can find an attempt in its logs; OpenAI documents the header.
pub(crate) const ATTEMPT_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// Client headers that change what a provider of the same protocol does.
const PASSED_ON: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-beta"), HeaderName::from_static("anthropic-version")];

/// The cap that a translation names, where the target demands one and nobody knows the model's maximum.
const OUTPUT_NAMED: u64 = 4096;

/// What a model of unknown maximum is reserved for, where no cap is sent: as much as the largest
/// models of the catalogue answer.
const OUTPUT_UNKNOWN: u64 = 131_072;

/// A request body for one deployment, and what was lost on the way there.
pub(crate) struct Outbound {
    pub(crate) body: Rope,
    pub(crate) losses: Vec<Loss>,
}

/// The most tokens that an answer may have: the client's cap, else the model's maximum.
pub(crate) fn output_cap(exchange: &Exchange, deployment: &Deployment) -> u64 {
    let unknown = if deployment.provider.protocol == exchange.client { OUTPUT_UNKNOWN } else { OUTPUT_NAMED };
    let most = || deployment.info.map_or(unknown, |info| info.max_output);
    exchange.envelope.max_output.unwrap_or_else(most)
}

/// Writes the body; `cap` is an output limit of our own, where the budget leaves no room for more.
pub(crate) fn write(
    exchange: &Exchange,
    deployment: &Deployment,
    cap: Option<u64>,
) -> Result<Outbound, Unfit> {
    let mut outbound = if deployment.provider.protocol == exchange.client {
        Outbound { body: edited(exchange, deployment, cap)?, losses: Vec::new() }
    } else {
        translated(exchange, deployment, cap)?
    };
    if let Some(cap) = cap {
        outbound.losses.push(Loss {
            pointer: String::new(),
            kind: LossKind::Defaulted,
            reason: format!("the budget has room for {cap} tokens of output only").into(),
            needed: "a budget with room for the model's maximum, or an output limit in the request".into(),
        });
    }
    Ok(outbound)
}

/// The client's bytes with the edits of the closed table.
fn edited(exchange: &Exchange, deployment: &Deployment, cap: Option<u64>) -> Result<Rope, Unfit> {
    let mut edits: Edits = exchange.body.edit();
    if exchange.envelope.model != *deployment.model {
        edits.set("model", json_string(&deployment.model));
    }
    if exchange.client == Protocol::OpenAiChat {
        if exchange.envelope.stream && !exchange.envelope.wants_usage {
            edits.set_in("stream_options", "include_usage", "true").map_err(|error| {
                let param = Some("stream_options".into());
                let refusal = Refusal::BadBody { message: format!("stream_options: {error}"), param };
                Unfit::anywhere(Rejection::Misfit, refusal)
            })?;
        }
        if let Some(cap) = cap {
            // The newer name is OpenAI's own; others that speak its protocol know the older one.
            let field = if &*deployment.provider.price_as == "openai" {
                "max_completion_tokens"
            } else {
                "max_tokens"
            };
            edits.set(field, cap.to_string());
        }
    }
    Ok(edits.rope().into_iter().collect())
}

fn translated(exchange: &Exchange, deployment: &Deployment, cap: Option<u64>) -> Result<Outbound, Unfit> {
    let target = RequestTarget {
        max_output_default: cap.unwrap_or_else(|| output_cap(exchange, deployment)),
        ..RequestTarget::new(&deployment.model)
    };
    let text = exchange.body.text();
    match weighbridge_translate::request(exchange.client, deployment.provider.protocol, text, &target) {
        Ok(translated) => {
            Ok(Outbound { body: Rope::from(bytes::Bytes::from(translated.value)), losses: translated.losses })
        }
        Err(error) => Err(Unfit::anywhere(Rejection::Misfit, bad_request(&error))),
    }
}

fn bad_request(error: &TranslateError) -> Refusal {
    let param = match error {
        TranslateError::Read { pointer, .. } => Some(field_path(pointer)).filter(|path| !path.is_empty()),
        _ => None,
    };
    Refusal::BadBody { message: error.to_string(), param }
}

/// The whole request. Nothing of the client's headers passes but for the list above.
pub(crate) fn request(
    exchange: &Exchange,
    deployment: &Deployment,
    credential: usize,
    attempt: AttemptId,
    body: Rope,
) -> Request<Rope> {
    let provider = &deployment.provider;
    // Room for the credential and what the transport adds, so that the map is not rebuilt.
    let mut headers = HeaderMap::with_capacity(provider.headers.len() + 8);
    headers.extend(provider.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if provider.protocol == exchange.client {
        for name in &PASSED_ON {
            if let Some(value) = exchange.client_headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
    }
    if let Some(credential) = provider.credentials.get(credential) {
        headers.insert(credential.name.clone(), credential.value.clone());
    }
    if let Ok(id) = HeaderValue::try_from(attempt.to_string()) {
        headers.insert(ATTEMPT_ID, id);
    }
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = provider.uri.clone();
    *request.headers_mut() = headers;
    request
}

/// A JSON pointer as clients of both protocols expect to see a field named: `messages.0.role`.
pub(crate) fn field_path(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
