//! Scheme, host and port of a provider.

use std::fmt;

use http::Uri;
use http::uri::{Authority, InvalidUriParts, Parts, PathAndQuery, Scheme};

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

    /// Host and port, both written out: what a proxy is asked for.
    pub(crate) fn host_and_port(&self) -> String {
        format!("{}:{}", self.authority.host(), self.port())
    }

    /// The absolute address of a path here.
    pub(crate) fn absolute(&self, path: Option<PathAndQuery>) -> Result<Uri, InvalidUriParts> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        Uri::from_parts(parts)
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
}
