use crate::gemini::base64;

/// Joins pieces of base64, each of whole bytes and padded, into pieces of which only the last may be.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Bytes that fill no group of four digits yet: at most two.
    carry: Vec<u8>,
}

impl Joined {
    /// The next piece; what is no base64 passes as it is.
    pub(super) fn push(&mut self, piece: &str) -> String {
        if self.carry.is_empty() && !piece.ends_with('=') {
            return piece.to_owned();
        }
        let Some(bytes) = base64::decode(piece) else { return piece.to_owned() };
        self.carry.extend_from_slice(&bytes);
        let whole = self.carry.len() - self.carry.len() % 3;
        let rest = self.carry.split_off(whole);
        base64::encode(&std::mem::replace(&mut self.carry, rest))
    }

    /// What is left at the end.
    pub(super) fn finish(self) -> String {
        base64::encode(&self.carry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_join_to_the_same_bytes(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
            let mut joined = Joined::default();
            let mut text: String = pieces.iter().map(|piece| joined.push(&base64::encode(piece))).collect();
            prop_assert!(!text.contains('='));
            text.push_str(&joined.finish());
            prop_assert_eq!(base64::decode(&text), Some(pieces.concat()));
        }
    }
}
