//! Issued credentials, against issuers on loopback.

mod aws;
mod entra;
mod google;
mod renewing;
mod sent;
mod ways;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Request};
use serde_json::Value;
use weighbridge_transport::{Generation, Issue, Issued, Rope, Signer, TransportError};
use weighbridge_upstream::{CredentialSource, IssueOptions, IssuedCredential};

use crate::provider::Reply;

/// An RSA key of 2048 bits, made for the tests by `openssl req -x509 -newkey rsa:2048 -nodes`.
const KEY: &str = include_str!("keys/rsa.key");
/// Its certificate.
const CERTIFICATE: &str = include_str!("keys/rsa.pem");

/// The time that most tests are at.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_694_400)
}

fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

fn issued(source: CredentialSource) -> Arc<dyn Issue> {
    Arc::new(IssuedCredential::new("own", source, IssueOptions::default()))
}

/// A request with the credential on it, and which one that was.
async fn apply(
    issuer: &Arc<dyn Issue>,
    now: SystemTime,
) -> Result<(Request<Rope>, Generation), TransportError> {
    let mut request = Request::post("http://provider.test/v1").body(Rope::new()).unwrap();
    request.extensions_mut().insert(Issued(Arc::clone(issuer)));
    let generation = Issued::apply(&mut request, now).await?.unwrap();
    Ok((request, generation))
}

/// The `authorization` of such a request, as it would be sent to a service of AWS too.
async fn authorization(issuer: &Arc<dyn Issue>, now: SystemTime) -> Result<String, TransportError> {
    Ok(headers(issuer, now).await?["authorization"].to_str().unwrap().to_owned())
}

async fn headers(issuer: &Arc<dyn Issue>, now: SystemTime) -> Result<HeaderMap, TransportError> {
    let (mut request, _) = apply(issuer, now).await?;
    request.headers_mut().insert("host", "provider.test".parse().unwrap());
    Signer::apply(&mut request, now)?;
    Ok(request.headers().clone())
}

fn token(text: &str, seconds: u64) -> Reply {
    Reply::ok(&format!(r#"{{"access_token":"{text}","expires_in":{seconds},"token_type":"Bearer"}}"#))
}

fn refusal(status: &str, body: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// The first line of a request, its headers and its body.
fn parts(request: &str) -> (&str, &str, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    (line, headers, body)
}

/// The fields of a form, decoded.
fn form(request: &str) -> Vec<(String, String)> {
    let (_, headers, body) = parts(request);
    assert!(headers.contains("content-type: application/x-www-form-urlencoded"), "{headers}");
    body.split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), decoded(value))
        })
        .collect()
}

fn field(request: &str, name: &str) -> String {
    form(request).into_iter().find(|(known, _)| known == name).unwrap_or_default().1
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// An assertion whose signature was found right, by the public key alone: its header and its claims.
fn verified(
    token: &str,
    algorithm: &'static dyn aws_lc_rs::signature::VerificationAlgorithm,
) -> (Value, Value) {
    use aws_lc_rs::signature::{KeyPair, RsaKeyPair, UnparsedPublicKey};
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(algorithm, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &base64url(signature)).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let json = |text| serde_json::from_slice(&base64url(text)).unwrap();
    (json(header), json(claims))
}

fn base64url(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = text
        .chars()
        .flat_map(|letter| {
            let value = letters.find(letter).unwrap();
            (0..6).rev().map(move |bit| (value >> bit & 1) as u8)
        })
        .collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
}
