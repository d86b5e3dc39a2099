//! How credentials are kept and renewed, whoever issues them.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use weighbridge_transport::{Consumed, Issue, Phase};
use weighbridge_upstream::{
    CredentialSource, EntraClient, EntraProof, EntraSource, IssueOptions, IssuedCredential,
};

use super::{after, apply, authorization, issued, now, refusal, token};
use crate::provider::{Provider, Reply};

const SECRET: &str = "geheim-secret";

fn source(url: &str) -> CredentialSource {
    let proof = EntraProof::secret(SECRET.to_owned().into());
    let client = EntraClient::new("tenant", "client", proof).unwrap().at(url).unwrap();
    CredentialSource::Entra(EntraSource::Client(client))
}

/// A credential of an issuer that plays a script.
async fn scripted(script: impl IntoIterator<Item = Reply>) -> (Provider, Arc<dyn Issue>) {
    let provider = Provider::start(script).await;
    let issuer = issued(source(&provider.url("")));
    (provider, issuer)
}

/// Waits until the issuer was asked so often, and its answer was taken.
async fn asked(provider: &Provider, times: usize) {
    provider.closed(times).await;
    assert_eq!(provider.requests().len(), times);
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_before_its_end_without_a_wait() {
    let (provider, issuer) = scripted([token("one", 3600), token("two", 3600)]).await;
    for seconds in [0, 1, 3299] {
        assert_eq!(authorization(&issuer, after(seconds)).await.unwrap(), "Bearer one");
    }
    asked(&provider, 1).await;
    // The request that comes in the margin goes on with the old one.
    assert_eq!(authorization(&issuer, after(3300)).await.unwrap(), "Bearer one");
    asked(&provider, 2).await;
    assert_eq!(authorization(&issuer, after(3301)).await.unwrap(), "Bearer two");
    assert_eq!(authorization(&issuer, after(6000)).await.unwrap(), "Bearer two");
    asked(&provider, 2).await;
}

#[tokio::test]
async fn where_the_old_one_has_ended_the_request_waits_for_the_new_one() {
    let (_provider, issuer) = scripted([token("one", 60), token("two", 60)]).await;
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer one");
    assert_eq!(authorization(&issuer, after(3600)).await.unwrap(), "Bearer two");
}

#[tokio::test]
async fn fifty_requests_at_once_ask_once() {
    let (provider, issuer) = scripted([token("one", 3600), token("two", 3600)]).await;
    for (start, expected, times) in [(0, "Bearer one", 1), (5000, "Bearer two", 2)] {
        let mut requests = JoinSet::new();
        for _ in 0..50 {
            let issuer = Arc::clone(&issuer);
            requests.spawn(async move { authorization(&issuer, after(start)).await.unwrap() });
        }
        assert!(requests.join_all().await.iter().all(|sent| sent == expected));
        asked(&provider, times).await;
    }
}

#[test]
fn requests_on_other_runtimes_wait_for_the_same_renewal_and_survive_its_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (serving, first, second) = (runtime(), runtime(), runtime());
    let provider = serving.block_on(Provider::start([Reply::silence(), token("two", 3600)]));
    let issuer = issued(source(&provider.url("")));
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            serving.block_on(async {
                while provider.requests().len() < 2 {
                    tokio::task::yield_now().await
                }
            })
        });
        // It starts the renewal, and ends before there is an answer.
        first.block_on(async {
            let sending = authorization(&issuer, now());
            assert!(tokio::time::timeout(Duration::from_millis(50), sending).await.is_err());
        });
        drop(first);
        second.block_on(async {
            let error = authorization(&issuer, now()).await.unwrap_err();
            assert!(error.message.contains("broken off"), "{error}");
            assert_eq!(authorization(&issuer, after(1)).await.unwrap(), "Bearer two");
        });
        serving.join().unwrap();
    });
}

#[tokio::test]
async fn an_issuer_that_is_down_fails_requests_at_once_and_is_asked_again_later() {
    let provider = Provider::start([]).await;
    let issuer = issued(source(&provider.url("")));
    provider.stop().await;
    let error = authorization(&issuer, now()).await.unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Credential, Consumed::No));
    assert!(error.message.starts_with("no credential for `own`: http://127.0.0.1:"), "{error}");
    assert!(error.message.contains("cannot be reached"), "{error}");
    assert_eq!(authorization(&issuer, now()).await.unwrap_err().message, error.message);
}

#[tokio::test]
async fn an_issuer_that_fails_leaves_the_old_token_in_use_and_is_left_alone() {
    let down = || refusal("503 Service Unavailable", "");
    let (provider, issuer) = scripted([token("one", 3600), down(), down(), token("two", 3600)]).await;
    assert_eq!(authorization(&issuer, now()).await.unwrap(), "Bearer one");
    asked(&provider, 1).await;
    for (seconds, times) in [(3300, 2), (3300, 2), (3301, 3), (3302, 3), (3303, 4)] {
        assert_eq!(authorization(&issuer, after(seconds)).await.unwrap(), "Bearer one");
        asked(&provider, times).await;
    }
    assert_eq!(authorization(&issuer, after(3304)).await.unwrap(), "Bearer two");
}

#[tokio::test]
async fn a_silent_issuer_is_given_up() {
    let provider = Provider::start([Reply::silence()]).await;
    let options = IssueOptions { time: Duration::from_millis(20), ..IssueOptions::default() };
    let issuer: Arc<dyn Issue> = Arc::new(IssuedCredential::new("own", source(&provider.url("")), options));
    let error = authorization(&issuer, now()).await.unwrap_err();
    assert!(error.message.ends_with("the issuer did not answer within 20 ms"), "{error}");
}

#[tokio::test]
async fn wrong_answers_are_errors_that_tell_what_is_wrong() {
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000));
    for (reply, expected) in [
        (Reply::ok("<html>"), "it is no JSON object"),
        (Reply::ok(r#"{"access_token":"geheim"}"#).then_close(), ""),
        (Reply::ok(r#"{"access_token":"geheim\n","expires_in":60}"#), "no `access_token` that can be sent"),
        (Reply::ok(r#"{"access_token":"geheim","expires_in":0}"#), "it has ended already"),
        (Reply::raw(endless), "it is too large"),
        (Reply::raw("HTTP/1.1 302 Found\r\nlocation: http://x\r\ncontent-length: 0\r\n\r\n"), "status 302"),
        (
            refusal("401 Unauthorized", r#"{"error":"invalid_client","error_codes":[7000215]}"#),
            "status 401 (invalid_client AADSTS7000215)",
        ),
        (Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").then_close(), "cannot be reached"),
        (Reply::reset(), "cannot be reached"),
    ] {
        let (_provider, issuer) = scripted([reply]).await;
        match authorization(&issuer, now()).await {
            Err(error) => {
                assert!(!expected.is_empty() && error.message.contains(expected), "{error}");
                assert!(!error.message.contains("geheim"));
            }
            // A token whose end nobody told is believed in for a while.
            Ok(sent) => assert_eq!((sent.as_str(), expected), ("Bearer geheim", "")),
        }
    }
}

#[tokio::test]
async fn a_token_that_a_provider_refuses_is_replaced_at_once() {
    let (provider, issuer) = scripted([token("one", 3600), token("two", 3600)]).await;
    let (_, first) = apply(&issuer, now()).await.unwrap();
    assert!(issuer.refused(first, after(10)));
    assert_eq!(authorization(&issuer, after(10)).await.unwrap(), "Bearer two");
    // Of a request that was on its way meanwhile: the newer one is worth a try.
    assert!(issuer.refused(first, after(11)));
    let (_, second) = apply(&issuer, after(11)).await.unwrap();
    assert!(second > first);
    assert!(!issuer.refused(second, after(12)), "a new one was refused as well");
    assert_eq!(authorization(&issuer, after(12)).await.unwrap(), "Bearer two");
    asked(&provider, 2).await;
}

#[tokio::test]
async fn a_refused_token_stays_in_use_where_no_other_is_to_be_had() {
    let (_provider, issuer) = scripted([token("one", 3600), refusal("500 Oops", "")]).await;
    let (_, first) = apply(&issuer, now()).await.unwrap();
    assert!(issuer.refused(first, after(10)));
    let error = apply(&issuer, after(10)).await;
    assert!(error.is_ok(), "it is valid as far as anybody knows");
    assert!(!issuer.refused(first, after(10)));
}

#[tokio::test]
async fn secrets_are_neither_logged_nor_shown() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let described = format!(r#"{{"error":"invalid_client","error_description":"{SECRET} geheim-token"}}"#);
    let (_provider, issuer) =
        scripted([token("geheim-token", 60), refusal("400 Bad Request", &described)]).await;
    let (request, _) = apply(&issuer, now()).await.unwrap();
    let mut shown = Vec::new();
    issuer.secrets(&mut |secret| shown.push(secret.to_owned()));
    assert_eq!(shown, ["geheim-token"]);
    let error = apply(&issuer, after(60)).await.err().unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("a credential was not renewed") && text.contains("invalid_client"), "{text}");
    for shown in [text, format!("{error} {error:?}"), format!("{request:?}")] {
        assert!(!shown.contains("geheim"), "{shown}");
    }
}
