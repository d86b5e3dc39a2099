//! What a provider is shown: keys, signatures with the keys of an AWS account, tokens that a cloud issues.

mod aws;
mod azure;
mod gcp;

use std::sync::Arc;

use secrecy::SecretString;
use weighbridge_catalogue::Preset;
use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential};
use weighbridge_transport::Issued;
use weighbridge_upstream::{CredentialSource, IssueOptions, IssuedCredential, UpstreamError};

use crate::Surroundings;
use crate::problem::Problems;
use crate::providers::{header_text, named};
use crate::reader::Given;
use crate::said;

/// What is known where the credentials of one provider are made.
struct Making<'a> {
    said: &'a said::Provider,
    region: Option<&'a str>,
    issue: IssueOptions,
    surroundings: &'a dyn Surroundings,
    problems: &'a mut Problems,
}

/// The credentials of a provider: those of the file; else, at the address that they are known for, those
/// of the environment.
pub(crate) fn credentials(
    said: &said::Provider,
    preset: Option<&'static Preset>,
    region: Option<&str>,
    issue: IssueOptions,
    surroundings: &dyn Surroundings,
    problems: &mut Problems,
) -> Vec<ProviderCredential> {
    let mut making = Making { said, region, issue, surroundings, problems };
    let keys = said.api_keys.said();
    if keys.is_some() || said.aws.is_some() || said.gcp.is_some() || said.azure.is_some() {
        let keys = keys.into_iter().flat_map(|keys| &keys.value).map(|said| {
            let weight =
                said.weight.said().map_or(1, |weight| u32::try_from(weight.value).unwrap_or(u32::MAX));
            ProviderCredential { weight, ..ProviderCredential::key(said.key.value.as_str()) }
        });
        let aws = said.aws.as_ref().and_then(|aws| making.aws(aws));
        let gcp = said.gcp.as_ref().and_then(|gcp| making.gcp(gcp));
        let azure = said.azure.as_ref().and_then(|azure| making.azure(azure));
        return keys.chain(aws).chain(gcp).chain(azure).collect();
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
    let (takes_aws, takes_gcp) = (preset.takes_aws_keys, takes_gcp(preset));
    if takes_aws && aws::is_in(surroundings) {
        return making.aws_environment().into_iter().collect();
    }
    if takes_gcp && gcp::is_in(surroundings) {
        return making.gcp_environment(None).into_iter().collect();
    }
    if !preset.env_vars.is_empty() {
        let name = &said.name.value;
        let mut variables = preset.env_vars.join(" or ");
        if takes_aws {
            variables.push_str(" or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        }
        if takes_gcp {
            variables.push_str(" or GOOGLE_APPLICATION_CREDENTIALS");
        }
        problems.at(said.name.span.clone(), format!("provider `{name}` has no API key")).hint(format!(
            "set {variables} in the environment, or write: api_keys = [\"${{{}}}\"]",
            preset.env_vars.first().copied().unwrap_or("NAME"),
        ));
    }
    Vec::new()
}

/// Whether a preset is of Google's cloud, whose addresses have a project in them.
fn takes_gcp(preset: &Preset) -> bool {
    preset.project_vars.contains(&"GOOGLE_CLOUD_PROJECT")
}

/// The key that the environment has for a preset, and the variable that it is in.
pub(crate) fn key_of(preset: &Preset, surroundings: &dyn Surroundings) -> Option<(&'static str, String)> {
    preset.env_vars.iter().find_map(|name| {
        let key = surroundings.variable(name).map(|key| key.trim().to_owned());
        key.filter(|key| !key.is_empty()).map(|key| (*name, key))
    })
}

impl Making<'_> {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String> {
        named(&[name], self.surroundings)
    }

    /// A mistake in one of the tables: where no place of its own is known, at the provider's name.
    fn wrong(&mut self, table: &str, what: &str, hint: &str) {
        let name = &self.said.name;
        self.problems.at(name.span.clone(), format!("the `{table}` of `{}` {what}", name.value)).hint(hint);
    }

    /// What a source says to that set-up, told as a mistake.
    fn made<T>(&mut self, table: &str, result: Result<T, UpstreamError>) -> Option<T> {
        let hint = "docs/credentials.md shows each kind";
        result
            .map_err(|error| {
                let name = &self.said.name;
                self.problems
                    .at(name.span.clone(), format!("the `{table}` of `{}`: {error}", name.value))
                    .hint(hint);
            })
            .ok()
    }

    /// The text of a key that its table needs.
    fn needed(&mut self, table: &str, key: &str, given: &Given<String>, hint: &str) -> Option<String> {
        if given.is_absent() {
            self.wrong(table, &format!("has no `{key}`"), hint);
        }
        text(given).filter(|text| {
            let is_there = !text.trim().is_empty();
            if !is_there {
                self.wrong(table, &format!("has an empty `{key}`"), hint);
            }
            is_there
        })
    }

    /// Keys of a table that nothing comes of.
    fn unused(&mut self, table: &str, from: &str, keys: &[(&str, bool)]) {
        for (key, _) in keys.iter().filter(|(_, is_said)| *is_said) {
            self.wrong(table, &format!("says `{key}`, which {from} has no use for"), "leave it out");
        }
    }

    /// A credential that is renewed. `secrets` are what its issuer is shown.
    fn issued(&self, source: CredentialSource, secrets: Vec<SecretString>) -> ProviderCredential {
        let name = self.said.name.value.as_str();
        let issued = Issued(Arc::new(IssuedCredential::new(name, source, self.issue.clone())));
        CredentialProof::Issued { issued, secrets }.into()
    }
}

fn text(given: &Given<String>) -> Option<String> {
    given.said().map(|said| said.value.clone())
}
