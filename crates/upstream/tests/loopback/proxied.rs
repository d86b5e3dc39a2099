//! Through a proxy: tunnels, requests that are handed over, refusals.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::encrypted::{AUTHORITY, acceptor_of};
use crate::framed::{Framed, reply, whole};
use crate::provider::{Provider, Reply};
use http::Request;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use weighbridge_transport::{Consumed, Phase, Rope, Transport, TransportError};
use weighbridge_upstream::{
    AllowedOrigins, HttpTransport, HttpVersion, OriginOptions, Tls, TransportOptions,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// A proxy that answers each CONNECT with this, and joins to a port on loopback if that is a 200.
pub(crate) struct Tunnels {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    pub(crate) async fn start(to: u16, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let heard = Arc::clone(&heard);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await.ok()?);
                    }
                    heard.lock().unwrap().push(String::from_utf8(head).unwrap());
                    client.write_all(answer.as_bytes()).await.ok()?;
                    if answer.contains(" 200 ") {
                        let mut server = TcpStream::connect(("127.0.0.1", to)).await.ok()?;
                        copy_bidirectional(&mut client, &mut server).await.ok()?;
                    }
                    Some(())
                });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn transport(url: &str, proxy: &str) -> HttpTransport {
    let tls = Some(Tls::with_extra_roots(AUTHORITY).unwrap());
    let options = OriginOptions { http: HttpVersion::Auto, tls, proxy: Some(proxy.parse().unwrap()) };
    HttpTransport::new(AllowedOrigins::with([(url, options)]).unwrap(), TransportOptions::default())
}

async fn ask(transport: &HttpTransport, url: &str) -> Result<String, TransportError> {
    let request = Request::get(url).body(Rope::new()).unwrap();
    let response = transport.send(request, PATIENCE).await?;
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn encrypted_requests_go_through_a_tunnel_that_knows_nothing_of_them() {
    // The name is resolved by the proxy only: here it leads nowhere.
    for (protocols, url) in [(&[][..], "https://localhost/v1"), (&[&b"h2"[..]], "https://localhost:8443/v1")]
    {
        let (provider, framed);
        let to = if protocols.is_empty() {
            provider = Provider::start_tls([Reply::ok("ok"), Reply::ok("ok")], acceptor_of(protocols)).await;
            provider.port()
        } else {
            let script = [reply(|stream| whole(stream, "ok")), reply(|stream| whole(stream, "ok"))];
            framed = Framed::start_with(script, Some(acceptor_of(protocols)), Vec::new()).await;
            framed.port()
        };
        let proxy = Tunnels::start(to, "HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n").await;
        let transport = transport(url, &format!("http://Aladdin:open%20sesame@127.0.0.1:{}", proxy.port));
        for _ in 0..2 {
            assert_eq!(ask(&transport, url).await.unwrap(), "ok");
        }
        let place = if protocols.is_empty() { "localhost:443" } else { "localhost:8443" };
        assert_eq!(
            proxy.asked(),
            [format!(
                "CONNECT {place} HTTP/1.1\r\nhost: {place}\r\nproxy-authorization: Basic \
                 QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
            )]
        );
    }
}

#[tokio::test]
async fn what_is_not_encrypted_is_handed_to_the_proxy_whole() {
    let proxy = Provider::start([Reply::ok("one"), Reply::ok("two")]).await;
    let url = "http://api.nowhere.test/v1/chat?x=1";
    let transport = transport(url, &format!("http://u:p@{}", proxy.authority()));
    for expected in ["one", "two"] {
        assert_eq!(ask(&transport, url).await.unwrap(), expected);
    }
    assert_eq!(proxy.connections(), 1);
    let seen = proxy.requests();
    assert!(seen[0].starts_with(&format!("GET {url} HTTP/1.1\r\n")), "{}", seen[0]);
    for header in ["host: api.nowhere.test\r\n", "proxy-authorization: Basic dTpw\r\n"] {
        assert!(seen[0].contains(header), "{}", seen[0]);
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_says_why_and_nothing_was_consumed() {
    for (answer, why) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "credentials"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refuses a tunnel to api.test:443 (403)"),
        ("HTTP/1.1 200 OK\r\n\r\nbytes of its own", "no HTTP proxy"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "no HTTP proxy"),
    ] {
        let proxy = Tunnels::start(1, answer).await;
        let url = "https://api.test/v1";
        let transport = transport(url, &format!("http://user:hunter2@127.0.0.1:{}", proxy.port));
        let error = ask(&transport, url).await.unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
        assert!(error.message.contains(why), "{error}");
        assert!(!error.message.contains("hunter2") && !error.message.contains("aHVudGVyMg"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_of_the_proxy_without_end_is_given_up() {
    let flood: &'static str = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(10_000)).leak();
    let proxy = Tunnels::start(1, flood).await;
    let url = "https://api.test/v1";
    let error = ask(&transport(url, &format!("127.0.0.1:{}", proxy.port)), url).await.unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    assert!(error.message.contains("has no end"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in ["https://api.test/v1", "http://api.test/v1"] {
        let error = ask(&transport(url, &format!("http://u:hunter2@{gone}")), url).await.unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
        assert!(error.message.contains(&format!("the proxy {gone}")), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}
