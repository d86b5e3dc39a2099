//! Access tokens, as OAuth 2.0 answers with them (<https://www.rfc-editor.org/rfc/rfc6749#section-5>).

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::client::Answer;
use super::source::{Fresh, Material};
use crate::CredentialError;

/// How long a token is believed in whose issuer does not say.
const UNTOLD: u64 = 300;
/// The longest time for which a token is believed in.
const LONGEST: u64 = 7 * 24 * 3_600;

/// The token of an answer to a question that was asked at `now`.
pub(super) fn token(answer: &Answer, now: SystemTime) -> Result<Fresh, CredentialError> {
    let said = answer.json(reason)?;
    let is_bearer = |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !said.get("token_type").is_none_or(is_bearer) {
        return Err(answer.unreadable("it is no bearer token"));
    }
    let seconds = match said.get("expires_in") {
        None => UNTOLD,
        // Azure's metadata service writes numbers as text.
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(number) => number.as_u64().unwrap_or_default(),
    };
    if seconds == 0 {
        return Err(answer.unreadable("it has ended already, or its `expires_in` is no number of seconds"));
    }
    let text = said.get("access_token").and_then(Value::as_str);
    let material = text.and_then(Material::bearer);
    let material = material.ok_or_else(|| answer.unreadable("it has no `access_token` that can be sent"))?;
    Ok(Fresh { material, until: now.checked_add(Duration::from_secs(seconds.min(LONGEST))) })
}

/// What the issuer calls the reason. Entra's own number says more than OAuth's word.
fn reason(said: &Value) -> Option<String> {
    let error = said.get("error")?;
    let word = error.as_str().or_else(|| error.get("status")?.as_str()).unwrap_or_default();
    let number = said.get("error_codes").and_then(|codes| codes.get(0)?.as_u64());
    Some(number.map_or_else(|| word.to_owned(), |number| format!("{word} AADSTS{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn tokens_are_read_and_bounded() {
        for (said, seconds) in [
            (r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#, 3599),
            (r#"{"access_token":"t","expires_in":"86399","token_type":"bearer"}"#, 86_399),
            (r#"{"access_token":"t"}"#, UNTOLD),
            (r#"{"access_token":"t","expires_in":99999999999}"#, LONGEST),
        ] {
            let fresh = token(&Answer::of(200, said), NOW).ok().unwrap();
            assert_eq!(fresh.until, Some(NOW + Duration::from_secs(seconds)), "{said}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for said in [
            "",
            "[]",
            "<html>",
            "{}",
            r#"{"access_token":7}"#,
            r#"{"access_token":"","expires_in":1}"#,
            r#"{"access_token":"a\nb","expires_in":1}"#,
            r#"{"access_token":"geheim","expires_in":0}"#,
            r#"{"access_token":"geheim","expires_in":-5}"#,
            r#"{"access_token":"geheim","expires_in":"soon"}"#,
            r#"{"access_token":"geheim","token_type":"mac"}"#,
        ] {
            let error = token(&Answer::of(200, said), NOW).err().unwrap();
            assert!(matches!(error, CredentialError::Unreadable { .. }), "{said}: {error}");
            assert!(!error.to_string().contains("geheim"));
        }
    }

    #[test]
    fn a_refusal_names_its_reason_and_nothing_else() {
        for (said, code) in [
            (r#"{"error":"invalid_grant","error_description":"Invalid JWT geheim"}"#, "invalid_grant"),
            (
                r#"{"error":"invalid_client","error_codes":[7000215],"error_description":"geheim"}"#,
                "invalid_client AADSTS7000215",
            ),
            (
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"geheim"}}"#,
                "PERMISSION_DENIED",
            ),
            ("<html>geheim</html>", "without a reason"),
        ] {
            let error = token(&Answer::of(400, said), NOW).err().unwrap();
            let issuer = "https://issuer".to_owned();
            assert_eq!(error, CredentialError::Refused { issuer, status: 400, code: code.to_owned() });
        }
    }
}
