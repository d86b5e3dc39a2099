//! Roles, which AWS's Security Token Service gives keys of.

use std::path::PathBuf;
use std::sync::Arc;

use http::Request;
use weighbridge_transport::{Rope, Signer};

use super::{Keys, answers};
use crate::credentials::client::{Client, token_file};
use crate::credentials::form;
use crate::{AwsCredentials, AwsSigner, CredentialError, UpstreamError};

/// The version of STS's API.
const VERSION: &str = "2011-06-15";
/// What sessions are called in AWS's logs, unless told otherwise.
const SESSION: &str = "weighbridge";

/// A role, and where it is asked for
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
pub struct AssumeRole {
    arn: String,
    region: String,
    url: String,
    session: String,
    external_id: Option<String>,
}

impl AssumeRole {
    /// A role by its ARN, from the STS of `region`.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] where that is no ARN, [`UpstreamError::AwsScope`] where that is no
    /// region.
    pub fn new(arn: &str, region: &str) -> Result<Self, UpstreamError> {
        let is_role =
            arn.starts_with("arn:") && arn.contains(":role/") && arn.bytes().all(|b| b.is_ascii_graphic());
        if !is_role {
            let problem = format!("`{arn}` is no role: write it like `arn:aws:iam::123456789012:role/name`");
            return Err(UpstreamError::Credential { problem });
        }
        AwsSigner::check_scope(region)?;
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        Ok(Self {
            arn: arn.to_owned(),
            url: format!("https://sts.{region}.amazonaws.com{suffix}"),
            region: region.to_owned(),
            session: SESSION.to_owned(),
            external_id: None,
        })
    }

    /// From the STS at another address.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] or [`UpstreamError::Credential`] where that is no address.
    pub fn at(self, url: &str) -> Result<Self, UpstreamError> {
        Ok(Self { url: form::issuer(url)?, ..self })
    }

    /// Under another name in AWS's logs: 2 to 64 letters, digits and `+=,.@_-`.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] where the name has others.
    pub fn as_session(self, session: &str) -> Result<Self, UpstreamError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        if !(2..=64).contains(&session.len()) || !session.bytes().all(plain) {
            let problem = "a session's name has 2 to 64 letters, digits and `+=,.@_-`".to_owned();
            return Err(UpstreamError::Credential { problem });
        }
        Ok(Self { session: session.to_owned(), ..self })
    }

    /// With the id that the role's owner asks for.
    #[must_use]
    pub fn with_external_id(self, id: impl Into<String>) -> Self {
        Self { external_id: Some(id.into()), ..self }
    }

    /// The question, signed with the keys that ask.
    pub(super) fn question(&self, base: AwsCredentials) -> Result<Request<Rope>, CredentialError> {
        let mut fields = self.fields("AssumeRole");
        fields.extend(self.external_id.as_deref().map(|id| ("ExternalId", id)));
        let mut request = form::post(&self.url, &fields)?;
        let signer = AwsSigner::new(base, &self.region, "sts")
            .map_err(|error| CredentialError::Unaskable { problem: error.to_string() })?;
        request.extensions_mut().insert(Signer(Arc::new(signer)));
        Ok(request)
    }

    fn fields<'a>(&'a self, action: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("Action", action),
            ("Version", VERSION),
            ("RoleArn", &self.arn),
            ("RoleSessionName", &self.session),
        ]
    }
}

/// A role for whoever has a token of an identity provider that its owner trusts, such as a cluster's for the
/// service account of a pod
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
pub struct WebIdentity {
    role: AssumeRole,
    token_file: PathBuf,
}

impl WebIdentity {
    /// The role for the token in that file, which is read anew each time.
    pub fn new(role: AssumeRole, token_file: impl Into<PathBuf>) -> Self {
        Self { role, token_file: token_file.into() }
    }

    pub(super) async fn issue(&self, client: &Client) -> Result<Keys, CredentialError> {
        let token = token_file(&self.token_file).await?;
        let mut fields = self.role.fields("AssumeRoleWithWebIdentity");
        fields.push(("WebIdentityToken", &token));
        answers::of_sts(&client.ask(form::post(&self.role.url, &fields)?).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::123456789012:role/models";

    #[test]
    fn the_question_is_a_form_at_the_regions_sts() {
        let role = AssumeRole::new(ARN, "cn-north-1").unwrap().with_external_id("a&b");
        let keys = AwsCredentials::new("AKID", "geheim".to_owned().into(), None).unwrap();
        let question = role.question(keys).unwrap();
        assert_eq!(question.uri(), "https://sts.cn-north-1.amazonaws.com.cn/");
        assert_eq!(
            question.body().to_bytes(),
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fmodels\
             &RoleSessionName=weighbridge&ExternalId=a%26b"
        );
        assert!(question.extensions().get::<Signer>().is_some());
    }

    #[test]
    fn what_is_no_role_is_refused_at_set_up() {
        for arn in ["", "models", "arn:aws:iam::1:user/x", "arn:aws:iam::1:role/a b"] {
            assert!(AssumeRole::new(arn, "us-east-1").is_err(), "{arn}");
        }
        assert!(AssumeRole::new(ARN, "evil.example/").is_err());
        let role = || AssumeRole::new(ARN, "us-east-1").unwrap();
        assert!(role().at("ftp://x").is_err() && role().as_session("a").is_err());
        assert!(role().as_session("a b").is_err() && role().as_session("pod-1").is_ok());
    }
}
