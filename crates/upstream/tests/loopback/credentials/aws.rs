//! Keys of AWS: web identity, assumed roles, instances, containers.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use weighbridge_transport::Issue;
use weighbridge_upstream::{
    AssumeRole, AwsCredentials, AwsSource, ContainerKeys, CredentialSource, InstanceKeys, WebIdentity,
};

use super::{after, authorization, field, form, headers, issued, now, parts, refusal};
use crate::provider::{Provider, Reply};

pub(super) const ARN: &str = "arn:aws:iam::123456789012:role/models";

fn signing(source: AwsSource) -> Arc<dyn Issue> {
    issued(CredentialSource::Aws { source, region: "eu-central-1".into(), service: "bedrock".into() })
}

fn role(provider: &Provider) -> AssumeRole {
    AssumeRole::new(ARN, "eu-central-1").unwrap().at(&provider.url("")).unwrap()
}

fn keys() -> AwsCredentials {
    AwsCredentials::new("AKIDBASE", "base-secret".to_owned().into(), Some("base-token".to_owned().into()))
        .unwrap()
}

/// Keys as STS gives them, valid for an hour from `now()`.
pub(super) fn of_sts(action: &str, id: &str) -> Reply {
    Reply::ok(&format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
         <SessionToken>role/token+=</SessionToken><Expiration>2026-11-26T13:00:00Z</Expiration>\
         </Credentials></{action}Result></{action}Response>"
    ))
}

/// Keys as the metadata services give them.
fn of_machine(id: &str, until: &str) -> Reply {
    Reply::ok(&format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s","Token":"t","Expiration":"{until}"}}"#
    ))
}

/// The signature that AWS expects on a request without a query: an independent reading of
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
fn signature(request: &str, secret: &str) -> (String, String) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let (line, head, body) = parts(request);
    let header = |name: &str| {
        let found = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap().to_owned()
    };
    let authorization = header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap();
        rest.split(',').next().unwrap().to_owned()
    };
    let (scope, names) = (part("Credential"), part("SignedHeaders"));
    let scope = scope.split_once('/').unwrap().1;
    let listed: String = names.split(';').map(|name| format!("{name}:{}\n", header(name))).collect();
    let (method, path) = (line.split(' ').next().unwrap(), line.split(' ').nth(1).unwrap());
    let canonical = format!("{method}\n{path}\n\n{listed}\n{names}\n{}", hex(&Sha256::digest(body)));
    let text =
        format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", header("x-amz-date"), hex(&Sha256::digest(&canonical)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    (part("Signature"), hex(&mac(&key, &text)))
}

#[tokio::test]
async fn static_keys_sign_without_an_issuer() {
    let sent = headers(&signing(AwsSource::Static(keys())), now()).await.unwrap();
    assert!(
        sent["authorization"]
            .to_str()
            .unwrap()
            .contains("Credential=AKIDBASE/20261126/eu-central-1/bedrock/")
    );
    assert_eq!(sent["x-amz-security-token"], "base-token");
}

#[tokio::test]
async fn web_identity_exchanges_the_token_of_the_file_and_reads_it_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "eyJ.one.x\n").unwrap();
    let action = "AssumeRoleWithWebIdentity";
    let provider = Provider::start([of_sts(action, "ASIAONE"), of_sts(action, "ASIATWO")]).await;
    let identity = WebIdentity::new(role(&provider).as_session("pod-1").unwrap(), &file);
    let issuer = signing(AwsSource::WebIdentity(identity));
    let sent = headers(&issuer, now()).await.unwrap();
    assert!(sent["authorization"].to_str().unwrap().contains("Credential=ASIAONE/"));
    assert_eq!(sent["x-amz-security-token"], "role/token+=");

    std::fs::write(&file, "eyJ.two.x").unwrap();
    assert!(authorization(&issuer, after(3400)).await.unwrap().contains("Credential=ASIAONE/"));
    provider.closed(2).await;
    let requests = provider.requests();
    let expected = [
        ("Action", action),
        ("Version", "2011-06-15"),
        ("RoleArn", ARN),
        ("RoleSessionName", "pod-1"),
        ("WebIdentityToken", "eyJ.one.x"),
    ];
    assert_eq!(form(&requests[0]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(parts(&requests[0]).0.starts_with("POST / "));
    assert!(!requests[0].contains("authorization"), "the token is the proof");
    assert_eq!(field(&requests[1], "WebIdentityToken"), "eyJ.two.x");

    std::fs::remove_file(&file).unwrap();
    let error = authorization(&issuer, after(9000)).await.unwrap_err();
    assert!(error.message.contains("the token file") && error.message.contains("cannot be used"), "{error}");
}

#[tokio::test]
async fn a_role_is_assumed_with_signed_keys_and_its_external_id() {
    let provider = Provider::start([of_sts("AssumeRole", "ASIAROLE")]).await;
    let source = AwsSource::Static(keys()).assuming(role(&provider).with_external_id("their/id"));
    let sent = headers(&signing(source), now()).await.unwrap();
    assert!(sent["authorization"].to_str().unwrap().contains("Credential=ASIAROLE/"));
    let asked = provider.requests().remove(0);
    assert_eq!(
        (field(&asked, "Action").as_str(), field(&asked, "ExternalId").as_str()),
        ("AssumeRole", "their/id")
    );
    assert!(
        asked.contains("/eu-central-1/sts/aws4_request")
            && asked.contains("x-amz-security-token: base-token")
    );
    let (signed, expected) = signature(&asked, "base-secret");
    assert_eq!(signed, expected);
    assert_ne!(signed, signature(&asked, "other-secret").1);
}

#[tokio::test]
async fn a_role_may_stand_upon_the_role_of_a_pod() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "eyJ.pod.x").unwrap();
    let script = [of_sts("AssumeRoleWithWebIdentity", "ASIAPOD"), of_sts("AssumeRole", "ASIAOTHER")];
    let provider = Provider::start(script).await;
    let source = AwsSource::WebIdentity(WebIdentity::new(role(&provider), &file)).assuming(role(&provider));
    assert!(authorization(&signing(source), now()).await.unwrap().contains("Credential=ASIAOTHER/"));
    let second = provider.requests().remove(1);
    assert!(second.contains("Credential=ASIAPOD/"));
    let (signed, expected) = signature(&second, "role-secret");
    assert_eq!(signed, expected);
}

#[tokio::test]
async fn an_instance_is_asked_in_version_2() {
    let script = [
        Reply::ok("session-token"),
        Reply::ok("models-role\n"),
        of_machine("ASIAONE", "2026-11-26T18:00:00Z"),
        Reply::ok("session-token-2"),
        Reply::ok("models-role"),
        of_machine("ASIATWO", "2026-11-27T00:00:00Z"),
    ];
    let provider = Provider::start(script).await;
    let issuer = signing(AwsSource::Instance(InstanceKeys::new(&provider.url("/")).unwrap()));
    assert!(authorization(&issuer, now()).await.unwrap().contains("Credential=ASIAONE/"));
    let requests = provider.requests();
    assert!(requests[0].starts_with("PUT /latest/api/token HTTP/1.1\r\n"));
    assert!(requests[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
    assert!(requests[1].starts_with("GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n"));
    assert!(
        requests[2].starts_with("GET /latest/meta-data/iam/security-credentials/models-role HTTP/1.1\r\n")
    );
    assert!(requests[1..].iter().all(|asked| asked.contains("x-aws-ec2-metadata-token: session-token\r\n")));
    assert_eq!(provider.connections(), 1);

    // After its end, the next request waits for the next keys.
    assert!(authorization(&issuer, after(6 * 3600)).await.unwrap().contains("Credential=ASIATWO/"));
}

#[tokio::test]
async fn an_instance_without_version_2_or_without_a_role_gives_none() {
    for (script, expected) in [
        (vec![refusal("403 Forbidden", "")], "status 403"),
        (vec![Reply::ok("t"), refusal("404 Not Found", "<html>")], "status 404"),
        (vec![Reply::ok("t"), Reply::ok("")], "the instance has no role"),
        (
            vec![Reply::ok("t"), Reply::ok("r"), Reply::ok(r#"{"Code":"AssumeRoleUnauthorizedAccess"}"#)],
            "AssumeRoleUnauthorizedAccess",
        ),
    ] {
        let provider = Provider::start(script).await;
        let issuer = signing(AwsSource::Instance(InstanceKeys::new(&provider.url("")).unwrap()));
        let error = authorization(&issuer, now()).await.unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_container_shows_the_token_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "pod-token\n").unwrap();
    let reply = || of_machine("ASIAPOD", "2026-11-26T18:00:00Z");
    let provider = Provider::start([reply(), reply(), reply()]).await;
    let from = |path: &str| ContainerKeys::new(&provider.url(path)).unwrap();
    for (container, sent) in [
        (from("/v1/credentials").with_token_file(&file), Some("authorization: pod-token\r\n")),
        (from("/get?id=1").with_token("Basic abc".to_owned().into()), Some("authorization: Basic abc\r\n")),
        (from("/v2/credentials/uuid"), None),
    ] {
        let issuer = signing(AwsSource::Container(container));
        assert!(authorization(&issuer, now()).await.unwrap().contains("Credential=ASIAPOD/"));
        let asked = provider.requests().pop().unwrap();
        assert_eq!(sent.is_some(), asked.contains("authorization"), "{asked}");
        assert!(asked.contains(sent.unwrap_or("GET /v2/credentials/uuid ")), "{asked}");
    }
}

#[tokio::test]
async fn sts_refuses_by_its_own_word() {
    let body = "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>";
    let provider = Provider::start([refusal("400 Bad Request", body)]).await;
    let source = AwsSource::Static(keys()).assuming(role(&provider));
    let error = authorization(&signing(source), now()).await.unwrap_err();
    assert!(error.message.contains("refused with status 400 (ExpiredTokenException)"), "{error}");
}
