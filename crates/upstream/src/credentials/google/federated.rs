//! A workload identity: a token of somebody whom Google was told to trust, exchanged for Google's own.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use weighbridge_transport::Rope;

use super::{File, SCOPE, wrong};
use crate::credentials::client::{Answer, Client, token_file};
use crate::credentials::source::{Fresh, Material, instant};
use crate::credentials::{form, oauth};
use crate::{CredentialError, UpstreamError};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// How long a token of a service account is asked for.
const LIFE: Duration = Duration::from_secs(3_600);

pub(super) struct Federated {
    audience: String,
    subject_type: String,
    token_url: String,
    token_file: PathBuf,
    /// The field of the file that the token is in, where that is JSON.
    field: Option<String>,
    /// Where the token is exchanged once more, for one of a service account.
    impersonation: Option<String>,
}

impl Federated {
    pub(super) fn new(file: &File, token_url: String) -> Result<Self, UpstreamError> {
        let source = file.0.get("credential_source");
        let text = |at: &[&str]| {
            let found = at.iter().try_fold(source?, |value, name| value.get(name));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        let path = text(&["file"]).ok_or_else(|| {
            wrong("the token of a workload identity must be in a file (credential_source.file)")
        })?;
        let field = match text(&["format", "type"]).as_deref() {
            Some("json") => Some(text(&["format", "subject_token_field_name"]).ok_or_else(|| {
                wrong("the credentials file does not say which field of the token file has the token")
            })?),
            _ => None,
        };
        let impersonation = file.text("service_account_impersonation_url").ok();
        Ok(Self {
            audience: file.text("audience")?.to_owned(),
            subject_type: file.text("subject_token_type")?.to_owned(),
            token_file: path.into(),
            field,
            impersonation: impersonation.map(form::issuer).transpose()?,
            token_url,
        })
    }

    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        let subject = self.subject(token_file(&self.token_file).await?)?;
        let fields = [
            ("grant_type", GRANT),
            ("audience", self.audience.as_str()),
            ("scope", SCOPE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token", subject.as_str()),
            ("subject_token_type", self.subject_type.as_str()),
        ];
        let fresh = oauth::token(&client.ask(form::post(&self.token_url, &fields)?).await?, now)?;
        let (Some(url), Material::Bearer { token, .. }) = (&self.impersonation, &fresh.material) else {
            return Ok(fresh);
        };
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut question = form::question(Method::POST, url, &[("authorization", &bearer)])?;
        let wanted = json!({ "scope": [SCOPE], "lifetime": format!("{}s", LIFE.as_secs()) });
        question.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *question.body_mut() = Rope::from(Bytes::from(wanted.to_string()));
        of_account(&client.ask(question).await?)
    }

    fn subject(&self, text: String) -> Result<String, CredentialError> {
        let Some(field) = &self.field else { return Ok(text) };
        let read = || serde_json::from_str::<Value>(&text).ok()?.get(field)?.as_str().map(str::to_owned);
        read().ok_or_else(|| CredentialError::File {
            path: self.token_file.display().to_string(),
            problem: format!("it is no JSON with a field `{field}`"),
        })
    }
}

/// The token of a service account
/// (<https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>).
fn of_account(answer: &Answer) -> Result<Fresh, CredentialError> {
    let said = answer.json(|said| Some(said.get("error")?.get("status")?.as_str()?.to_owned()))?;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let until = text("expireTime").and_then(instant);
    let until = until.ok_or_else(|| answer.unreadable("it does not say when the token ends"))?;
    let material = text("accessToken").and_then(Material::bearer);
    let material = material.ok_or_else(|| answer.unreadable("it has no `accessToken` that can be sent"))?;
    Ok(Fresh { material, until: Some(until) })
}
