//! HTTP/2: who speaks it, sharing, cancelling, and what a failure says about the request.

use std::time::Duration;

use crate::encrypted::{AUTHORITY, acceptor_of};
use crate::framed::{
    Framed, PING, Reply, SETTINGS, WINDOW_UPDATE, data, end, go_away, head, reply, reset, whole,
};
use crate::provider::{Provider, Reply as Http1};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::timeout;
use weighbridge_transport::{ByteStream, Consumed, Phase, Rope, Transport, TransportError};
use weighbridge_upstream::{
    AllowedOrigins, HttpTransport, HttpVersion, OriginOptions, Tls, TransportOptions,
};

const PATIENCE: Duration = Duration::from_secs(5);
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

fn transport(url: &str, http: HttpVersion, options: TransportOptions) -> HttpTransport {
    let tls = Some(Tls::with_extra_roots(AUTHORITY).unwrap());
    let origin = OriginOptions { http, tls, proxy: None };
    HttpTransport::new(AllowedOrigins::with([(url, origin)]).unwrap(), options)
}

/// In the clear, with prior knowledge.
fn transport_to(server: &Framed) -> HttpTransport {
    transport(&server.url(), HttpVersion::Http2, TransportOptions::default())
}

async fn send_to(transport: &HttpTransport, url: &str) -> Result<http::Response<ByteStream>, TransportError> {
    let body = Rope::from_iter([Bytes::from_static(b"{\"model\":"), Bytes::from_static(b"\"m\"}")]);
    let request = Request::post(url).body(body).unwrap();
    timeout(PATIENCE, transport.send(request, PATIENCE)).await.unwrap()
}

async fn send(
    transport: &HttpTransport,
    server: &Framed,
) -> Result<http::Response<ByteStream>, TransportError> {
    send_to(transport, &server.url()).await
}

async fn text(response: http::Response<ByteStream>) -> Result<String, TransportError> {
    let body = timeout(PATIENCE, response.into_body().collect()).await.unwrap()?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

fn answers(texts: &[&'static str]) -> Vec<Reply> {
    texts.iter().copied().map(|text| reply(move |stream| whole(stream, text))).collect()
}

#[tokio::test]
async fn the_server_chooses_the_version_unless_one_is_configured() {
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (offered, wanted, spoken) in [
        (both, HttpVersion::Auto, Some(Version::HTTP_2)),
        (both, HttpVersion::Http2, Some(Version::HTTP_2)),
        (&both[1..], HttpVersion::Auto, Some(Version::HTTP_11)),
        (&[], HttpVersion::Auto, Some(Version::HTTP_11)),
        (both, HttpVersion::Http1, Some(Version::HTTP_11)),
        (&both[1..], HttpVersion::Http2, None),
        (&[], HttpVersion::Http2, None),
    ] {
        let tls = acceptor_of(offered);
        let (framed, provider);
        let port = if spoken == Some(Version::HTTP_2) {
            framed = Framed::start_with(answers(&["ok"]), Some(tls), Vec::new()).await;
            framed.port()
        } else {
            provider = Provider::start_tls([Http1::ok("ok")], tls).await;
            provider.port()
        };
        let url = format!("https://localhost:{port}/v1");
        let answer = send_to(&transport(&url, wanted, TransportOptions::default()), &url).await;
        match (answer, spoken) {
            (Ok(answer), Some(version)) => {
                assert_eq!(answer.version(), version, "{offered:?} {wanted:?}");
                assert_eq!(text(answer).await.unwrap(), "ok");
            }
            (Err(error), None) => {
                assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
            }
            (answer, _) => panic!("{offered:?} {wanted:?}: {:?}", answer.map(|answer| answer.version())),
        }
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_connection_from_the_first() {
    for tls in [None, Some(acceptor_of(&[b"h2"]))] {
        let is_tls = tls.is_some();
        let server = Framed::start_with(answers(&["ok"; 50]), tls, Vec::new()).await;
        let url = if is_tls { format!("https://localhost:{}/v1", server.port()) } else { server.url() };
        let http = if is_tls { HttpVersion::Auto } else { HttpVersion::Http2 };
        let transport = std::sync::Arc::new(transport(&url, http, TransportOptions::default()));
        let mut sending = JoinSet::new();
        for _ in 0..50 {
            let (transport, url) = (transport.clone(), url.clone());
            sending.spawn(async move { text(send_to(&transport, &url).await.unwrap()).await.unwrap() });
        }
        assert_eq!(sending.join_all().await, ["ok"; 50]);
        assert_eq!(server.connections(), 1);
        assert_eq!(server.requests()[49], (1, "{\"model\":\"m\"}".to_owned()));
    }
}

#[tokio::test]
async fn who_waits_for_the_same_connection_shares_its_failure() {
    let server = Framed::start([]).await;
    let url = server.url().replace("http:", "https:");
    let transport = std::sync::Arc::new(transport(&url, HttpVersion::Auto, TransportOptions::default()));
    // It speaks no TLS.
    let mut sending = JoinSet::new();
    for _ in 0..50 {
        let (transport, url) = (transport.clone(), url.clone());
        sending.spawn(async move { send_to(&transport, &url).await.map(|_| ()).unwrap_err() });
    }
    for error in sending.join_all().await {
        assert_eq!((error.phase, error.consumed), (Phase::Connect, Consumed::No), "{error}");
    }
    assert!(server.connections() <= 2, "{} connections", server.connections());
}

#[tokio::test]
async fn a_server_that_allows_fewer_streams_gets_more_connections() {
    // SETTINGS_MAX_CONCURRENT_STREAMS = 1.
    let settings = vec![0, 3, 0, 0, 0, 1];
    let begun: Reply = reply(|stream| [head(stream, &[]), data(stream, "begun")].concat());
    let script = answers(&["first"]).into_iter().chain([begun]).chain(answers(&["third"]));
    let server = Framed::start_with(script, None, settings).await;
    let transport = transport_to(&server);
    text(send(&transport, &server).await.unwrap()).await.unwrap();
    let open = send(&transport, &server).await.unwrap();
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "third");
    assert_eq!(server.requests().iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [1, 1, 2]);
    drop(open);
}

#[tokio::test]
async fn a_request_that_a_leaving_server_has_not_seen_goes_to_another_connection() {
    let unseen = reply(|_| go_away(1));
    let script = answers(&["one"]).into_iter().chain([unseen]).chain(answers(&["two"]));
    let server = Framed::start(script).await;
    let transport = transport_to(&server);
    for expected in ["one", "two"] {
        assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), expected);
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_leaves_at_once_is_not_asked_for_ever() {
    let server = Framed::start((0..20).map(|_| reply(|_| go_away(0)))).await;
    let error = send(&transport_to(&server), &server).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::No), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_leaving_server_finishes_what_it_has_begun() {
    let leaving = reply(|stream| [head(stream, &[]), data(stream, "be"), go_away(stream)].concat());
    // On the second connection it learns that the first answer may end.
    let server = Framed::start([leaving, reply(|stream| whole(stream, "next"))]).await;
    let transport = transport_to(&server);
    let mut begun = send(&transport, &server).await.unwrap().into_body();
    assert_eq!(begun.frame().await.unwrap().unwrap().into_data().unwrap(), "be");
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "next");
    assert_eq!(server.connections(), 2);
    // The first stream is still open, not broken.
    assert!(timeout(Duration::from_millis(50), begun.frame()).await.is_err());
}

#[tokio::test]
async fn what_a_reset_says_about_the_request() {
    for (reason, consumed) in
        [(REFUSED_STREAM, Consumed::No), (INTERNAL_ERROR, Consumed::Maybe), (CANCEL, Consumed::Maybe)]
    {
        let server = Framed::start([reply(move |stream| reset(stream, reason))]).await;
        let transport = transport_to(&server);
        let error = send(&transport, &server).await.map(|_| ()).unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Head, consumed), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_may_have_consumed_the_request() {
    let server = Framed::start([Box::new(|_| None) as Reply]).await;
    let error = send(&transport_to(&server), &server).await.map(|_| ()).unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::Maybe), "{error}");
}

#[tokio::test]
async fn a_cut_body_is_an_error_however_it_was_cut() {
    for reason in [NO_ERROR, INTERNAL_ERROR, CANCEL] {
        let cut = move |stream| [head(stream, &[]), data(stream, "half"), reset(stream, reason)].concat();
        let server = Framed::start([reply(cut)]).await;
        let error = text(send(&transport_to(&server), &server).await.unwrap()).await.unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Body, Consumed::Maybe), "{reason}: {error}");
    }
    // The connection ends under the answer.
    let begun = reply(|stream| [head(stream, &[]), data(stream, "half")].concat());
    let server = Framed::start([begun, Box::new(|_| None) as Reply]).await;
    let transport = transport_to(&server);
    let first = send(&transport, &server).await.unwrap();
    assert!(send(&transport, &server).await.is_err());
    let error = text(first).await.unwrap_err();
    assert_eq!((error.phase, error.consumed), (Phase::Body, Consumed::Maybe), "{error}");
}

#[tokio::test]
async fn who_needs_no_more_of_the_request_may_say_so_after_the_answer() {
    let early = |stream| {
        [head(stream, &[("content-length", "4")]), data(stream, "done"), reset(stream, NO_ERROR)].concat()
    };
    let server = Framed::start([reply(early)]).await;
    assert_eq!(text(send(&transport_to(&server), &server).await.unwrap()).await.unwrap(), "done");
}

#[tokio::test]
async fn who_stops_waiting_resets_the_stream_and_keeps_the_connection() {
    let begun = reply(|stream| [head(stream, &[]), data(stream, "first")].concat());
    let silence = reply(|_| Vec::new());
    let server = Framed::start([silence, begun].into_iter().chain(answers(&["third"]))).await;
    let transport = transport_to(&server);
    let request = Request::get(server.url()).body(Rope::new()).unwrap();
    assert!(timeout(Duration::from_millis(50), transport.send(request, PATIENCE)).await.is_err());
    assert_eq!(server.was_reset(1).await, CANCEL);

    let mut body = send(&transport, &server).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    drop(body);
    assert_eq!(server.was_reset(3).await, CANCEL);

    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "third");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_nobody_reads_is_not_asked_for() {
    let full = "x".repeat(16 * 1024);
    let filled = move |stream| {
        let mut bytes = head(stream, &[]);
        (0..16).for_each(|_| bytes.extend(data(stream, &full)));
        bytes
    };
    let server = Framed::start([reply(filled)].into_iter().chain(answers(&["other"]))).await;
    let transport = transport_to(&server);
    let mut unread = send(&transport, &server).await.unwrap().into_body();
    // SETTINGS_INITIAL_WINDOW_SIZE: all of it is used up.
    let settings = server.came(SETTINGS, 0).await;
    assert!(settings.chunks(6).any(|setting| setting == [0, 4, 0, 4, 0, 0]), "{settings:?}");
    // Another answer passes by the unread one, which asked for nothing more.
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "other");
    assert!(server.frames(WINDOW_UPDATE, 1).is_empty());
    let mut read = 0;
    while read < 256 * 1024 {
        read += timeout(PATIENCE, unread.frame()).await.unwrap().unwrap().unwrap().into_data().unwrap().len();
    }
    server.came(WINDOW_UPDATE, 1).await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let many = |stream| [head(stream, &[("x", "y"); 101]), end(stream)].concat();
    let long: &'static str = "a".repeat(120).leak();
    let large = move |stream| [head(stream, &[("x", long); 90]), end(stream)].concat();
    let options = TransportOptions { head_bytes: 8 * 1024, ..TransportOptions::default() };
    for flood in [reply(many), reply(large)] {
        let server = Framed::start([flood]).await;
        let transport = transport(&server.url(), HttpVersion::Http2, options.clone());
        let error = send(&transport, &server).await.map(|_| ()).unwrap_err();
        assert_eq!((error.phase, error.consumed), (Phase::Head, Consumed::Maybe), "{error}");
    }
}

#[tokio::test]
async fn old_connections_take_no_more_requests_and_finish_what_they_have() {
    let begun = reply(|stream| [head(stream, &[]), data(stream, "begun")].concat());
    let server = Framed::start([begun].into_iter().chain(answers(&["next"]))).await;
    let options = TransportOptions { max_age: Duration::from_millis(20), ..TransportOptions::default() };
    let transport = transport(&server.url(), HttpVersion::Http2, options);
    let mut old = send(&transport, &server).await.unwrap().into_body();
    assert_eq!(old.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "next");
    assert_eq!(server.connections(), 2);
    assert!(timeout(Duration::from_millis(50), old.frame()).await.is_err(), "it goes on");
}

#[tokio::test]
async fn only_connections_without_a_stream_are_idle() {
    let begun = reply(|stream| [head(stream, &[]), data(stream, "begun")].concat());
    let server = Framed::start([begun].into_iter().chain(answers(&["same", "new"]))).await;
    let options =
        TransportOptions { idle_timeout: Duration::from_millis(100), ..TransportOptions::default() };
    let transport = transport(&server.url(), HttpVersion::Http2, options);
    let open = send(&transport, &server).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "same");
    drop(open);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "new");
    assert_eq!(server.requests().iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [1, 1, 2]);
}

#[tokio::test]
async fn who_leaves_before_all_was_sent_resets_the_stream() {
    // It gives no room for more than the 64 KiB that there are at first.
    let server = Framed::start([]).await;
    let transport = transport_to(&server);
    let body = Rope::from(Bytes::from(vec![b'x'; 200_000]));
    let request = Request::post(server.url()).body(body).unwrap();
    assert!(timeout(Duration::from_millis(50), transport.send(request, PATIENCE)).await.is_err());
    assert_eq!(server.was_reset(1).await, CANCEL);
    assert!(server.requests().is_empty());
}

/// Pings as often as tests have patience for. Whoever is there has time enough to answer.
fn pinging(server: &Framed, ping_timeout: Duration) -> HttpTransport {
    let ping_every = Duration::from_millis(20);
    let options = TransportOptions { ping_every, ping_timeout, ..TransportOptions::default() };
    transport(&server.url(), HttpVersion::Http2, options)
}

#[tokio::test]
async fn a_server_that_answers_pings_may_take_its_time() {
    let begun = reply(|stream| [head(stream, &[]), data(stream, "begun")].concat());
    let server = Framed::start([reply(|_| Vec::new()), begun]).await;
    let transport = pinging(&server, PATIENCE);
    let request = Request::get(server.url()).body(Rope::new()).unwrap();
    let waiting = transport.send(request, PATIENCE);
    let pinged = async {
        // Each is sent when the one before has been answered.
        while server.frames(PING, 0).len() < 5 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        answer = waiting => panic!("it was given up: {:?}", answer.map(|_| ())),
        () = pinged => {}
    }
    let mut body = send(&transport, &server).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_found_out_before_and_within_an_answer() {
    for is_begun in [false, true] {
        let answer = move |stream| match is_begun {
            true => [head(stream, &[]), data(stream, "half")].concat(),
            false => Vec::new(),
        };
        let server = Framed::start([reply(answer)]).await;
        let transport = pinging(&server, Duration::from_millis(500));
        let request = Request::get(server.url()).body(Rope::new()).unwrap();
        let sending = transport.send(request, PATIENCE);
        tokio::pin!(sending);
        let error = if is_begun {
            let mut body = sending.await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
            server.vanish();
            timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap_err()
        } else {
            tokio::select! {
                answer = &mut sending => panic!("too early: {:?}", answer.map(|_| ())),
                () = server.was_asked(1) => server.vanish(),
            }
            timeout(PATIENCE, sending).await.unwrap().map(|_| ()).unwrap_err()
        };
        let phase = if is_begun { Phase::Body } else { Phase::Head };
        assert_eq!((error.phase, error.consumed), (phase, Consumed::Maybe), "{error}");
        assert!(!server.frames(PING, 0).is_empty());
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_found_out_while_nobody_asks_anything() {
    let server = Framed::start(answers(&["one", "two"])).await;
    let transport = pinging(&server, Duration::from_millis(500));
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "one");
    server.vanish();
    server.was_closed(1).await;
    // The next request does not learn of it.
    assert_eq!(text(send(&transport, &server).await.unwrap()).await.unwrap(), "two");
    assert_eq!(server.requests().iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [1, 2]);
}
