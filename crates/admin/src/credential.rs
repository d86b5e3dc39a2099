use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Actor;

/// The admin API's credential, kept as a hash. It has no `Debug`.
#[derive(Clone)]
pub struct AdminCredential {
    digest: [u8; 32],
}

impl AdminCredential {
    /// From the token that callers will send. The configuration sees to its length.
    pub fn new(token: &str) -> Self {
        Self { digest: digest(token) }
    }

    /// Whether a token is the credential. Hashing both makes the time independent of how much of the
    /// token is right, and of its length being right.
    pub fn matches(&self, presented: &str) -> bool {
        self.digest.ct_eq(&digest(presented)).into()
    }
}

/// Who may use the admin API: one administrator of the installation, and any of tenants.
#[derive(Clone)]
pub struct Credentials {
    all: Vec<(AdminCredential, Actor)>,
}

impl Credentials {
    /// Of the administrator of the installation alone.
    pub fn new(installation: AdminCredential) -> Self {
        Self { all: vec![(installation, Actor::installation("admin-api"))] }
    }

    /// With one of another actor. Tokens are not shared: the configuration sees to it.
    #[must_use]
    pub fn with(mut self, credential: AdminCredential, actor: Actor) -> Self {
        self.all.push((credential, actor));
        self
    }

    /// Whose token it is. All are compared, so that time does not tell which one was nearly right.
    pub(crate) fn actor(&self, presented: &str) -> Option<&Actor> {
        let mut found = None;
        for (credential, actor) in &self.all {
            if credential.matches(presented) {
                found = Some(actor);
            }
        }
        found
    }
}

impl From<AdminCredential> for Credentials {
    fn from(installation: AdminCredential) -> Self {
        Self::new(installation)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
