//! The label sets of the metrics. All of them are bounded: protocols, outcomes, buckets and kinds by
//! their types, providers and models by the cap of [`crate::model_cells`].

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Request {
    pub(crate) protocol: &'static str,
    pub(crate) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Attempt {
    pub(crate) provider: Arc<str>,
    pub(crate) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Tokens {
    pub(crate) model: Arc<str>,
    pub(crate) provider: Arc<str>,
    pub(crate) bucket: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Session {
    pub(crate) provider: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SessionBytes {
    pub(crate) provider: Arc<str>,
    pub(crate) direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Loss {
    pub(crate) kind: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Build {
    pub(crate) version: String,
}

/// The attributes of OpenTelemetry's `gen_ai` metrics, written as Prometheus labels:
/// <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Operation {
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
    /// What makes one series differ from another beside the model.
    pub(crate) detail: OperationDetail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OperationDetail {
    None,
    ErrorType(&'static str),
    TokenType(&'static str),
}

impl EncodeLabelSet for Operation {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        ("gen_ai_operation_name", "chat").encode(encoder.encode_label())?;
        ("gen_ai_provider_name", &*self.provider).encode(encoder.encode_label())?;
        ("gen_ai_request_model", &*self.model).encode(encoder.encode_label())?;
        match self.detail {
            OperationDetail::None => Ok(()),
            OperationDetail::ErrorType(kind) => ("error_type", kind).encode(encoder.encode_label()),
            OperationDetail::TokenType(kind) => ("gen_ai_token_type", kind).encode(encoder.encode_label()),
        }
    }
}
