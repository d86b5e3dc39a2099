//! Over TLS, with a certificate authority made for the test.

use std::sync::Arc;
use std::time::Duration;

use crate::provider::{Provider, Reply};
use http::Request;
use http_body_util::BodyExt;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use weighbridge_transport::{Consumed, Phase, Rope, Transport};
use weighbridge_upstream::{AllowedOrigins, HttpTransport, Tls, TransportOptions};

pub(crate) const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const PRIVATE_KEY: &[u8] = include_bytes!("tls/server.key");

pub(crate) fn acceptor() -> TlsAcceptor {
    acceptor_of(&[])
}

/// One that offers these protocols.
pub(crate) fn acceptor_of(protocols: &[&[u8]]) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(PRIVATE_KEY).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn transport_to(url: &str, tls: Tls) -> HttpTransport {
    let options = TransportOptions { tls, ..TransportOptions::default() };
    HttpTransport::new(AllowedOrigins::of([url]).unwrap(), options)
}

fn encrypted(provider: &Provider, host: &str) -> String {
    provider.url("/v1").replace("http://127.0.0.1", &format!("https://{host}"))
}

#[tokio::test]
async fn a_configured_authority_is_trusted_by_name_and_by_address() {
    let provider = Provider::start_tls([Reply::ok("one"), Reply::ok("two")], acceptor()).await;
    for (host, expected) in [("localhost", "one"), ("127.0.0.1", "two")] {
        let url = encrypted(&provider, host);
        let transport = transport_to(&url, Tls::with_extra_roots(AUTHORITY).unwrap());
        let request = Request::get(url).body(Rope::new()).unwrap();
        let response = transport.send(request, Duration::from_secs(5)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), expected);
    }
}

#[tokio::test]
async fn an_unknown_authority_gets_no_request() {
    let provider = Provider::start_tls([Reply::ok("never")], acceptor()).await;
    let url = encrypted(&provider, "localhost");
    let request = Request::get(&url).body(Rope::new()).unwrap();
    let sending = transport_to(&url, Tls::default()).send(request, Duration::from_secs(5)).await;
    let error = sending.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    assert!(error.message.contains("UnknownIssuer"), "{error}");
    assert!(provider.requests().is_empty());
}
