//! The way to an issuer: whose certificate is trusted, through which proxy, and for how long one waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use weighbridge_transport::Issue;
use weighbridge_upstream::{
    AssumeRole, AwsSource, CredentialSource, EntraClient, EntraProof, EntraSource, GoogleMetadata,
    GoogleSource, IssueOptions, IssuedCredential, ManagedIdentity, ProxyChoice, ProxyEnvironment, Tls,
    TransportOptions, WebIdentity,
};

use super::{aws, google, headers, now, token};
use crate::encrypted::{AUTHORITY, acceptor};
use crate::provider::{Provider, Reply};
use crate::proxied::Tunnels;

const TUNNEL: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn trusting(proxy: ProxyChoice) -> IssueOptions {
    let tls = Tls::with_extra_roots(AUTHORITY).unwrap();
    let transport = TransportOptions { tls, ..TransportOptions::default() };
    IssueOptions { transport, proxy, ..IssueOptions::default() }
}

fn issued(source: CredentialSource, options: IssueOptions) -> Arc<dyn Issue> {
    Arc::new(IssuedCredential::new("own", source, options))
}

fn entra(url: &str) -> CredentialSource {
    let client = EntraClient::new("tenant-1", "client-1", EntraProof::secret("s".to_owned().into()));
    CredentialSource::Entra(EntraSource::Client(client.unwrap().at(url).unwrap()))
}

/// Each kind of issuer that is shown secrets, at this address, with what it answers.
fn issuers(url: &str, folder: &tempfile::TempDir) -> Vec<(CredentialSource, Reply)> {
    let path = folder.path().join("token");
    std::fs::write(&path, "eyJ.subject.x").unwrap();
    let role = AssumeRole::new(aws::ARN, "eu-central-1").unwrap().at(url).unwrap();
    let source = AwsSource::WebIdentity(WebIdentity::new(role, path));
    let (region, service) = ("eu-central-1".into(), "bedrock".into());
    let file = GoogleSource::from_file(&google::account(), Some(&format!("{url}/token"))).unwrap();
    vec![
        (
            CredentialSource::Aws { source, region, service },
            aws::of_sts("AssumeRoleWithWebIdentity", "AKIDROLE"),
        ),
        (CredentialSource::Google(file), token("one", 3599)),
        (entra(url), token("one", 3599)),
    ]
}

#[tokio::test]
async fn each_issuer_is_trusted_by_the_roots_that_are_given_and_by_no_others() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let (_, answer) = issuers("https://localhost", &folder).remove(number);
        let provider = Provider::start_tls([answer], acceptor()).await;
        let url = format!("https://localhost:{}", provider.port());
        let source = || issuers(&url, &folder).remove(number).0;
        let error = headers(&issued(source(), IssueOptions::default()), now()).await.unwrap_err();
        for said in ["no credential for `own`", &url, "UnknownIssuer", "as `ca`"] {
            assert!(error.message.contains(said), "{said}: {error}");
        }
        assert!(provider.requests().is_empty(), "a secret was shown to somebody who is not trusted");
        let sent = headers(&issued(source(), trusting(ProxyChoice::None)), now()).await.unwrap();
        assert!(sent.contains_key("authorization"));
        assert_eq!(provider.requests().len(), 1);
    }
}

#[tokio::test]
async fn each_issuer_is_asked_through_a_tunnel_that_knows_nothing_of_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens there: only the proxy knows the way.
    let url = "https://localhost:1";
    for number in 0..3 {
        let (source, answer) = issuers(url, &folder).remove(number);
        let provider = Provider::start_tls([answer], acceptor()).await;
        let proxy = Tunnels::start(provider.port(), TUNNEL).await;
        let address = format!("http://u:p@127.0.0.1:{}", proxy.port).parse().unwrap();
        let issuer = issued(source, trusting(ProxyChoice::Always(address)));
        assert!(headers(&issuer, now()).await.unwrap().contains_key("authorization"));
        let asked =
            "CONNECT localhost:1 HTTP/1.1\r\nhost: localhost:1\r\nproxy-authorization: Basic dTpw\r\n\r\n";
        assert_eq!(proxy.asked(), [asked]);
        assert!(!provider.requests()[0].contains("proxy-authorization"));
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    let proxy = Tunnels::start(1, "HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let address = format!("http://u:hunter2@127.0.0.1:{}", proxy.port).parse().unwrap();
    let issuer = issued(entra("https://login.test"), trusting(ProxyChoice::Always(address)));
    let error = headers(&issuer, now()).await.unwrap_err().message;
    assert!(
        error.contains(&format!("127.0.0.1:{} refuses a tunnel to login.test:443", proxy.port)),
        "{error}"
    );
    assert!(!error.contains("hunter2") && !error.contains("aHVudGVy"), "{error}");
}

#[tokio::test]
async fn the_environment_is_asked_for_each_issuer() {
    let proxy = Tunnels::start(1, "HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let variables = [("https_proxy", address.as_str()), ("no_proxy", "direct.invalid")];
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
    let environment = ProxyEnvironment::read(variable).unwrap();
    for (host, is_proxied) in [("https://login.test", true), ("https://direct.invalid", false)] {
        let before = proxy.asked().len();
        let options = trusting(ProxyChoice::Environment(environment.clone()));
        headers(&issued(entra(host), options), now()).await.unwrap_err();
        assert_eq!(proxy.asked().len() - before, usize::from(is_proxied), "{host}");
    }
}

#[tokio::test]
async fn no_proxy_is_between_here_and_what_is_on_this_machine() {
    // A proxy that is gone: whoever asked it would get nothing.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let choice = || ProxyChoice::Always(format!("http://{gone}").parse().unwrap());
    // A metadata service, also one that is reached over TLS, and an issuer that is not.
    let plain = Provider::start([token("machine", 3599), token("here", 3599)]).await;
    let encrypted = Provider::start_tls([token("machine", 3599)], acceptor()).await;
    let secure = format!("https://localhost:{}", encrypted.port());
    let machine = GoogleSource::metadata(GoogleMetadata::new(&plain.url("")).unwrap());
    let managed = EntraSource::Managed(ManagedIdentity::new(&secure, None).unwrap());
    for source in [CredentialSource::Google(machine), entra(&plain.url("")), CredentialSource::Entra(managed)]
    {
        let sent = headers(&issued(source, trusting(choice())), now()).await.unwrap();
        assert!(sent.contains_key("authorization"));
    }
    assert_eq!((plain.requests().len(), encrypted.requests().len()), (2, 1));
}

#[tokio::test]
async fn connecting_has_a_time_of_its_own() {
    // It takes connections, and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", mute.local_addr().unwrap().port());
    let options = IssueOptions { connect: Duration::from_millis(50), ..trusting(ProxyChoice::None) };
    let begun = Instant::now();
    let error = headers(&issued(entra(&url), options), now()).await.unwrap_err().message;
    assert!(error.contains(&format!("no connection to {url} within 50 ms")), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
