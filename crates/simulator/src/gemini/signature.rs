//! Thought signatures: what the model has thought, so that only the API can read it
//! (<https://ai.google.dev/gemini-api/docs/thought-signatures>).

use crate::scatter::{Scatter, fnv1a};

/// Values that clients may send for history that is not from this API, and the same in base64, as SDKs
/// write what is bytes.
const PLACEHOLDERS: [&str; 4] = [
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
    "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
    "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
];

const RANDOM: usize = 40;
const MARK: usize = 12;

/// A new signature.
pub(super) fn new(ids: &mut Scatter) -> String {
    let random = ids.id("Cv", RANDOM - 2);
    let mark = mark(&random);
    random + &mark
}

/// Whether the API has given this signature, or lets it pass.
pub(super) fn is_known(signature: &str) -> bool {
    let given = signature
        .split_at_checked(RANDOM)
        .is_some_and(|(random, found)| random.starts_with("Cv") && mark(random) == found);
    given || PLACEHOLDERS.contains(&signature)
}

/// Characters of base64 that prove the ones before.
fn mark(random: &str) -> String {
    Scatter::new(fnv1a(random.as_bytes()), 1).id("", MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_is_known() {
        let signature = new(&mut Scatter::new(0, 0));
        assert!(is_known(&signature) && signature.len().is_multiple_of(4));
        assert!(!is_known(&signature.replace("Cv", "Cw")));
        assert!(!is_known(&signature[1..]) && !is_known("") && is_known(PLACEHOLDERS[0]));
    }
}
