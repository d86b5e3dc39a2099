//! Which addresses may be called.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::UpstreamError;

/// Scheme, host and port of a provider. The port is left out where it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    /// The origin of an absolute address; the path does not matter.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] where the address is relative, has another scheme than `http` and
    /// `https`, or carries a user name.
    pub fn of(uri: &Uri) -> Result<Self, UpstreamError> {
        let wrong = |problem| UpstreamError::Origin { url: uri.to_string(), problem };
        let scheme = uri.scheme().ok_or_else(|| wrong("the scheme is missing"))?;
        let usual_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(wrong("the scheme is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("the host is missing"))?;
        if authority.host().is_empty() {
            return Err(wrong("the host is missing"));
        }
        if authority.as_str().contains('@') {
            // Without the address: it may hold a password.
            let problem = "credentials do not belong into it";
            return Err(UpstreamError::Origin { url: authority.host().to_owned(), problem });
        }
        let authority = match authority.port_u16() {
            Some(port) if port == usual_port => {
                authority.host().parse().map_err(|_| wrong("the host cannot be used"))?
            }
            None if authority.as_str().len() > authority.host().len() => {
                return Err(wrong("the port is not a number up to 65535"));
            }
            _ => authority.clone(),
        };
        Ok(Self { scheme: scheme.clone(), authority })
    }

    /// Whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Name or address of the host; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Port to connect to.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// What belongs into the `host` header.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// The origins that may be called: a handle, shared by the transports of all cores.
///
/// A reload of the configuration replaces the list under running requests, which finish.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins {
    /// Searched one by one: there are a handful, and hashing one name costs more than comparing it
    /// with all of them.
    origins: Arc<RwLock<Vec<Origin>>>,
}

impl AllowedOrigins {
    /// Allows the origins of these base URLs, and no others.
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

    /// Allows the origins of these base URLs instead of the ones so far.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] for the first one that is no address of a provider; then nothing
    /// changes.
    pub fn replace<I>(&self, base_urls: I) -> Result<(), UpstreamError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let origins = base_urls
            .into_iter()
            .map(|url| {
                let url = url.as_ref();
                let uri: Uri = url.parse().map_err(|_| UpstreamError::Origin {
                    url: url.to_owned(),
                    problem: "it cannot be read as a URL",
                })?;
                Origin::of(&uri)
            })
            .collect::<Result<_, _>>()?;
        *self.origins.write().unwrap_or_else(PoisonError::into_inner) = origins;
        Ok(())
    }

    /// Whether `origin` may be called.
    pub fn allows(&self, origin: &Origin) -> bool {
        self.origins.read().unwrap_or_else(PoisonError::into_inner).contains(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Result<Origin, UpstreamError> {
        Origin::of(&url.parse().unwrap())
    }

    #[test]
    fn spellings_of_one_origin_are_one_origin() {
        let plain = origin("https://api.example.com/v1").unwrap();
        for same in ["https://api.example.com:443", "https://API.example.com/v2?x=1"] {
            assert_eq!(origin(same).unwrap(), plain, "{same}");
        }
        for other in ["http://api.example.com", "https://api.example.com:8443", "https://example.com"] {
            assert_ne!(origin(other).unwrap(), plain, "{other}");
        }
        assert_eq!((plain.host(), plain.port(), plain.is_tls()), ("api.example.com", 443, true));
        let v6 = origin("http://[::1]:8080/").unwrap();
        assert_eq!((v6.host(), v6.port(), v6.authority()), ("::1", 8080, "[::1]:8080"));
    }

    #[test]
    fn what_is_no_provider_address_is_refused() {
        for bad in ["/v1", "ftp://example.com", "example.com:443", "https://example.com:99999/"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
        let secret = origin("https://user:hunter2@example.com").unwrap_err().to_string();
        assert!(!secret.contains("hunter2"), "{secret}");
    }

    #[test]
    fn replacing_with_a_mistake_changes_nothing() {
        let allowed = AllowedOrigins::of(["https://a.example"]).unwrap();
        assert!(allowed.replace(["https://b.example", "nonsense url"]).is_err());
        assert!(allowed.allows(&origin("https://a.example/v1").unwrap()));
        assert!(!allowed.allows(&origin("https://b.example/v1").unwrap()));
        allowed.replace(["https://b.example"]).unwrap();
        assert!(!allowed.allows(&origin("https://a.example").unwrap()));
    }
}
