//! Paths that may be passed on.

use http::Uri;
use weighbridge_protocol::gemini::CREDENTIAL_QUERY;
use weighbridge_protocol::unescaped;

/// The longest path and query that are passed on, in bytes.
const LENGTH_MOST: usize = 4096;

/// What an address asks for: `/native/{provider}{rest}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) provider: String,
    /// Path and query behind the provider's name.
    pub(crate) rest: String,
}

impl Asked {
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let whole = uri.path_and_query()?.as_str().strip_prefix("/native/")?;
        let end = whole.find(['/', '?']).unwrap_or(whole.len());
        let (provider, rest) = whole.split_at(end);
        (!provider.is_empty()).then(|| Self { provider: provider.to_owned(), rest: rest.to_owned() })
    }
}

/// A path below a provider's base URL, as it was sent, and the query behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NativePath {
    path: String,
    query: Option<String>,
}

impl NativePath {
    /// Checks a path and a query. Where the path begins as the base URL's own does (`/v1`), it is not doubled.
    ///
    /// The path goes out byte by byte as it came, so that it must mean the same to whoever reads it: with nothing
    /// empty in it, no `.` and `..`, no separators in escapes, and no escapes of escapes.
    pub(super) fn below(rest: &str, base: &str) -> Result<Self, &'static str> {
        if rest.len() > LENGTH_MOST {
            return Err("it is too long");
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has characters that have to be escaped");
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        for segment in trimmed.split('/').skip(1) {
            check(segment)?;
        }
        let own = path.strip_prefix(base).filter(|own| own.is_empty() || own.starts_with('/'));
        let path = own.filter(|_| !base.is_empty()).unwrap_or(path).to_owned();
        Ok(Self { path, query: query.map(without_credential).filter(|query| !query.is_empty()) })
    }

    /// The path, without the query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The value of a field of the query, as it stands there.
    pub(crate) fn asks(&self, name: &str, value: &str) -> bool {
        let mut fields = self.query.iter().flat_map(|query| query.split('&'));
        fields.any(|field| field.split_once('=') == Some((name, value)))
    }

    /// Whether it is `prefix`, or below it.
    pub(super) fn is_within(&self, prefix: &str) -> bool {
        let rest = self.path.strip_prefix(prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The address below a base URL.
    pub(super) fn uri(&self, base_url: &str) -> Option<Uri> {
        match &self.query {
            Some(query) => format!("{base_url}{}?{query}", self.path),
            None => format!("{base_url}{}", self.path),
        }
        .parse()
        .ok()
    }
}

fn check(segment: &str) -> Result<(), &'static str> {
    let read = unescaped(segment).ok_or("its escapes are not UTF-8")?;
    if read.is_empty() {
        return Err("it has an empty segment");
    }
    if read == "." || read.starts_with("..") {
        return Err("it has a segment that leads elsewhere");
    }
    if read.contains(['/', '\\', '%', '#', '?']) || read.chars().any(char::is_control) {
        return Err("it has escapes that may be read in two ways");
    }
    Ok(())
}

/// The query without the field in which Google's clients send their key: it is the gateway's.
fn without_credential(query: &str) -> String {
    let is_key = |field: &&str| {
        let name = field.split('=').next().unwrap_or_default();
        !matches!(unescaped(name).as_deref(), Some(CREDENTIAL_QUERY | "access_token") | None)
    };
    query.split('&').filter(is_key).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(rest: &str, base: &str) -> Result<String, &'static str> {
        let path = NativePath::below(rest, base)?;
        Ok(path.uri(&format!("https://api.test{base}")).unwrap().to_string())
    }

    #[test]
    fn a_path_is_below_the_base_url() {
        assert_eq!(uri("/v1/files?limit=2", "/v1").unwrap(), "https://api.test/v1/files?limit=2");
        assert_eq!(uri("/files", "/v1").unwrap(), "https://api.test/v1/files");
        assert_eq!(uri("/v1beta/files", "/v1").unwrap(), "https://api.test/v1/v1beta/files");
        assert_eq!(uri("/v1/messages/batches", "").unwrap(), "https://api.test/v1/messages/batches");
        assert_eq!(uri("/models/a:b%20c/", "").unwrap(), "https://api.test/models/a:b%20c/");
        assert_eq!(uri("", "/v1").unwrap(), "https://api.test/v1");
        assert_eq!(uri("/f?key=wb-x&a=1&%6bey=2", "").unwrap(), "https://api.test/f?a=1");
        assert_eq!(uri("/f?key=wb-x", "").unwrap(), "https://api.test/f");
    }

    #[test]
    fn a_path_leads_nowhere_else() {
        for wrong in [
            "/../admin",
            "/a/../b",
            "/a/..",
            "/%2e%2e/b",
            "/a/.%2E/b",
            "/./a",
            "//evil.test/a",
            "/a//b",
            "/a%2fb",
            "/a%5cb",
            "/a\\..\\b",
            "/a%252e%252e/b",
            "/a%00b",
            "/..;x/b",
            "/%ff",
            "/é",
            "/a%0d%0ab",
            "/a%3fb",
            "/a%23b",
        ] {
            assert!(uri(wrong, "/v1").is_err(), "{wrong}");
        }
        assert!(uri(&format!("/{}", "a".repeat(5000)), "").is_err());
    }

    #[test]
    fn prefixes_end_where_segments_do() {
        let path = |text: &str| NativePath::below(text, "/v1").unwrap();
        assert!(path("/v1/files/f-1").is_within("/files") && path("/files").is_within("/files/"));
        assert!(!path("/v1/filesystem").is_within("/files") && !path("/fil%65s").is_within("/files"));
    }

    #[test]
    fn addresses_name_a_provider() {
        let asked = |text: &str| {
            let uri: Uri = text.parse().unwrap();
            Asked::of(&uri).map(|asked| (asked.provider, asked.rest))
        };
        assert_eq!(asked("/native/openai/v1/files?a=1"), Some(("openai".into(), "/v1/files?a=1".into())));
        assert_eq!(asked("/native/openai?a=1"), Some(("openai".into(), "?a=1".into())));
        assert_eq!(asked("/native/openai"), Some(("openai".into(), String::new())));
        assert_eq!(asked("/native/"), None);
        assert_eq!(asked("/v1/files"), None);
    }

    proptest! {
        #[test]
        fn whatever_passes_stays_below_the_base(rest in "/[a-z./%25eEfFcC\\\\?#@:;é]{0,24}") {
            if let Ok(path) = NativePath::below(&rest, "/v1") {
                let uri = path.uri("https://api.test/v1");
                if let Some(uri) = uri {
                    prop_assert_eq!(uri.host(), Some("api.test"));
                    prop_assert!(uri.path().starts_with("/v1"));
                    prop_assert!(uri.path().split('/').all(|segment| segment != ".." && segment != "."));
                }
            }
        }
    }
}
