//! Keys of an AWS account.

use std::sync::Arc;

use secrecy::SecretString;
use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential};
use weighbridge_transport::Signer;
use weighbridge_upstream::{
    AssumeRole, AwsCredentials, AwsSigner, AwsSource, ContainerKeys, CredentialSource, InstanceKeys,
    WebIdentity,
};

use super::{Making, text};
use crate::Surroundings;
use crate::providers::named;
use crate::said::{Aws, AwsFrom};

/// What AWS calls Bedrock in signatures.
const BEDROCK: &str = "bedrock";

/// The variables that AWS's own tools read
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>).
const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";
const IDENTITY: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// Whether the environment says who gives keys.
pub(super) fn is_in(surroundings: &dyn Surroundings) -> bool {
    let has = |name| named(&[name], surroundings).is_some();
    (has(ID) && has(SECRET)) || (has(ROLE) && has(IDENTITY)) || has(FULL_URI) || has(RELATIVE_URI)
}

/// Who gives keys, and what of it must not be shown.
struct Found {
    source: AwsSource,
    secrets: Vec<SecretString>,
}

impl Making<'_> {
    pub(super) fn aws(&mut self, aws: &Aws) -> Option<ProviderCredential> {
        self.check_region();
        if aws.from.is_wrong() {
            return None;
        }
        let from = aws.from.said().map(|from| from.value);
        let from = from.unwrap_or_else(|| match (&aws.access_key_id, &aws.web_identity) {
            (key, identity) if key.is_absent() && !identity.is_absent() => AwsFrom::WebIdentity,
            _ => AwsFrom::Keys,
        });
        let has_keys = !aws.access_key_id.is_absent() || !aws.secret_access_key.is_absent();
        let (identity, metadata) = (!aws.web_identity.is_absent(), !aws.metadata_url.is_absent());
        let is_machine = matches!(from, AwsFrom::Instance | AwsFrom::Container);
        // The environment may name a role of its own.
        let asks_sts = !aws.role_arn.is_absent() || from == AwsFrom::Environment;
        self.unused(
            "aws",
            "its source",
            &[
                ("access_key_id", has_keys && from != AwsFrom::Keys),
                ("session_token", !aws.session_token.is_absent() && from != AwsFrom::Keys),
                ("web_identity", identity && from != AwsFrom::WebIdentity),
                ("metadata_url", metadata && !is_machine),
                (
                    "external_id",
                    !aws.external_id.is_absent()
                        && (aws.role_arn.is_absent() || from == AwsFrom::WebIdentity),
                ),
                ("session_name", !aws.session_name.is_absent() && !asks_sts),
                ("sts_url", !aws.sts_url.is_absent() && !asks_sts),
            ],
        );
        let found = match from {
            AwsFrom::Keys => self.fixed_keys(aws),
            AwsFrom::Environment => self.aws_source(Some(aws)),
            AwsFrom::WebIdentity => self.web_identity(aws),
            AwsFrom::Instance => {
                let url = text(&aws.metadata_url).unwrap_or_else(|| InstanceKeys::URL.to_owned());
                self.made("aws", InstanceKeys::new(&url)).map(|keys| found(AwsSource::Instance(keys)))
            }
            AwsFrom::Container => match text(&aws.metadata_url) {
                Some(url) => self.made("aws", ContainerKeys::new(&url)).map(|keys| self.with_token(keys)),
                None => self.container(),
            },
        };
        let role = if from == AwsFrom::WebIdentity { Some(None) } else { self.role(aws) };
        let (Found { source, secrets }, role) = (found?, role?);
        let source = match role {
            Some(role) => source.assuming(role),
            None => source,
        };
        self.signing(source, secrets)
    }

    /// What the environment says, where the file says nothing.
    pub(super) fn aws_environment(&mut self) -> Option<ProviderCredential> {
        let Found { source, secrets } = self.aws_source(None)?;
        self.signing(source, secrets)
    }

    fn fixed_keys(&mut self, aws: &Aws) -> Option<Found> {
        let hint =
            "AWS gives an access key id and a secret access key together; for other sources say `from`";
        let id = self.needed("aws", "access_key_id", &aws.access_key_id, hint);
        let secret = self.needed("aws", "secret_access_key", &aws.secret_access_key, hint);
        self.keys(id?, secret?, text(&aws.session_token))
    }

    fn keys(&mut self, id: String, secret: String, token: Option<String>) -> Option<Found> {
        let secrets =
            [Some(secret.clone()), token.clone()].into_iter().flatten().map(SecretString::from).collect();
        let keys = AwsCredentials::new(id, secret.into(), token.map(SecretString::from));
        self.made("aws", keys).map(|keys| Found { source: AwsSource::Static(keys), secrets })
    }

    fn web_identity(&mut self, aws: &Aws) -> Option<Found> {
        let hint = "a web identity needs the file of its token, and the role that it is for";
        let file = self.needed("aws", "web_identity", &aws.web_identity, hint);
        let arn = self.needed("aws", "role_arn", &aws.role_arn, hint);
        let (file, role) = (file?, self.assumed(&arn?, aws)?);
        Some(found(AwsSource::WebIdentity(WebIdentity::new(role, file))))
    }

    /// The role that is assumed with other keys, if any is; `None` where it is wrong.
    fn role(&mut self, aws: &Aws) -> Option<Option<AssumeRole>> {
        if aws.role_arn.is_wrong() {
            return None;
        }
        let Some(arn) = text(&aws.role_arn) else { return Some(None) };
        let role = self.assumed(&arn, aws)?;
        Some(Some(match text(&aws.external_id) {
            Some(id) => role.with_external_id(id),
            None => role,
        }))
    }

    fn assumed(&mut self, arn: &str, aws: &Aws) -> Option<AssumeRole> {
        self.role_at(arn, text(&aws.session_name), text(&aws.sts_url))
    }

    /// A role, the name of its sessions, and where it is asked for; what is not said is as usual.
    fn role_at(&mut self, arn: &str, session: Option<String>, sts: Option<String>) -> Option<AssumeRole> {
        let mut role = AssumeRole::new(arn, self.region?);
        if let Some(name) = session {
            role = role.and_then(|role| role.as_session(&name));
        }
        if let Some(url) = sts {
            role = role.and_then(|role| role.at(&url));
        }
        self.made("aws", role)
    }

    /// Whom the environment names. How a role is asked for, the file may say as well.
    fn aws_source(&mut self, aws: Option<&Aws>) -> Option<Found> {
        if let (Some(id), Some(secret)) = (self.variable(ID), self.variable(SECRET)) {
            let token = self.variable(TOKEN);
            return self.keys(id, secret, token);
        }
        let (Some(arn), Some(file)) = (self.variable(ROLE), self.variable(IDENTITY)) else {
            return self.container();
        };
        let session = aws.and_then(|aws| text(&aws.session_name)).or_else(|| self.variable(SESSION));
        let role = self.role_at(&arn, session, aws.and_then(|aws| text(&aws.sts_url)))?;
        Some(found(AwsSource::WebIdentity(WebIdentity::new(role, file))))
    }

    /// The agent of a container, as the environment names it.
    fn container(&mut self) -> Option<Found> {
        let relative = self.variable(RELATIVE_URI).map(|path| format!("{}{path}", ContainerKeys::URL));
        let Some(url) = relative.or_else(|| self.variable(FULL_URI)) else {
            let hint = format!("set {ID} and {SECRET}, {ROLE} and {IDENTITY}, or {FULL_URI}; or say `from`");
            self.wrong("aws", "finds no keys in the environment", &hint);
            return None;
        };
        self.made("aws", ContainerKeys::new(&url)).map(|keys| self.with_token(keys))
    }

    fn with_token(&self, keys: ContainerKeys) -> Found {
        let token = self.variable(CONTAINER_TOKEN).map(SecretString::from);
        let keys = match (self.variable(CONTAINER_TOKEN_FILE), &token) {
            (Some(path), _) => keys.with_token_file(path),
            (None, Some(token)) => keys.with_token(token.clone()),
            (None, None) => keys,
        };
        Found { source: AwsSource::Container(keys), secrets: token.into_iter().collect() }
    }

    /// Tells where the region is missing. Without a base URL, that has been said of its address.
    fn check_region(&mut self) {
        if self.region.is_none() && !self.said.base_url.is_absent() && self.said.region.is_absent() {
            let message = format!("provider `{}` needs a `region`", self.said.name.value);
            let span = self.said.name.span.clone();
            self.problems.at(span, message).hint("signatures are for one region of AWS");
        }
    }

    /// A signature on each request, with keys of that source.
    fn signing(&mut self, source: AwsSource, secrets: Vec<SecretString>) -> Option<ProviderCredential> {
        let region = self.region?;
        // What never ends needs nobody who renews it.
        if let AwsSource::Static(keys) = source {
            let signer = self.made("aws", AwsSigner::new(keys, region, BEDROCK))?;
            return Some(CredentialProof::Signature { signer: Signer(Arc::new(signer)), secrets }.into());
        }
        let (region, service) = (region.to_owned(), BEDROCK.to_owned());
        Some(self.issued(CredentialSource::Aws { source, region, service }, secrets))
    }
}

fn found(source: AwsSource) -> Found {
    Found { source, secrets: Vec::new() }
}
