//! What a provider is shown: keys, or signatures with the keys of an AWS account.

use std::sync::Arc;

use secrecy::SecretString;
use weighbridge_catalogue::Preset;
use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential};
use weighbridge_transport::Signer;
use weighbridge_upstream::{AwsCredentials, AwsSigner};

use crate::Surroundings;
use crate::problem::Problems;
use crate::providers::{header_text, named};
use crate::reader::Given;
use crate::said;

/// What AWS calls Bedrock in signatures.
const BEDROCK: &str = "bedrock";

/// The variables that AWS's own tools read.
const AWS_VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The credentials of a provider: those of the file; else, at the address that they are known for, those
/// of the environment.
pub(crate) fn credentials(
    said: &said::Provider,
    preset: Option<&'static Preset>,
    region: Option<&str>,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Vec<ProviderCredential> {
    let keys = said.api_keys.said();
    if keys.is_some() || said.aws.is_some() {
        let keys = keys.into_iter().flat_map(|keys| &keys.value);
        let keys = keys.map(|key| ProviderCredential::key(key.value.as_str()));
        let signature = said.aws.as_ref().and_then(|aws| signed(said, aws, region, problems));
        return keys.chain(signature).collect();
    }
    // A key from the environment goes to the address that it is known for, and to no other.
    let (Some(preset), true, true) = (preset, said.api_keys.is_absent(), said.base_url.is_absent()) else {
        return Vec::new();
    };
    if let Some((variable, key)) = key_of(preset, surroundings) {
        if let Err(why) = header_text(&key) {
            problems.elsewhere(format!("the environment variable {variable}: the API key {why}"));
        }
        return vec![ProviderCredential::key(key)];
    }
    let [id, secret, token] = AWS_VARIABLES.map(|name| named(&[name], surroundings));
    if let (true, Some(id), Some(secret)) = (preset.takes_aws_keys, id, secret) {
        return signature(said, id, secret, token, region, problems).into_iter().collect();
    }
    if !preset.env_vars.is_empty() {
        let name = &said.name.value;
        let mut variables = preset.env_vars.join(" or ");
        if preset.takes_aws_keys {
            variables.push_str(" or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        }
        problems.at(said.name.span.clone(), format!("provider `{name}` has no API key")).hint(format!(
            "set {variables} in the environment, or write: api_keys = [\"${{{}}}\"]",
            preset.env_vars.first().copied().unwrap_or("NAME"),
        ));
    }
    Vec::new()
}

/// The key that the environment has for a preset, and the variable that it is in.
pub(crate) fn key_of(preset: &Preset, surroundings: &dyn Surroundings) -> Option<(&'static str, String)> {
    preset.env_vars.iter().find_map(|name| {
        let key = surroundings.variable(name).map(|key| key.trim().to_owned());
        key.filter(|key| !key.is_empty()).map(|key| (*name, key))
    })
}

fn signed(
    said: &said::Provider,
    aws: &said::Aws,
    region: Option<&str>,
    problems: &mut Problems,
) -> Option<ProviderCredential> {
    let mut text = |name: &str, given: &Given<String>| {
        if given.is_absent() {
            problems
                .at(
                    said.name.span.clone(),
                    format!("the `aws` keys of `{}` have no `{name}`", said.name.value),
                )
                .hint("AWS gives an access key id and a secret access key together");
        }
        given.said().map(|given| given.value.clone())
    };
    let id = text("access_key_id", &aws.access_key_id);
    let secret = text("secret_access_key", &aws.secret_access_key);
    let token = aws.session_token.said().map(|token| token.value.clone());
    signature(said, id?, secret?, token, region, problems)
}

fn signature(
    said: &said::Provider,
    id: String,
    secret: String,
    token: Option<String>,
    region: Option<&str>,
    problems: &mut Problems,
) -> Option<ProviderCredential> {
    let Some(region) = region else {
        // Without a base URL, that has been said of its address.
        if !said.base_url.is_absent() && said.region.is_absent() {
            let message = format!("provider `{}` needs a `region`", said.name.value);
            problems.at(said.name.span.clone(), message).hint("signatures are for one region of AWS");
        }
        return None;
    };
    let secrets: Vec<SecretString> =
        std::iter::once(secret.clone()).chain(token.clone()).map(SecretString::from).collect();
    let signer = AwsCredentials::new(id, secret.into(), token.map(SecretString::from))
        .and_then(|credentials| AwsSigner::new(credentials, region, BEDROCK));
    match signer {
        Ok(signer) => {
            let signer = Signer(Arc::new(signer));
            Some(CredentialProof::Signature { signer, secrets }.into())
        }
        Err(error) => {
            problems.at(said.name.span.clone(), format!("the `aws` keys of `{}`: {error}", said.name.value));
            None
        }
    }
}
