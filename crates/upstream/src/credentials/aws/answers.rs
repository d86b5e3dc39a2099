//! What AWS answers: JSON of the metadata services, XML of STS.

use serde_json::Value;

use super::Keys;
use crate::credentials::client::Answer;
use crate::credentials::source::instant;
use crate::{AwsCredentials, CredentialError};

/// Keys of a metadata service
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>).
pub(super) fn of_metadata(answer: &Answer) -> Result<Keys, CredentialError> {
    let said = answer.json(|said| Some(said.get("code")?.as_str()?.to_owned()))?;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    // An instance without the role that it should have answers 200.
    if let Some(code) = text("Code").filter(|code| *code != "Success") {
        return Err(answer.refused(Some(code.to_owned())));
    }
    keys(answer, [text("AccessKeyId"), text("SecretAccessKey"), text("Token"), text("Expiration")])
}

/// Keys of STS
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
pub(super) fn of_sts(answer: &Answer) -> Result<Keys, CredentialError> {
    let text = answer.text(|text| element(text, "Code").map(str::to_owned))?;
    let said = element(text, "Credentials").unwrap_or_default();
    let names = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
    keys(answer, names.map(|name| element(said, name)))
}

/// What stands in the first element of that name, which has no attributes.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside.trim())
}

fn keys(answer: &Answer, [id, secret, token, until]: [Option<&str>; 4]) -> Result<Keys, CredentialError> {
    let unreadable = |problem| answer.unreadable(problem);
    let id = id.ok_or_else(|| unreadable("it has no access key id"))?;
    let secret = secret.ok_or_else(|| unreadable("it has no secret access key"))?;
    let until = until.and_then(instant);
    let until = until.ok_or_else(|| unreadable("it does not say when the keys end"))?;
    let token = token.map(|token| token.to_owned().into());
    let credentials = AwsCredentials::new(id, secret.to_owned().into(), token)
        .map_err(|_| unreadable("its keys cannot be used"))?;
    Ok(Keys { credentials, until: Some(until) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    const JSON: &str = r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAEXAMPLE",
        "SecretAccessKey":"geheim","Token":"token","Expiration":"2026-11-26T12:00:00Z"}"#;
    const XML: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
        <AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>
        <Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>geheim</SecretAccessKey>
        <SessionToken>to/ken+=</SessionToken><Expiration>2026-11-26T12:00:00.9Z</Expiration></Credentials>
        </AssumeRoleResult></AssumeRoleResponse>";

    type Read = fn(&Answer) -> Result<Keys, CredentialError>;

    #[test]
    fn keys_and_their_end_are_read() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_694_400);
        assert_eq!(of_metadata(&Answer::of(200, JSON)).ok().unwrap().until, Some(noon));
        assert_eq!(of_sts(&Answer::of(200, XML)).ok().unwrap().until, Some(noon));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_without_secrets() {
        for (read, text) in [(of_metadata as Read, JSON), (of_sts, XML)] {
            for gone in ["AccessKeyId", "SecretAccessKey", "Expiration", "2026", "ASIAEXAMPLE"] {
                let wrong = text.replace(gone, "");
                let error = read(&Answer::of(200, &wrong)).err().unwrap();
                assert!(matches!(error, CredentialError::Unreadable { .. }), "{gone}: {error}");
                assert!(!format!("{error} {error:?}").contains("geheim"));
            }
        }
        for text in ["", "<Credentials>", "{\"", "[1]", "\u{0}"] {
            assert!(of_metadata(&Answer::of(200, text)).is_err() && of_sts(&Answer::of(200, text)).is_err());
        }
    }

    #[test]
    fn refusals_have_the_code_of_aws() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                   <Message>geheim</Message></Error></ErrorResponse>";
        let failed = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"geheim"}"#;
        for (error, code, status) in [
            (of_sts(&Answer::of(403, xml)), "AccessDenied", 403),
            (of_metadata(&Answer::of(200, failed)), "AssumeRoleUnauthorizedAccess", 200),
            (of_metadata(&Answer::of(400, r#"{"code":"InvalidToken","message":"x"}"#)), "InvalidToken", 400),
            (of_metadata(&Answer::of(404, "<html>")), "without a reason", 404),
        ] {
            let issuer = "https://issuer".to_owned();
            let expected = CredentialError::Refused { issuer, status, code: code.to_owned() };
            assert_eq!(error.err().unwrap(), expected);
        }
    }
}
