//! Encrypted connections: rustls with aws-lc-rs, whom it trusts, and as whom it presents itself.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::UpstreamError;

/// What HTTP/1.1 and HTTP/2 are called in a handshake
/// (<https://www.rfc-editor.org/rfc/rfc7301#section-6>, <https://www.rfc-editor.org/rfc/rfc9113#section-3.2>).
pub(crate) const HTTP1: &[u8] = b"http/1.1";
pub(crate) const HTTP2: &[u8] = b"h2";

/// Whom encrypted connections trust, and the certificate that they show to who asks for one: a handle,
/// shared by the transports of all cores.
///
/// The roots are Mozilla's, compiled in, for containers without any; the operating system's, for
/// companies with their own; and a bundle where one is configured. They are loaded at the first
/// encrypted connection, so that a start does not wait for the system's store.
#[derive(Clone, Default)]
pub struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
    connector: Arc<OnceLock<Result<TlsConnector, String>>>,
}

impl Tls {
    /// Trusts the usual roots and those of a PEM bundle.
    ///
    /// # Errors
    /// [`UpstreamError::Certificates`] where the bundle is unreadable, empty, or holds something
    /// that cannot be a root.
    pub fn with_extra_roots(pem: &[u8]) -> Result<Self, UpstreamError> {
        let wrong = |problem: String| UpstreamError::Certificates { problem };
        let extra_roots = certificates(pem).map_err(wrong)?;
        let mut probe = RootCertStore::empty();
        for root in &extra_roots {
            probe.add(root.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { extra_roots, ..Self::default() })
    }

    /// The same trust, and a certificate with its private key for servers that want one (mutual TLS). Both
    /// are PEM; the certificate's issuers follow it, where there are any.
    ///
    /// # Errors
    /// [`UpstreamError::Identity`] where one of them is unreadable, or they do not belong together. The
    /// message says nothing of the key.
    pub fn with_identity(self, certificate: &[u8], private_key: &[u8]) -> Result<Self, UpstreamError> {
        let wrong = |problem: String| UpstreamError::Identity { problem };
        let chain = certificates(certificate).map_err(|why| wrong(format!("the certificate: {why}")))?;
        let key = PrivateKeyDer::from_pem_slice(private_key)
            .map_err(|_| wrong("the file of the key holds no private key in PEM".to_owned()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let identity =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { identity: Some(Arc::new(identity)), connector: Arc::default(), ..self })
    }

    /// Performs the handshake of a client with the server called `host`, which may choose one of
    /// `protocols`.
    pub(crate) async fn handshake<S>(
        &self,
        host: &str,
        stream: S,
        protocols: &[&[u8]],
    ) -> Result<TlsStream<S>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = self.connector.get_or_init(|| self.connector()).clone()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let protocols = protocols.iter().map(|name| name.to_vec()).collect();
        connector.with_alpn(protocols).connect(name, stream).await.map_err(|error| told(&error))
    }

    fn connector(&self) -> Result<TlsConnector, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        // The loader gives what it could read and, apart from that, errors: an unreadable store of
        // the system must not take away the other roots.
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "part of the system's certificate store cannot be read");
        }
        roots.add_parsable_certificates(native.certs);
        roots.add_parsable_certificates(self.extra_roots.iter().cloned());

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity))))
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// What is wrong with a server's certificate, and what to do about it.
fn told(error: &io::Error) -> String {
    let certificate = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let advice = match certificate {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; where a private authority has signed it, give that one's certificate as `ca`"
        }
        _ => "",
    };
    format!("{error}{advice}")
}

/// Whether they trust the same and show the same: a certificate has one key only.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        let shown = |tls: &Self| tls.identity.as_ref().map(|identity| identity.cert.clone());
        self.extra_roots == other.extra_roots && shown(self) == shown(other)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra_roots", &self.extra_roots.len())
            .field("identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_bundle_is_refused_at_set_up() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "hello", broken] {
            assert!(Tls::with_extra_roots(pem.as_bytes()).is_err(), "{pem:?}");
        }
    }
}
