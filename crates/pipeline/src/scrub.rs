//! Taking our own credentials out of what a provider says.

use secrecy::ExposeSecret;

use crate::compiled::{Deployment, Proof};
use crate::own_keys::OwnKey;

const MASK: &str = "[credential removed]";

/// Replaces every credential of the deployment's provider, and the tenant's own that was sent, in a text that a client will see:
/// providers echo keys in their error messages.
pub(crate) fn scrub(text: &mut String, deployment: &Deployment, own: Option<&OwnKey>) {
    let platform = deployment.provider.credentials.iter().flat_map(|credential| &credential.secrets);
    let own = own.and_then(OwnKey::secret);
    for credential in &deployment.provider.credentials {
        if let Proof::Issued(issued) = &credential.proof {
            issued.0.secrets(&mut |secret| mask(text, secret));
        }
    }
    for secret in platform.map(|secret| secret.expose_secret()).chain(own) {
        mask(text, secret);
    }
}

fn mask(text: &mut String, secret: &str) {
    if !secret.is_empty() && text.contains(secret) {
        *text = text.replace(secret, MASK);
    }
}
