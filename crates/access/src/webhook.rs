//! Signatures of webhooks, after Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use weighbridge_units::Timestamp;

/// What webhooks are signed with. It has no `Debug`, and is erased when it is dropped.
#[derive(Clone)]
pub struct WebhookSecret(SecretString);

impl WebhookSecret {
    /// The fewest characters of a secret.
    pub const MIN_LENGTH: usize = 16;

    /// From a text; `None` where it is too short to be one.
    pub fn new(text: SecretString) -> Option<Self> {
        (text.expose_secret().len() >= Self::MIN_LENGTH).then_some(Self(text))
    }

    /// The value of `webhook-signature`: `v1,` and, in base64, HMAC-SHA256 over `id.seconds.body`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let key = self.0.expose_secret().as_bytes();
        // An HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(at.as_secs().to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        format!("v1,{}", base64(&mac.finalize().into_bytes()))
    }
}

/// Standard base64 (RFC 4648, 4), with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let secret = |text: &str| WebhookSecret::new(SecretString::from(text.to_owned()));
        assert!(secret("fifteen letters").is_none());
        let secret = secret("sixteen letters!").unwrap();
        let signature = secret.sign("alert_1", Timestamp::from_secs(1_800_000_000), br#"{"a":1}"#);
        // Computed by Python's hmac over b'alert_1.1800000000.{"a":1}'.
        assert_eq!(signature, "v1,pXD/P9AujgfdEWYu5axAxcYwWHz277Rqc+bYXMzvuwk=");
        let others = [
            secret.sign("alert_2", Timestamp::from_secs(1_800_000_000), br#"{"a":1}"#),
            secret.sign("alert_1", Timestamp::from_secs(1_800_000_001), br#"{"a":1}"#),
            secret.sign("alert_1", Timestamp::from_secs(1_800_000_000), br#"{"a":2}"#),
        ];
        assert!(others.iter().all(|other| *other != signature));
    }
}
