//! Proxies that the environment names, by the conventions of curl
//! (<https://curl.se/docs/manpage.html#ENVIRONMENT>).

use std::net::IpAddr;

use crate::{Origin, Proxy, UpstreamError};

/// What the environment says of proxies. It is read once, by whoever has the environment.
#[derive(Debug, Clone, Default)]
pub struct ProxyEnvironment {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Exceptions,
}

impl ProxyEnvironment {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; the names in lower case win, and empty
    /// ones count as absent.
    ///
    /// Unlike curl, it reads `HTTP_PROXY` in upper case too: that is dangerous to CGI programs only, whose
    /// clients choose variables that begin with `HTTP_`.
    ///
    /// # Errors
    /// [`UpstreamError::Proxy`] with the variable that cannot be used.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, (&'static str, UpstreamError)> {
        let said = |names: &[&'static str]| {
            names.iter().find_map(|name| Some((*name, variable(name).filter(|text| !text.is_empty())?)))
        };
        let proxy = |names: &[&'static str]| {
            said(names).map(|(name, text)| text.trim().parse().map_err(|error| (name, error))).transpose()
        };
        Ok(Self {
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            http: proxy(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            exceptions: said(&["no_proxy", "NO_PROXY"])
                .map_or_else(Exceptions::default, |(_, text)| Exceptions::of(&text)),
        })
    }

    /// The proxy on the way to `origin`. There is none to this machine itself, whatever the environment says.
    pub fn proxy_to(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.is_tls() { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = origin.host().trim_end_matches('.').to_ascii_lowercase();
        let is_local = host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        (!is_local && !self.exceptions.cover(&host, origin.port())).then_some(proxy)
    }
}

/// Which proxy is on the way.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    /// None.
    #[default]
    None,
    /// This one, wherever the way leads.
    Always(Proxy),
    /// The one that the environment names, as it does for each address.
    Environment(ProxyEnvironment),
}

impl ProxyChoice {
    /// The proxy on the way to `origin`; `None` where there is none.
    pub fn on_the_way_to(&self, origin: &Origin) -> Option<&Proxy> {
        match self {
            Self::None => None,
            Self::Always(proxy) => Some(proxy),
            Self::Environment(environment) => environment.proxy_to(origin),
        }
    }
}

/// What is connected to directly: `NO_PROXY`.
#[derive(Debug, Clone, Default)]
struct Exceptions {
    all: bool,
    entries: Vec<(Host, Option<u16>)>,
}

#[derive(Debug, Clone)]
enum Host {
    /// A name, and all names below it; in lower case, without dots at its ends.
    Name(String),
    /// A range of addresses.
    Range { base: IpAddr, prefix: u32 },
}

impl Exceptions {
    /// Entries between commas or spaces: names, with or without a leading dot, addresses, ranges such as
    /// `10.0.0.0/8`, each perhaps with a port; `*` covers everything. What cannot be read is passed over.
    fn of(text: &str) -> Self {
        let entries = text.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        let all = entries.clone().any(|entry| entry == "*");
        Self { all, entries: entries.filter_map(entry).collect() }
    }

    fn cover(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let covers = |(entry, only): &(Host, Option<u16>)| {
            only.is_none_or(|only| only == port)
                && match (entry, address) {
                    (Host::Range { base, prefix }, Some(address)) => in_range(address, *base, *prefix),
                    (Host::Name(name), None) => is_below(host, name),
                    _ => false,
                }
        };
        self.all || self.entries.iter().any(covers)
    }
}

fn entry(text: &str) -> Option<(Host, Option<u16>)> {
    if let Some(range) = range(text) {
        return Some((range, None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = range(bare).or_else(|| {
        let name = host.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        (!name.is_empty() && !name.contains(['/', '*', '[', ':'])).then_some(Host::Name(name))
    })?;
    Some((host, port))
}

fn range(text: &str) -> Option<Host> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let base: IpAddr = address.parse().ok()?;
    let most = if base.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(most);
    (prefix <= most).then(|| match base.to_canonical() {
        // A mapped address is the address.
        canonical @ IpAddr::V4(_) if most == 128 => {
            Host::Range { base: canonical, prefix: prefix.saturating_sub(96) }
        }
        base => Host::Range { base, prefix },
    })
}

fn in_range(address: IpAddr, base: IpAddr, prefix: u32) -> bool {
    // All but the last `width - prefix` bits are the same.
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            let differing = u64::from(address.to_bits() ^ base.to_bits());
            differing >> (32 - prefix.min(32)) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            (address.to_bits() ^ base.to_bits()).checked_shr(128 - prefix.min(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn is_below(host: &str, name: &str) -> bool {
    let Some(at) = host.len().checked_sub(name.len()) else { return false };
    let (above, end) = host.as_bytes().split_at(at);
    end.eq_ignore_ascii_case(name.as_bytes()) && (above.is_empty() || above.ends_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let environment = ProxyEnvironment::read(variable).unwrap();
        environment.proxy_to(&Origin::of(&url.parse().unwrap()).unwrap()).map(Proxy::host).map(str::to_owned)
    }

    #[test]
    fn the_scheme_chooses_and_lower_case_wins() {
        let both =
            [("https_proxy", "http://s.test:1"), ("HTTPS_PROXY", "x.test:1"), ("HTTP_PROXY", "p.test:1")];
        assert_eq!(through(&both, "https://api.example.com").as_deref(), Some("s.test"));
        assert_eq!(through(&both, "http://api.example.com").as_deref(), Some("p.test"));
        let all = [("HTTPS_PROXY", ""), ("ALL_PROXY", "a.test:1"), ("http_proxy", "p.test:1")];
        assert_eq!(through(&all, "https://api.example.com").as_deref(), Some("a.test"));
        assert_eq!(through(&all, "http://api.example.com").as_deref(), Some("p.test"));
        assert_eq!(through(&[], "https://api.example.com"), None);
    }

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        for url in [
            "http://localhost:1",
            "http://a.localhost",
            "https://127.0.0.9",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert_eq!(through(&[("ALL_PROXY", "p.test:1")], url), None, "{url}");
        }
    }

    #[test]
    fn an_unusable_variable_is_named() {
        let variable = |name: &str| (name == "ALL_PROXY").then(|| "socks5://u:hunter2@p.test".to_owned());
        let (name, error) = ProxyEnvironment::read(variable).unwrap_err();
        assert_eq!(name, "ALL_PROXY");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn exceptions_cover_what_curls_do() {
        for (list, url, is_direct) in [
            ("example.com", "https://example.com", true),
            ("example.com", "https://API.Example.com", true),
            ("example.com", "https://example.com.", true),
            (".example.com", "https://example.com", true),
            (".example.com.", "https://api.example.com", true),
            ("*.example.com", "https://api.example.com", true),
            ("example.com", "https://notexample.com", false),
            ("api.example.com", "https://example.com", false),
            ("other.test, example.com", "https://example.com", true),
            ("other.test example.com", "https://example.com", true),
            ("*", "https://example.com", true),
            ("example.com:443", "https://example.com", true),
            ("example.com:8443", "https://example.com", false),
            ("10.0.0.0/8", "https://10.255.0.1", true),
            ("10.0.0.0/8", "https://11.0.0.1", false),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("10.1.2.3:444", "https://10.1.2.3", false),
            ("2001:db8::/32", "https://[2001:db8:1::1]", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
            ("2001:db8::1", "https://[2001:db8::2]", false),
            ("::ffff:10.0.0.0/104", "https://10.9.9.9", true),
            ("0.0.0.0/0", "https://192.0.2.1", true),
            ("::/0", "https://[2001:db8::1]", true),
            // A name is no address, whatever it looks like, and the other way round.
            ("0.1", "https://10.0.0.1", false),
            ("10.0.0.0/33, ,,:, :80, a:b", "https://10.0.0.1", false),
            ("", "https://example.com", false),
        ] {
            let proxy = through(&[("ALL_PROXY", "p.test:1"), ("no_proxy", list)], url);
            assert_eq!(proxy.is_none(), is_direct, "{list}: {url}");
        }
    }

    proptest! {
        #[test]
        fn no_list_is_a_panic_and_every_host_covers_itself(text in "\\PC{0,40}", host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,3}", port in 1_u16..) {
            Exceptions::of(&text).cover(&host, port);
            let with_host = format!("{text},{host}");
            prop_assert!(Exceptions::of(&with_host).cover(&host, port));
            let below = format!("a.{host}");
            prop_assert!(Exceptions::of(&host).cover(&below, port));
        }

        #[test]
        fn a_range_covers_what_shares_its_prefix(base: u32, address: u32, prefix in 0_u32..=32) {
            let list = format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(base));
            let host = std::net::Ipv4Addr::from_bits(address).to_string();
            let same = (0..prefix).all(|bit| (base ^ address) & (1 << (31 - bit)) == 0);
            prop_assert_eq!(Exceptions::of(&list).cover(&host, 1), same);
        }
    }
}
