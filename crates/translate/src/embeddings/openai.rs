//! OpenAI's embeddings: <https://platform.openai.com/docs/api-reference/embeddings>.

use weighbridge_protocol::json::{Bag, Fields, Kind, Raw, ReadError, Writer};
use weighbridge_protocol::openai_chat;

use super::request::{EmbeddingsRequest, Encoding, Input, InputContent, Truncation, Wishes};
use super::{AnswerTarget, Embedding, EmbeddingsAnswer, Refused, RequestTarget};
use crate::losses::Losses;
use crate::place::Placed;

pub(super) fn decode_request<'a>(body: Raw<'a>) -> Result<EmbeddingsRequest<'a>, ReadError> {
    let mut fields = Fields::read(body)?;
    let model = fields.take("model")?.value();
    let dimensions = fields.take("dimensions")?.value();
    let wishes = Wishes { dimensions, ..Wishes::default() };
    let contents = contents(fields.require("input")?)?;
    let input = |(content, place): (_, Raw<'a>)| Input {
        content,
        wishes: wishes.clone(),
        wishes_bag: Bag::EMPTY,
        bag: Bag::EMPTY,
        place: place.into(),
    };
    let inputs = contents.into_iter().map(input).collect();
    // One that is not known, such as Perplexity's `base64_int8`, stays for the bag.
    let known = [Encoding::Float, Encoding::Base64]
        .into_iter()
        .find(|encoding| fields.says("encoding_format", encoding.as_str()));
    let encoding = match known {
        Some(value) => fields.take::<Raw<'_>>("encoding_format")?.value().map(|raw| (value, raw)),
        None => None,
    };
    let encoding = encoding.map(|(value, raw)| Placed { value, place: raw.into() });
    let end_user = fields.take("user")?.value();
    Ok(EmbeddingsRequest { model, inputs, encoding, end_user, bag: fields.rest() })
}

/// A text, tokens, or a list of either.
fn contents<'a>(input: Raw<'a>) -> Result<Vec<(InputContent<'a>, Raw<'a>)>, ReadError> {
    let one = |raw: Raw<'a>| match raw.kind() {
        Kind::String => raw.str().map(InputContent::Text),
        Kind::Array => tokens(raw),
        _ => Err(ReadError::new(raw, "a text or an array of tokens")),
    };
    if input.kind() != Kind::Array {
        return Ok(vec![(one(input)?, input)]);
    }
    let items: Vec<Raw<'_>> = input.items()?.collect();
    match items.first().map(|first| first.kind()) {
        None => Err(ReadError::new(input, "at least one input")),
        Some(Kind::Number) => Ok(vec![(tokens(input)?, input)]),
        Some(_) => items.into_iter().map(|raw| Ok((one(raw)?, raw))).collect(),
    }
}

fn tokens(raw: Raw<'_>) -> Result<InputContent<'_>, ReadError> {
    raw.items()?.try_for_each(|token| token.u64().map(drop))?;
    Ok(InputContent::Tokens(raw))
}

pub(super) fn encode_request<'a>(
    request: &EmbeddingsRequest<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, Refused<'a>> {
    let dimensions = request.wish("the number of dimensions", |wishes| &wishes.dimensions)?;
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    object.key("model").string(target.model);
    let mut list = object.key("input").array();
    for (input, text) in request.inputs.iter().zip(request.texts(losses)) {
        match &input.content {
            InputContent::Tokens(tokens) => list.item().raw(tokens.text()),
            _ => list.item().string(&text),
        }
    }
    drop(list);
    if let Some(dimensions) = dimensions {
        object.key("dimensions").number(dimensions.value);
    }
    if let Some(encoding) = request.encoding {
        object.key("encoding_format").string(encoding.value.as_str());
    }
    if let Some(user) = &request.end_user {
        object.key("user").string(&user.value);
    }
    request.unheard("a task", |wishes| &wishes.task, losses);
    request.unheard("a title", |wishes| &wishes.title, losses);
    // A text that is too long is refused anyway.
    request.unheard_truncation(&[Truncation::Never], losses);
    request.leftovers(losses);
    losses.write_bag(&request.bag, &mut object);
    drop(object);
    Ok(out)
}

pub(super) fn decode_answer(body: Raw<'_>) -> Result<EmbeddingsAnswer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let _always_list: Option<Raw<'_>> = fields.offer("object");
    let mut placed: Vec<(u64, Embedding<'_>)> = Vec::new();
    for (place, item) in (0..).zip(fields.require::<Raw<'_>>("data")?.items()?) {
        let mut item = Fields::read(item)?;
        let _always_embedding: Option<Raw<'_>> = item.offer("object");
        let index = item.offer("index").unwrap_or(place);
        let vector = item.require("embedding")?;
        placed.push((index, Embedding { bag: item.rest(), ..Embedding::new(vector) }));
    }
    placed.sort_by_key(|(index, _)| *index);
    let embeddings = placed.into_iter().map(|(_, embedding)| embedding).collect();
    let model = fields.offer("model");
    let usage_raw: Option<Fields<'_>> = fields.offer("usage");
    let usage = usage_raw.as_ref().map(|usage| openai_chat::usage::read(usage.raw())).unwrap_or_default();
    let mut usage_bag = Bag::EMPTY;
    for (name, value) in usage_raw.map(Fields::rest).unwrap_or_default().iter() {
        if !openai_chat::usage::FIELDS.contains(&name) {
            usage_bag.push(name.to_owned(), value);
        }
    }
    Ok(EmbeddingsAnswer { embeddings, model, usage, usage_bag, bag: fields.rest() })
}

pub(super) fn encode_answer<'a>(
    answer: &EmbeddingsAnswer<'a>,
    target: &AnswerTarget<'_>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    object.key("object").string("list");
    let mut data = object.key("data").array();
    for (index, embedding) in (0_u64..).zip(&answer.embeddings) {
        let mut item = data.item().object();
        item.key("object").string("embedding");
        item.key("index").number(index);
        embedding.vector.write(target.encoding, item.key("embedding"))?;
        embedding.leftovers(losses, &mut item);
    }
    drop(data);
    object.key("model").string(answer.model.as_deref().unwrap_or(target.model_fallback));
    let tokens = answer.demanded_tokens(target, losses);
    let mut usage = object.key("usage").object();
    usage.key("prompt_tokens").number(tokens);
    usage.key("total_tokens").number(tokens);
    losses.write_bag(&answer.usage_bag, &mut usage);
    drop(usage);
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    Ok(out)
}
