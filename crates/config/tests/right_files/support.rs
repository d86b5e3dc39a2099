//! What the tests share.

use secrecy::ExposeSecret;
use weighbridge_config::Config;
use weighbridge_pipeline::settings::{CredentialProof, ProviderCredential, ProviderSettings, RouteSettings};

use crate::fixed::{Fixed, read};

pub(crate) const KEYS: Fixed = Fixed {
    variables: &[
        ("OPENAI_API_KEY", "sk-openai"),
        ("ANTHROPIC_API_KEY", " sk-anthropic\n"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9000/"),
    ],
    files: &[],
};

/// A credentials file of a user of Google Cloud.
pub(crate) const USER: &str =
    r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#;

/// A certificate with its key, made for tests.
pub(crate) const ENTRA: &str = concat!(
    include_str!("../../../upstream/tests/loopback/credentials/keys/rsa.pem"),
    include_str!("../../../upstream/tests/loopback/credentials/keys/rsa.key")
);

pub(crate) fn right(text: &str, surroundings: &Fixed) -> Config {
    read(text, surroundings).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn provider<'a>(config: &'a Config, name: &str) -> &'a ProviderSettings {
    config
        .settings
        .providers
        .iter()
        .find(|provider| &*provider.name == name)
        .expect("a provider of that name")
}

pub(crate) fn route<'a>(config: &'a Config, name: &str) -> &'a RouteSettings {
    config.settings.routes.iter().find(|route| &*route.name == name).expect("a model of that name")
}

pub(crate) fn keys(provider: &ProviderSettings) -> Vec<&str> {
    fn bare(credential: &ProviderCredential) -> &str {
        match &credential.proof {
            CredentialProof::Key(key) => key.expose_secret(),
            CredentialProof::Signature { .. } => "signed",
            CredentialProof::Issued { .. } => "issued",
        }
    }
    provider.credentials.iter().map(bare).collect()
}

pub(crate) fn names(targets: &[weighbridge_pipeline::settings::TargetSettings]) -> Vec<String> {
    targets.iter().map(|target| format!("{}/{}", target.provider, target.model)).collect()
}
