//! Which of the gateway's routes a request is for. Decided from method and address alone.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use weighbridge_protocol::gemini::{self, Call};
use weighbridge_protocol::{Addressed, EmbeddingsProtocol, unescaped};
use weighbridge_translate::StreamForm;
use weighbridge_units::Protocol;

use crate::kept_routes::Act;
use crate::native;
use crate::receive::GOOGLE_KEY;
use crate::refusal::Refusal;

/// A route of the data plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An inference call in a client's protocol.
    Inference(Inference),
    /// The size of a prompt in tokens.
    TokenCount(Inference),
    /// The models that a key may use.
    Models,
    /// One model of that list.
    Model(String),
    /// A kept answer of OpenAI Responses.
    KeptAnswer(String, Act),
    /// The record of an earlier request.
    Request(String),
    /// Any call of a provider.
    Native(native::Asked),
}

/// An inference call, as far as its address tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inference {
    pub(crate) protocol: Protocol,
    pub(crate) addressed: Addressed,
    /// How the client wants a stream framed.
    pub(crate) form: StreamForm,
    /// The format of the question, where it is for vectors instead of an answer.
    pub(crate) vectors: Option<EmbeddingsProtocol>,
    /// The provider whose model is meant, where the call is for that one only: the model's name does not say it.
    pub(crate) within: Option<Arc<str>>,
}

impl Inference {
    /// A call at a path that says no more than its protocol.
    pub(crate) fn plain(protocol: Protocol) -> Self {
        Self {
            protocol,
            addressed: Addressed::default(),
            form: StreamForm::Events,
            vectors: None,
            within: None,
        }
    }

    /// A call for vectors.
    pub(crate) fn vectors(format: EmbeddingsProtocol) -> Self {
        Self { vectors: Some(format), ..Self::plain(format.family()) }
    }

    /// A call of Azure's, whose deployment is the model.
    fn deployment(self, name: &str) -> Option<Self> {
        let model = Some(unescaped(name).filter(|name| !name.is_empty())?.into_owned());
        Some(Self { addressed: Addressed { model, stream: None }, ..self })
    }

    /// A call of Gemini's, which has model and stream in its path.
    fn gemini(route: &gemini::Route<'_>) -> Self {
        let vectors = match route.call {
            Call::Embed => Some(EmbeddingsProtocol::GeminiEmbed),
            Call::BatchEmbed => Some(EmbeddingsProtocol::GeminiBatchEmbed),
            Call::Generate | Call::StreamGenerate | Call::CountTokens => None,
        };
        let protocol = Protocol::GeminiGenerateContent;
        Self { protocol, addressed: route.addressed(), form: route.form, vectors, within: None }
    }
}

impl Endpoint {
    /// The route of a method and an address.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Result<Self, Refusal> {
        if let Some(asked) = native::asked(uri) {
            let allowed = "any method but CONNECT and TRACE";
            let is_passed_on = native::is_passed_on(method);
            return is_passed_on.then_some(Self::Native(asked)).ok_or(Refusal::MethodNotAllowed { allowed });
        }
        let (endpoint, allowed) = Self::at(uri)
            .ok_or_else(|| Refusal::UnknownRoute { path: uri.path().chars().take(200).collect() })?;
        match endpoint {
            Self::KeptAnswer(id, Act::Read) if method == Method::DELETE => {
                Ok(Self::KeptAnswer(id, Act::Delete))
            }
            endpoint if allowed.split(", ").any(|allowed| method.as_str() == allowed) => Ok(endpoint),
            _ => Err(Refusal::MethodNotAllowed { allowed }),
        }
    }

    /// The route of an address, and the methods that it takes.
    fn at(uri: &Uri) -> Option<(Self, &'static str)> {
        let path = uri.path();
        let endpoint = match path {
            "/v1/chat/completions" | "/openai/v1/chat/completions" => {
                Self::Inference(Inference::plain(Protocol::OpenAiChat))
            }
            "/v1/messages" => Self::Inference(Inference::plain(Protocol::AnthropicMessages)),
            "/v1/responses" | "/openai/v1/responses" | "/openai/responses" => {
                Self::Inference(Inference::plain(Protocol::OpenAiResponses))
            }
            "/v1/embeddings" | "/openai/v1/embeddings" => {
                Self::Inference(Inference::vectors(EmbeddingsProtocol::OpenAi))
            }
            "/v1/messages/count_tokens" => Self::TokenCount(Inference::plain(Protocol::AnthropicMessages)),
            "/v1/responses/input_tokens" | "/openai/v1/responses/input_tokens" => {
                Self::TokenCount(Inference::plain(Protocol::OpenAiResponses))
            }
            "/v1/models" | "/v1beta/models" | "/openai/v1/models" => return Some((Self::Models, "GET")),
            _ => return Self::parsed(uri),
        };
        Some((endpoint, "POST"))
    }

    /// The routes with a name in their path.
    fn parsed(uri: &Uri) -> Option<(Self, &'static str)> {
        let path = uri.path();
        let versioned = ["/v1/", "/v1beta/", "/v1beta1/"].iter().find_map(|root| path.strip_prefix(root));
        if let Some(deployment) = path.strip_prefix("/openai/deployments/") {
            let (name, operation) = deployment.split_once('/')?;
            let inference = match operation {
                "chat/completions" => Inference::plain(Protocol::OpenAiChat),
                "embeddings" => Inference::vectors(EmbeddingsProtocol::OpenAi),
                _ => return None,
            };
            return Some((Self::Inference(inference.deployment(name)?), "POST"));
        }
        if let Some(kept) = KEPT.iter().find_map(|root| path.strip_prefix(root)) {
            let (id, act, allowed) = match kept.split_once('/') {
                Some((id, "input_items")) => (id, Act::Items, "GET"),
                Some((id, "cancel")) => (id, Act::Cancel, "POST"),
                _ => (kept, Act::Read, "GET, DELETE"),
            };
            let id = unescaped(id).filter(|_| !id.is_empty() && !id.contains('/'))?;
            return Some((Self::KeptAnswer(id.into_owned(), act), allowed));
        }
        let below = versioned?;
        if let Some(route) = gemini::Route::parse(path, uri.query()) {
            let inference = Inference::gemini(&route);
            let counts = route.call == Call::CountTokens;
            let endpoint = if counts { Self::TokenCount(inference) } else { Self::Inference(inference) };
            return Some((endpoint, "POST"));
        }
        if let Some(id) = below.strip_prefix("requests/") {
            return (!id.is_empty() && !id.contains('/')).then(|| (Self::Request(id.into()), "GET"));
        }
        // A model's name may hold a slash: `provider/model`.
        let model = unescaped(below.strip_prefix("models/")?)?;
        (!model.is_empty()).then(|| (Self::Model(model.into_owned()), "GET"))
    }
}

/// Where kept answers are found.
const KEPT: [&str; 3] = ["/v1/responses/", "/openai/v1/responses/", "/openai/responses/"];

/// The protocol that a refusal is rendered in, known before anything else is.
pub(crate) fn protocol_of(uri: &Uri, headers: &HeaderMap) -> Protocol {
    let path = uri.path();
    if path.starts_with("/native/") {
        return native::protocol_of(path, headers);
    }
    let googles = ["/v1beta/", "/v1beta1/"].iter().any(|root| path.starts_with(root));
    if path.starts_with("/v1/messages") {
        Protocol::AnthropicMessages
    } else if ["/v1/responses", "/openai/responses", "/openai/v1/responses"]
        .iter()
        .any(|route| path.starts_with(route))
    {
        Protocol::OpenAiResponses
    } else if path.starts_with("/v1/chat/") || path.starts_with("/openai/") {
        Protocol::OpenAiChat
    } else if googles || gemini::Route::parse(path, uri.query()).is_some() || headers.contains_key(GOOGLE_KEY)
    {
        Protocol::GeminiGenerateContent
    } else if headers.contains_key("anthropic-version") {
        Protocol::AnthropicMessages
    } else {
        Protocol::OpenAiChat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, address: &str) -> Result<Endpoint, &'static str> {
        Endpoint::of(&method, &address.parse().unwrap()).map_err(|refusal| refusal.kind())
    }

    fn plain(protocol: Protocol) -> Result<Endpoint, &'static str> {
        Ok(Endpoint::Inference(Inference::plain(protocol)))
    }

    #[test]
    fn routes_are_told_by_path_and_method() {
        assert_eq!(of(Method::POST, "/v1/chat/completions"), plain(Protocol::OpenAiChat));
        assert_eq!(of(Method::POST, "/v1/messages?beta=true"), plain(Protocol::AnthropicMessages));
        assert_eq!(of(Method::POST, "/v1/responses"), plain(Protocol::OpenAiResponses));
        let vectors = of(Method::POST, "/v1/embeddings");
        assert_eq!(vectors, Ok(Endpoint::Inference(Inference::vectors(EmbeddingsProtocol::OpenAi))));
        let count = of(Method::POST, "/v1/messages/count_tokens");
        assert_eq!(count, Ok(Endpoint::TokenCount(Inference::plain(Protocol::AnthropicMessages))));
        let count = of(Method::POST, "/v1beta/models/m:countTokens");
        assert!(matches!(count, Ok(Endpoint::TokenCount(_))), "{count:?}");
        assert_eq!(of(Method::GET, "/v1/models"), Ok(Endpoint::Models));
        assert_eq!(of(Method::GET, "/v1beta/models?pageSize=50"), Ok(Endpoint::Models));
        assert_eq!(of(Method::GET, "/v1/models/openai/gpt-4o"), Ok(Endpoint::Model("openai/gpt-4o".into())));
        assert_eq!(of(Method::GET, "/v1/models/a%2Fb"), Ok(Endpoint::Model("a/b".into())));
        assert_eq!(of(Method::GET, "/v1/requests/req_1"), Ok(Endpoint::Request("req_1".into())));
        for root in ["/v1", "/openai/v1", "/openai"] {
            let kept = |method, tail: &str| of(method, &format!("{root}/responses/{tail}"));
            let answer = |act| Ok(Endpoint::KeptAnswer("resp_1=".into(), act));
            assert_eq!(kept(Method::GET, "resp_1="), answer(Act::Read));
            assert_eq!(kept(Method::GET, "resp_1%3D?include=x"), answer(Act::Read));
            assert_eq!(kept(Method::DELETE, "resp_1="), answer(Act::Delete));
            assert_eq!(kept(Method::GET, "resp_1=/input_items?limit=1"), answer(Act::Items));
            assert_eq!(kept(Method::DELETE, "resp_1=/input_items"), Err("method-not-allowed"));
            assert_eq!(kept(Method::POST, "resp_1="), Err("method-not-allowed"));
            assert_eq!(kept(Method::POST, "resp_1=/cancel"), answer(Act::Cancel));
            assert_eq!(kept(Method::GET, "resp_1=/cancel"), Err("method-not-allowed"));
            assert_eq!(kept(Method::GET, "resp_1=/compact"), Err("unknown-route"));
            assert_eq!(kept(Method::GET, ""), Err("unknown-route"));
        }
        assert_eq!(of(Method::GET, "/v1/messages"), Err("method-not-allowed"));
        for path in ["/", "/v1/requests/", "/v1/requests/a/b", "/v1/chat/completions/", "//v1/models"] {
            assert_eq!(of(Method::GET, path), Err("unknown-route"), "{path}");
        }
    }

    #[test]
    fn gemini_and_azure_name_the_model_in_the_path() {
        let told = |address: &str| match of(Method::POST, address) {
            Ok(Endpoint::Inference(Inference { protocol, addressed, form, .. })) => {
                (protocol, addressed.model.unwrap(), addressed.stream, form)
            }
            other => panic!("{address}: {other:?}"),
        };
        let gemini = Protocol::GeminiGenerateContent;
        for root in ["/v1", "/v1beta", "/v1beta1/projects/p/locations/l/publishers/google"] {
            let whole = told(&format!("{root}/models/fast:generateContent"));
            assert_eq!(whole, (gemini, "fast".into(), Some(false), StreamForm::JsonArray), "{root}");
        }
        let streamed = told("/v1beta/models/openai/gpt-4o:streamGenerateContent?alt=sse");
        assert_eq!(streamed, (gemini, "openai/gpt-4o".into(), Some(true), StreamForm::Events));
        let azure = told("/openai/deployments/openai%2Fgpt-4o/chat/completions?api-version=2024-10-21");
        assert_eq!(azure, (Protocol::OpenAiChat, "openai/gpt-4o".into(), None, StreamForm::Events));
        assert_eq!(of(Method::POST, "/openai/deployments/a/b/chat/completions"), Err("unknown-route"));
    }

    #[test]
    fn refusals_are_told_in_the_clients_protocol() {
        let none = HeaderMap::new();
        let of = |address: &str| protocol_of(&address.parse().unwrap(), &none);
        assert_eq!(of("/v1/messages/nonsense"), Protocol::AnthropicMessages);
        assert_eq!(of("/v1beta/nonsense"), Protocol::GeminiGenerateContent);
        assert_eq!(of("/v1/models/m:generateContent"), Protocol::GeminiGenerateContent);
        assert_eq!(of("/v1/responses"), Protocol::OpenAiResponses);
        assert_eq!(of("/nonsense"), Protocol::OpenAiChat);
        let google = HeaderMap::from_iter([(GOOGLE_KEY, "k".parse().unwrap())]);
        assert_eq!(protocol_of(&"/v1/models".parse().unwrap(), &google), Protocol::GeminiGenerateContent);
    }
}
