//! Questions to issuers.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use weighbridge_transport::{Rope, path_segment};

use crate::{CredentialError, Origin, UpstreamError};

/// A form, posted; an answer in JSON is welcome.
pub(super) fn post(url: &str, fields: &[(&str, &str)]) -> Result<Request<Rope>, CredentialError> {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", path_segment(value))).collect();
    let mut request = question(Method::POST, url, &[])?;
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, form);
    *request.body_mut() = Rope::from(Bytes::from(pairs.join("&")));
    Ok(request)
}

/// A question without a body, with these headers.
pub(super) fn question(
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Result<Request<Rope>, CredentialError> {
    let unaskable = |problem: &str| CredentialError::Unaskable { problem: problem.to_owned() };
    let mut request = Request::new(Rope::new());
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().map_err(|_| unaskable("its address cannot be read"))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        let mut value =
            HeaderValue::from_str(value).map_err(|_| unaskable("a token has a line end in it"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(*name, value);
    }
    Ok(request)
}

/// The address of an issuer, as the configuration gives it, without a slash at its end.
pub(super) fn issuer(url: &str) -> Result<String, UpstreamError> {
    let wrong =
        || UpstreamError::Credential { problem: "the address of its issuer cannot be read".to_owned() };
    let uri: http::Uri = url.parse().map_err(|_| wrong())?;
    Origin::of(&uri)?;
    Ok(url.trim_end_matches('/').to_owned())
}
