use std::borrow::Cow;

use weighbridge_protocol::json::{Bag, Raw};

use crate::place::Place;

/// How probable a token of the answer was.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// The token's text.
    pub token: Cow<'a, str>,
    /// The natural logarithm of its probability, as the number was written; `None` where nobody says.
    pub logprob: Option<Raw<'a>>,
    /// Its UTF-8 bytes as an array of numbers, where the provider tells them.
    pub bytes: Option<Raw<'a>>,
    /// The likeliest tokens at its place, itself perhaps among them; these have none of their own.
    pub top: Vec<Self>,
    /// What only the source protocol knows.
    pub bag: Bag<'a>,
}

impl<'a> TokenLogprob<'a> {
    /// The token's bytes in one line, as a stream must have them however they were written; `None`
    /// where nobody tells them, or something that is no list of numbers.
    pub fn bytes_in_line(&self) -> Option<Cow<'a, str>> {
        let raw = self.bytes?;
        let is_broken = |text: &str| text.contains(['\n', '\r']);
        if !is_broken(raw.text()) {
            return Some(Cow::Borrowed(raw.text()));
        }
        let mut line = String::from("[");
        for byte in raw.items().ok()?.map(Raw::text).filter(|byte| !is_broken(byte)) {
            if line.len() > 1 {
                line.push(',');
            }
            line.push_str(byte);
        }
        line.push(']');
        Some(Cow::Owned(line))
    }
}
