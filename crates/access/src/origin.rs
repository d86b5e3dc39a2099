use std::net::{IpAddr, SocketAddr};

use crate::Cidr;

/// Where a request comes from, as far as the gateway can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOrigin<'a> {
    /// The client's address, as [`client_ip`] finds it.
    pub ip: IpAddr,
    /// The `referer` header, if there is one.
    pub referrer: Option<&'a str>,
}

/// The address that a request comes from.
///
/// `peer` is the other end of the connection and `forwarded` the values of all `x-forwarded-for`
/// headers in their order. Anybody may send such a header; so it counts only where the peer is a
/// trusted proxy, and from the right only as far as trusted proxies wrote it: the right-most hop that
/// is not trusted is the client. A hop that is no address ends the walk at the proxy that wrote it.
///
/// ```
/// use weighbridge_access::client_ip;
///
/// let proxies = ["10.0.0.0/8".parse()?];
/// let peer = "10.0.0.1".parse()?;
/// let claimed = ["192.0.2.66, 203.0.113.9, 10.0.0.2"];
/// assert_eq!(client_ip(peer, claimed, &proxies).to_string(), "203.0.113.9");
/// assert_eq!(client_ip(peer, claimed, &[]), peer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn client_ip<'a, I>(peer: IpAddr, forwarded: I, trusted_proxies: &[Cidr]) -> IpAddr
where
    I: IntoIterator<Item = &'a str, IntoIter: DoubleEndedIterator>,
{
    let trusted = |ip: IpAddr| trusted_proxies.iter().any(|range| range.contains(ip));
    let mut current = peer.to_canonical();
    if !trusted(current) {
        return current;
    }
    for hop in forwarded.into_iter().rev().flat_map(|value| value.rsplit(',')) {
        let Some(ip) = hop_address(hop.trim()) else { return current };
        current = ip.to_canonical();
        if !trusted(current) {
            return current;
        }
    }
    current
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<Cidr> = trusted.iter().map(|range| range.parse().unwrap()).collect();
        client_ip(ip(peer), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn an_untrusted_peer_cannot_speak_for_others() {
        assert_eq!(seen("203.0.113.9", &["10.0.0.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_hop_counts() {
        let proxies = &["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 2.2.2.2, 10.0.0.9"], proxies), "2.2.2.2");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "2.2.2.2", "10.0.0.9"], proxies), "2.2.2.2");
        assert_eq!(seen("::ffff:10.0.0.1", &["2.2.2.2"], proxies), "2.2.2.2");
        assert_eq!(seen("2001:db8::1", &["[2001:dead::1]:443"], proxies), "2001:dead::1");
        assert_eq!(seen("10.0.0.1", &["[2001:dead::1]"], proxies), "2001:dead::1");
        assert_eq!(seen("10.0.0.1", &["2.2.2.2:8080"], proxies), "2.2.2.2");
    }

    #[test]
    fn without_a_usable_hop_the_proxy_is_the_client() {
        assert_eq!(seen("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[""], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, unknown"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["10.0.0.7, 10.0.0.8"], &["10.0.0.0/8"]), "10.0.0.7");
    }

    proptest! {
        /// Whatever a client writes to the left of what the proxy appends changes nothing.
        #[test]
        fn forged_hops_change_nothing(forged in proptest::collection::vec("[0-9a-f.:, ]{0,30}", 0..4)) {
            let proxies = ["10.0.0.0/8".parse().unwrap()];
            let mut values: Vec<&str> = forged.iter().map(String::as_str).collect();
            values.push("203.0.113.9");
            prop_assert_eq!(client_ip(ip("10.0.0.1"), values, &proxies), ip("203.0.113.9"));
        }
    }
}
