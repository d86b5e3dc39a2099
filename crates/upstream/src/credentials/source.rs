//! Who issues a credential.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use secrecy::SecretString;
use weighbridge_transport::Signer;

use super::client::Client;
use crate::{AwsSigner, AwsSource, CredentialError, EntraSource, GoogleSource};

/// Where a credential comes from. None of it has a `Debug`, since most of it is secret.
#[non_exhaustive]
pub enum CredentialSource {
    /// Keys of an AWS account, with which each request is signed.
    Aws {
        /// Whose keys.
        source: AwsSource,
        /// The region that requests are signed for.
        region: String,
        /// The service that they are signed for, such as `bedrock`.
        service: String,
    },
    /// Access tokens of Google Cloud.
    Google(GoogleSource),
    /// Access tokens of Microsoft Entra.
    Entra(EntraSource),
}

/// What an issuer gave.
pub(super) struct Fresh {
    pub(super) material: Material,
    pub(super) until: Option<SystemTime>,
}

/// A credential, ready to be put on requests.
pub(super) enum Material {
    Bearer { header: HeaderValue, token: SecretString },
    Signature { signer: Signer, secrets: Vec<SecretString> },
}

impl Material {
    /// A token for `authorization`; `None` where it is none that can be sent.
    pub(super) fn bearer(token: &str) -> Option<Self> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        Some(Self::Bearer { header, token: token.to_owned().into() })
    }

    pub(super) fn secrets(&self) -> &[SecretString] {
        match self {
            Self::Bearer { token, .. } => std::slice::from_ref(token),
            Self::Signature { secrets, .. } => secrets,
        }
    }
}

impl CredentialSource {
    /// Asks for a credential.
    pub(super) async fn issue(&self, client: &Client, now: SystemTime) -> Result<Fresh, CredentialError> {
        match self {
            Self::Google(source) => source.issue(client, now).await,
            Self::Entra(source) => source.issue(client, now).await,
            Self::Aws { source, region, service } => {
                let keys = source.issue(client).await?;
                let secrets = keys.credentials.secrets().cloned().collect();
                let signer = AwsSigner::new(keys.credentials, region, service);
                let unaskable =
                    |error: crate::UpstreamError| CredentialError::Unaskable { problem: error.to_string() };
                let signer = Signer(Arc::new(signer.map_err(unaskable)?));
                Ok(Fresh { material: Material::Signature { signer, secrets }, until: keys.until })
            }
        }
    }
}

/// A time as RFC 3339 writes it.
pub(super) fn instant(text: &str) -> Option<SystemTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(time.as_second()).ok()?))
}
