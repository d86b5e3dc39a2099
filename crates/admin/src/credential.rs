use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

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

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
