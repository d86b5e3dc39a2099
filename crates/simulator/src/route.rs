//! Where a request leads, by its method and path.

use http::Method;

use crate::Vendor;
use crate::api::Api;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// The list of models.
    Models,
    /// A text is to be generated.
    Generate(Api),
    /// How many tokens a response's input has.
    CountResponse,
    /// A response that was kept.
    KeptResponse(String),
    /// A kept response is to be deleted.
    DeleteResponse(String),
}

impl Route {
    /// Where a request leads, if it leads anywhere.
    pub(crate) fn of(vendor: Vendor, method: &Method, target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        match (vendor, method, path) {
            (Vendor::OpenAi | Vendor::Anthropic, &Method::GET, "/v1/models") => Some(Self::Models),
            (Vendor::OpenAi, &Method::POST, "/v1/chat/completions") => Some(Self::Generate(Api::Chat)),
            (Vendor::OpenAi, &Method::POST, "/v1/responses") => Some(Self::Generate(Api::Responses)),
            (Vendor::OpenAi, &Method::POST, "/v1/responses/input_tokens") => Some(Self::CountResponse),
            (Vendor::OpenAi, method, path) => {
                let id = path.strip_prefix("/v1/responses/")?.to_owned();
                match *method {
                    Method::GET => Some(Self::KeptResponse(id)),
                    Method::DELETE => Some(Self::DeleteResponse(id)),
                    _ => None,
                }
            }
            (Vendor::Anthropic, &Method::POST, "/v1/messages") => Some(Self::Generate(Api::Messages)),
            _ => None,
        }
    }
}
