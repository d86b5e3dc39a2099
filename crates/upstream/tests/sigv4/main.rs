//! Signatures for AWS, against vectors that botocore wrote (`generate.py`), and as they are sent.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri};
use serde_json::Value;
use weighbridge_transport::{Phase, Rope, Sign, path_segment};
use weighbridge_upstream::{AwsCredentials, AwsSigner, Origin, UpstreamError};

const VECTORS: &str = include_str!("vectors.json");

fn signer(key_id: &str, secret: &str, token: Option<&str>, region: &str, service: &str) -> AwsSigner {
    let token = token.map(|token| token.to_owned().into());
    let credentials = AwsCredentials::new(key_id, secret.to_owned().into(), token).unwrap();
    AwsSigner::new(credentials, region, service).unwrap()
}

/// The request of a vector, as the transport hands it to the signer.
fn request(vector: &Value) -> Request<Rope> {
    let text = |name: &str| vector[name].as_str().unwrap();
    let uri: Uri = text("url").parse().unwrap();
    let host = Origin::of(&uri).unwrap().to_string();
    let mut builder = Request::builder().method(text("method")).uri(uri.path_and_query().unwrap().as_str());
    builder = builder.header("host", host.split_once("://").unwrap().1);
    for header in vector["headers"].as_array().unwrap() {
        builder = builder.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    // In two slices: what is hashed is what they make together.
    let body = text("body").as_bytes();
    let (start, end) = body.split_at(body.len() / 2);
    builder.body([start, end].map(Bytes::copy_from_slice).into_iter().collect()).unwrap()
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn every_vector_of_botocore_is_signed_alike() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 40);
    for vector in vectors {
        let name = &vector["name"];
        let signer = signer(
            &text(&file["access_key_id"]),
            &text(&file["secret_access_key"]),
            vector["session_token"].as_str(),
            &text(&vector["region"]),
            &text(&vector["service"]),
        );
        let mut request = request(vector);
        let before = request.headers().clone();
        signer.sign(&mut request, time(vector["time"].as_u64().unwrap())).unwrap();
        let added: BTreeMap<String, String> = added(&before, request.headers());
        let expected: BTreeMap<String, String> = vector["signed"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        assert_eq!(added, expected, "{name}");
        if let Some(model) = vector["model"].as_str() {
            let path = format!("/model/{}/", path_segment(model));
            assert!(request.uri().path().starts_with(&path), "{name}: {}", request.uri());
        }
    }
}

/// The headers that were not there before.
fn added(before: &HeaderMap, after: &HeaderMap) -> BTreeMap<String, String> {
    after
        .iter()
        .filter(|(name, _)| !before.contains_key(*name))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn a_second_signature_replaces_the_first() {
    let sign = |requests: &mut Request<Rope>, token, seconds| {
        signer("AKIDEXAMPLE", "secret", token, "us-east-1", "bedrock").sign(requests, time(seconds)).unwrap();
    };
    let fresh = || Request::post("/x").header("host", "example.com").body(Rope::new()).unwrap();
    let (mut once, mut twice) = (fresh(), fresh());
    sign(&mut twice, Some("token"), 1);
    sign(&mut twice, None, 1_700_000_000);
    sign(&mut once, None, 1_700_000_000);
    assert_eq!(once.headers(), twice.headers());
    assert!(!once.headers().contains_key("x-amz-security-token"));
}

#[test]
fn secrets_are_marked_as_such_in_the_headers() {
    let mut request = Request::post("/x").header("host", "example.com").body(Rope::new()).unwrap();
    signer("AKIDEXAMPLE", "secret", Some("token"), "us-east-1", "bedrock")
        .sign(&mut request, time(1))
        .unwrap();
    assert!(request.headers()["x-amz-security-token"].is_sensitive());
    assert!(!format!("{request:?}").contains("token\","), "{request:?}");
}

#[test]
fn what_cannot_be_signed_is_refused_before_it_is_sent() {
    let signer = signer("AKIDEXAMPLE", "hunter2", Some("swordfish"), "us-east-1", "bedrock");
    let without_host = Request::post("/x").body(Rope::new()).unwrap();
    let odd = HeaderValue::from_bytes(b"\xff").unwrap();
    let not_text =
        Request::post("/x").header("host", "example.com").header("x-odd", odd).body(Rope::new()).unwrap();
    for (mut request, problem) in [(without_host, "host"), (not_text, "x-odd")] {
        let error = signer.sign(&mut request, time(1)).unwrap_err();
        assert_eq!(error.phase, Phase::Prepare);
        let message = error.to_string();
        assert!(message.contains(problem) && !message.contains("hunter2") && !message.contains("swordfish"));
        assert!(!request.headers().contains_key("authorization"));
    }
}

#[test]
fn keys_that_cannot_be_are_refused_and_not_repeated() {
    let new = |id: &str, secret: &str, token: Option<&str>| {
        AwsCredentials::new(id, secret.to_owned().into(), token.map(|token| token.to_owned().into()))
            .map(|_| ())
    };
    assert_eq!(new("AKIDEXAMPLE", "hunter2", None), Ok(()));
    assert_eq!(new("AKIDEXAMPLE", "hunter2", Some("swordfish")), Ok(()));
    for (id, secret, token) in [
        ("", "hunter2", None),
        ("AKID EXAMPLE", "hunter2", None),
        ("AKID/x", "hunter2", None),
        ("AKIDEXAMPLE", " ", None),
        ("AKIDEXAMPLE", "hunter2", Some("")),
        ("AKIDEXAMPLE", "hunter2", Some("sword\nfish")),
    ] {
        let error = new(id, secret, token).unwrap_err();
        assert!(matches!(error, UpstreamError::AwsCredentials { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(!format!("{error} {error:?}").contains("fish"));
    }
    for (region, service) in
        [("", "bedrock"), ("us-east-1", ""), ("us east", "bedrock"), ("US-EAST-1", "bedrock"), ("a/b", "x")]
    {
        let credentials = AwsCredentials::new("AKIDEXAMPLE", "hunter2".to_owned().into(), None).unwrap();
        assert!(matches!(AwsSigner::new(credentials, region, service), Err(UpstreamError::AwsScope { .. })));
    }
}
