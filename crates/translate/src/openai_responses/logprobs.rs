//! Probabilities of tokens, to and from the canonical model.
//!
//! Here they stand beside the text that they belong to; in the canonical answer they are one list.

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Fields, Object, Raw, ReadError};
use weighbridge_units::LossKind;

use crate::Losses;
use crate::conversation::TokenLogprob;

/// What stands for the logarithm of a probability that nobody tells: so does OpenAI where a token is
/// too unlikely for a figure.
const UNTOLD: &str = "-9999.0";

/// Reads a list of tokens.
///
/// # Errors
/// [`ReadError`] where it is something else.
pub(super) fn read(list: Raw<'_>) -> Result<Vec<TokenLogprob<'_>>, ReadError> {
    list.items()?.map(token).collect()
}

fn token(raw: Raw<'_>) -> Result<TokenLogprob<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let top = match fields.take::<Raw<'_>>("top_logprobs")?.value() {
        Some(list) => read(list)?,
        None => Vec::new(),
    };
    Ok(TokenLogprob {
        place: raw.into(),
        token: fields.require("token")?,
        logprob: fields.number("logprob")?,
        bytes: fields.take("bytes")?.value(),
        top,
        bag: fields.rest(),
    })
}

/// Shares the tokens of a candidate out among its texts: each text gets the tokens that spell it, and
/// none if the next token does not begin it. What is left over goes to the last text.
#[derive(Debug)]
pub(super) struct Shares<'l, 'a> {
    left: &'l [TokenLogprob<'a>],
    texts: usize,
}

impl<'l, 'a> Shares<'l, 'a> {
    /// All tokens of a candidate with so many texts.
    pub(super) fn new(tokens: &'l [TokenLogprob<'a>], texts: usize) -> Self {
        Self { left: tokens, texts }
    }

    /// The tokens of the next text.
    pub(super) fn next(&mut self, text: &str) -> &'l [TokenLogprob<'a>] {
        self.texts = self.texts.saturating_sub(1);
        if self.texts == 0 {
            return std::mem::take(&mut self.left);
        }
        let begins = self.left.first().is_some_and(|token| text.starts_with(token.token.as_ref()));
        let mut length = 0;
        // By length: a token that is part of a character is not spelled as itself.
        let share = self.left.iter().take_while(|token| {
            let fits = length < text.len();
            length += token.token.len();
            fits
        });
        let (share, left) = self.left.split_at(if begins { share.count() } else { 0 });
        self.left = left;
        share
    }

    /// What no text has got.
    pub(super) fn rest(self) -> &'l [TokenLogprob<'a>] {
        self.left
    }
}

/// Writes tokens as an answer has them.
pub(super) fn write<'a>(tokens: &[TokenLogprob<'a>], mut list: Array<'_>, losses: &mut Losses<'a>) {
    for token in tokens {
        for untold in token.top.iter().chain([token]).filter(|token| token.logprob.is_none()) {
            losses.report(
                untold.place,
                LossKind::Defaulted,
                "the probability of a token is demanded, and nobody told it",
                "tokens without a probability",
            );
        }
        let mut object = list.item().object();
        write_token(token, &mut object);
        losses.write_bag(&token.bag, &mut object);
        let mut top = object.key("top_logprobs").array();
        for other in &token.top {
            let mut object = top.item().object();
            write_token(other, &mut object);
            losses.write_bag(&other.bag, &mut object);
        }
    }
}

/// One token as JSON, without its bag; for streams, which write it in several places.
pub(super) fn token_text(token: &TokenLogprob<'_>) -> String {
    let mut out = Vec::new();
    let mut object = weighbridge_protocol::json::Writer::new(&mut out).object();
    write_token(token, &mut object);
    let mut top = object.key("top_logprobs").array();
    token.top.iter().for_each(|other| write_token(other, &mut top.item().object()));
    drop(top);
    drop(object);
    String::from_utf8(out).unwrap_or_else(|_| "{}".to_owned())
}

fn write_token(token: &TokenLogprob<'_>, object: &mut Object<'_>) {
    object.key("token").string(&token.token);
    object.key("logprob").raw(token.logprob.map_or(UNTOLD, Raw::text));
    object.key("bytes").raw(&bytes(token));
}

/// The token's bytes: demanded, and spelled out of its text where nobody told them.
fn bytes<'t>(token: &TokenLogprob<'t>) -> Cow<'t, str> {
    let spelled = || Cow::Owned(format!("{:?}", token.token.as_bytes()).replace(", ", ","));
    token.bytes_in_line().unwrap_or_else(spelled)
}
