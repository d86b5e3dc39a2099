//! Requests that bring a signer: what arrives is what was signed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::provider::{Provider, Reply};
use bytes::Bytes;
use http::Request;
use weighbridge_transport::{Consumed, Phase, Rope, Sign, Signer, Transport, TransportError};
use weighbridge_upstream::{AllowedOrigins, AwsCredentials, AwsSigner, HttpTransport, TransportOptions};

const PATH: &str = "/model/a.b-v1%3A0/converse";

fn aws() -> AwsSigner {
    let credentials = AwsCredentials::new("AKIDEXAMPLE", "secret".to_owned().into(), None).unwrap();
    AwsSigner::new(credentials, "us-east-1", "bedrock").unwrap()
}

fn transport_to(provider: &Provider) -> HttpTransport {
    HttpTransport::new(AllowedOrigins::of([provider.url("/")]).unwrap(), TransportOptions::default())
}

fn request(url: String, signer: impl Sign + 'static) -> Request<Rope> {
    let body = Rope::from_iter([Bytes::from_static(b"{\"a\":"), Bytes::from_static(b"1}")]);
    let mut request = Request::post(url).header("content-type", "application/json").body(body).unwrap();
    request.extensions_mut().insert(Signer(Arc::new(signer)));
    request
}

#[tokio::test]
async fn what_arrives_is_what_was_signed() {
    let provider = Provider::start([Reply::ok("one")]).await;
    let request = request(provider.url(PATH), aws());
    transport_to(&provider).send(request, Duration::from_secs(5)).await.unwrap();

    // Whoever checks a signature makes it again from what has come.
    let received = provider.requests()[0].clone();
    let (head, _) = received.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some(format!("POST {PATH} HTTP/1.1").as_str()));
    let mut again = Request::post(PATH);
    let (mut claimed, mut date) = (String::new(), String::new());
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
        match name {
            "authorization" => claimed = value.to_owned(),
            "x-amz-date" => date = value.to_owned(),
            // Added behind the signature: what is on the way may change it.
            "accept-encoding" => assert_eq!(value, "identity"),
            _ => again = again.header(name, value),
        }
    }
    let mut again = again.body(Rope::from(Bytes::from_static(b"{\"a\":1}"))).unwrap();
    let sent_at = SystemTime::now();
    // It was signed in this second or one of the last.
    let matching = (0..10).find(|seconds| {
        aws().sign(&mut again, sent_at - Duration::from_secs(*seconds)).unwrap();
        again.headers()["x-amz-date"] == date
    });
    assert!(matching.is_some(), "{date}");
    assert_eq!(again.headers()["authorization"], claimed);
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_sent() {
    struct Refuses;
    impl Sign for Refuses {
        fn sign(&self, _: &mut Request<Rope>, _: SystemTime) -> Result<(), TransportError> {
            Err(TransportError::new(Phase::Prepare, "no"))
        }
    }
    let provider = Provider::start([Reply::ok("never")]).await;
    let request = request(provider.url(PATH), Refuses);
    let sending = transport_to(&provider).send(request, Duration::from_secs(5)).await;
    let error = sending.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Prepare, Consumed::No));
    assert!(provider.requests().is_empty());
}
