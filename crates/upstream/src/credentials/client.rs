//! Asking an issuer: one question, one bounded answer. The caller bounds the time.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::Value;
use weighbridge_transport::{Rope, Transport, Unread, read_whole};

use crate::{
    AllowedOrigins, CredentialError, HttpTransport, IssueOptions, Origin, OriginOptions, Proxy, ProxyChoice,
    UpstreamError,
};

/// The most of an answer that is read, and of a token file.
const MOST: usize = 64 * 1024;
/// Asks issuers, for the time of one renewal. Its connections end with it: the next renewal may run on
/// another runtime.
pub(super) struct Client {
    origins: AllowedOrigins,
    transport: HttpTransport,
    proxy: ProxyChoice,
    connect: Duration,
}

/// What an issuer answered.
pub(super) struct Answer {
    /// Scheme and host.
    issuer: String,
    status: StatusCode,
    body: Bytes,
}

impl Client {
    pub(super) fn new(options: &IssueOptions) -> Self {
        let origins = AllowedOrigins::default();
        let transport = HttpTransport::new(origins.clone(), options.transport.clone());
        Self { origins, transport, proxy: options.proxy.clone(), connect: options.connect }
    }

    /// Asks an issuer, and reads the whole answer.
    ///
    /// A proxy is on the way only where the connection is encrypted: what is not is on this machine, and holds secrets
    /// that no proxy may see.
    pub(super) async fn ask(&self, request: Request<Rope>) -> Result<Answer, CredentialError> {
        let origin = Origin::of(request.uri()).map_err(unaskable)?;
        let proxy = if origin.is_tls() { self.proxy.on_the_way_to(&origin).cloned() } else { None };
        self.send(request, &origin, proxy).await
    }

    /// Asks a metadata service, which is on this machine or beside it: no proxy reaches it.
    pub(super) async fn ask_machine(&self, request: Request<Rope>) -> Result<Answer, CredentialError> {
        let origin = Origin::of(request.uri()).map_err(unaskable)?;
        self.send(request, &origin, None).await
    }

    async fn send(
        &self,
        request: Request<Rope>,
        origin: &Origin,
        proxy: Option<Proxy>,
    ) -> Result<Answer, CredentialError> {
        let issuer = origin.to_string();
        // Whoever issues credentials stands in the configuration, wherever it is.
        let options = OriginOptions { proxy, ..OriginOptions::default() };
        self.origins.replace_with([(&issuer, options)]).map_err(unaskable)?;
        let unreachable = |problem: String| CredentialError::Unreachable { issuer: issuer.clone(), problem };
        let response = self.transport.send(request, self.connect).await;
        let (head, stream) = response.map_err(|error| unreachable(error.message))?.into_parts();
        let body = read_whole(stream, MOST, 0).await.map_err(|why| match why {
            Unread::TooLarge => {
                CredentialError::Unreadable { issuer: issuer.clone(), problem: "it is too large" }
            }
            Unread::Broken(error) => unreachable(error.message),
        })?;
        Ok(Answer { issuer, status: head.status, body })
    }
}

fn unaskable(error: UpstreamError) -> CredentialError {
    CredentialError::Unaskable { problem: error.to_string() }
}

impl Answer {
    #[cfg(test)]
    pub(super) fn of(status: u16, body: &str) -> Self {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Self { issuer: "https://issuer".to_owned(), status: StatusCode::from_u16(status).unwrap(), body }
    }

    /// The text of a success; `code` finds in any other answer what the issuer calls the reason.
    pub(super) fn text(&self, code: impl Fn(&str) -> Option<String>) -> Result<&str, CredentialError> {
        let text = std::str::from_utf8(&self.body).map_err(|_| self.unreadable("it is not UTF-8"))?;
        if self.status.is_success() { Ok(text) } else { Err(self.refused(code(text))) }
    }

    /// The JSON object of a success.
    pub(super) fn json(&self, code: impl Fn(&Value) -> Option<String>) -> Result<Value, CredentialError> {
        let read = |text: &str| serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
        let text = self.text(|text| code(&read(text)?))?;
        read(text).ok_or_else(|| self.unreadable("it is no JSON object"))
    }

    /// The issuer's own word for why it refused, made harmless.
    pub(super) fn refused(&self, code: Option<String>) -> CredentialError {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
        let code: String = code.unwrap_or_default().chars().filter(plain).take(64).collect();
        let code = if code.is_empty() { "without a reason".to_owned() } else { code };
        CredentialError::Refused { issuer: self.issuer.clone(), status: self.status.as_u16(), code }
    }

    pub(super) fn unreadable(&self, problem: &'static str) -> CredentialError {
        CredentialError::Unreadable { issuer: self.issuer.clone(), problem }
    }
}

/// The text of a token file, read anew: whoever writes it rotates it.
pub(super) async fn token_file(path: &Path) -> Result<String, CredentialError> {
    let shown = path.display().to_string();
    let failed = |problem: String| CredentialError::File { path: shown.clone(), problem };
    let owned = path.to_owned();
    let read = move || {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(owned)?.take(MOST as u64 + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = tokio::task::spawn_blocking(read).await.map_err(|_| CredentialError::BrokenOff)?;
    let text = text.map_err(|error| failed(error.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        _ if text.len() > MOST => Err(failed("it is too large".to_owned())),
        token => Ok(token.to_owned()),
    }
}
