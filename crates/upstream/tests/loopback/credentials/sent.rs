//! Credentials as the transport sends them, at the real time.

use std::time::Duration;

use http::Request;
use weighbridge_transport::{Issued, Phase, QueryKey, Rope, Signer, Transport};
use weighbridge_upstream::{
    AllowedOrigins, AwsSource, ContainerKeys, CredentialSource, EntraClient, EntraProof, EntraSource,
    HttpTransport, TransportOptions,
};

use super::{Arc, issued, parts, token};
use crate::provider::{Provider, Reply};

const PATIENCE: Duration = Duration::from_secs(5);

fn transport_to(provider: &Provider) -> HttpTransport {
    HttpTransport::new(AllowedOrigins::of([provider.url("/")]).unwrap(), TransportOptions::default())
}

fn request(provider: &Provider, source: CredentialSource) -> impl Fn() -> Request<Rope> {
    let (url, issuer) = (provider.url("/v1?a=b"), issued(source));
    move || {
        let mut request = Request::post(&url).body(Rope::new()).unwrap();
        request.extensions_mut().insert(Issued(Arc::clone(&issuer)));
        request
    }
}

fn entra(issuer: &Provider) -> CredentialSource {
    let proof = EntraProof::secret("s".to_owned().into());
    let client = EntraClient::new("t", "c", proof).unwrap().at(&issuer.url("")).unwrap();
    CredentialSource::Entra(EntraSource::Client(client))
}

#[tokio::test]
async fn a_token_is_sent_with_each_request_and_asked_for_once() {
    let issuer = Provider::start([token("one", 3600)]).await;
    let provider = Provider::start([Reply::ok("a"), Reply::ok("b")]).await;
    let (transport, request) = (transport_to(&provider), request(&provider, entra(&issuer)));
    for _ in 0..2 {
        transport.send(request(), PATIENCE).await.unwrap();
    }
    let requests = provider.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|sent| sent.contains("\r\nauthorization: Bearer one\r\n")), "{requests:?}");
    assert_eq!(issuer.requests().len(), 1);
}

#[tokio::test]
async fn issued_keys_sign_what_is_sent() {
    let keys =
        r#"{"AccessKeyId":"ASIAONE","SecretAccessKey":"s","Token":"t","Expiration":"2126-11-26T12:00:00Z"}"#;
    let issuer = Provider::start([Reply::ok(keys)]).await;
    let provider = Provider::start([Reply::ok("a")]).await;
    let source = AwsSource::Container(ContainerKeys::new(&issuer.url("/k")).unwrap());
    let source = CredentialSource::Aws { source, region: "eu-central-1".into(), service: "bedrock".into() };
    transport_to(&provider).send(request(&provider, source)(), PATIENCE).await.unwrap();
    let sent = provider.requests().remove(0);
    assert!(
        sent.contains("Credential=ASIAONE/") && sent.contains("SignedHeaders=host;x-amz-date;"),
        "{sent}"
    );
    assert!(sent.contains("\r\nx-amz-security-token: t\r\n"), "{sent}");
}

#[tokio::test]
async fn without_a_credential_no_connection_is_made() {
    let issuer = Provider::start([Reply::reset()]).await;
    let provider = Provider::start([]).await;
    let error =
        transport_to(&provider).send(request(&provider, entra(&issuer))(), PATIENCE).await.err().unwrap();
    assert_eq!((error.phase, provider.connections()), (Phase::Credential, 0));
}

#[tokio::test]
async fn a_key_in_the_query_is_in_the_request_line_and_in_no_error() {
    let provider = Provider::start([Reply::ok("a")]).await;
    let request = || {
        let mut request = Request::post(provider.url("/v1?alt=sse")).body(Rope::new()).unwrap();
        request.extensions_mut().insert(Signer(Arc::new(QueryKey::new("key", "geheim"))));
        request
    };
    let transport = transport_to(&provider);
    transport.send(request(), PATIENCE).await.unwrap();
    assert!(parts(&provider.requests()[0]).0.starts_with("POST /v1?alt=sse&key=geheim "));
    // Nobody answers any more; then nobody listens.
    let mut error = transport.send(request(), PATIENCE).await.err().unwrap();
    assert!(!format!("{error} {error:?}").contains("geheim"));
    provider.stop().await;
    error = transport.send(request(), PATIENCE).await.err().unwrap();
    assert_eq!(error.phase, Phase::Connect);
    let elsewhere = HttpTransport::new(AllowedOrigins::default(), TransportOptions::default());
    for error in [error, elsewhere.send(request(), PATIENCE).await.err().unwrap()] {
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
    }
}
