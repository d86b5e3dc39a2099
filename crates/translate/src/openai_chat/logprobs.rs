//! Probabilities of tokens. <https://platform.openai.com/docs/api-reference/chat/object>

use std::borrow::Cow;

use weighbridge_protocol::json::{Array, Bag, Fields, Object, Raw};

use crate::conversation::TokenLogprob;

/// What stands for a probability that nobody told, as OpenAI writes it for tokens that are not among
/// the likeliest.
const UNTOLD: &str = "-9999.0";

/// Takes `logprobs` of a choice: the tokens of its text. What else stands there goes to the bag.
pub(super) fn take<'a>(choice: &mut Fields<'a>, bag: &mut Bag<'a>) -> Vec<TokenLogprob<'a>> {
    let Some(mut logprobs) = choice.offer::<Fields<'a>>("logprobs") else { return Vec::new() };
    let tokens = logprobs.peek("content").and_then(read);
    if tokens.is_some() {
        let _taken: Option<Raw<'a>> = logprobs.offer("content");
    }
    for (name, value) in logprobs.rest().iter() {
        if !value.is_null() {
            bag.push(name.to_owned(), value);
        }
    }
    tokens.unwrap_or_default()
}

/// The tokens of a list; `None` where it is something else.
fn read(list: Raw<'_>) -> Option<Vec<TokenLogprob<'_>>> {
    list.items().ok()?.map(token).collect()
}

fn token(raw: Raw<'_>) -> Option<TokenLogprob<'_>> {
    let mut fields = Fields::read(raw).ok()?;
    let token: Cow<'_, str> = fields.offer("token")?;
    let logprob = fields.number("logprob").ok()?;
    let bytes = fields.offer::<Raw<'_>>("bytes").filter(|bytes| !bytes.is_null());
    let top = match fields.offer::<Raw<'_>>("top_logprobs").filter(|top| !top.is_null()) {
        Some(top) => read(top)?,
        None => Vec::new(),
    };
    Some(TokenLogprob { place: raw.into(), token, logprob, bytes, top, bag: fields.rest() })
}

/// Writes `logprobs` of a choice, with what else stood there.
pub(super) fn write<'a>(
    tokens: &[TokenLogprob<'a>],
    more: &[(&str, Raw<'a>)],
    choice: &mut Object<'_>,
    rest: &mut dyn FnMut(&Bag<'a>, &mut Object<'_>),
) {
    let has = |wanted: &str| more.iter().any(|(name, _)| *name == wanted);
    let mut logprobs = choice.key("logprobs").object();
    if !tokens.is_empty() {
        list(tokens, true, &mut logprobs.key("content").array(), rest);
    } else if !has("content") {
        logprobs.key("content").null();
    }
    if !has("refusal") {
        logprobs.key("refusal").null();
    }
    more.iter().for_each(|(name, value)| logprobs.key(name).raw(value.text()));
}

fn list<'a>(
    tokens: &[TokenLogprob<'a>],
    with_top: bool,
    list: &mut Array<'_>,
    rest: &mut dyn FnMut(&Bag<'a>, &mut Object<'_>),
) {
    for token in tokens {
        let mut object = list.item().object();
        object.key("token").string(&token.token);
        object.key("logprob").raw(token.logprob.map_or(UNTOLD, Raw::text));
        match token.bytes_in_line() {
            Some(bytes) => object.key("bytes").raw(&bytes),
            None => object.key("bytes").null(),
        }
        if with_top {
            self::list(&token.top, false, &mut object.key("top_logprobs").array(), rest);
        }
        rest(&token.bag, &mut object);
    }
}
