//! Access tokens of Google Cloud.

mod federated;
mod metadata;
mod service_account;
mod user;

use std::time::SystemTime;

use serde_json::Value;

pub use metadata::GoogleMetadata;

use super::client::Client;
use super::source::Fresh;
use crate::{CredentialError, UpstreamError};

/// What tokens are for, unless told otherwise: all of the cloud, as far as the account may.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where tokens are issued, unless a file says otherwise.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Who gives access tokens of Google Cloud.
pub struct GoogleSource(Kind);

enum Kind {
    ServiceAccount(service_account::ServiceAccount),
    User(user::User),
    Federated(federated::Federated),
    Metadata(GoogleMetadata),
}

impl GoogleSource {
    /// What a credentials file says, such as `GOOGLE_APPLICATION_CREDENTIALS` names: of a service account
    /// (<https://developers.google.com/identity/protocols/oauth2/service-account>), of a user
    /// (`gcloud auth application-default login`), or of a workload identity whose token is in a file
    /// (<https://google.aip.dev/auth/4117>). `token_url` is asked instead of the address in the file.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] with what is wrong with it; the message names no secret.
    pub fn from_file(json: &str, token_url: Option<&str>) -> Result<Self, UpstreamError> {
        let file = File(serde_json::from_str(json).map_err(|_| wrong("the credentials file is no JSON"))?);
        let token_url = |usual: Option<&str>| match token_url.or(usual) {
            Some(url) => super::form::issuer(url),
            None => file.text("token_url").and_then(super::form::issuer),
        };
        let usual = Some(file.text("token_uri").unwrap_or(TOKEN_URL));
        Ok(Self(match file.text("type")? {
            "service_account" => {
                Kind::ServiceAccount(service_account::ServiceAccount::new(&file, token_url(usual)?)?)
            }
            "authorized_user" => Kind::User(user::User::new(&file, token_url(usual)?)?),
            "external_account" => Kind::Federated(federated::Federated::new(&file, token_url(None)?)?),
            other => {
                let known = "service_account, authorized_user and external_account can be used";
                return Err(wrong(&format!("the credentials file is of type `{other}`: {known}")));
            }
        }))
    }

    /// The account of the machine that this runs on.
    pub fn metadata(metadata: GoogleMetadata) -> Self {
        Self(Kind::Metadata(metadata))
    }

    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        match &self.0 {
            Kind::ServiceAccount(account) => account.issue(client, now).await,
            Kind::User(user) => user.issue(client, now).await,
            Kind::Federated(federated) => federated.issue(client, now).await,
            Kind::Metadata(metadata) => metadata.issue(client, now).await,
        }
    }
}

fn wrong(problem: &str) -> UpstreamError {
    UpstreamError::Credential { problem: problem.to_owned() }
}

/// A credentials file.
struct File(Value);

impl File {
    fn text(&self, name: &str) -> Result<&str, UpstreamError> {
        let text = self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| wrong(&format!("the credentials file has no `{name}`")))
    }
}
