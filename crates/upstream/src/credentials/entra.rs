//! Access tokens of Microsoft Entra, for Azure OpenAI and Foundry.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use weighbridge_transport::path_segment;

use super::client::{Client, token_file};
use super::jwt::{Algorithm, SigningKey, base64url, unique_id};
use super::source::Fresh;
use super::{form, oauth};
use crate::{CredentialError, UpstreamError};

/// What an assertion of our own is, in Entra's words.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is valid, in seconds.
const LIFE: u64 = 600;
/// What tokens are for, unless told otherwise.
const RESOURCE: &str = "https://cognitiveservices.azure.com";

/// Who gives access tokens of Microsoft Entra.
#[non_exhaustive]
pub enum EntraSource {
    /// An application's registration.
    Client(EntraClient),
    /// The identity of the machine that this runs on.
    Managed(ManagedIdentity),
}

impl EntraSource {
    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        match self {
            Self::Client(entra) => entra.issue(client, now).await,
            Self::Managed(identity) => identity.issue(client, now).await,
        }
    }
}

/// An application's registration, and its proof: client credentials
/// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
pub struct EntraClient {
    url: String,
    client_id: String,
    scope: String,
    proof: EntraProof,
}

/// How an application proves who it is.
pub struct EntraProof(Proof);

enum Proof {
    Secret(SecretString),
    Certificate { key: SigningKey, thumbprint: String },
    TokenFile(PathBuf),
}

impl EntraProof {
    /// By a secret.
    pub fn secret(secret: SecretString) -> Self {
        Self(Proof::Secret(secret))
    }

    /// By a certificate and its private RSA key, both in PEM
    /// (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>).
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] where one of them is missing or unreadable.
    pub fn certificate(pem: &str) -> Result<Self, UpstreamError> {
        let wrong = |_| UpstreamError::Credential { problem: "it has no certificate in PEM".to_owned() };
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(wrong)?;
        let thumbprint = base64url(&Sha256::digest(&certificate));
        Ok(Self(Proof::Certificate { key: SigningKey::from_pem(pem)?, thumbprint }))
    }

    /// By a token of somebody whom the registration trusts, from a file that is read anew each time
    /// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>).
    pub fn token_file(path: impl Into<PathBuf>) -> Self {
        Self(Proof::TokenFile(path.into()))
    }
}

impl EntraClient {
    /// Where tokens are issued; other clouds have other addresses.
    pub const AUTHORITY: &str = "https://login.microsoftonline.com";

    /// The application `client_id` of a tenant.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] where one of them is empty.
    pub fn new(tenant_id: &str, client_id: &str, proof: EntraProof) -> Result<Self, UpstreamError> {
        if tenant_id.trim().is_empty() || client_id.trim().is_empty() {
            let problem = "the tenant's and the client's id must not be empty".to_owned();
            return Err(UpstreamError::Credential { problem });
        }
        let url = format!("{}/{}/oauth2/v2.0/token", Self::AUTHORITY, path_segment(tenant_id.trim()));
        let scope = format!("{RESOURCE}/.default");
        Ok(Self { url, client_id: client_id.trim().to_owned(), scope, proof })
    }

    /// At another authority, such as `https://login.microsoftonline.us`.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] or [`UpstreamError::Credential`] where that is no address.
    pub fn at(self, authority: &str) -> Result<Self, UpstreamError> {
        let authority = form::issuer(authority)?;
        let path = self.url.strip_prefix(Self::AUTHORITY).unwrap_or(&self.url);
        Ok(Self { url: format!("{authority}{path}"), ..self })
    }

    /// For something else than Azure's AI services, such as `https://ai.azure.com/.default`.
    #[must_use]
    pub fn with_scope(self, scope: impl Into<String>) -> Self {
        Self { scope: scope.into(), ..self }
    }

    async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        let mut fields = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id.as_str()),
            ("scope", self.scope.as_str()),
        ];
        let assertion = match &self.proof.0 {
            Proof::Secret(secret) => {
                fields.push(("client_secret", secret.expose_secret()));
                None
            }
            Proof::Certificate { key, thumbprint } => Some(self.assertion(key, thumbprint, now)?),
            Proof::TokenFile(path) => Some(token_file(path).await?),
        };
        if let Some(assertion) = &assertion {
            fields.extend([("client_assertion_type", ASSERTION), ("client_assertion", assertion)]);
        }
        oauth::token(&client.ask(form::post(&self.url, &fields)?).await?, now)
    }

    fn assertion(
        &self,
        key: &SigningKey,
        thumbprint: &str,
        now: SystemTime,
    ) -> Result<String, CredentialError> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({
            "aud": self.url,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": unique_id()?,
            "nbf": seconds,
            "exp": seconds.saturating_add(LIFE),
        });
        key.sign(Algorithm::Ps256, json!({ "x5t#S256": thumbprint }), &claims)
    }
}

/// The identity of a virtual machine or node, from Azure's metadata service
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
pub struct ManagedIdentity {
    url: String,
    client_id: Option<String>,
    resource: String,
}

impl ManagedIdentity {
    /// Where the service is on every machine.
    pub const URL: &str = "http://169.254.169.254";

    /// The identity that the service at `url` knows: of several, the one of `client_id`.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] or [`UpstreamError::Credential`] where that is no address.
    pub fn new(url: &str, client_id: Option<&str>) -> Result<Self, UpstreamError> {
        let client_id = client_id.map(str::to_owned);
        Ok(Self { url: form::metadata(url)?, client_id, resource: RESOURCE.to_owned() })
    }

    /// For something else than Azure's AI services; a scope's `/.default` is left out.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Self {
        Self { resource: scope.strip_suffix("/.default").unwrap_or(scope).to_owned(), ..self }
    }

    async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        let resource = path_segment(&self.resource);
        let mut url =
            format!("{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}", self.url);
        if let Some(id) = &self.client_id {
            url.push_str("&client_id=");
            url.push_str(&path_segment(id));
        }
        let question = form::question(Method::GET, &url, &[("metadata", "true")])?;
        oauth::token(&client.ask_machine(question).await?, now)
    }
}
