//! Errors in mid-stream, sorted.

use weighbridge_protocol::json::Raw;
use weighbridge_translate::ApiError;
use weighbridge_units::ErrorClass;

/// An exception frame: an error of the service's model, whose payload describes it.
pub(crate) fn exception(name: &str, payload: &[u8]) -> ApiError {
    let text = std::str::from_utf8(payload).unwrap_or_default();
    let body = Raw::parse(text, &Default::default()).ok();
    let message = body.and_then(|body| {
        // The last one is of `modelStreamErrorException` alone: what the model's own server said.
        ["message", "Message", "originalMessage"]
            .into_iter()
            .find_map(|field| body.get(field)?.str().ok())
            .filter(|message| !message.is_empty())
    });
    sorted(name, message.as_deref().unwrap_or_default())
}

/// An error frame: an error that the service's model does not have.
pub(crate) fn unmodelled(code: &str, message: &str) -> ApiError {
    sorted(code, message)
}

fn sorted(name: &str, message: &str) -> ApiError {
    // `com.amazon.coral.service#ThrottlingException:http://…` is a form that other headers show.
    let name = name.rsplit_once('#').map_or(name, |(_, name)| name);
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let (class, status) = class_and_status(name, message);
    let message = match (message.is_empty(), name.is_empty()) {
        (false, _) => message.to_owned(),
        (true, false) => format!("the provider's stream broke off with {name} and no message"),
        (true, true) => "the provider's stream broke off with an error that it did not name".to_owned(),
    };
    let error = ApiError::new(class, message).with_status(status);
    if name.is_empty() { error } else { error.with_code(name) }
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ResponseStream.html> and
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>; the statuses are
/// those of the service's model.
fn class_and_status(name: &str, message: &str) -> (ErrorClass, u16) {
    let is_too_long =
        || ["Input is too long", "prompt is too long"].iter().any(|start| message.starts_with(start));
    let stem = name.to_ascii_lowercase();
    match stem.strip_suffix("exception").unwrap_or(&stem) {
        "validation" | "validationerror" if is_too_long() => (ErrorClass::ContextTooLong, 400),
        "validation" | "validationerror" => (ErrorClass::BadRequest, 400),
        "throttling" | "toomanyrequests" | "modelnotready" => (ErrorClass::RateLimit, 429),
        "servicequotaexceeded" => (ErrorClass::Billing, 400),
        "modeltimeout" => (ErrorClass::Timeout, 408),
        "serviceunavailable" => (ErrorClass::Overloaded, 503),
        "modelstreamerror" | "modelerror" => (ErrorClass::Server, 424),
        "accessdenied" | "notauthorized" | "optinrequired" => (ErrorClass::Permission, 403),
        "expiredtoken" | "unrecognizedclient" | "invalidsignature" | "incompletesignature" => {
            (ErrorClass::Authentication, 403)
        }
        "resourcenotfound" => (ErrorClass::NotFound, 404),
        _ => (ErrorClass::Server, 500),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_their_names() {
        for (name, class, status) in [
            ("internalServerException", ErrorClass::Server, 500),
            ("modelStreamErrorException", ErrorClass::Server, 424),
            ("validationException", ErrorClass::BadRequest, 400),
            ("throttlingException", ErrorClass::RateLimit, 429),
            ("modelTimeoutException", ErrorClass::Timeout, 408),
            ("serviceUnavailableException", ErrorClass::Overloaded, 503),
            ("com.amazon.coral#ThrottlingException:http://x/", ErrorClass::RateLimit, 429),
            ("AccessDeniedException", ErrorClass::Permission, 403),
            ("newException", ErrorClass::Server, 500),
        ] {
            let error = exception(name, br#"{"message":"it broke","p":"abc"}"#);
            assert_eq!((error.class, error.status), (class, status), "{name}");
            assert_eq!(error.message, "it broke");
            assert!(error.code.is_some_and(|code| name.contains(&code) && !code.contains([':', '#'])));
        }
        let error = unmodelled("InternalFailure", "An error occurred.");
        assert_eq!((error.class, error.message.as_str()), (ErrorClass::Server, "An error occurred."));
    }

    #[test]
    fn a_payload_of_any_kind_is_an_error() {
        for payload in [&b""[..], b"[]", b"{", b"\xff", br#"{"message":7}"#, br#"{"message":""}"#] {
            let error = exception("throttlingException", payload);
            assert_eq!(
                error.message,
                "the provider's stream broke off with throttlingException and no message"
            );
        }
        let told = exception("modelStreamErrorException", br#"{"originalMessage":"out of memory"}"#);
        assert_eq!(told.message, "out of memory");
        assert_eq!(exception("", b"{}").code, None);
        let long =
            exception("validationException", br#"{"message":"Input is too long for requested model."}"#);
        assert_eq!(long.class, ErrorClass::ContextTooLong);
    }
}
