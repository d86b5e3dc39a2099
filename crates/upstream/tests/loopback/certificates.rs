//! Certificates that are right, and each way in which one can be wrong.

use std::sync::Arc;
use std::time::Duration;

use crate::provider::{Provider, Reply};
use http::Request;
use http_body_util::BodyExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use weighbridge_transport::{Consumed, Phase, Rope, Transport, TransportError};
use weighbridge_upstream::{
    AllowedOrigins, HttpTransport, HttpVersion, OriginOptions, Tls, TransportOptions,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str, last_year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// A server that shows this identity, and wants one of `clients` where there are any.
fn acceptor(shown: &Identity, clients: Option<&Authority>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
}

async fn ask(provider: &Provider, tls: &Tls) -> Result<String, TransportError> {
    let url = format!("https://localhost:{}/v1", provider.port());
    let options = OriginOptions { http: HttpVersion::Auto, tls: Some(tls.clone()), proxy: None };
    let origins = AllowedOrigins::with([(&url, options)]).unwrap();
    let transport = HttpTransport::new(origins, TransportOptions::default());
    let request = Request::get(url).body(Rope::new()).unwrap();
    let response = transport.send(request, PATIENCE).await?;
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec()).unwrap())
}

/// No request has arrived, and none was consumed.
async fn assert_refused(provider: &Provider, tls: &Tls, why: &str) {
    let error = ask(provider, tls).await.unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    assert!(error.message.contains(why), "{error}");
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn a_server_must_be_who_it_is_called_now_and_by_whom_we_trust() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let trust = Tls::with_extra_roots(ours.pem().as_bytes()).unwrap();
    let serve = |identity: Identity| Provider::start_tls([Reply::ok("ok")], acceptor(&identity, None));
    let provider = serve(ours.sign("localhost", 2900)).await;
    assert_eq!(ask(&provider, &trust).await.unwrap(), "ok");
    for (identity, why) in [
        (ours.sign("localhost", 2001), "certificate expired"),
        (ours.sign("example.com", 2900), "not valid for name"),
        (other.sign("localhost", 2900), "UnknownIssuer"),
    ] {
        assert_refused(&serve(identity).await, &trust, why).await;
    }
    // Trust is each origin's own: what one says, another does not believe.
    assert_refused(&serve(ours.sign("localhost", 2900)).await, &Tls::default(), "UnknownIssuer").await;
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_the_configured_one_and_no_request_without() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let trust = Tls::with_extra_roots(ours.pem().as_bytes()).unwrap();
    let shown = |identity: &Identity| {
        trust.clone().with_identity(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap()
    };
    let server = acceptor(&ours.sign("localhost", 2900), Some(&ours));
    let serve = || Provider::start_tls([Reply::ok("ok")], server.clone());
    assert_eq!(ask(&serve().await, &shown(&ours.sign("client", 2900))).await.unwrap(), "ok");
    // In TLS 1.3 the server says so after the handshake, when the request may be on its way.
    assert_refused(&serve().await, &trust, "CertificateRequired").await;
    assert_refused(&serve().await, &shown(&ours.sign("client", 2001)), "alert").await;
    assert_refused(&serve().await, &shown(&other.sign("client", 2900)), "alert").await;
}

#[test]
fn an_identity_that_cannot_be_used_is_refused_at_set_up_without_its_key() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.sign("a", 2900), authority.sign("b", 2900));
    for (certificate, key) in [
        (&one.certificate, &other.key),
        (&one.certificate, &String::new()),
        (&String::new(), &one.key),
        (&one.key, &one.key),
        (&one.certificate, &one.certificate),
    ] {
        let error = Tls::default().with_identity(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        let secret = one.key.lines().nth(1).unwrap();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
    let tls = Tls::default().with_identity(one.certificate.as_bytes(), one.key.as_bytes()).unwrap();
    assert_eq!(format!("{tls:?}"), "Tls { extra_roots: 0, identity: true, .. }");
}
