//! Which native calls the gateway serves anyway.

use weighbridge_protocol::{Addressed, Dialect, EmbeddingsProtocol};
use weighbridge_translate::StreamForm;
use weighbridge_units::Protocol;

use super::NativePath;
use crate::compiled::Provider;
use crate::endpoint::Inference;

impl Provider {
    /// The path of the base URL, without slash at its end.
    pub(crate) fn base_path(&self) -> &str {
        let url = self.base_url();
        let authority = url.find("://").map_or(0, |at| at + 3);
        let rest = url.get(authority..).unwrap_or_default();
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
    }

    /// The inference call at a path of this provider's, if the gateway serves it to clients: what is answered there is
    /// metered. Bedrock's answers are framed as no client's protocol is.
    pub(crate) fn inference_at(&self, path: &NativePath) -> Option<Inference> {
        let served =
            self.spoken.iter().filter(|it| it.protocol.is_clients() && it.dialect != Dialect::Bedrock);
        served.into_iter().find_map(|spoken| {
            let openai = matches!(spoken.protocol, Protocol::OpenAiChat);
            let vectors = spoken.path.before(&["/chat/completions"]).filter(|_| openai);
            if vectors.is_some_and(|root| path.path() == format!("{}/embeddings", root.as_str())) {
                return Some(Inference::vectors(EmbeddingsProtocol::OpenAi));
            }
            let whole = spoken.path.model_in(path.path()).map(|model| (model, false));
            let (model, stream) =
                whole.or_else(|| spoken.stream_path.model_in(path.path()).map(|model| (model, true)))?;
            let in_path = model.is_some();
            let form = match spoken.protocol {
                Protocol::GeminiGenerateContent if stream && !path.asks("alt", "sse") => {
                    StreamForm::JsonArray
                }
                _ => StreamForm::Events,
            };
            let addressed = Addressed { model, stream: in_path.then_some(stream) };
            Some(Inference { addressed, form, ..Inference::plain(spoken.protocol) })
        })
    }
}
