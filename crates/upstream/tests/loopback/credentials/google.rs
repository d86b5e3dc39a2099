//! Access tokens of Google Cloud: service accounts, users, workload identities, machines.

use std::sync::Arc;

use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use serde_json::json;
use weighbridge_transport::Issue;
use weighbridge_upstream::{CredentialSource, GoogleMetadata, GoogleSource};

use super::{KEY, after, authorization, field, issued, now, parts, refusal, token, verified};
use crate::provider::{Provider, Reply};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(super) fn account() -> String {
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": KEY,
        "client_email": "models@p.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn google(source: GoogleSource) -> Arc<dyn Issue> {
    issued(CredentialSource::Google(source))
}

#[tokio::test]
async fn a_service_account_signs_an_assertion_of_an_hour() {
    let provider = Provider::start([token("one", 3599), token("two", 3599)]).await;
    let url = provider.url("/token");
    let issuer = google(GoogleSource::from_file(&account(), Some(&url)).unwrap());
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer one");
    let asked = provider.requests().remove(0);
    assert!(parts(&asked).0.starts_with("POST /token "));
    assert_eq!(field(&asked, "grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (header, claims) = verified(&field(&asked, "assertion"), &RSA_PKCS1_2048_8192_SHA256);
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
    let expected = json!({
        "iss": "models@p.iam.gserviceaccount.com",
        "scope": SCOPE,
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_795_694_400,
        "exp": 1_795_698_000,
    });
    assert_eq!(claims, expected);

    // The next assertion is of its own time.
    assert_eq!(authorization(&issuer, after(3600)).await.unwrap(), "Bearer two");
    let (_, claims) = verified(&field(&provider.requests()[1], "assertion"), &RSA_PKCS1_2048_8192_SHA256);
    assert_eq!(claims["iat"], 1_795_698_000);
}

#[tokio::test]
async fn a_user_is_known_by_a_refresh_token() {
    let provider = Provider::start([token("one", 3599)]).await;
    let file = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s/1", "refresh_token": "1//r",
    });
    let source = GoogleSource::from_file(&file.to_string(), Some(&provider.url("/token"))).unwrap();
    assert_eq!(authorization(&google(source), now()).await.unwrap(), "Bearer one");
    let asked = provider.requests().remove(0);
    let sent = ["grant_type", "client_id", "client_secret", "refresh_token"].map(|name| field(&asked, name));
    assert_eq!(sent, ["refresh_token", "id", "s/1", "1//r"]);
}

#[tokio::test]
async fn a_workload_identity_exchanges_its_token_and_takes_on_an_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.json");
    std::fs::write(&path, r#"{"access_token":"eyJ.subject.x"}"#).unwrap();
    let account = r#"{"accessToken":"of-account","expireTime":"2026-11-26T13:00:00Z"}"#;
    let provider =
        Provider::start([token("federated", 3599), Reply::ok(account), token("federated", 3599)]).await;
    let mut file = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": provider.url("/v1/token"),
        "service_account_impersonation_url": provider.url("/v1/accounts/a:generateAccessToken"),
        "credential_source": {
            "file": path,
            "format": { "type": "json", "subject_token_field_name": "access_token" },
        },
    });
    let source = GoogleSource::from_file(&file.to_string(), None).unwrap();
    assert_eq!(authorization(&google(source), now()).await.unwrap(), "Bearer of-account");
    let requests = provider.requests();
    let names = ["grant_type", "audience", "scope", "subject_token", "subject_token_type"];
    let sent = names.map(|name| field(&requests[0], name));
    assert_eq!(sent[0], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(file["audience"], sent[1].as_str());
    assert_eq!(sent[2..], [SCOPE, "eyJ.subject.x", "urn:ietf:params:oauth:token-type:jwt"]);
    assert!(requests[1].starts_with("POST /v1/accounts/a:generateAccessToken "));
    assert!(requests[1].contains("authorization: Bearer federated\r\n"));

    // Without an account, the exchanged token itself is used.
    file.as_object_mut().unwrap().remove("service_account_impersonation_url");
    let source = GoogleSource::from_file(&file.to_string(), None).unwrap();
    assert_eq!(authorization(&google(source), now()).await.unwrap(), "Bearer federated");
}

#[tokio::test]
async fn a_machine_asks_its_metadata_server() {
    let provider = Provider::start([token("machine", 310), refusal("404 Not Found", "")]).await;
    let issuer = google(GoogleSource::metadata(GoogleMetadata::new(&provider.url("")).unwrap()));
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer machine");
    let asked = provider.requests().remove(0);
    let path = "GET /computeMetadata/v1/instance/service-accounts/default/token ";
    assert!(asked.starts_with(path) && asked.contains("metadata-flavor: Google\r\n"), "{asked}");
    assert!(authorization(&issuer, after(310)).await.unwrap_err().message.contains("status 404"));
}

#[test]
fn files_that_cannot_be_used_are_told_at_set_up_without_their_secrets() {
    let without = |name: &str| account().replace(&format!("\"{name}\""), "\"x\"");
    for (file, expected) in [
        ("{".to_owned(), "no JSON"),
        ("{}".to_owned(), "no `type`"),
        (r#"{"type":"gdch_service_account"}"#.to_owned(), "is of type `gdch_service_account`"),
        (without("client_email"), "no `client_email`"),
        (without("private_key"), "no `private_key`"),
        (account().replace("BEGIN PRIVATE", "BEGIN"), "no private key in PEM"),
        (account().replace("https://oauth2", "ftp://oauth2"), "neither http nor https"),
        (account().replace("MII", "MIJ"), "not RSA"),
        (r#"{"type":"external_account","token_url":"https://x","credential_source":{"environment_id":"aws1"}}"#
            .to_owned(), "must be in a file"),
    ] {
        let error = GoogleSource::from_file(&file, None).err().unwrap().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("MII") && !error.contains("MIJ"), "{error}");
    }
}
