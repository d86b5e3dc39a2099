//! Which of the gateway's routes a request is for. Decided from method and path alone.

use http::{HeaderMap, Method};
use weighbridge_units::Protocol;

use crate::refusal::Refusal;

/// A route of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An inference call in a client's protocol.
    Inference(Protocol),
    /// The models that a key may use.
    Models,
    /// One model of that list.
    Model(String),
    /// The record of an earlier request.
    Request(String),
}

impl Endpoint {
    /// The route of a method and a path.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let (endpoint, allowed) = match path {
            "/v1/chat/completions" => (Self::Inference(Protocol::OpenAiChat), "POST"),
            "/v1/messages" => (Self::Inference(Protocol::AnthropicMessages), "POST"),
            "/v1/models" => (Self::Models, "GET"),
            _ => match (path.strip_prefix("/v1/requests/"), path.strip_prefix("/v1/models/")) {
                (Some(id), _) if !id.is_empty() && !id.contains('/') => (Self::Request(id.into()), "GET"),
                // A model's name may hold a slash: `provider/model`.
                (_, Some(model)) if !model.is_empty() => (Self::Model(model.into()), "GET"),
                _ => return Err(Refusal::UnknownRoute { path: path.chars().take(200).collect() }),
            },
        };
        if method.as_str() == allowed { Ok(endpoint) } else { Err(Refusal::MethodNotAllowed { allowed }) }
    }
}

/// The protocol that a refusal is rendered in, known before anything else is.
pub(crate) fn protocol_of(path: &str, headers: &HeaderMap) -> Protocol {
    let by_path = match path {
        "/v1/messages" => Some(Protocol::AnthropicMessages),
        "/v1/chat/completions" => Some(Protocol::OpenAiChat),
        _ => None,
    };
    let by_header = || {
        let anthropic = headers.contains_key("anthropic-version");
        if anthropic { Protocol::AnthropicMessages } else { Protocol::OpenAiChat }
    };
    by_path.unwrap_or_else(by_header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_by_path_and_method() {
        let of = |method: Method, path: &str| Endpoint::of(&method, path).map_err(|refusal| refusal.kind());
        assert_eq!(of(Method::POST, "/v1/chat/completions"), Ok(Endpoint::Inference(Protocol::OpenAiChat)));
        assert_eq!(of(Method::POST, "/v1/messages"), Ok(Endpoint::Inference(Protocol::AnthropicMessages)));
        assert_eq!(of(Method::GET, "/v1/models"), Ok(Endpoint::Models));
        assert_eq!(of(Method::GET, "/v1/models/openai/gpt-4o"), Ok(Endpoint::Model("openai/gpt-4o".into())));
        assert_eq!(of(Method::GET, "/v1/requests/req_1"), Ok(Endpoint::Request("req_1".into())));
        assert_eq!(of(Method::GET, "/v1/messages"), Err("method-not-allowed"));
        for path in ["/", "/v1/requests/", "/v1/requests/a/b", "/v1/chat/completions/", "//v1/models"] {
            assert_eq!(of(Method::GET, path), Err("unknown-route"), "{path}");
        }
    }
}
