use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::keys::{Key, SECTIONS};

/// What of a file must not be shown when a mistake in it is.
///
/// Characters are blotted out one by one, and what gives a value its structure stays: quotes, commas,
/// brackets, columns. So do references such as `${NAME}`, which tell nothing and help to find the mistake.
#[derive(Default)]
pub(crate) struct Mask {
    spans: Vec<Range<usize>>,
}

impl Mask {
    /// Hides what stands there.
    pub(crate) fn hide(&mut self, span: Range<usize>) {
        self.spans.push(span);
    }

    /// Hides a value; of a table, the values in it.
    pub(crate) fn hide_value(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(entries) => entries.iter().for_each(|(_, value)| self.hide_value(value)),
            _ => self.hide(value.span()),
        }
    }

    /// Hides whatever could be a secret in a file that cannot be parsed, so that nobody knows which
    /// value belongs to which key: all but table headers, comments, and the values of keys that are
    /// known to be harmless where they stand on the key's own line.
    pub(crate) fn unparsed(text: &str) -> Self {
        let mut mask = Self::default();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let header = line.trim_start().starts_with('[') && !line.contains(['"', '\'', ',', '=']);
            match line.split_once('=') {
                // An `@` may stand behind a password.
                Some(_) if !line.contains('@') && keys_of(line).all(is_harmless) => {}
                Some((key, _)) if is_known(key.trim()) => mask.hide(start + key.len()..end),
                None if header => {}
                _ => mask.hide(start..end),
            }
            start = end;
        }
        mask
    }

    /// The text with everything hidden that must be. Its length stays the same.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut shown = text.as_bytes().to_vec();
        let references = references(text);
        for place in
            self.spans.iter().flat_map(|span| [span.clone(), comment_behind(text, span.end)]).flatten()
        {
            let Some(byte) = shown.get_mut(place) else { continue };
            let structure = b"\"'[]{},= \t\r\n".contains(byte);
            if !structure && !references.iter().any(|reference| reference.contains(&place)) {
                // A character of several bytes becomes as many stars, and so stays valid UTF-8.
                *byte = b'*';
            }
        }
        String::from_utf8(shown).unwrap_or_else(|_| "*".repeat(text.len()))
    }
}

/// The comment behind a place in its line: an earlier secret, or one that a stray `#` has cut off.
fn comment_behind(text: &str, place: usize) -> Range<usize> {
    let rest = text.get(place..).unwrap_or("").split('\n').next().unwrap_or("");
    let start = rest.find('#').unwrap_or(rest.len());
    place + start..place + rest.len()
}

/// Where `${NAME}` and `${file:PATH}` stand.
fn references(text: &str) -> Vec<Range<usize>> {
    let found = text.match_indices("${").filter_map(|(start, _)| {
        let inside = text.get(start + 2..)?.split_once('}')?.0;
        let is_name = inside.starts_with(|c: char| c.is_ascii_uppercase())
            && inside.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let is_path = inside.starts_with("file:") && !inside.contains(['\n', '"', '$']);
        (is_name || is_path).then(|| start..start + inside.len() + 3)
    });
    found.collect()
}

/// The words before each `=` of a line: where a line break is missing, there are several.
fn keys_of(line: &str) -> impl Iterator<Item = &str> {
    let part_of_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    line.match_indices('=').map(move |(at, _)| {
        let before = line.get(..at).unwrap_or("").trim_end();
        before.rsplit(|c| !part_of_key(c)).next().unwrap_or("")
    })
}

/// Whether the key of that name, in whatever section, has a value that may be shown.
pub(crate) fn is_harmless(key: &str) -> bool {
    keys_named(key).next().is_some() && keys_named(key).all(|known| !known.secret)
}

/// Whether any section has a key of that name.
fn is_known(key: &str) -> bool {
    keys_named(key).next().is_some()
}

fn keys_named(name: &str) -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().filter_map(move |section| section.key(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unparsed_file_shows_structure_only() {
        let text = "[server]\nlisten = \"127.0.0.1:80\nadmin_token = geheim\nx=1\nworkers = 1 admin_token = \"a\"\n  \"sk-ä1\",\n[[\"sk-2\"]]\n";
        let shown = Mask::unparsed(text).apply(text);
        assert_eq!(
            shown,
            "[server]\nlisten = \"127.0.0.1:80\nadmin_token = ******\n*=*\nworkers = * *********** = \"*\"\n  \"******\",\n[[\"****\"]]\n"
        );
    }

    #[test]
    fn references_stay_readable() {
        let text = "k = [\"${KEY}\", \"x${file:/run/k}\", \"${sk-1}\", \"${\"]";
        let mut mask = Mask::default();
        mask.hide(4..text.len());
        assert_eq!(mask.apply(text), "k = [\"${KEY}\", \"*${file:/run/k}\", \"*{****}\", \"*{\"]");
    }

    #[test]
    fn a_comment_behind_a_secret_is_hidden_too() {
        let text = "a = 1# \"geheim\"\nb = \"x\" # ${HOME}, geheim\nc = 1 # shown";
        let mut mask = Mask::default();
        mask.hide(4..5);
        mask.hide(20..23);
        assert_eq!(mask.apply(text), "a = ** \"******\"\nb = \"*\" * ${HOME}, ******\nc = 1 # shown");
    }

    proptest! {
        #[test]
        fn masking_keeps_length_and_hides(text in "[^$]{0,60}", a in 0_usize..80, b in 0_usize..80) {
            let mut mask = Mask::default();
            mask.hide(a.min(b)..a.max(b));
            let shown = mask.apply(&text);
            prop_assert_eq!(shown.len(), text.len());
            mask.hide(0..text.len());
            prop_assert!(!mask.apply(&text).chars().any(char::is_alphanumeric));
        }
    }
}
