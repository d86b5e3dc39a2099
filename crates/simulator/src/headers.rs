//! Headers: the credentials that a vendor asks for, and what it sends beside an answer.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::account::ReceivedRequest;
use crate::anthropic::Version;
use crate::ask::Form;
use crate::refusal::Refusal;
use crate::scatter::Scatter;
use crate::{Vendor, bedrock, gemini};

/// The media type of whole answers and errors.
pub(crate) const JSON: &str = "application/json";
/// The media type of streams.
pub(crate) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// The media type of an answer of this form.
pub(crate) const fn media_type(form: Form) -> &'static str {
    match form {
        Form::Whole | Form::Array => JSON,
        Form::Events => EVENTS,
        Form::Frames => "application/vnd.amazon.eventstream",
    }
}

/// An id in the vendor's form.
pub(crate) fn request_id(ids: &mut Scatter) -> String {
    format!("req_{:016x}{:016x}", ids.next(), ids.next())
}

/// Checks the credential: `authorization: Bearer`, at Anthropic also `x-api-key`, at Azure `api-key`, and at
/// Google `x-goog-api-key` or `?key=`, which count where both are there. At AWS, a signature.
pub(crate) fn authorised(
    vendor: Vendor,
    request: &ReceivedRequest,
    accepted: &[String],
) -> Result<(), Refusal> {
    let headers = &request.headers;
    if vendor == Vendor::Aws {
        return bedrock::sigv4::authorised(request, accepted);
    }
    let known = |key: &str| match accepted {
        [] => !key.is_empty() && !key.contains("invalid"),
        keys => keys.iter().any(|accepted| accepted == key),
    };
    let bearer = text(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = match vendor {
        Vendor::OpenAi | Vendor::Aws => bearer,
        Vendor::Anthropic => text(headers, "x-api-key").or(bearer),
        Vendor::Azure => text(headers, "api-key").or(bearer),
        Vendor::Google => {
            text(headers, "x-goog-api-key").or_else(|| query(&request.target, "key")).or(bearer)
        }
    };
    match (vendor, key) {
        (_, Some(key)) if known(key) => Ok(()),
        (Vendor::Google, Some(_)) if bearer.is_none() => Err(gemini::refusal::bad_key()),
        (_, Some(_)) => Err(Refusal::of_status(vendor, 401, None)),
        (Vendor::OpenAi | Vendor::Aws, None) => Err(Refusal::new(
            401,
            "invalid_request_error",
            "You didn't provide an API key. You need to provide your API key in an Authorization header using \
             Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )),
        (Vendor::Anthropic, None) => {
            Err(Refusal::new(401, "authentication_error", "x-api-key header is required"))
        }
        (Vendor::Google, None) => Err(gemini::refusal::no_key()),
        (Vendor::Azure, None) => Err(Refusal::of_status(vendor, 401, None)),
    }
}

/// The version of Anthropic's API that a request asks for.
pub(crate) fn anthropic_version(headers: &HeaderMap) -> Result<Version, Refusal> {
    let name = text(headers, "anthropic-version");
    name.and_then(Version::from_name).ok_or_else(|| {
        let message = match name {
            None => "anthropic-version: header is required".to_owned(),
            Some(other) => format!("anthropic-version: \"{other}\" is not a valid version"),
        };
        Refusal::new(400, "invalid_request_error", message)
    })
}

/// A field of a query.
pub(crate) fn query<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let pairs = target.split_once('?')?.1.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Writes what `InvokeModel` tells of tokens beside the model's own answer.
pub(crate) fn write_counts(headers: &mut HeaderMap, counts: &[(&str, u64)]) {
    headers.insert("x-amzn-bedrock-invocation-latency", HeaderValue::from_static("417"));
    for (side, count) in counts {
        if let Ok(name) = HeaderName::try_from(format!("x-amzn-bedrock-{side}-token-count")) {
            headers.insert(name, (*count).into());
        }
    }
}

/// Writes the headers of an answer.
pub(crate) fn write(headers: &mut HeaderMap, vendor: Vendor, request_id: &str, kind: &'static str) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let id_name = match vendor {
        Vendor::OpenAi => Some("x-request-id"),
        Vendor::Anthropic => Some("request-id"),
        // Its answers have an id in their bodies.
        Vendor::Google => None,
        Vendor::Aws => Some("x-amzn-requestid"),
        Vendor::Azure => Some("apim-request-id"),
    };
    if let (Some(name), Ok(id)) = (id_name, HeaderValue::from_str(request_id)) {
        headers.insert(HeaderName::from_static(name), id);
    }
    let fixed: &[(&str, &str)] = match vendor {
        Vendor::OpenAi => &[
            ("openai-organization", "weighed"),
            ("openai-processing-ms", "7"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "1999990"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "1m3s"),
        ],
        Vendor::Anthropic => &[
            ("anthropic-organization-id", "weighed"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T00:00:00Z"),
            ("anthropic-ratelimit-tokens-limit", "400000"),
            ("anthropic-ratelimit-tokens-remaining", "399000"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-21T00:00:00Z"),
        ],
        Vendor::Google => &[("vary", "Origin"), ("vary", "X-Origin"), ("server-timing", "gfet4t7; dur=7")],
        Vendor::Aws => &[],
        Vendor::Azure => &[
            ("x-ms-region", "East US 2"),
            ("x-ratelimit-limit-requests", "2500"),
            ("x-ratelimit-limit-tokens", "250000"),
            ("x-ratelimit-remaining-requests", "2499"),
            ("x-ratelimit-remaining-tokens", "249988"),
            ("x-ratelimit-renewalperiod-requests", "60"),
            ("x-ratelimit-reset-requests", "0"),
        ],
    };
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
