//! Questions to issuers.

use std::net::IpAddr;

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

/// The address of an issuer that is shown secrets, without a slash at its end: encrypted, unless it is on
/// this machine.
pub(super) fn issuer(url: &str) -> Result<String, UpstreamError> {
    let origin = origin(url)?;
    let is_here = origin.host().parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if !origin.is_tls() && !is_here && origin.host() != "localhost" {
        let problem = format!("{origin} is shown secrets, so its address must begin with https://");
        return Err(UpstreamError::Credential { problem });
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The address of a metadata service, which is shown none, without a slash at its end.
pub(super) fn metadata(url: &str) -> Result<String, UpstreamError> {
    origin(url).map(|_| url.trim_end_matches('/').to_owned())
}

fn origin(url: &str) -> Result<Origin, UpstreamError> {
    let wrong =
        |_| UpstreamError::Credential { problem: "the address of its issuer cannot be read".to_owned() };
    Origin::of(&url.parse().map_err(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_in_the_open() {
        for fine in ["https://sts.example/", "http://127.0.0.1:1", "http://[::1]:1/x", "http://localhost:1"] {
            assert_eq!(issuer(fine).unwrap(), fine.trim_end_matches('/'));
        }
        for wrong in ["http://sts.example", "http://10.0.0.1", "http://169.254.169.254", "sts", "a b"] {
            assert!(issuer(wrong).is_err(), "{wrong}");
        }
        assert!(metadata("http://169.254.169.254/").is_ok() && metadata("ftp://x").is_err());
    }
}
