//! A service account, by its private key.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{File, SCOPE};
use crate::credentials::client::Client;
use crate::credentials::jwt::{Algorithm, SigningKey};
use crate::credentials::source::Fresh;
use crate::credentials::{form, oauth};
use crate::{CredentialError, UpstreamError};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is valid, in seconds: the most that Google takes.
const LIFE: u64 = 3_600;

pub(super) struct ServiceAccount {
    email: String,
    key_id: String,
    key: SigningKey,
    token_url: String,
    /// The address in the file: whom the assertion is for, whoever is asked.
    audience: String,
}

impl ServiceAccount {
    pub(super) fn new(file: &File, token_url: String) -> Result<Self, UpstreamError> {
        Ok(Self {
            email: file.text("client_email")?.to_owned(),
            key_id: file.text("private_key_id").unwrap_or_default().to_owned(),
            key: SigningKey::from_pem(file.text("private_key")?)?,
            audience: file.text("token_uri").unwrap_or(super::TOKEN_URL).to_owned(),
            token_url,
        })
    }

    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        let assertion = self.assertion(now)?;
        let fields = [("grant_type", GRANT), ("assertion", assertion.as_str())];
        oauth::token(&client.ask(form::post(&self.token_url, &fields)?).await?, now)
    }

    fn assertion(&self, now: SystemTime) -> Result<String, CredentialError> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.audience,
            "iat": seconds,
            "exp": seconds.saturating_add(LIFE),
        });
        self.key.sign(Algorithm::Rs256, json!({ "kid": self.key_id }), &claims)
    }
}
