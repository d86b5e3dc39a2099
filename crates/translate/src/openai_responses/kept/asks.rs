//! What a request says of keeping. <https://platform.openai.com/docs/api-reference/responses/create>

use weighbridge_protocol::Body;
use weighbridge_protocol::json::{FromRaw, ReadError};

/// What a request says of keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// Whether the answer is to be kept: it is, unless the request says otherwise.
    pub store: bool,
    /// The id of the answer that the request goes on from.
    pub previous: Option<String>,
}

/// Reads what a request says of keeping; nothing else is looked at.
///
/// # Errors
/// [`ReadError`] where a field has the wrong type.
pub fn asks(body: &Body) -> Result<Asks, ReadError> {
    Ok(Asks {
        store: said(body, "store")?.unwrap_or(true),
        previous: said::<String>(body, "previous_response_id")?,
    })
}

/// What a body says under a name; `null` says nothing.
fn said<'a, T: FromRaw<'a>>(body: &'a Body, name: &str) -> Result<Option<T>, ReadError> {
    body.get(name).filter(|value| !value.is_null()).map(T::from_raw).transpose()
}

#[cfg(test)]
mod tests {
    use weighbridge_protocol::json::ScanLimits;

    use super::*;

    fn read(text: &str) -> Result<Asks, ReadError> {
        asks(&Body::scan(text.to_owned().into(), &ScanLimits::default()).unwrap())
    }

    #[test]
    fn answers_are_kept_unless_the_request_says_otherwise() {
        for text in ["{}", r#"{"store":null,"previous_response_id":null}"#, r#"{"store":true}"#] {
            assert_eq!(read(text), Ok(Asks { store: true, previous: None }), "{text}");
        }
        let previous = Some("resp_1".to_owned());
        let text = r#"{"store":false,"previous_response_id":"resp_1"}"#;
        assert_eq!(read(text), Ok(Asks { store: false, previous }));
    }

    #[test]
    fn wrong_types_are_errors() {
        for text in
            [r#"{"store":"no"}"#, r#"{"previous_response_id":7}"#, r#"{"previous_response_id":["a"]}"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
