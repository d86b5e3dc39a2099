//! `thoughtSignature`: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
//!
//! It may stand on any part, and must come back on the same one. In the canonical model it is a piece of
//! reasoning without text before that part. To a client it may also be another provider's proof, as a
//! token; SDKs want base64 here, so a token is encoded once more.

use std::borrow::Cow;

use super::base64;
use crate::conversation::{Proof, ProofKind};

/// What stands for a signature on a call that no model of Google's made. Gemini 3 refuses the first call
/// of a turn without any.
pub(super) const SKIP: &str = "skip_thought_signature_validator";

/// How every token begins in base64: whole groups of `wb.proof`.
pub(super) const TOKEN_START: &str = "d2IucHJv";

/// A proof, and the id of the reasoning that it belongs to.
pub(super) type Signed<'a> = (Proof<'a>, Option<Cow<'a, str>>);

/// Reads a signature; `None` for one that says that there is none.
pub(super) fn read(text: Cow<'_, str>) -> Option<Signed<'_>> {
    if is_skipped(&text) {
        return None;
    }
    let token = match text.starts_with(TOKEN_START) {
        true => base64::decode(&text).and_then(|bytes| String::from_utf8(bytes).ok()),
        false => None,
    };
    let token = token.map_or(text, Cow::Owned);
    Some(Proof::from_token(token, Proof::GEMINI, ProofKind::Signature))
}

/// Whether a signature is a token of ours, and no signature of Google's as it came.
pub(super) fn is_token(text: &str) -> bool {
    let token = || base64::decode(text).is_some_and(|bytes| bytes.starts_with(Proof::MARK.as_bytes()));
    text.starts_with(TOKEN_START) && token()
}

/// Whether a signature only says that there is none; SDKs encode it once more.
pub(super) fn is_skipped(text: &str) -> bool {
    text == SKIP || base64::decode(text).is_some_and(|bytes| bytes == SKIP.as_bytes())
}

/// What a client brings back of a proof, whoever made it.
pub(super) fn write<'p>(proof: &'p Proof<'_>, id: Option<&str>) -> Cow<'p, str> {
    match proof.token(Proof::GEMINI, ProofKind::Signature, id) {
        Cow::Borrowed(plain) => Cow::Borrowed(plain),
        Cow::Owned(token) => Cow::Owned(base64::encode(token.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_proof_comes_back_from_a_client() {
        let proofs = [
            (Proof::signature(Proof::GEMINI, "Cv+/IF=="), None),
            (Proof::signature(Proof::ANTHROPIC, "EqQB"), None),
            (Proof::sealed(Proof::OPENAI, "gAAA"), Some("rs_1")),
        ];
        for (proof, id) in proofs {
            let written = write(&proof, id);
            assert!(base64::decode(&written).is_some(), "{written}");
            assert_eq!(read(written), Some((proof.clone(), id.map(Cow::Borrowed))));
        }
        assert_eq!(read(Cow::Borrowed(SKIP)), None);
        assert_eq!(read(Cow::Owned(base64::encode(SKIP.as_bytes()))), None);
    }

    #[test]
    fn a_token_in_base64_begins_as_expected() {
        let token = Proof::signature(Proof::OPENAI, "x");
        assert!(write(&token, None).starts_with(TOKEN_START));
    }
}
