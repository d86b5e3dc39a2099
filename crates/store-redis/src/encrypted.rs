//! Redis over TLS: who is trusted, and what is told to whoever is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use secrecy::SecretString;

use crate::authority::{Authority, Identity};
use crate::error::{Fault, RedisLimitsError};
use crate::server::{self, Server};
use crate::{RedisLimits, RedisLimitsOptions};

const PATIENCE: Duration = Duration::from_secs(5);

fn limits(url: &str, certificates: Option<&str>) -> Result<RedisLimits, RedisLimitsError> {
    RedisLimits::new(RedisLimitsOptions {
        url: SecretString::from(url),
        certificates: certificates.map(|pem| pem.as_bytes().to_vec()),
        timeout: PATIENCE,
        sync_every: Duration::from_secs(60),
        instance: 1,
    })
}

/// Connects and asks something.
async fn ask(url: &str, certificates: Option<&str>) -> Result<String, Fault> {
    // Its thread has to live for as long as the connection.
    let limits = limits(url, certificates).unwrap();
    let mut connection = limits.connect(PATIENCE).await?;
    Ok(redis::cmd("PING").query_async(&mut connection).await?)
}

fn serve(Identity { certificate, key }: &Identity) -> Option<Server> {
    server::encrypted(certificate, key, false)
}

#[tokio::test]
async fn a_server_whose_root_is_given_is_asked() {
    let authority = Authority::new("ours");
    let Some(server) = serve(&authority.sign("127.0.0.1", 2900)) else { return };
    let url = format!("rediss://127.0.0.1:{}", server.port());
    assert_eq!(ask(&url, Some(&authority.pem())).await.unwrap(), "PONG");
    // Nothing else is spoken there, so that it was encrypted.
    assert!(ask(&url.replace("rediss", "redis"), None).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_is_wrong_is_refused_and_the_error_says_what_to_do() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    for (identity, why, advice) in [
        (other.sign("127.0.0.1", 2900), "UnknownIssuer", "`redis_ca`"),
        (ours.sign("cache.example", 2900), "not valid for name", "stands in its certificate"),
        (ours.sign("127.0.0.1", 2001), "expired", "valid now"),
        (ours.itself(), "CaUsedAsEndEntity", "sign one for it with that"),
    ] {
        let Some(server) = serve(&identity) else { return };
        let url = format!("rediss://:hunter2@127.0.0.1:{}", server.port());
        let fault = ask(&url, Some(&ours.pem())).await.unwrap_err();
        assert!(matches!(fault, Fault::Failed(_)));
        let said = fault.to_string();
        assert!(said.contains(why) && said.contains(advice) && !said.contains("hunter2"), "{said}");
    }
    // Public authorities alone, where none is given.
    let Some(server) = serve(&ours.sign("127.0.0.1", 2900)) else { return };
    let said = ask(&format!("rediss://127.0.0.1:{}", server.port()), None).await.unwrap_err().to_string();
    assert!(said.contains("UnknownIssuer") && said.contains("`redis_ca`"), "{said}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_told_apart() {
    let ours = Authority::new("ours");
    let Identity { certificate, key } = ours.sign("127.0.0.1", 2900);
    let Some(server) = server::encrypted(&certificate, &key, true) else { return };
    let url = format!("rediss://127.0.0.1:{}", server.port());
    let said = ask(&url, Some(&ours.pem())).await.unwrap_err().to_string();
    assert!(said.contains("CertificateRequired") && said.contains("tls-auth-clients no"), "{said}");
}

#[tokio::test]
async fn where_no_tls_is_spoken_nothing_is_said_in_plain_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let listening = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).unwrap();
        stream.write_all(b"-ERR unknown command\r\n").unwrap();
        heard.truncate(length);
        // What comes next is at most that it was not understood.
        let mut rest = [0; 64];
        let length = stream.read(&mut rest).unwrap_or(0);
        heard.extend_from_slice(&rest[..length]);
        heard
    });
    let said = ask(&format!("rediss://:hunter2@127.0.0.1:{port}"), None).await.unwrap_err().to_string();
    assert!(said.contains("InvalidContentType") && said.contains("`tls-port`"), "{said}");
    let heard = listening.join().unwrap();
    assert_eq!(heard[0], 22, "a handshake");
    assert!(!heard.windows(7).any(|part| part == b"hunter2"));
}

#[test]
fn what_would_not_be_checked_is_refused_at_set_up() {
    let pem = Authority::new("ours").pem();
    let unchecked = limits("rediss://127.0.0.1:1/#insecure", Some(&pem));
    assert!(matches!(unchecked, Err(RedisLimitsError::Unchecked)));
    for (url, pem) in [
        ("rediss://127.0.0.1:1", "no certificate"),
        ("rediss://127.0.0.1:1", ""),
        ("redis://127.0.0.1:1", pem.as_str()),
    ] {
        assert!(matches!(limits(url, Some(pem)), Err(RedisLimitsError::Certificates)), "{url}");
    }
}
