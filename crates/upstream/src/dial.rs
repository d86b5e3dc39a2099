//! Making a TCP connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address is tried alone before the next one joins the race
/// (<https://www.rfc-editor.org/rfc/rfc8305#section-5>).
const HEAD_START: Duration = Duration::from_millis(250);

/// After so much silence the other side is asked whether it is still there, and then so often.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// Connects to the first of these addresses that answers, without Nagle's delay.
pub(crate) async fn dial_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let stream = race(alternating(addresses.into_iter())).await?;
    // Nagle's algorithm against delayed acknowledgement costs 40 ms where a request takes two writes.
    stream.set_nodelay(true)?;
    // A firewall that has forgotten a silent connection does not say so.
    let keep_alive = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    Ok(stream)
}

/// Tries the addresses one after another with overlap; the losers are dropped.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut racing = JoinSet::new();
    for address in addresses {
        racing.spawn(TcpStream::connect(address));
        // An elapsed head start leaves the attempt in the race.
        match timeout(HEAD_START, racing.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last_error = error,
            _ => {}
        }
    }
    while let Some(finished) = racing.join_next().await {
        match finished {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last_error = error,
            Err(panicked) => last_error = panicked.into(),
        }
    }
    Err(last_error)
}

/// The addresses with the two families by turns, in the resolver's order otherwise: where one
/// family leads nowhere, the other one is tried second, not last.
fn alternating(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.collect();
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut mixed = Vec::with_capacity(ours.len() + others.len());
    loop {
        let before = mixed.len();
        mixed.extend(ours.next());
        mixed.extend(others.next());
        if mixed.len() == before {
            return mixed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn families_alternate() {
        let listed = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"].map(|text| text.parse().unwrap());
        let mixed: Vec<_> = alternating(listed.into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(mixed, ["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let living = listener.local_addr().unwrap();
        assert_eq!(race(vec![dead, living]).await.unwrap().peer_addr().unwrap(), living);
        assert_eq!(race(vec![dead]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn connections_do_not_wait_to_fill_packets() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial_any(vec![listener.local_addr().unwrap()]).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}
