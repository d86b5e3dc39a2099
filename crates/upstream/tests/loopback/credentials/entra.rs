//! Access tokens of Microsoft Entra: secrets, certificates, trusted tokens, managed identities.

use std::sync::Arc;

use aws_lc_rs::signature::RSA_PSS_2048_8192_SHA256;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use sha2::{Digest, Sha256};
use weighbridge_transport::Issue;
use weighbridge_upstream::{CredentialSource, EntraClient, EntraProof, EntraSource, ManagedIdentity};

use super::{CERTIFICATE, KEY, authorization, base64url, field, form, issued, now, parts, token, verified};
use crate::provider::{Provider, Reply};

fn client(provider: &Provider, proof: EntraProof) -> Arc<dyn Issue> {
    let client = EntraClient::new("tenant-1", "client-1", proof).unwrap().at(&provider.url("")).unwrap();
    issued(CredentialSource::Entra(EntraSource::Client(client)))
}

#[tokio::test]
async fn a_client_is_known_by_its_secret() {
    let provider = Provider::start([token("one", 3599)]).await;
    let issuer = client(&provider, EntraProof::secret("s~1+/".to_owned().into()));
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer one");
    let asked = provider.requests().remove(0);
    assert!(parts(&asked).0.starts_with("POST /tenant-1/oauth2/v2.0/token "));
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "client-1"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
        ("client_secret", "s~1+/"),
    ];
    assert_eq!(form(&asked), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let provider = Provider::start([token("one", 3599)]).await;
    let issuer = client(&provider, EntraProof::certificate(&format!("{CERTIFICATE}{KEY}")).unwrap());
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer one");
    let asked = provider.requests().remove(0);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(field(&asked, "client_assertion_type"), kind);
    let (header, claims) = verified(&field(&asked, "client_assertion"), &RSA_PSS_2048_8192_SHA256);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("PS256"), &json!("JWT")));
    let der = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    assert_eq!(base64url(header["x5t#S256"].as_str().unwrap()), Sha256::digest(&der)[..]);
    let audience = provider.url("/tenant-1/oauth2/v2.0/token");
    for (name, value) in [
        ("aud", json!(audience)),
        ("iss", json!("client-1")),
        ("sub", json!("client-1")),
        ("nbf", json!(1_795_694_400)),
        ("exp", json!(1_795_695_000)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["jti"].as_str().unwrap().len() >= 16);
    for wrong in [KEY, CERTIFICATE, ""] {
        assert!(EntraProof::certificate(wrong).is_err());
    }
}

#[tokio::test]
async fn a_client_is_known_by_the_token_of_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "eyJ.pod.x\n").unwrap();
    let provider = Provider::start([token("one", 3599)]).await;
    let issuer = client(&provider, EntraProof::token_file(&file));
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer one");
    assert_eq!(field(&provider.requests()[0], "client_assertion"), "eyJ.pod.x");
}

#[tokio::test]
async fn a_machine_has_an_identity_of_its_own() {
    let answer = r#"{"access_token":"machine","expires_in":"86399","resource":"x","token_type":"Bearer"}"#;
    let provider = Provider::start([Reply::ok(answer)]).await;
    let identity = ManagedIdentity::new(&provider.url(""), Some("id-1")).unwrap();
    let identity = identity.with_scope("https://ai.azure.com/.default");
    let issuer = issued(CredentialSource::Entra(EntraSource::Managed(identity)));
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer machine");
    let asked = provider.requests().remove(0);
    let path = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fai.azure.com\
                &client_id=id-1 ";
    assert!(asked.starts_with(path) && asked.contains("metadata: true\r\n"), "{asked}");
}
