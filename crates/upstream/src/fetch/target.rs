//! A URL from outside, taken apart strictly.
//!
//! Two readers of one URL that disagree on its host are how a check is walked around. So whatever
//! has more than one reading is refused here instead of being repaired: user names, numbers that are
//! no plain IPv4 address, percent signs and letters beyond ASCII in a host, backslashes, controls.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::uri::PathAndQuery;
use weighbridge_transport::FetchError;

/// Longest URL that is read, in bytes; more is common among neither media nor servers.
const LONGEST: usize = 8 * 1024;

/// A host, as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// Letters, digits, hyphens, underscores and dots, in lower case, without the last dot.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) encrypted: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Path and query, as they are sent.
    pub(crate) path: PathAndQuery,
}

impl Target {
    /// Takes an absolute URL apart.
    pub(crate) fn parse(url: &str) -> Result<Self, FetchError> {
        let (encrypted, rest) = split_scheme(url)?;
        let rest = rest.strip_prefix("//").ok_or(wrong("the host is missing"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = split_authority(authority)?;
        let port = match port {
            None if encrypted => 443,
            None => 80,
            Some(digits) => parse_port(digits)?,
        };
        Ok(Self { encrypted, host: parse_host(host)?, port, path: parse_path(rest)? })
    }

    /// Where the `location` of an answer from here leads
    /// (<https://www.rfc-editor.org/rfc/rfc3986#section-5.2>).
    pub(crate) fn join(&self, location: &str) -> Result<Self, FetchError> {
        let has_scheme =
            location.find([':', '/', '?', '#']).is_some_and(|at| location[at..].starts_with(':'));
        if has_scheme {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme()));
        }
        let path = self.path.path();
        let reference = match location.chars().next() {
            None | Some('#') => self.path.as_str().to_owned(),
            Some('?') => format!("{path}{location}"),
            Some('/') => without_dots(location),
            Some(_) => {
                let folder = path.rfind('/').map_or("/", |last| &path[..=last]);
                without_dots(&format!("{folder}{location}"))
            }
        };
        Ok(Self { path: parse_path(&reference)?, ..self.clone() })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.encrypted { "https" } else { "http" }
    }

    /// What belongs into the `host` header.
    pub(crate) fn authority(&self) -> String {
        match (self.encrypted, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

const fn wrong(problem: &'static str) -> FetchError {
    FetchError::Url { problem }
}

/// Whether the scheme is `https`, and what stands behind its colon.
fn split_scheme(url: &str) -> Result<(bool, &str), FetchError> {
    if url.len() > LONGEST {
        return Err(wrong("it has more than 8192 bytes"));
    }
    let (scheme, rest) = url.split_once(':').ok_or(wrong("the scheme is missing"))?;
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok((true, rest)),
        "http" => Ok((false, rest)),
        _ => Err(wrong("the scheme is neither http nor https")),
    }
}

/// Host, with its brackets, and port.
fn split_authority(authority: &str) -> Result<(&str, Option<&str>), FetchError> {
    if authority.contains('@') {
        return Err(wrong("it holds a user name"));
    }
    let port_at = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']').map(|end| end + 2).ok_or(wrong("a bracket is not closed"))?,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    match authority.split_at_checked(port_at) {
        Some((host, "")) => Ok((host, None)),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None => Err(wrong("something stands between the host and its port")),
        },
        None => Err(wrong("the host cannot be read")),
    }
}

fn parse_port(digits: &str) -> Result<u16, FetchError> {
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    match digits.parse() {
        Ok(port) if plain && port != 0 => Ok(port),
        _ => Err(wrong("the port is not a number from 1 to 65535")),
    }
}

fn parse_host(host: &str) -> Result<Host, FetchError> {
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // Refuses zones, too, which name an interface of this machine.
        let v6: Ipv6Addr =
            inside.parse().map_err(|_| wrong("the address in brackets is not an IPv6 address"))?;
        return Ok(Host::Address(IpAddr::V6(v6)));
    }
    if !host.is_ascii() {
        return Err(wrong("the host has letters beyond ASCII: write it in its xn-- form"));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err(wrong("the host is missing"));
    }
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(wrong("the host is not a name"));
    }
    // Resolvers take 0177.1, 2130706433 and 0x7f000001 for addresses; here only one way counts.
    if name.rsplit('.').next().is_some_and(is_number) {
        let v4: Ipv4Addr = name
            .parse()
            .map_err(|_| wrong("an IPv4 address must be four decimal numbers without zeros in front"))?;
        return Ok(Host::Address(IpAddr::V4(v4)));
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

/// Whether a host that ends in this label is a number to some reader
/// (<https://url.spec.whatwg.org/#ends-in-a-number-checker>).
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => label.bytes().all(|digit| digit.is_ascii_digit()),
    }
}

/// Path and query without the fragment, with what servers do not take percent-encoded
/// (<https://url.spec.whatwg.org/#query-percent-encode-set>).
fn parse_path(rest: &str) -> Result<PathAndQuery, FetchError> {
    let sent = rest.split('#').next().unwrap_or_default();
    if sent.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(wrong("it holds a control character"));
    }
    let mut encoded = String::with_capacity(sent.len() + 1);
    if !sent.starts_with('/') {
        encoded.push('/');
    }
    for byte in sent.bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                encoded.push_str(&format!("%{byte:02X}"));
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded.parse().map_err(|_| wrong("its path cannot be read"))
}

/// A path, with its query left alone, without `.` and `..`.
fn without_dots(reference: &str) -> String {
    let path_end = reference.find(['?', '#']).unwrap_or(reference.len());
    let (path, query) = reference.split_at(path_end);
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;
    use http::Uri;
    use proptest::prelude::*;

    fn parse(url: &str) -> Result<String, FetchError> {
        Target::parse(url).map(|target| shown(&target))
    }

    fn shown(target: &Target) -> String {
        format!("{}://{}:{}{}", target.scheme(), target.host, target.port, target.path)
    }

    #[test]
    fn plain_urls_are_taken_apart() {
        for (url, expected) in [
            ("https://example.com", "https://example.com:443/"),
            ("HTTP://Example.COM./a.png?x=1#top", "http://example.com:80/a.png?x=1"),
            ("https://example.com:8443?q", "https://example.com:8443/?q"),
            ("https://a_b.s3-x.example.com/k", "https://a_b.s3-x.example.com:443/k"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example:443/"),
            ("http://1.2.3.4/", "http://1.2.3.4:80/"),
            ("http://1.2.3.4.:81/", "http://1.2.3.4:81/"),
            ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
            ("http://[::ffff:127.0.0.1]/", "http://[::ffff:127.0.0.1]:80/"),
            ("https://e.com/für uns/\"x\"?a=ü|", "https://e.com:443/f%C3%BCr%20uns/%22x%22?a=%C3%BC%7C"),
            ("https://e.com/a%20b?sig=a%2Bb%3D&x=[1]", "https://e.com:443/a%20b?sig=a%2Bb%3D&x=[1]"),
            ("https://e.com/@user:pass@host/", "https://e.com:443/@user:pass@host/"),
            ("https://3com.com/", "https://3com.com:443/"),
            ("https://0x.example/", "https://0x.example:443/"),
        ] {
            assert_eq!(parse(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn the_host_header_names_the_port_where_it_is_unusual() {
        for (url, expected) in [
            ("https://Example.com:443/", "example.com"),
            ("http://example.com:443/", "example.com:443"),
            ("http://[::1]:80/", "[::1]"),
            ("https://[::1]:80/", "[::1]:80"),
        ] {
            assert_eq!(Target::parse(url).unwrap().authority(), expected);
        }
    }

    /// Spellings by which checks of other software were walked around.
    #[test]
    fn what_has_two_readings_has_none_here() {
        for url in [
            // Schemes.
            "",
            "example.com",
            "//example.com",
            "/a",
            "ftp://e.com/",
            "file:///etc/passwd",
            "gopher://e.com/",
            "data:text/plain,hi",
            "javascript:alert(1)",
            "jar:http://e.com!/",
            "http",
            "http:",
            "https:/e.com",
            "http:e.com",
            " https://e.com",
            "ht\ttp://e.com",
            "url:http://e.com",
            // Numbers that are addresses to some.
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.1/",
            "http://017700000001/",
            "http://0x7f.0x0.0x0.0x1/",
            "http://127.0.0.01/",
            "http://127.0.0.1.5/",
            "http://256.256.256.256/",
            "http://0/",
            "http://0x/",
            "http://4294967296/",
            "http://127.0.0.0x1/",
            "http://a.127/",
            "http://1.2.3.4../",
            // User names.
            "http://user@e.com/",
            "http://user:pass@e.com/",
            "http://e.com@127.0.0.1/",
            "http://@e.com/",
            "http://e.com:80@127.0.0.1/",
            "http://127.0.0.1%40e.com/",
            // Letters that others fold or decode.
            "http://ⓛocalhost/",
            "http://127。0。0。1/",
            "http://bücher.example/",
            "http://①②⑦.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://loc%61lhost/",
            "http://e\u{ad}.com/",
            "http://e.com\u{2044}@x/",
            // Separators.
            "http://e.com\\@127.0.0.1/",
            "http:\\\\127.0.0.1/",
            "http://127.0.0.1\\.e.com/",
            "http:///127.0.0.1/",
            "http://e.com;127.0.0.1/",
            "http://e.com 127.0.0.1/",
            "http://e.com,127.0.0.1/",
            "http://*/",
            "http://e.com\t/",
            "http://e.com\r\nhost: x/",
            "http://e.com/\r\nx: y",
            "http://e.com/a\0b",
            "http://e.com/\u{7f}",
            // Brackets and zones.
            "http://[::1",
            "http://::1/",
            "http://[::1]x/",
            "http://[fe80::1%25eth0]/",
            "http://[fe80::1%eth0]/",
            "http://[v1.x]/",
            "http://[127.0.0.1]/",
            "http://[]/",
            "http://e.com]/",
            "http://[::1]:80:80/",
            // Ports.
            "http://e.com:/",
            "http://e.com:0/",
            "http://e.com:65536/",
            "http://e.com:+80/",
            "http://e.com:80a/",
            "http://e.com:80:80/",
            "http://e.com:-1/",
            "http://:80/",
            // Names.
            "http://./",
            "http://../",
            "http://.e.com/",
            "http://e..com/",
            "http://?x",
            "http://#x",
        ] {
            assert!(matches!(parse(url), Err(FetchError::Url { .. })), "{url:?} gives {:?}", parse(url));
        }
        assert!(parse(&format!("http://{}.com/", "a".repeat(64))).is_err());
        assert!(parse(&format!("http://{}com/", "a.".repeat(126))).is_err());
        assert!(parse(&format!("http://e.com/{}", "a".repeat(LONGEST))).is_err());
    }

    #[test]
    fn an_error_holds_no_secret() {
        for url in
            ["http://user:hunter2@e.com/", "http://e.com:hunter2/", "x-hunter2://e.com", "http://hunter2%/"]
        {
            let error = parse(url).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn redirects_are_resolved_where_they_come_from() {
        let from = Target::parse("https://e.com:8443/a/b/c?d").unwrap();
        for (location, expected) in [
            ("https://f.com/x", "https://f.com:443/x"),
            ("http://e.com/", "http://e.com:80/"),
            ("//f.com/x", "https://f.com:443/x"),
            ("/x?y", "https://e.com:8443/x?y"),
            ("x", "https://e.com:8443/a/b/x"),
            ("./x/../y", "https://e.com:8443/a/b/y"),
            ("../../../../x", "https://e.com:8443/x"),
            ("..", "https://e.com:8443/a/"),
            ("/a/./b/../c/.", "https://e.com:8443/a/c/"),
            ("?z=/../x", "https://e.com:8443/a/b/c?z=/../x"),
            ("x?z=/../y", "https://e.com:8443/a/b/x?z=/../y"),
            ("#top", "https://e.com:8443/a/b/c?d"),
            ("", "https://e.com:8443/a/b/c?d"),
            ("x y", "https://e.com:8443/a/b/x%20y"),
            ("x?u=http://g.com", "https://e.com:8443/a/b/x?u=http://g.com"),
        ] {
            assert_eq!(
                from.join(location).map(|target| shown(&target)).as_deref(),
                Ok(expected),
                "{location}"
            );
        }
        for bad in ["ftp://f.com/", "//user@f.com/", "//127.1/", "data:,x", "x\ny", "localhost:80", "///x"] {
            assert!(from.join(bad).is_err(), "{bad}");
        }
    }

    /// Text made of what URLs, and tricks with them, are made of.
    fn tricky() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "http",
            "https",
            "ftp",
            ":",
            "//",
            "/",
            "\\",
            "@",
            "[",
            "]",
            "%",
            ".",
            "..",
            "?",
            "#",
            "0x7f",
            "0177",
            "127",
            "1",
            "::1",
            "::ffff:",
            "localhost",
            "e.com",
            "ü",
            "。",
            " ",
            "\t",
            "\r\n",
            "80",
            "-",
            "_",
            "%2f",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// What passes has the same host and port for another reader of the same URL.
        #[test]
        fn what_passes_has_one_reading(rest in tricky(), scheme in prop::sample::select(vec!["http://", "https://", ""])) {
            let url = format!("{scheme}{rest}");
            let Ok(target) = Target::parse(&url) else { return Ok(()) };
            let Ok(uri) = url.parse::<Uri>() else {
                // That reader takes no path beyond ASCII; with the path as it is sent, it does.
                let sent = format!("{}://{}{}", target.scheme(), target.authority(), target.path);
                prop_assert!(sent.parse::<Uri>().is_ok(), "{}", sent);
                return Ok(());
            };
            let origin = Origin::of(&uri).unwrap();
            let written = origin.host().trim_end_matches('.').to_ascii_lowercase();
            match &target.host {
                Host::Name(name) => {
                    prop_assert_eq!(name, &written);
                    prop_assert!(name.parse::<IpAddr>().is_err());
                }
                Host::Address(address) => prop_assert_eq!(written.parse::<IpAddr>(), Ok(*address)),
            }
            prop_assert_eq!((origin.port(), origin.is_tls()), (target.port, target.encrypted));
        }

        /// What is sent cannot carry a second line, and a fragment is not sent.
        #[test]
        fn what_is_sent_is_one_line(rest in "\\PC{0,30}|[ -~]{0,30}") {
            if let Ok(target) = Target::parse(&format!("https://e.com/{rest}")) {
                let path = target.path.as_str();
                prop_assert!(path.starts_with('/'));
                prop_assert!(path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'#'));
            }
        }

        /// A redirect without a host stays where it is.
        #[test]
        fn a_relative_redirect_stays(location in "[a-z./?#%&=]{0,20}") {
            let from = Target::parse("https://e.com/a/b").unwrap();
            if !location.starts_with("//") {
                let to = from.join(&location).unwrap();
                prop_assert_eq!((to.host, to.port, to.encrypted), (from.host, from.port, true));
                let inside = to.path.path().split('/').all(|segment| segment != ".." && segment != ".");
                prop_assert!(inside, "{}", to.path);
            }
        }

        #[test]
        fn any_text_can_be_looked_at(url in "\\PC{0,60}", location in tricky()) {
            if let Ok(target) = Target::parse(&url) {
                let _ = target.join(&location);
            }
        }
    }
}
