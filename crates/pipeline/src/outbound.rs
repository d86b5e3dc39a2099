//! What is sent to a provider: the client's own bytes with a few edits, or a translation.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use weighbridge_protocol::json::{ReadError, ScanLimits};
use weighbridge_protocol::{Body, Dialect, Edits, anthropic_messages};
use weighbridge_routing::Rejection;
use weighbridge_translate::{PromptCaching, RequestTarget, TranslateError, Translated, prompt_cache};
use weighbridge_transport::Rope;
use weighbridge_units::{AttemptId, Loss, LossKind, Protocol};

use crate::compiled::{Address, Deployment, Proof, Provider};
use crate::exchange::Exchange;
use crate::own_keys::Used;
use crate::refusal::Refusal;
use crate::reserve::Unfit;
use crate::vectors::Vectors;

/// The id under which a provider can find an attempt in its logs; OpenAI documents the header.
pub(crate) const ATTEMPT_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// Client headers that change what a provider of the same protocol does.
static PASSED_ON: [HeaderName; 2] = [BETA, HeaderName::from_static("anthropic-version")];
const BETA: HeaderName = HeaderName::from_static(anthropic_messages::header::BETA);

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

/// What is written into a request beside what it says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Additions {
    /// An output limit of our own, where the budget leaves no room for more.
    pub(crate) cap: Option<u64>,
    /// Marks for the prompt cache, where the key wants them.
    pub(crate) caching: Option<PromptCaching>,
}

/// The most tokens that an answer may have: the client's cap, else the model's maximum.
pub(crate) fn output_cap(exchange: &Exchange, deployment: &Deployment) -> u64 {
    let same = deployment.address(exchange.client).protocol == exchange.client;
    let unknown = if same { OUTPUT_UNKNOWN } else { OUTPUT_NAMED };
    let most = || deployment.info.map_or(unknown, |info| info.max_output);
    exchange.envelope.max_output.unwrap_or_else(most)
}

/// Writes the body, of what the request says there and what is added to it.
pub(crate) fn write(
    exchange: &Exchange,
    said: &Body,
    deployment: &Deployment,
    additions: Additions,
) -> Result<Outbound, Unfit> {
    if let Some(vectors) = &exchange.vectors {
        return vectors.write(exchange, deployment);
    }
    let address = deployment.address(exchange.client);
    let mut outbound = if address.protocol == exchange.client {
        edited(exchange, said, deployment, address, additions)
            .map_err(|error| Unfit::anywhere(Rejection::Misfit, Refusal::bad_field(&error, said)))?
    } else {
        translated(exchange, said, deployment, address, additions)?
    };
    if let Some(cap) = additions.cap {
        outbound.losses.push(Loss {
            pointer: String::new(),
            kind: LossKind::Defaulted,
            reason: format!("the budget has room for {cap} tokens of output only").into(),
            needed: "a budget with room for the model's maximum, or an output limit in the request".into(),
        });
    }
    Ok(outbound)
}

/// The client's bytes with the edits of the closed table, and without what earlier turns left there of
/// other providers.
fn edited(
    exchange: &Exchange,
    body: &Body,
    deployment: &Deployment,
    address: &Address,
    additions: Additions,
) -> Result<Outbound, ReadError> {
    let mut edits: Edits = body.edit();
    let Translated { value: amendments, mut losses } =
        weighbridge_translate::amend(exchange.client, body.root(), &deployment.model);
    for amendment in amendments {
        edits.set(amendment.field, amendment.json);
    }
    if !address.quirks.is_empty() && address.protocol == Protocol::OpenAiChat {
        losses.extend(address.quirks.edit(&mut edits));
    }
    if address.dialect.names_model_in_body(address.protocol) {
        let said = body.get("model").and_then(|model| model.read::<Cow<'_, str>>().ok());
        if said.as_deref() != Some(&*deployment.model) {
            edits.set("model", json_string(&deployment.model));
        }
    }
    if exchange.client == Protocol::OpenAiChat && exchange.envelope.stream {
        if address.usage_unasked {
            // What it asks for comes unasked, or not at all.
            edits.remove("stream_options");
        } else if !exchange.envelope.wants_usage {
            edits.set_in("stream_options", "include_usage", "true")?;
        }
    }
    if let Some(cap) = additions.cap {
        write_cap(&mut edits, exchange, address.dialect, cap)?;
    }
    if let Some(caching) = &additions.caching {
        let placed = prompt_cache::place(exchange.client, &|name| edits.get(name), caching);
        for one in placed {
            edits.insert(one.field, one.at, one.text);
        }
    }
    losses.extend(address.dialect.edit(address.protocol, betas(exchange), &mut edits));
    Ok(Outbound { body: edits.rope().into_iter().collect(), losses })
}

/// The beta features that the client names.
fn betas(exchange: &Exchange) -> impl Iterator<Item = &str> {
    exchange.client_headers.get_all(&BETA).iter().filter_map(|value| value.to_str().ok())
}

/// Puts an output limit where the protocol has it. The request has none of its own.
fn write_cap(edits: &mut Edits, exchange: &Exchange, dialect: Dialect, cap: u64) -> Result<(), ReadError> {
    let cap = cap.to_string();
    match exchange.client {
        // The newer name is OpenAI's own; others that speak its protocol know the older one.
        Protocol::OpenAiChat if dialect == Dialect::Compatible => edits.set("max_tokens", cap),
        Protocol::OpenAiChat => edits.set("max_completion_tokens", cap),
        Protocol::OpenAiResponses => edits.set("max_output_tokens", cap),
        Protocol::AnthropicMessages => edits.set("max_tokens", cap),
        Protocol::GeminiGenerateContent => {
            let snake = exchange.body.get("generation_config").is_some();
            let config = if snake { "generation_config" } else { "generationConfig" };
            edits.set_in(config, "maxOutputTokens", &cap)?;
        }
        Protocol::BedrockConverse => edits.set_in("inferenceConfig", "maxTokens", &cap)?,
    }
    Ok(())
}

fn translated(
    exchange: &Exchange,
    said: &Body,
    deployment: &Deployment,
    address: &Address,
    additions: Additions,
) -> Result<Outbound, Unfit> {
    let target = RequestTarget {
        dialect: address.dialect,
        max_output_default: output_cap(exchange, deployment),
        max_output_cap: additions.cap,
        prompt_caching: additions.caching,
        media: &exchange.media,
        max_output_of_model: deployment.info.map(|info| info.max_output),
        stream: Some(exchange.envelope.stream),
        include_usage: !address.usage_unasked,
        ..RequestTarget::new(&deployment.model)
    };
    match weighbridge_translate::request(exchange.client, address.protocol, said.text(), &target) {
        Ok(Translated { value, mut losses }) => {
            let body = bytes::Bytes::from(value);
            if address.quirks.is_empty() || address.protocol != Protocol::OpenAiChat {
                return Ok(Outbound { body: Rope::from(body), losses });
            }
            // What we wrote is as deep as what we read, and the tables know of nothing but its top.
            let Ok(written) = Body::scan(body.clone(), &ScanLimits::default()) else {
                return Ok(Outbound { body: Rope::from(body), losses });
            };
            let mut edits = written.edit();
            losses.extend(address.quirks.edit(&mut edits));
            Ok(Outbound { body: edits.rope().into_iter().collect(), losses })
        }
        Err(error) => Err(Unfit::anywhere(Rejection::Misfit, bad_request(&error))),
    }
}

pub(crate) fn bad_request(error: &TranslateError) -> Refusal {
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
    used: &Used,
    attempt: AttemptId,
    body: Rope,
) -> Request<Rope> {
    let address = deployment.address(exchange.client);
    let vectors = exchange.vectors.as_ref().and_then(|_| Vectors::way(deployment));
    let uri = match vectors {
        Some(way) => way.uri,
        None => address.uri(exchange.envelope.stream).clone(),
    };
    let passes = address.protocol == exchange.client && !address.dialect.has_betas_in_body();
    let passed = passes.then_some(&exchange.client_headers);
    let mut request = call(&deployment.provider, used, uri, passed, body);
    if let Ok(id) = HeaderValue::try_from(attempt.to_string()) {
        request.headers_mut().insert(ATTEMPT_ID, id);
    }
    request
}

/// A request with what a provider wants of each. Of the headers in `passed`, those of the list above go
/// with it.
pub(crate) fn call(
    provider: &Provider,
    used: &Used,
    uri: Uri,
    passed: Option<&HeaderMap>,
    body: Rope,
) -> Request<Rope> {
    // Room for the credential and what the transport adds, so that the map is not rebuilt.
    let mut headers = HeaderMap::with_capacity(provider.headers.len() + 8);
    headers.extend(provider.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(passed) = passed {
        for name in &PASSED_ON {
            if let Some(value) = passed.get(name) {
                headers.insert(name, value.clone());
            }
        }
    }
    let mut request = Request::new(body);
    let own;
    let proof = match used {
        Used::Platform(at) => provider.credentials.get(*at).map(|credential| &credential.proof),
        Used::Own(key) => {
            own = key.proof(provider);
            own.as_ref()
        }
    };
    match proof {
        Some(Proof::Header(name, value)) => {
            headers.insert(name.clone(), value.clone());
        }
        Some(Proof::Signature(signer)) => {
            request.extensions_mut().insert(signer.clone());
        }
        Some(Proof::Issued(issued)) => {
            request.extensions_mut().insert(issued.clone());
        }
        None => {}
    }
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// A JSON pointer as clients of both protocols expect to see a field named: `messages.0.role`.
pub(crate) fn field_path(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
