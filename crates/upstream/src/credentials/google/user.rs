//! A user, by a refresh token that was given to a program.

use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

use super::File;
use crate::credentials::client::Client;
use crate::credentials::source::Fresh;
use crate::credentials::{form, oauth};
use crate::{CredentialError, UpstreamError};

pub(super) struct User {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    token_url: String,
}

impl User {
    pub(super) fn new(file: &File, token_url: String) -> Result<Self, UpstreamError> {
        Ok(Self {
            client_id: file.text("client_id")?.to_owned(),
            client_secret: file.text("client_secret")?.to_owned().into(),
            refresh_token: file.text("refresh_token")?.to_owned().into(),
            token_url,
        })
    }

    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_secret()),
            ("refresh_token", self.refresh_token.expose_secret()),
        ];
        oauth::token(&client.ask(form::post(&self.token_url, &fields)?).await?, now)
    }
}
