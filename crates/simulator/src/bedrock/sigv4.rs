//! Checks signatures of requests:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::refusal::denied;
use crate::account::ReceivedRequest;
use crate::refusal::Refusal;

/// The secret of an access key where the simulator was given none.
const SECRET_PREFIX: &str = "secret-of-";

/// Checks the credential: a bearer token, or a signature that is right for this very request.
///
/// `accepted` are bearer tokens and pairs `ACCESS_KEY_ID:SECRET`. Without any, everything is accepted
/// that does not contain `invalid`, and the secret of an access key is `secret-of-` and its id.
pub(crate) fn authorised(request: &ReceivedRequest, accepted: &[String]) -> Result<(), Refusal> {
    let Some(header) = text(&request.headers, "authorization") else {
        return Err(denied("MissingAuthenticationTokenException", "Missing Authentication Token"));
    };
    if let Some(token) = header.strip_prefix("Bearer ") {
        let known = match accepted {
            [] => !token.is_empty() && !token.contains("invalid"),
            tokens => tokens.iter().any(|accepted| accepted == token),
        };
        let message = "Authentication failed: Please make sure your API Key is valid.";
        return if known { Ok(()) } else { Err(denied("AccessDeniedException", message)) };
    }
    let signed = Signed::read(header, &request.headers).ok_or_else(|| {
        let message = "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' parameters, and \
                       existence of either a 'X-Amz-Date' or a 'Date' header.";
        denied("IncompleteSignatureException", message)
    })?;
    let secret = match accepted {
        [] => Some(format!("{SECRET_PREFIX}{}", signed.access_key))
            .filter(|_| !signed.access_key.contains("invalid")),
        keys => keys.iter().find_map(|key| {
            key.split_once(':')
                .filter(|(id, _)| *id == signed.access_key)
                .map(|(_, secret)| secret.to_owned())
        }),
    };
    let secret = secret.ok_or_else(|| {
        denied("UnrecognizedClientException", "The security token included in the request is invalid.")
    })?;
    if signed.service != "bedrock" {
        let message =
            format!("Credential should be scoped to correct service: 'bedrock', not '{}'.", signed.service);
        return Err(denied("InvalidSignatureException", &message));
    }
    match signed.signature == signed.expected(request, &secret) {
        true => Ok(()),
        false => Err(denied(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        )),
    }
}

/// What a signature says about itself.
struct Signed<'a> {
    access_key: &'a str,
    /// `20261121`.
    day: &'a str,
    region: &'a str,
    service: &'a str,
    /// `20261121T101500Z`.
    time: &'a str,
    headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn read(header: &'a str, headers: &'a HeaderMap) -> Option<Self> {
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = field("Credential")?.split('/');
        let (access_key, day, region, service) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let time = text(headers, "x-amz-date")?;
        let signed: Vec<&str> = field("SignedHeaders")?.split(';').collect();
        let whole = scope.next() == Some("aws4_request") && scope.next().is_none() && time.starts_with(day);
        let needed = ["host", "x-amz-date"].iter().all(|name| signed.contains(name));
        (whole && needed && signed.is_sorted()).then_some(Self {
            access_key,
            day,
            region,
            service,
            time,
            headers: signed,
            signature: field("Signature")?,
        })
    }

    /// The signature that the request should have.
    fn expected(&self, request: &ReceivedRequest, secret: &str) -> String {
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let canonical = hex(&Sha256::digest(self.canonical(request)));
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", self.time);
        let first = hmac(format!("AWS4{secret}").as_bytes(), self.day);
        let key =
            [self.region, self.service, "aws4_request"].iter().fold(first, |key, part| hmac(&key, part));
        hex(&hmac(&key, &to_sign))
    }

    fn canonical(&self, request: &ReceivedRequest) -> String {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let headers: String = self
            .headers
            .iter()
            .map(|name| {
                let values = request.headers.get_all(*name).iter();
                let values = values.map(|value| {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    value.split_whitespace().collect::<Vec<_>>().join(" ")
                });
                format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
            })
            .collect();
        let payload = hex(&Sha256::digest(&request.body));
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{payload}",
            request.method,
            encoded(path),
            pairs.join("&"),
            self.headers.join(";"),
        )
    }
}

/// A path that is encoded once more, as every service but S3 wants it.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    // Keys may have any length, so this cannot fail.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::Method;

    /// Signed by botocore 1.44.8 (`SigV4Auth`) with the secret `secret-of-AKIASIM`.
    fn signed() -> ReceivedRequest {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "bedrock-runtime.us-east-1.amazonaws.com"),
            ("content-type", "application/json"),
            ("x-amz-date", "20261121T101500Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIASIM/20261121/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, Signature=8f80d747c06ceae10271c5b85165597108efa4bd941c5bbfc12a81d8bbf72bf5",
            ),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        ReceivedRequest {
            method: Method::POST,
            target: "/model/amazon.nova-lite-v1%3A0/converse".to_owned(),
            headers,
            body: Bytes::from_static(b"{\"messages\":[]}"),
        }
    }

    fn refused(change: impl Fn(&mut ReceivedRequest)) -> &'static str {
        let mut request = signed();
        change(&mut request);
        authorised(&request, &[]).map_or_else(|refusal| refusal.kind, |()| "accepted")
    }

    #[test]
    fn a_signature_is_right_for_one_request_only() {
        assert_eq!(refused(|_| {}), "accepted");
        assert_eq!(refused(|request| request.body = Bytes::from_static(b"{}")), "InvalidSignatureException");
        assert_eq!(refused(|request| request.target.push('x')), "InvalidSignatureException");
        assert_eq!(refused(|request| request.method = Method::GET), "InvalidSignatureException");
        let moved = |request: &mut ReceivedRequest| {
            request.headers.insert("host", "elsewhere".parse().expect("a value"));
        };
        assert_eq!(refused(moved), "InvalidSignatureException");
        let later = |request: &mut ReceivedRequest| {
            request.headers.insert("x-amz-date", "20261122T101500Z".parse().expect("a value"));
        };
        assert_eq!(refused(later), "IncompleteSignatureException");
        let unsigned = |request: &mut ReceivedRequest| {
            request.headers.remove("authorization");
        };
        assert_eq!(refused(unsigned), "MissingAuthenticationTokenException");
    }

    #[test]
    fn keys_are_those_that_were_given() {
        let keys = |key: &str| {
            authorised(&signed(), &[key.to_owned()]).map_or_else(|refusal| refusal.kind, |()| "accepted")
        };
        assert_eq!(keys("AKIASIM:secret-of-AKIASIM"), "accepted");
        assert_eq!(keys("AKIASIM:another"), "InvalidSignatureException");
        assert_eq!(keys("AKIAOTHER:secret"), "UnrecognizedClientException");
    }
}
