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
