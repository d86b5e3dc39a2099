//! Taking our own credentials out of what a provider says.

use secrecy::ExposeSecret;

use crate::compiled::Deployment;

const MASK: &str = "[credential removed]";

/// Replaces every credential of the deployment's provider in a text that a client will see:
/// providers echo keys in their error messages.
pub(crate) fn scrub(text: &mut String, deployment: &Deployment) {
    for secret in deployment.provider.credentials.iter().flat_map(|credential| &credential.secrets) {
        let secret = secret.expose_secret();
        if !secret.is_empty() && text.contains(secret) {
            *text = text.replace(secret, MASK);
        }
    }
}
