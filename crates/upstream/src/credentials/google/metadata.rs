//! The account of a machine of Google Cloud.

use std::time::SystemTime;

use http::Method;

use crate::credentials::client::Client;
use crate::credentials::source::Fresh;
use crate::credentials::{form, oauth};
use crate::{CredentialError, UpstreamError};

/// The default account of an instance, pod or job, from the metadata server
/// (<https://cloud.google.com/compute/docs/access/authenticate-workloads>).
pub struct GoogleMetadata {
    url: String,
}

impl GoogleMetadata {
    /// Where the server is on every machine.
    pub const URL: &str = "http://metadata.google.internal";

    /// Tokens of the server at `url`.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] or [`UpstreamError::Credential`] where that is no address.
    pub fn new(url: &str) -> Result<Self, UpstreamError> {
        Ok(Self { url: form::metadata(url)? })
    }

    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        let url = format!("{}/computeMetadata/v1/instance/service-accounts/default/token", self.url);
        let question = form::question(Method::GET, &url, &[("metadata-flavor", "Google")])?;
        oauth::token(&client.ask_machine(question).await?, now)
    }
}
