//! Fetching: what arrives, and everything that is refused.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::encrypted::{AUTHORITY, acceptor};
use crate::provider::{Provider, Reply};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio::time::timeout;
use weighbridge_transport::{Accept, BoxFuture, Fetch, FetchBounds, FetchError, Fetched, Post};
use weighbridge_upstream::{AddressPolicy, FetchOptions, GuardedFetch, Resolve, Tls};

const PATIENCE: Duration = Duration::from_secs(5);
const GIF: &str = "HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\ncontent-length: 8\r\n\r\nGIF89a##";

/// Answers for each name, in turn; the last one stays.
#[derive(Clone, Default)]
struct Names {
    answers: HashMap<&'static str, Vec<&'static [&'static str]>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn of(names: impl IntoIterator<Item = (&'static str, Vec<&'static [&'static str]>)>) -> Self {
        Self { answers: names.into_iter().collect(), asked: Arc::default() }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        if name == "slow.test" {
            return Box::pin(pending());
        }
        let mut asked = self.asked.lock().unwrap();
        let times = asked.iter().filter(|earlier| *earlier == name).count();
        asked.push(name.to_owned());
        let found = self.answers.get(name).map(|answers| {
            let answer = answers[times.min(answers.len() - 1)];
            answer.iter().map(|address| address.parse().unwrap()).collect()
        });
        Box::pin(async { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// Loopback's first address and the servers' ports, and nothing else that is not public.
fn options(servers: &[&Provider]) -> FetchOptions {
    FetchOptions {
        addresses: AddressPolicy::allowing(["127.0.0.1/32".parse().unwrap()]),
        ports: servers.iter().map(|server| server.port()).collect(),
        ..FetchOptions::default()
    }
}

fn bounds() -> FetchBounds {
    FetchBounds::of(64, PATIENCE, Accept::of(["image/gif", "image/png"]).unwrap())
}

async fn fetch_by(fetch: &GuardedFetch, url: &str, bounds: &FetchBounds) -> Result<Fetched, FetchError> {
    timeout(2 * PATIENCE, fetch.fetch(url, bounds)).await.unwrap()
}

/// Fetches from a server by its address.
async fn fetch(server: &Provider, path: &str) -> Result<Fetched, FetchError> {
    let fetch = GuardedFetch::resolving_by(options(&[server]), Names::default());
    fetch_by(&fetch, &server.url(path), &bounds()).await
}

async fn answer(reply: Reply) -> Result<Fetched, FetchError> {
    fetch(&Provider::start([reply]).await, "/a.gif").await
}

#[tokio::test]
async fn content_arrives_and_nobody_learns_who_asked() {
    let server = Provider::start([Reply::raw(GIF)]).await;
    let fetched = fetch(&server, "/a b.gif?sig=x%2By#top").await.unwrap();
    assert_eq!((fetched.media_type.as_str(), &fetched.bytes[..]), ("image/gif", &b"GIF89a##"[..]));
    let expected = format!(
        "GET /a%20b.gif?sig=x%2By HTTP/1.1\r\nhost: {}\r\nuser-agent: weighbridge/{}\r\naccept: image/gif, \
         image/png\r\naccept-encoding: identity\r\nconnection: close\r\n\r\n",
        server.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(server.requests(), [expected]);
    server.closed(1).await;
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_its_checked_address_is_called() {
    // A name that leads elsewhere when it is looked up a second time.
    let names = Names::of([("rebind.test", vec![&["127.0.0.1"][..], &["127.0.0.2"]])]);
    let server = Provider::start([Reply::raw(GIF), Reply::raw(GIF)]).await;
    let fetch = GuardedFetch::resolving_by(options(&[&server]), names.clone());
    let url = server.url("/").replace("127.0.0.1", "ReBind.test.");
    fetch_by(&fetch, &url, &bounds()).await.unwrap();
    assert_eq!(names.asked(), ["rebind.test"]);
    assert!(server.requests()[0].contains(&format!("host: rebind.test:{}\r\n", server.port())));
    let error = fetch_by(&fetch, &url, &bounds()).await.unwrap_err();
    assert_eq!(error, FetchError::Address { host: "rebind.test".into() });
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_with_one_refused_address_is_refused() {
    let lists: [&'static [&'static str]; 12] = [
        &["127.0.0.2"],
        &["127.0.0.1", "127.0.0.2"],
        &["127.0.0.1", "10.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
        &["127.0.0.1", "::1"],
        &["127.0.0.1", "::ffff:10.0.0.1"],
        &["127.0.0.1", "::7f00:1"],
        &["127.0.0.1", "64:ff9b::127.0.0.1"],
        &["127.0.0.1", "2002:7f00:1::"],
        &["127.0.0.1", "fe80::1"],
        &["0.0.0.0"],
        &[],
    ];
    let server = Provider::start([Reply::raw(GIF)]).await;
    for list in lists {
        let names = Names::of([("mixed.test", vec![list])]);
        let fetch = GuardedFetch::resolving_by(options(&[&server]), names);
        let url = server.url("/").replace("127.0.0.1", "mixed.test");
        let error = fetch_by(&fetch, &url, &bounds()).await.unwrap_err();
        assert_eq!(error, FetchError::Address { host: "mixed.test".into() }, "{list:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_private_name_cannot_be_told_from_one_that_is_not_there() {
    let names = Names::of([("inside.test", vec![&["10.0.0.1"][..]])]);
    let fetch = GuardedFetch::resolving_by(FetchOptions::default(), names);
    let inside = fetch_by(&fetch, "http://inside.test/", &bounds()).await.unwrap_err().to_string();
    let nowhere = fetch_by(&fetch, "http://nowhere.test/", &bounds()).await.unwrap_err().to_string();
    assert_eq!(inside.replace("inside", "nowhere"), nowhere);
}

#[tokio::test]
async fn by_default_this_machine_is_not_called_in_any_spelling() {
    let server = Provider::start([]).await;
    let ports = vec![server.port()];
    let names = Names::of([
        ("localhost", vec![&["127.0.0.1", "::1"][..]]),
        ("metadata.google.internal", vec![&["169.254.169.254"][..]]),
        ("127.0.0.1.nip.test", vec![&["127.0.0.1"][..]]),
    ]);
    let fetch = GuardedFetch::resolving_by(FetchOptions { ports, ..FetchOptions::default() }, names.clone());
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.255.255.254",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "metadata.google.internal",
        "127.0.0.1.nip.test",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[0:0:0:0:0:0:0:1]",
    ] {
        let url = format!("http://{host}:{}/", server.port());
        let error = fetch_by(&fetch, &url, &bounds()).await.unwrap_err();
        assert!(matches!(error, FetchError::Address { .. }), "{host}: {error}");
    }
    for host in [
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.1@e.test",
        "e.test@127.0.0.1",
        "[::1%25lo]",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "e.test\\@127.0.0.1",
    ] {
        let url = format!("http://{host}:{}/", server.port());
        let error = fetch_by(&fetch, &url, &bounds()).await.unwrap_err();
        assert!(matches!(error, FetchError::Url { .. }), "{host}: {error}");
    }
    assert_eq!(server.connections(), 0);
    assert!(names.asked().iter().all(|name| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.')
    }));
}

#[tokio::test]
async fn other_ports_are_not_called() {
    let server = Provider::start([]).await;
    let addresses = AddressPolicy::allowing(["127.0.0.1".parse().unwrap()]);
    let usual = GuardedFetch::new(FetchOptions { addresses, ..FetchOptions::default() });
    let error = fetch_by(&usual, &server.url("/"), &bounds()).await.unwrap_err();
    assert_eq!(error, FetchError::Port { port: server.port() });
    assert_eq!(server.connections(), 0);
}

fn moved(location: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_they_may_be() {
    let other = Provider::start([Reply::raw(GIF)]).await;
    let names = Names::of([("other.test", vec![&["127.0.0.1"][..]])]);
    let away = other.url("/z.gif?q").replace("127.0.0.1", "other.test");
    let server = Provider::start([moved("../x/y"), moved("?a=b"), moved(&away)]).await;
    let fetch = GuardedFetch::resolving_by(options(&[&server, &other]), names.clone());
    fetch_by(&fetch, &server.url("/a/b"), &bounds()).await.unwrap();
    let lines: Vec<String> = [server.requests(), other.requests()]
        .concat()
        .iter()
        .map(|request| request.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        lines,
        ["GET /a/b HTTP/1.1", "GET /x/y HTTP/1.1", "GET /x/y?a=b HTTP/1.1", "GET /z.gif?q HTTP/1.1"]
    );
    assert_eq!(names.asked(), ["other.test"]);
}

#[tokio::test]
async fn a_chain_without_an_end_ends() {
    for (redirects, requests) in [(0, 1), (2, 3)] {
        let server = Provider::start(std::iter::repeat_with(|| moved("/again")).take(10)).await;
        let fetch = GuardedFetch::resolving_by(options(&[&server]), Names::default());
        let bounds = FetchBounds { redirects, ..bounds() };
        let error = fetch_by(&fetch, &server.url("/"), &bounds).await.unwrap_err();
        assert_eq!(error, FetchError::TooManyRedirects { most: redirects });
        assert_eq!(server.requests().len(), requests);
    }
}

#[tokio::test]
async fn each_redirect_is_checked_like_the_first_url() {
    let trap = Provider::start([]).await;
    let server = Provider::start([]).await;
    let port = server.port();
    type Expected = fn(&FetchError) -> bool;
    let cases: [(String, Expected); 9] = [
        (format!("http://127.0.0.2:{port}/"), |error| matches!(error, FetchError::Address { .. })),
        (format!("http://[::ffff:169.254.169.254]:{port}/"), |error| {
            matches!(error, FetchError::Address { .. })
        }),
        (format!("http://inside.test:{port}/"), |error| matches!(error, FetchError::Address { .. })),
        (format!("//127.0.0.2:{port}/"), |error| matches!(error, FetchError::Address { .. })),
        (trap.url("/"), |error| matches!(error, FetchError::Port { .. })),
        ("file:///etc/passwd".into(), |error| matches!(error, FetchError::Url { .. })),
        ("gopher://127.0.0.1/".into(), |error| matches!(error, FetchError::Url { .. })),
        ("http://0x7f000001/".into(), |error| matches!(error, FetchError::Url { .. })),
        ("http://user:password@127.0.0.1/".into(), |error| matches!(error, FetchError::Url { .. })),
    ];
    for (location, is_expected) in cases {
        let server = Provider::start([moved(&location)]).await;
        let names = Names::of([("inside.test", vec![&["10.0.0.1"][..]])]);
        let mut options = options(&[&server]);
        options.ports.push(port);
        let fetch = GuardedFetch::resolving_by(options, names);
        let error = fetch_by(&fetch, &server.url("/"), &bounds()).await.unwrap_err();
        assert!(is_expected(&error), "{location}: {error}");
    }
    assert_eq!((trap.connections(), server.connections()), (0, 0));
}

#[tokio::test]
async fn other_statuses_are_no_content() {
    for head in [
        "404 Not Found",
        "500 Oops",
        "204 No Content",
        "206 Partial Content",
        "304 Not Modified",
        "302 Found",
        "401 Unauthorized\r\nwww-authenticate: basic",
        "300 Multiple Choices\r\nlocation: /x",
    ] {
        let error =
            answer(Reply::raw(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"))).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { .. }), "{head}: {error}");
        assert!(error.to_string().contains(&head[..3]), "{error}");
    }
}

#[tokio::test]
async fn content_is_bounded_however_it_comes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\n";
    let exactly = format!("{head}content-length: 64\r\n\r\nGIF89a{}", "#".repeat(58));
    assert_eq!(answer(Reply::raw(exactly)).await.unwrap().bytes.len(), 64);
    // Announced: nothing of it is waited for.
    let announced = Reply::raw(format!("{head}content-length: 65\r\n\r\n")).then_silence();
    assert_eq!(answer(announced).await, Err(FetchError::TooLarge { most: 64 }));
    // In pieces, and up to the end of the connection: no further than the bound.
    let piece = format!("20\r\n{}\r\n", "#".repeat(32));
    let pieces = format!("{head}transfer-encoding: chunked\r\n\r\n{}", piece.repeat(3));
    assert_eq!(answer(Reply::raw(pieces).then_silence()).await, Err(FetchError::TooLarge { most: 64 }));
    let endless = format!("{head}\r\nGIF89a{}", "#".repeat(1000));
    assert_eq!(answer(Reply::raw(endless).then_silence()).await, Err(FetchError::TooLarge { most: 64 }));
}

#[tokio::test]
async fn a_body_that_is_not_as_announced_is_broken() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\n";
    for framing in [
        "content-length: 20\r\n\r\nGIF89a",
        "transfer-encoding: chunked\r\n\r\n6\r\nGIF89a\r\n",
        "content-length: 6\r\ncontent-length: 7\r\n\r\nGIF89a#",
        "transfer-encoding: chunked\r\n\r\nzz\r\nGIF89a\r\n0\r\n\r\n",
    ] {
        let error = answer(Reply::raw(format!("{head}{framing}")).then_close()).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken { .. }), "{framing:?}: {error}");
    }
    // More than announced is not read.
    let longer = Reply::raw(format!("{head}content-length: 6\r\n\r\nGIF89a<script>"));
    assert_eq!(answer(longer).await.unwrap().bytes, "GIF89a");
}

#[tokio::test]
async fn what_is_compressed_is_not_read() {
    for encoding in [
        "content-encoding: gzip",
        "content-encoding: br",
        "content-encoding: identity, gzip",
        "content-encoding: identity\r\ncontent-encoding: zstd",
        "transfer-encoding: gzip, chunked",
    ] {
        let reply = Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\n{encoding}\r\n\r\n"));
        let error = answer(reply.then_silence()).await.unwrap_err();
        assert!(matches!(error, FetchError::Compressed { .. }), "{encoding}: {error}");
    }
    let plain = "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 6\r\n\r\nGIF89a";
    assert!(answer(Reply::raw(plain)).await.is_ok());
}

#[tokio::test]
async fn content_is_what_is_wanted_or_it_is_refused() {
    let reply = |kind: &str, content: &str| {
        let length = content.len();
        Reply::raw(format!("HTTP/1.1 200 OK\r\n{kind}content-length: {length}\r\n\r\n{content}"))
    };
    // Stores of files know no types, and some servers are wrong about theirs.
    for kind in [
        "",
        "content-type: binary/octet-stream\r\n",
        "content-type: image/png; q=1\r\n",
        "content-type: ?\r\n",
    ] {
        assert_eq!(answer(reply(kind, "GIF89a")).await.unwrap().media_type.as_str(), "image/gif", "{kind}");
    }
    let page = Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n");
    let error = answer(page.then_silence()).await.unwrap_err();
    assert!(matches!(error, FetchError::Unwanted { .. }), "{error}");
    let error = answer(reply("content-type: image/png\r\n", "<html></html>")).await.unwrap_err();
    assert!(matches!(error, FetchError::Miscalled(_)), "{error}");
    for kind in ["", "content-type: image/gif\r\n"] {
        let error = answer(reply(kind, "%PDF-1.7")).await.unwrap_err();
        assert!(matches!(error, FetchError::Unwanted { .. }), "{kind}: {error}");
    }
}

#[tokio::test]
async fn all_of_it_has_one_time_limit() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\ncontent-length: 9\r\n\r\nGIF";
    let time = Duration::from_millis(50);
    let bounds = FetchBounds { time, ..bounds() };
    for reply in [Reply::silence(), Reply::raw(head).then_silence()] {
        let server = Provider::start([moved("/next"), reply]).await;
        let fetch = GuardedFetch::resolving_by(options(&[&server]), Names::default());
        let error = fetch_by(&fetch, &server.url("/"), &bounds).await.unwrap_err();
        assert_eq!(error, FetchError::TimedOut { after: time });
        // Nothing is left behind.
        server.closed(2).await;
    }
    let fetch = GuardedFetch::resolving_by(FetchOptions::default(), Names::default());
    let error = fetch_by(&fetch, "https://slow.test/", &bounds).await.unwrap_err();
    assert_eq!(error, FetchError::TimedOut { after: time });
}

#[tokio::test]
async fn who_stops_waiting_ends_the_fetch() {
    let server = Provider::start([Reply::silence()]).await;
    let fetch = GuardedFetch::resolving_by(options(&[&server]), Names::default());
    let (url, bounds) = (server.url("/"), bounds());
    assert!(timeout(Duration::from_millis(50), fetch.fetch(&url, &bounds)).await.is_err());
    server.closed(1).await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let line = format!("x-flood: {}\r\n", "a".repeat(1000));
    let endless = format!("HTTP/1.1 200 OK\r\n{}", line.repeat(10_000));
    for flood in [endless, format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(200)), "SSH-2.0\r\n\r\n".into()]
    {
        let error = answer(Reply::raw(flood)).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_error_names_the_host_and_nothing_else_of_the_url() {
    let server = Provider::start([Reply::raw("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")]).await;
    let error = fetch(&server, "/hunter2?signature=hunter2").await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn encrypted_servers_prove_their_name_and_do_not_send_elsewhere_in_the_clear() {
    let plain = Provider::start([Reply::raw(GIF)]).await;
    let downgrade = moved(&plain.url("/a.gif"));
    let server = Provider::start_tls([Reply::raw(GIF), downgrade], acceptor()).await;
    let names = ["localhost", "impostor.test"].map(|name| (name, vec![&["127.0.0.1"][..]]));
    let tls = Tls::with_extra_roots(AUTHORITY).unwrap();
    let options = FetchOptions { tls, ..options(&[&server, &plain]) };
    let fetch = GuardedFetch::resolving_by(options, Names::of(names));
    let url = |host: &str| format!("https://{host}:{}/a.gif", server.port());

    let error = fetch_by(&fetch, &url("impostor.test"), &bounds()).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken { .. }), "{error}");
    assert!(server.requests().is_empty());
    assert_eq!(fetch_by(&fetch, &url("localhost"), &bounds()).await.unwrap().bytes, "GIF89a##");
    let error = fetch_by(&fetch, &url("127.0.0.1"), &bounds()).await.unwrap_err();
    assert_eq!(error, FetchError::Downgrade { host: "127.0.0.1".into() });
    assert_eq!(plain.connections(), 0);
}

async fn post_by(fetch: &GuardedFetch, url: &str) -> Result<u16, FetchError> {
    let signed = vec![(HeaderName::from_static("webhook-id"), HeaderValue::from_static("alert_1"))];
    let posted = fetch.post(url, signed, Bytes::from_static(b"{}"), PATIENCE);
    Ok(timeout(2 * PATIENCE, posted).await.unwrap()?.as_u16())
}

#[tokio::test]
async fn what_is_posted_arrives_once_whatever_is_answered() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let taken = "HTTP/1.1 204 No Content\r\n\r\n";
    let server = Provider::start([Reply::raw(taken), Reply::raw(moved)]).await;
    let fetch = GuardedFetch::resolving_by(options(&[&server]), Names::default());
    assert_eq!(post_by(&fetch, &server.url("/hook?token=x")).await, Ok(204));
    assert_eq!(post_by(&fetch, &server.url("/hook")).await, Ok(302), "no redirect is followed");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for line in
        ["POST /hook?token=x HTTP/1.1\r\n", "\r\nwebhook-id: alert_1\r\n", "\r\ncontent-length: 2\r\n"]
    {
        assert!(requests[0].contains(line), "{}", requests[0]);
    }
    server.closed(2).await;
}

#[tokio::test]
async fn nothing_is_posted_to_an_address_that_is_not_public() {
    let server = Provider::start([Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")]).await;
    let private = FetchOptions { addresses: AddressPolicy::public_only(), ..options(&[&server]) };
    let names = Names::of([("inside.test", vec![&["10.0.0.1", "127.0.0.1"][..]])]);
    let fetch = GuardedFetch::resolving_by(private, names);
    for url in [server.url("/hook"), server.url("/hook").replace("127.0.0.1", "inside.test")] {
        assert!(matches!(post_by(&fetch, &url).await, Err(FetchError::Address { .. })), "{url}");
    }
    assert_eq!(server.connections(), 0);
}
