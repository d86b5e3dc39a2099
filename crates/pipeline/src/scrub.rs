//! Taking our own credentials out of what a provider says.

use secrecy::ExposeSecret;

use crate::compiled::Deployment;

const MASK: &str = "[credential removed]";

/// Replaces every credential of the deployment's provider in a text that a client will see:
/// providers echo keys in their error messages.
pub(crate) fn scrub(text: &mut String, deployment: &Deployment) {
    for credential in &deployment.provider.credentials {
        let secret = credential.secret.expose_secret();
        if !secret.is_empty() && text.contains(secret) {
            *text = text.replace(secret, MASK);
        }
    }
}
