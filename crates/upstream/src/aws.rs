//! Signatures for AWS, version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::{HeaderValue, Request};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use weighbridge_transport::{Phase, Rope, Sign, TransportError};

use crate::{UpstreamError, answer};

/// Headers that a signer puts on a request; what is left of an earlier signature goes.
const OWN_HEADERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
];

/// Headers that stay outside of the signature: whoever stands between may change them. The list is
/// that of botocore, and what the transport writes itself.
const UNSIGNED: [&str; 15] = [
    "baggage",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// Static keys of an AWS account, with a session token where they are temporary. They have no `Debug`.
#[derive(Clone)]
pub struct AwsCredentials {
    access_key_id: String,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
}

impl AwsCredentials {
    /// Keys as AWS gives them.
    ///
    /// # Errors
    /// [`UpstreamError::AwsCredentials`] where one of them is empty, or cannot stand in a header.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: SecretString,
        session_token: Option<SecretString>,
    ) -> Result<Self, UpstreamError> {
        let access_key_id = access_key_id.into();
        let wrong = |problem| UpstreamError::AwsCredentials { problem };
        let is_id = access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if access_key_id.is_empty() || !is_id {
            return Err(wrong("the access key id is not of letters and digits"));
        }
        if secret_access_key.expose_secret().trim().is_empty() {
            return Err(wrong("the secret access key is empty"));
        }
        let token = session_token.as_ref().map(|token| token.expose_secret());
        if token.is_some_and(|token| token.is_empty() || HeaderValue::from_str(token).is_err()) {
            return Err(wrong("the session token is empty or has a line end in it"));
        }
        Ok(Self { access_key_id, secret_access_key, session_token })
    }

    /// What must not be shown of them.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        std::iter::once(&self.secret_access_key).chain(&self.session_token)
    }
}

/// Signs requests to one service of AWS in one region.
///
/// Bedrock's runtime is signed as the service `bedrock`, though its hosts are called
/// `bedrock-runtime.<region>.amazonaws.com`. The model's id is one segment of the path
/// ([`path_segment`](weighbridge_transport::path_segment)).
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use bytes::Bytes;
/// use http::Request;
/// use weighbridge_transport::{Rope, Sign};
/// use weighbridge_upstream::{AwsCredentials, AwsSigner};
///
/// let credentials = AwsCredentials::new("AKIDEXAMPLE", "secret".to_owned().into(), None)?;
/// let signer = AwsSigner::new(credentials, "us-east-1", "bedrock")?;
/// let mut request = Request::post("/model/amazon.nova-lite-v1%3A0/converse")
///     .header("host", "bedrock-runtime.us-east-1.amazonaws.com")
///     .header("content-type", "application/json")
///     .body(Rope::from(Bytes::from_static(b"{}")))?;
/// signer.sign(&mut request, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))?;
/// let authorization = request.headers()["authorization"].to_str()?;
/// assert!(authorization.starts_with(
///     "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/us-east-1/bedrock/aws4_request, \
///      SignedHeaders=content-type;host;x-amz-date, Signature="
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AwsSigner {
    credentials: AwsCredentials,
    region: String,
    service: String,
    settings: SigningSettings,
}

impl AwsSigner {
    /// A signer for `service` in `region`.
    ///
    /// # Errors
    /// [`UpstreamError::AwsScope`] where one of them is not of lower-case letters, digits and hyphens.
    pub fn new(credentials: AwsCredentials, region: &str, service: &str) -> Result<Self, UpstreamError> {
        Self::check_scope(region)?;
        Self::check_scope(service)?;
        let mut settings = SigningSettings::default();
        settings.excluded_headers = Some(UNSIGNED.map(Cow::Borrowed).to_vec());
        Ok(Self { credentials, region: region.to_owned(), service: service.to_owned(), settings })
    }

    /// Whether that can be a region or a service.
    pub(crate) fn check_scope(name: &str) -> Result<(), UpstreamError> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(UpstreamError::AwsScope { name: name.to_owned() });
        }
        Ok(())
    }

    /// The headers that sign a request: `x-amz-date`, `authorization`, and the session token.
    fn signature(&self, request: &Request<Rope>, now: SystemTime) -> Result<Vec<SignedHeader>, String> {
        let text = |name: &HeaderName, value| {
            std::str::from_utf8(value).map_err(|_| format!("its header `{name}` is not UTF-8"))
        };
        if !request.headers().contains_key(HOST) {
            return Err("it has no `host` header".to_owned());
        }
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| Ok((name.as_str(), text(name, value.as_bytes())?)))
            .collect::<Result<Vec<_>, String>>()?;
        let uri = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let body = SignableBody::Precomputed(hash(request.body()));
        let method = request.method().as_str();
        let signable = SignableRequest::new(method, uri, headers.into_iter(), body).map_err(with_causes)?;

        let AwsCredentials { access_key_id, secret_access_key, session_token } = &self.credentials;
        let token = session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let identity =
            Credentials::new(access_key_id, secret_access_key.expose_secret(), token, None, "static").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(self.settings.clone())
            .build()
            .map_err(with_causes)?
            .into();
        let (instructions, _) = sign(signable, &params).map_err(with_causes)?.into_parts();
        instructions
            .into_parts()
            .0
            .into_iter()
            .map(|header| {
                let mut value = HeaderValue::from_str(header.value())
                    .map_err(|_| format!("its header `{}` cannot be sent", header.name()))?;
                value.set_sensitive(header.sensitive());
                Ok((HeaderName::from_static(header.name()), value))
            })
            .collect()
    }
}

type SignedHeader = (HeaderName, HeaderValue);

impl Sign for AwsSigner {
    fn sign(&self, request: &mut Request<Rope>, now: SystemTime) -> Result<(), TransportError> {
        for name in &OWN_HEADERS {
            request.headers_mut().remove(name);
        }
        let signature = self.signature(request, now).map_err(|problem| {
            TransportError::new(Phase::Prepare, format!("the request cannot be signed for AWS: {problem}"))
        })?;
        request.headers_mut().extend(signature);
        Ok(())
    }
}

fn with_causes(error: impl Error) -> String {
    answer::with_causes(&error)
}

/// The hash of the bytes that go over the wire, in hexadecimal.
fn hash(body: &Rope) -> String {
    let mut hash = Sha256::new();
    body.parts().for_each(|part| hash.update(part));
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
