use std::borrow::Cow;

/// What a credential is replaced by.
const MASK: &str = "[redacted]";
/// Fewer characters than this are not taken for a credential.
const SHORTEST: usize = 8;
/// Characters of the public id of a virtual key, which may be seen.
const PUBLIC_ID: usize = 12;

/// What credentials of known makes begin with: our own, OpenAI's and Anthropic's, Google's, Groq's,
/// xAI's, and AWS access keys.
const PREFIXES: [&str; 6] = ["wb-", "sk-", "AIza", "gsk_", "xai-", "AKIA"];
/// After these words, in any case, a credential of any make follows.
const LABELS: [&str; 5] = ["bearer", "api-key", "api_key", "apikey", "key="];

/// Masks whatever looks like a credential in free text, such as a provider's error message.
///
/// Virtual keys keep their public id. Text without a credential is borrowed. Takes time linear in
/// the text; redacting twice changes nothing more.
///
/// ```
/// use weighbridge_records::redact;
///
/// assert_eq!(redact("Incorrect key: sk-proj-abc123def456."), "Incorrect key: sk-[redacted].");
/// assert_eq!(redact("authorization: Bearer ya29.A0AfH6SM"), "authorization: Bearer [redacted]");
/// assert_eq!(redact("a task-force is no key"), "a task-force is no key");
/// ```
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut output = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = next_beginning(text.as_bytes(), at) {
        at = found;
        if let Some((start, end)) = credential_at(text.as_bytes(), at) {
            output.push_str(text.get(copied..start).unwrap_or_default());
            output.push_str(MASK);
            copied = end;
            at = end;
        } else {
            at += 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    output.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(output)
}

/// Bytes with which a prefix or a label begins, and bytes that come second in one: two look-ups per
/// byte pass over nearly all of a text.
const FIRST: [bool; 256] = bytes_at(0);
const SECOND: [bool; 256] = bytes_at(1);

/// The bytes at `place` of the prefixes, and in both cases of the labels.
const fn bytes_at(place: usize) -> [bool; 256] {
    let mut bytes = [false; 256];
    let mut nth = 0;
    while nth < PREFIXES.len() {
        bytes[PREFIXES[nth].as_bytes()[place] as usize] = true;
        nth += 1;
    }
    nth = 0;
    while nth < LABELS.len() {
        let byte = LABELS[nth].as_bytes()[place];
        bytes[byte.to_ascii_lowercase() as usize] = true;
        bytes[byte.to_ascii_uppercase() as usize] = true;
        nth += 1;
    }
    bytes
}

/// Where, from `from` on, a prefix or a label may begin.
fn next_beginning(text: &[u8], from: usize) -> Option<usize> {
    let may_begin =
        |pair: &[u8]| matches!(pair, [first, second] if FIRST[*first as usize] && SECOND[*second as usize]);
    text.get(from..)?.windows(2).position(may_begin).map(|distance| from + distance)
}

/// The bytes to mask where a credential, or a word that announces one, begins at `at`.
///
/// Looks at a bounded number of bytes, or at those that it returns, or at the blanks that follow a
/// label: that makes the whole scan linear.
fn credential_at(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let begins_a_word = !ends_in_word(text.get(..at)?);
    if begins_a_word && let Some(prefix) = PREFIXES.iter().find(|prefix| rest.starts_with(prefix.as_bytes()))
    {
        let start = at + prefix.len();
        let length = run(text, start, is_key_byte);
        let public = if *prefix == "wb-" { public_id(text.get(start..start + length)?) } else { 0 };
        return (length >= SHORTEST && length > public).then_some((start + public, start + length));
    }
    let is_label =
        |label: &str| rest.get(..label.len()).is_some_and(|word| word.eq_ignore_ascii_case(label.as_bytes()));
    let label = LABELS.iter().find(|label| is_label(label))?;
    let start = at + label.len() + run(text, at + label.len(), is_separator);
    let length = run(text, start, is_token_byte);
    let token = text.get(start..start + length)?;
    let public = token.strip_prefix(b"wb-").map_or(0, |key| match public_id(key) {
        0 => 0,
        public => "wb-".len() + public,
    });
    (length >= SHORTEST && length > public).then_some((start + public, start + length))
}

/// Whether a word goes on here. A JSON escape such as `\n` ends in a letter, but is none.
fn ends_in_word(before: &[u8]) -> bool {
    let is_escape = matches!(before, [.., b'\\', _] | [.., b'\\', b'u', _, _, _, _]);
    before.last().is_some_and(u8::is_ascii_alphanumeric) && !is_escape
}

/// The length of `<public id>-` at the start of the part of a virtual key behind `wb-`; else 0.
fn public_id(key: &[u8]) -> usize {
    let is_public = |id: &[u8]| id.iter().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    match key.split_at_checked(PUBLIC_ID) {
        Some((id, [b'-', ..])) if is_public(id) => PUBLIC_ID + 1,
        _ => 0,
    }
}

/// How many bytes from `start` on satisfy `is_part`.
fn run(text: &[u8], start: usize, is_part: fn(u8) -> bool) -> usize {
    text.get(start..).unwrap_or_default().iter().take_while(|b| is_part(**b)).count()
}

/// `*` because providers mask keys of their own accord and leave both ends readable.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*')
}

/// RFC 6750's `b68token`.
fn is_token_byte(byte: u8) -> bool {
    is_key_byte(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b':' | b'=' | b'"' | b'\'' | b'\\')
}

/// Masks credentials that are known, besides those that look like one: a provider's echo of a
/// credential of any form stays in the house.
///
/// Takes time linear in the text for each known secret: meant for messages, not for bodies.
pub struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Keeps what must never be seen. Secrets of fewer than eight characters are left out, since
    /// they would mask ordinary words.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        // The longest first, so that no secret hides as part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// Masks every known secret, and whatever looks like one.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut known: Cow<'a, str> = Cow::Borrowed(text);
        for secret in &self.secrets {
            if known.contains(secret.as_str()) {
                known = Cow::Owned(known.replace(secret.as_str(), MASK));
            }
        }
        match known {
            Cow::Borrowed(text) => redact(text),
            Cow::Owned(text) => Cow::Owned(redact(&text).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_makes_are_masked_in_their_usual_surroundings() {
        for (text, expected) in [
            ("sk-ant-api03-AbC_dEf-123", "sk-[redacted]"),
            ("Incorrect API key provided: sk-abcd****wxyz.", "Incorrect API key provided: sk-[redacted]."),
            (r#"{"key":"wb-0123456789ab-supersecret"}"#, r#"{"key":"wb-0123456789ab-[redacted]"}"#),
            ("bearer wb-0123456789ab-supersecret", "bearer wb-0123456789ab-[redacted]"),
            ("wb-unknownform", "wb-[redacted]"),
            ("wb-0123456789ab-", "wb-0123456789ab-"),
            ("x-api-key: 0123456789", "x-api-key: [redacted]"),
            (r#"{"api_key": "abc.def/ghi=="}"#, r#"{"api_key": "[redacted]"}"#),
            ("GET /v1beta/models?key=AIzaSyA1234567 HTTP/1.1", "GET /v1beta/models?key=[redacted] HTTP/1.1"),
            ("BEARER  ya29.a0AfH6SM-x", "BEARER  [redacted]"),
            (r"bad key\nsk-0123456789\u001bsk-0123456789", r"bad key\nsk-[redacted]\u001bsk-[redacted]"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA[redacted]"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn plain_text_is_borrowed() {
        for text in
            ["", "sk-", "sk-learn", "a task-force-meeting", "Bearer", "the key: short", "Grüße 🎉 sk-"]
        {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn a_known_secret_is_masked_whatever_it_looks_like() {
        let redactor = Redactor::new(["correct horse".into(), "correct horse battery".into(), "no".into()]);
        assert_eq!(redactor.redact("no: `correct horse battery`"), "no: `[redacted]`");
        assert_eq!(redactor.redact("is sk-0123456789 known"), "is sk-[redacted] known");
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for unit in ["sk-", "sk-a ", "bearer ", "bearer:", "key=", "wb-0123456789ab-", "api_key", " "] {
            // 1 MB: anything quadratic would run for hours.
            let _ = redact(&unit.repeat(1_000_000 / unit.len()));
        }
    }

    proptest! {
        #[test]
        fn a_credential_is_masked_in_any_surroundings(
            before in "([^a-zA-Z0-9]|.*[^a-zA-Z0-9])?",
            after in "([^a-zA-Z0-9_*.~+/=-].*)?",
            prefix in prop::sample::select(vec!["sk-", "wb-", "Bearer ", "x-api-key: ", "AIza", "key="]),
            secret in "CANARY[a-zA-Z0-9_-]{16,40}",
        ) {
            let text = format!("{before}{prefix}{secret}{after}");
            prop_assert!(!redact(&text).contains("CANARY"), "{}", redact(&text));
        }

        #[test]
        fn redacting_twice_changes_nothing_more(text in "(sk-|wb-|bearer |key=|[a-z0-9-]{0,14}|.{0,4}){0,12}") {
            let once = redact(&text).into_owned();
            prop_assert_eq!(redact(&once), once.as_str());
        }

        #[test]
        fn no_text_breaks_it(text in ".*") {
            let _ = redact(&text);
        }

        #[test]
        fn known_secrets_never_come_through(
            secret in "[!-~]{8,20}", parts in prop::collection::vec("[a-z \\[\\]]{0,6}", 1..5),
        ) {
            let redacted = Redactor::new([secret.clone()]).redact(&parts.join(&secret)).into_owned();
            prop_assert!(!redacted.contains(&secret));
        }
    }
}
