//! Proxies on the way to a provider.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::uri::Authority;
use http::{HeaderValue, Uri};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Origin, UpstreamError};

/// Where a proxy listens if its address does not say so, as with curl
/// (<https://curl.se/docs/manpage.html#-x>).
const USUAL_PORT: u16 = 1080;

/// Largest head of a proxy's answer, in bytes.
const HEAD: usize = 16 * 1024;

/// An HTTP proxy: `http://[USER:PASSWORD@]HOST[:PORT]`, the scheme optional. Without a port it is 1080, as
/// with curl. Special characters of user and password are percent-encoded.
///
/// `https` origins are reached through a tunnel (`CONNECT`), so that the proxy sees neither requests nor
/// credentials; requests to `http` origins are handed to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// Sensitive: never logged.
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Name or address of its host; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What `proxy-authorization` says.
    pub(crate) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Asks the proxy at the other end of `stream` for a tunnel to `origin`.
    pub(crate) async fn tunnel<S>(&self, stream: &mut S, origin: &Origin) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let place = origin.host_and_port();
        let mut ask = format!("CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            ask.extend_from_slice(b"proxy-authorization: ");
            ask.extend_from_slice(value.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        let broken = |why: &dyn fmt::Display| format!("the proxy {self} broke off: {why}");
        stream.write_all(&ask).await.map_err(|error| broken(&error))?;
        let mut head = Vec::with_capacity(256);
        let end = loop {
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if head.len() > HEAD {
                return Err(broken(&"its answer has no end"));
            }
            if stream.read_buf(&mut head).await.map_err(|error| broken(&error))? == 0 {
                return Err(broken(&"it closed the connection"));
            }
        };
        match status(&head) {
            // The other side speaks second: bytes behind the head are the proxy's own.
            Some(200..=299) if end == head.len() => Ok(()),
            Some(407) => Err(format!(
                "the proxy {self} wants other credentials (407): put user and password into its address"
            )),
            Some(status) if !(200..=299).contains(&status) => {
                Err(format!("the proxy {self} refuses a tunnel to {place} ({status})"))
            }
            _ => Err(format!("what listens at {self} is no HTTP proxy")),
        }
    }
}

/// The status of `HTTP/1.1 200 Whatever`.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let (version, rest) = line.split_once(' ')?;
    version.strip_prefix("HTTP/1.")?;
    rest.get(..3)?.parse().ok()
}

impl FromStr for Proxy {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let wrong = |problem| UpstreamError::Proxy { problem };
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(wrong("proxies that are themselves spoken to over TLS are not supported"));
            }
            Some(_) => return Err(wrong("it is not an HTTP proxy; SOCKS is not supported")),
        };
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let place: Uri =
            format!("http://{place}").parse().map_err(|_| wrong("its host or port cannot be read"))?;
        let authority = place.authority().ok_or_else(|| wrong("the host is missing"))?;
        if place.path() != "/" || place.query().is_some() {
            return Err(wrong("nothing may follow its port"));
        }
        let host = bare_host(authority);
        if host.is_empty()
            || (authority.port_u16().is_none() && authority.as_str().len() > authority.host().len())
        {
            return Err(wrong("its host or port cannot be read"));
        }
        Ok(Self {
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(USUAL_PORT),
            authorization: credentials.map(basic).transpose().map_err(wrong)?,
        })
    }
}

fn bare_host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// `Basic …` of `user:password`, both percent-encoded (<https://www.rfc-editor.org/rfc/rfc7617#section-2>).
fn basic(credentials: &str) -> Result<HeaderValue, &'static str> {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = percent_decoded(user)?;
    plain.push(b':');
    plain.extend(percent_decoded(password)?);
    let value = format!("Basic {}", BASE64_STANDARD.encode(plain));
    let mut value = HeaderValue::try_from(value).map_err(|_| "its credentials cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

fn percent_decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) =
                digit().zip(digit()).ok_or("a `%` in its credentials is not followed by two digits")?;
            u8::try_from(high * 16 + low).unwrap_or_default()
        } else {
            byte
        });
    }
    Ok(decoded)
}

/// Host and port: never the credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies_are_read_as_curl_reads_them() {
        let read = |text: &str| {
            let proxy: Proxy = text.parse().unwrap();
            let said = proxy.authorization().map(|value| value.to_str().unwrap().to_owned());
            (proxy.to_string(), said)
        };
        for (text, place, said) in [
            ("http://proxy.test:3128", "proxy.test:3128", None),
            ("HTTP://proxy.test/", "proxy.test:1080", None),
            ("proxy.test:80", "proxy.test:80", None),
            ("http://[::1]:8080", "[::1]:8080", None),
            // From RFC 7617, section 2.
            ("http://Aladdin:open%20sesame@p.test:1", "p.test:1", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
            ("u@p.test:1", "p.test:1", Some("Basic dTo=")),
            ("http://u:p@ss@p.test:1", "p.test:1", Some("Basic dTpwQHNz")),
        ] {
            assert_eq!(read(text), (place.to_owned(), said.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for text in [
            "",
            "http://",
            "socks5://u:hunter2@p.test:1",
            "https://u:hunter2@p.test:1",
            "http://u:hunter2@p.test:port",
            "http://u:hunter2@p.test:99999",
            "http://u:hunter2@p.test:",
            "http://u:hunter2@p.test:1/path",
            "http://u:hunter2%2@p.test:1",
            "http://u:hunter2@",
        ] {
            let error = text.parse::<Proxy>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let proxy: Proxy = "http://u:hunter2@p.test:1".parse().unwrap();
        assert_eq!(format!("{proxy:?} {proxy}"), "Proxy(p.test:1) p.test:1");
        assert!(proxy.authorization().unwrap().is_sensitive());
    }

    #[test]
    fn a_proxys_status_is_read_strictly() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for other in
            [&b"HTTP/2 200\r\n\r\n"[..], b"SSH-2.0\r\n\r\n", b"HTTP/1.1 20\r\n\r\n", b"\r\n\r\n", b"\xff 200"]
        {
            assert_eq!(status(other), None);
        }
    }
}
