//! The simulated tokenizer: a token is up to four characters of one text.
//!
//! A count never exceeds the bytes counted, as with real tokenizers, and the tokens of a text are
//! the same whether it is sent at once or in pieces.

use serde_json::Value;

/// Characters of one token.
const CHARACTERS: usize = 4;

/// The tokens of a text.
pub(crate) fn count(text: &str) -> u64 {
    of_characters(text.chars().count())
}

/// The tokens of a text with so many characters.
pub(crate) const fn of_characters(characters: usize) -> u64 {
    characters.div_ceil(CHARACTERS) as u64
}

/// The text of each token, in order.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.char_indices().nth(CHARACTERS).map_or(rest.len(), |(place, _)| place);
        let (token, others) = rest.split_at(end);
        rest = others;
        (!token.is_empty()).then_some(token)
    })
}

/// The longest beginning of a text that has at most so many tokens.
pub(crate) fn first(text: &str, tokens: u64) -> &str {
    let characters = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(CHARACTERS);
    text.char_indices().nth(characters).map_or(text, |(place, _)| &text[..place])
}

/// The tokens of every text inside a value, field names included.
pub(crate) fn count_all(value: &Value) -> u64 {
    match value {
        Value::String(text) => count(text),
        Value::Array(items) => items.iter().map(count_all).sum(),
        Value::Object(object) => object.iter().map(|(name, value)| count(name) + count_all(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_join_to_their_text(text in ".{0,80}", limit in 0_u64..30) {
            let tokens: Vec<&str> = split(&text).collect();
            prop_assert_eq!(tokens.concat(), text.as_str());
            prop_assert_eq!(tokens.len() as u64, count(&text));
            prop_assert!(count(&text) <= text.len() as u64);
            let beginning = first(&text, limit);
            prop_assert!(text.starts_with(beginning));
            prop_assert_eq!(count(beginning), count(&text).min(limit));
        }
    }
}
