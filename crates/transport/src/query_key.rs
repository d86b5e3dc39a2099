//! Keys that travel in the address.

use std::time::SystemTime;

use http::uri::PathAndQuery;
use http::{Request, Uri};

use crate::{Phase, Rope, Sign, TransportError, path_segment};

/// A key that a provider expects as a parameter of the query, such as `?key=…` of Gemini
/// (<https://ai.google.dev/gemini-api/docs/api-key>).
///
/// Addresses end up in logs and errors. So it is written into the request line last of all, as a
/// signature is, where nobody looks at the address any more. It has no `Debug`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::SystemTime;
/// use http::Request;
/// use weighbridge_transport::{QueryKey, Rope, Signer};
///
/// let mut request = Request::post("/v1beta/models/m:streamGenerateContent?alt=sse").body(Rope::new())?;
/// request.extensions_mut().insert(Signer(Arc::new(QueryKey::new("key", "a b"))));
/// Signer::apply(&mut request, SystemTime::UNIX_EPOCH)?;
/// assert_eq!(request.uri(), "/v1beta/models/m:streamGenerateContent?alt=sse&key=a%20b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct QueryKey {
    /// `name=value`, encoded.
    parameter: String,
}

impl QueryKey {
    /// A key, and the name of the parameter that it goes into.
    pub fn new(name: &str, key: &str) -> Self {
        Self { parameter: format!("{}={}", path_segment(name), path_segment(key)) }
    }
}

impl Sign for QueryKey {
    fn sign(&self, request: &mut Request<Rope>, _: SystemTime) -> Result<(), TransportError> {
        let Self { parameter } = self;
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let joint = if path.contains('?') { '&' } else { '?' };
        // The message of the parser would show the address, key and all.
        let too_long = |_| TransportError::new(Phase::Prepare, "the address is too long for a key in it");
        let path: PathAndQuery = format!("{path}{joint}{parameter}").try_into().map_err(too_long)?;
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.path_and_query = Some(path);
        let no_address = |_| TransportError::new(Phase::Prepare, "the address cannot take a key");
        *request.uri_mut() = Uri::from_parts(parts).map_err(no_address)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(uri: &str, key: &str) -> Result<String, TransportError> {
        let mut request = Request::get(uri).body(Rope::new()).unwrap();
        QueryKey::new("key", key).sign(&mut request, SystemTime::UNIX_EPOCH)?;
        Ok(request.uri().to_string())
    }

    #[test]
    fn a_key_joins_whatever_query_there_is() {
        for (uri, expected) in [
            ("/", "/?key=AIza-_1"),
            ("/m?alt=sse", "/m?alt=sse&key=AIza-_1"),
            ("http://127.0.0.1:1/m", "http://127.0.0.1:1/m?key=AIza-_1"),
        ] {
            assert_eq!(signed(uri, "AIza-_1").unwrap(), expected);
        }
        assert_eq!(signed("/", "a&b=c#").unwrap(), "/?key=a%26b%3Dc%23");
    }

    #[test]
    fn an_error_shows_nothing_of_it() {
        let key = "geheim".repeat(20_000);
        let error = signed("/", &key).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }
}
