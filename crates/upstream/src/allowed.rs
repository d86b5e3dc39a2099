//! Which origins may be called, and how they are connected to.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use http::Uri;

use crate::{Origin, Proxy, Tls, UpstreamError};

/// Which version of HTTP an origin is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where the server offers it in the TLS handshake, else HTTP/1.1. In the clear always HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; in the clear with prior knowledge
    /// (<https://www.rfc-editor.org/rfc/rfc9113#section-3.3>).
    Http2,
}

impl HttpVersion {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Http1, Self::Http2];

    /// The name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// How an origin is connected to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OriginOptions {
    /// The version of HTTP.
    pub http: HttpVersion,
    /// Whom encrypted connections trust, and as whom they present themselves; `None` for what the transport
    /// says for all.
    pub tls: Option<Tls>,
    /// The proxy on the way; `None` for none.
    pub proxy: Option<Proxy>,
}

/// What a request has to know of its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// A number that no other origin has, nor this one after its options have changed.
    pub(crate) peer: u32,
    /// Whether connections may be shared: HTTP/2 is spoken, or may be.
    pub(crate) may_share: bool,
    /// Whether requests, not connections, go through a proxy.
    pub(crate) is_forwarded: bool,
}

struct Peer {
    origin: Origin,
    manner: Manner,
    options: Arc<OriginOptions>,
}

#[derive(Default)]
struct Peers {
    /// Searched one by one: there are a handful, and hashing one name costs more than comparing it
    /// with all of them.
    peers: Vec<Peer>,
    numbered: u32,
}

/// The origins that may be called: a handle, shared by the transports of all cores.
///
/// A reload of the configuration replaces the list under running requests, which finish. Where an origin's
/// options have changed, its kept connections take no more requests.
#[derive(Clone, Default)]
pub struct AllowedOrigins {
    peers: Arc<RwLock<Peers>>,
}

impl AllowedOrigins {
    /// Allows the origins of these base URLs, and no others, each to be connected to in the usual way.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] for the first one that is no address of a provider.
    pub fn of<I>(base_urls: I) -> Result<Self, UpstreamError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let allowed = Self::default();
        allowed.replace(base_urls)?;
        Ok(allowed)
    }

    /// Allows the origins of these base URLs, and no others, each with its options.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] for the first one that is no address of a provider;
    /// [`UpstreamError::TwoWays`] where an origin is named twice with different options.
    pub fn with<I, U>(origins: I) -> Result<Self, UpstreamError>
    where
        I: IntoIterator<Item = (U, OriginOptions)>,
        U: AsRef<str>,
    {
        let allowed = Self::default();
        allowed.replace_with(origins)?;
        Ok(allowed)
    }

    /// Allows the origins of these base URLs instead of the ones so far.
    ///
    /// # Errors
    /// As [`AllowedOrigins::of`]; then nothing changes.
    pub fn replace<I>(&self, base_urls: I) -> Result<(), UpstreamError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.replace_with(base_urls.into_iter().map(|url| (url, OriginOptions::default())))
    }

    /// Allows these origins, with these options, instead of the ones so far.
    ///
    /// # Errors
    /// As [`AllowedOrigins::with`]; then nothing changes.
    pub fn replace_with<I, U>(&self, origins: I) -> Result<(), UpstreamError>
    where
        I: IntoIterator<Item = (U, OriginOptions)>,
        U: AsRef<str>,
    {
        let mut wanted: Vec<(Origin, OriginOptions)> = Vec::new();
        for (url, options) in origins {
            let url = url.as_ref();
            let uri: Uri = url.parse().map_err(|_| UpstreamError::Origin {
                url: url.to_owned(),
                problem: "it cannot be read as a URL",
            })?;
            let origin = Origin::of(&uri)?;
            match wanted.iter().find(|(known, _)| *known == origin) {
                None => wanted.push((origin, options)),
                Some((_, known)) if *known == options => {}
                Some(_) => return Err(UpstreamError::TwoWays { origin: origin.to_string() }),
            }
        }
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut peers.peers);
        for (origin, options) in wanted {
            let same = |peer: &Peer| peer.origin == origin && *peer.options == options;
            let peer = match before.iter().position(same) {
                Some(kept) => before.swap_remove(kept),
                None => {
                    peers.numbered = peers.numbered.wrapping_add(1);
                    Peer::new(peers.numbered, origin, options)
                }
            };
            peers.peers.push(peer);
        }
        Ok(())
    }

    /// Whether `origin` may be called.
    pub fn allows(&self, origin: &Origin) -> bool {
        self.manner(origin).is_some()
    }

    pub(crate) fn manner(&self, origin: &Origin) -> Option<Manner> {
        self.read().peers.iter().find(|peer| peer.origin == *origin).map(|peer| peer.manner)
    }

    pub(crate) fn options(&self, origin: &Origin) -> Option<Arc<OriginOptions>> {
        self.read().peers.iter().find(|peer| peer.origin == *origin).map(|peer| Arc::clone(&peer.options))
    }

    fn read(&self) -> RwLockReadGuard<'_, Peers> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for AllowedOrigins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.read().peers.iter().map(|peer| &peer.origin)).finish()
    }
}

impl Peer {
    fn new(number: u32, origin: Origin, options: OriginOptions) -> Self {
        let may_share = match options.http {
            HttpVersion::Auto => origin.is_tls(),
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
        };
        let is_forwarded = options.proxy.is_some() && !origin.is_tls();
        let manner = Manner { peer: number, may_share, is_forwarded };
        Self { origin, manner, options: Arc::new(options) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn replacing_with_a_mistake_changes_nothing() {
        let allowed = AllowedOrigins::of(["https://a.example"]).unwrap();
        assert!(allowed.replace(["https://b.example", "nonsense url"]).is_err());
        assert!(allowed.allows(&origin("https://a.example/v1")));
        assert!(!allowed.allows(&origin("https://b.example/v1")));
        allowed.replace(["https://b.example"]).unwrap();
        assert!(!allowed.allows(&origin("https://a.example")));
    }

    #[test]
    fn an_origin_is_connected_to_in_one_way() {
        let proxied = |proxy: &str| OriginOptions { proxy: proxy.parse().ok(), ..OriginOptions::default() };
        let (one, other) = (proxied("http://a.test:1"), proxied("http://b.test:1"));
        let url = |path: &str| format!("https://a.example{path}");
        AllowedOrigins::with([(url("/v1"), one.clone()), (url(":443/v2"), one.clone())]).unwrap();
        let error = AllowedOrigins::with([(url("/v1"), one), (url("/v2"), other)]).unwrap_err();
        assert_eq!(error, UpstreamError::TwoWays { origin: url("") });
    }

    #[test]
    fn connections_are_kept_over_a_reload_unless_their_way_has_changed() {
        let url = "https://a.example";
        let number = |allowed: &AllowedOrigins| allowed.manner(&origin(url)).unwrap().peer;
        let allowed = AllowedOrigins::of([url, "https://b.example"]).unwrap();
        let first = number(&allowed);
        allowed.replace(["https://c.example", url]).unwrap();
        assert_eq!(number(&allowed), first);
        let http1 = OriginOptions { http: HttpVersion::Http1, ..OriginOptions::default() };
        allowed.replace_with([(url, http1)]).unwrap();
        assert_ne!(number(&allowed), first);
    }
}
