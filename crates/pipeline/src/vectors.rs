//! Requests for vectors: what is particular to them on a way that is the same for all.

use bytes::Bytes;
use http::{HeaderMap, Uri};
use weighbridge_protocol::bedrock_embeddings::TOKENS_HEADER;
use weighbridge_protocol::{Addressed, Body, Dialect, EmbeddingsProtocol, Envelope};
use weighbridge_routing::Rejection;
use weighbridge_stream::Facts;
use weighbridge_translate::embeddings::{self, AnswerTarget, Asked, EmbeddingsFacts, RequestTarget};
use weighbridge_translate::{FinishReason, TranslateError};
use weighbridge_transport::Rope;
use weighbridge_units::{Bucket, Loss};

use crate::compiled::Deployment;
use crate::exchange::Exchange;
use crate::outbound::{Outbound, bad_request, json_string};
use crate::refusal::Refusal;
use crate::reserve::Unfit;

/// A request for vectors.
#[derive(Clone)]
pub(crate) struct Vectors {
    /// The format that the client asks in.
    pub(crate) format: EmbeddingsProtocol,
    pub(crate) asked: Asked,
}

/// How a deployment is asked for vectors.
pub(crate) struct Way {
    pub(crate) format: EmbeddingsProtocol,
    dialect: Dialect,
    pub(crate) uri: Uri,
}

impl Vectors {
    /// Reads what must be known of a request before it is sent.
    pub(crate) fn read(
        format: EmbeddingsProtocol,
        at: Addressed,
        body: &Body,
    ) -> Result<(Envelope, Option<Box<Self>>), Refusal> {
        let asked = embeddings::asked(format, body.text()).map_err(|error| bad_request(&error))?;
        let model = at.model.or_else(|| asked.model.clone()).filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| Refusal::BadBody {
            message: "model: it is missing, and must be the name of a model".into(),
            param: Some("model".into()),
        })?;
        let envelope = Envelope {
            model,
            stream: false,
            wants_usage: true,
            // Nothing is generated.
            max_output: Some(0),
            candidates: 1,
            end_user: asked.end_user.clone(),
            service_tier: None,
        };
        Ok((envelope, Some(Box::new(Self { format, asked }))))
    }

    /// How a deployment is asked, if it makes vectors.
    pub(crate) fn way(deployment: &Deployment) -> Option<Way> {
        deployment.addresses().iter().find_map(|address| {
            let format =
                EmbeddingsProtocol::of_provider(address.protocol, address.dialect, &deployment.model)?;
            let uri = address.beside(&format.path(&deployment.model))?;
            Some(Way { format, dialect: address.dialect, uri })
        })
    }

    /// Writes the body for a deployment.
    pub(crate) fn write(&self, exchange: &Exchange, deployment: &Deployment) -> Result<Outbound, Unfit> {
        let way = Self::way(deployment).ok_or_else(|| {
            let message =
                format!("The model `{}` makes no vectors: name another one.", exchange.envelope.model);
            Unfit::here(Rejection::Misfit, Refusal::BadBody { message, param: Some("model".into()) })
        })?;
        if way.format == EmbeddingsProtocol::OpenAi && self.format == way.format {
            let mut edits = exchange.body.edit();
            if self.asked.model.as_deref() != Some(&*deployment.model) {
                edits.set("model", json_string(&deployment.model));
            }
            return Ok(Outbound { body: edits.rope().into_iter().collect(), losses: Vec::new() });
        }
        let target = RequestTarget { dialect: way.dialect, ..RequestTarget::new(&deployment.model) };
        match embeddings::request(self.format, way.format, exchange.body.text(), &target) {
            Ok(sent) => Ok(Outbound { body: Rope::from(Bytes::from(sent.value)), losses: sent.losses }),
            // Another provider may take more inputs, or other ones.
            Err(error @ TranslateError::Unsupported { .. }) => {
                Err(Unfit::here(Rejection::Misfit, bad_request(&error)))
            }
            Err(error) => Err(Unfit::anywhere(Rejection::Misfit, bad_request(&error))),
        }
    }

    /// Reads an answer, and writes it for the client.
    pub(crate) fn answer(
        &self,
        deployment: &Deployment,
        headers: &HeaderMap,
        bytes: &Bytes,
        text: &str,
        tokens_estimate: u64,
    ) -> Result<(Bytes, Facts), TranslateError> {
        let provider = Self::way(deployment).map_or(self.format, |way| way.format);
        let tokens_header =
            headers.get(TOKENS_HEADER).and_then(|tokens| tokens.to_str().ok()?.trim().parse().ok());
        if provider == EmbeddingsProtocol::OpenAi && provider == self.format {
            let read = embeddings::answer_facts(provider, text, tokens_header)?;
            return Ok((bytes.clone(), facts(read, Vec::new())));
        }
        let target = AnswerTarget {
            encoding: self.asked.encoding,
            tokens_header,
            tokens_estimate,
            ..AnswerTarget::new(&deployment.model)
        };
        let translated = embeddings::answer(provider, self.format, text, &target)?;
        let (answer, read) = translated.value;
        Ok((answer.into(), facts(read, translated.losses)))
    }
}

/// What an answer tells, in the words of one that was generated: nothing was, and it is whole.
fn facts(read: EmbeddingsFacts, losses: Vec<Loss>) -> Facts {
    let EmbeddingsFacts { usage, model, .. } = read;
    let usage = Some(usage).filter(|usage| !usage.is_untold()).map(|usage| usage.with(Bucket::Output, 0));
    Facts { model, usage, finish: Some(FinishReason::Stop), losses, ..Facts::default() }
}
