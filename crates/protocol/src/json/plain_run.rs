//! How far the plain part of a string goes.

/// As many words are looked at one by one before vectors take over, which need a start-up: most
/// strings of a document are names and short values.
const WORDS: usize = 4;

/// A byte, in every place of a word.
const fn everywhere(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The length of the part of a string, or of what follows it, before the first byte that ends it
/// (`"`), escapes (`\`) or may not stand in it (below 0x20); all of `text` if there is none.
pub(super) fn plain_run(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks();
    for (index, word) in words.iter().take(WORDS).enumerate() {
        let found = stops(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let seen = words.len().min(WORDS) * 8;
    let rest = text.get(seen..).unwrap_or_default();
    if rest.len() < 8 {
        return seen + rest.iter().position(|&byte| is_stop(byte)).unwrap_or(rest.len());
    }
    let plain = memchr::memchr2(b'"', b'\\', rest).map_or(rest, |end| rest.get(..end).unwrap_or_default());
    let length = if has_control(plain) {
        plain.iter().position(|&byte| byte < 0x20).unwrap_or(plain.len())
    } else {
        plain.len()
    };
    seen + length
}

const fn is_stop(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

/// The highest bit of the first byte that is no plain one, and perhaps of bytes after it; 0 if all
/// are plain. Subtracting borrows from the next byte only where this one is found.
const fn stops(word: u64) -> u64 {
    const fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(everywhere(bound)) & !word & everywhere(0x80)
    }
    below(word, 0x20) | below(word ^ everywhere(b'"'), 1) | below(word ^ everywhere(b'\\'), 1)
}

/// Whether a byte below 0x20 is there. Whole chunks without a branch, which compilers vectorise.
fn has_control(text: &[u8]) -> bool {
    text.chunks(64).any(|chunk| chunk.iter().fold(false, |found, &byte| found | (byte < 0x20)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(text: &[u8]) -> usize {
        text.iter().position(|&byte| is_stop(byte)).unwrap_or(text.len())
    }

    #[test]
    fn every_byte_is_found_at_every_place_behind_every_other() {
        for byte in 0..=u8::MAX {
            for before in [0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                for at in 0..80 {
                    let mut text = [before; 80];
                    text[at] = byte;
                    assert_eq!(plain_run(&text), one_by_one(&text), "{byte} at {at} behind {before}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_one_by_one_finds(text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(plain_run(&text), one_by_one(&text));
        }

        #[test]
        fn it_finds_the_end_of_long_texts(length in 0_usize..300, end in any::<u8>(), more in "[ -~]{0,9}") {
            let text = [&vec![b'x'; length][..], &[end], more.as_bytes()].concat();
            prop_assert_eq!(plain_run(&text), one_by_one(&text));
        }
    }
}
