//! Assertions that are signed with a private key of our own: RFC 7519, in the compact form of RFC 7515.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::{CredentialError, UpstreamError};

/// How an assertion is signed.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    /// RSA with PKCS #1, and SHA-256.
    Rs256,
    /// RSA with PSS, and SHA-256.
    Ps256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn padding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// An RSA key that signs. It has no `Debug`.
pub(super) struct SigningKey(KeyPair);

impl SigningKey {
    /// A private key in PEM, of PKCS #8 or PKCS #1.
    pub(super) fn from_pem(pem: &str) -> Result<Self, UpstreamError> {
        let wrong = |problem: &str| UpstreamError::Credential { problem: problem.to_owned() };
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| wrong("it has no private key in PEM (BEGIN PRIVATE KEY)"))?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(wrong("its private key is not RSA")),
        };
        key.map(Self).map_err(|_| wrong("its private key is not RSA of at least 2048 bits"))
    }

    /// An assertion of these claims. `header` is an object, to which the algorithm is added.
    pub(super) fn sign(
        &self,
        algorithm: Algorithm,
        mut header: Value,
        claims: &Value,
    ) -> Result<String, CredentialError> {
        if let Some(header) = header.as_object_mut() {
            header.insert("typ".to_owned(), "JWT".into());
            header.insert("alg".to_owned(), algorithm.name().into());
        }
        let mut token = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(algorithm.padding(), &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| CredentialError::Unaskable { problem: "its key cannot sign".to_owned() })?;
        token.push('.');
        token.push_str(&base64url(&signature));
        Ok(token)
    }
}

/// An id that no other assertion has.
pub(super) fn unique_id() -> Result<String, CredentialError> {
    let mut bytes = [0; 16];
    let no_luck = |_| CredentialError::Unaskable { problem: "the system gives no random bytes".to_owned() };
    SystemRandom::new().fill(&mut bytes).map_err(no_luck)?;
    Ok(base64url(&bytes))
}

/// Base64 with the alphabet for URLs, without padding (RFC 4648, 5).
pub(super) fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity((bytes.len() * 4).div_ceil(3));
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letter =
            |at: usize| LETTERS.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or_default();
        text.extend((0..=chunk.len()).map(|at| char::from(letter(at))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (bytes, text) in
            [(&b""[..], ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foobar", "Zm9vYmFy"), (b"\xfb\xff\xfe", "-__-")]
        {
            assert_eq!(base64url(bytes), text);
        }
    }

    #[test]
    fn no_two_ids_are_alike() {
        let ids: std::collections::BTreeSet<_> = (0..100).map(|_| unique_id().unwrap()).collect();
        assert_eq!(ids.len(), 100);
    }
}
