//! Encrypted connections: rustls with aws-lc-rs, and whom it trusts.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::UpstreamError;

/// Whom encrypted connections trust: a handle, shared by the transports of all cores.
///
/// The roots are Mozilla's, compiled in, for containers without any; the operating system's, for
/// companies with their own; and a bundle where one is configured. They are loaded at the first
/// encrypted connection, so that a start does not wait for the system's store.
#[derive(Clone, Default)]
pub struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
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
        let extra_roots = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong(error.to_string()))?;
        if extra_roots.is_empty() {
            return Err(wrong("it holds no certificate".to_owned()));
        }
        let mut probe = RootCertStore::empty();
        for root in &extra_roots {
            probe.add(root.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { extra_roots, connector: Arc::default() })
    }

    /// Performs the handshake of a client with the server called `host`.
    pub(crate) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let connector = self.connector.get_or_init(|| self.connector()).clone()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        connector.connect(name, stream).await.map_err(|error| error.to_string())
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
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("extra_roots", &self.extra_roots.len()).finish_non_exhaustive()
    }
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
