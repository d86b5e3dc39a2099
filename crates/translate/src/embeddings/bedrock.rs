//! Embeddings of Bedrock, whose models each have a format of their maker: see
//! [`weighbridge_protocol::bedrock_embeddings`].

use std::borrow::Cow;

use weighbridge_protocol::bedrock_embeddings::{Maker, Purpose};
use weighbridge_protocol::json::{Bag, Fields, Kind, Object, Raw, ReadError, Writer};
use weighbridge_units::{Bucket, LossKind, Usage};

use super::request::{EmbeddingsRequest, Input, InputContent, Task, Truncation, Wishes};
use super::{Embedding, EmbeddingsAnswer, Encoding, Refused, Vector};
use crate::bags;
use crate::losses::Losses;
use crate::place::{Place, Placed};

/// How makers name what becomes of a text that is too long: Cohere's version 4 its own way, and all others.
const TRUNCATIONS: [(Truncation, &str, &str); 3] = [
    (Truncation::Never, "NONE", "NONE"),
    (Truncation::Start, "LEFT", "START"),
    (Truncation::End, "RIGHT", "END"),
];

fn truncation_name(maker: Maker, truncation: Truncation) -> &'static str {
    let found = TRUNCATIONS.into_iter().find(|(own, ..)| *own == truncation);
    match found {
        Some((_, name, _)) if maker == Maker::CohereV4 => name,
        Some((.., name)) => name,
        None => "NONE",
    }
}

pub(super) fn decode_request<'a>(maker: Maker, body: Raw<'a>) -> Result<EmbeddingsRequest<'a>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut wishes = Wishes::default();
    let mut texts: Vec<(Cow<'_, str>, Raw<'_>)> = Vec::new();
    let mut bag = Bag::EMPTY;
    match maker {
        Maker::TitanG1 | Maker::TitanV2 | Maker::TitanMultimodal => {
            let raw: Raw<'_> = fields.require("inputText")?;
            texts.push((raw.str()?, raw));
            wishes.dimensions = fields.take("dimensions")?.value();
            if let Some(mut config) = fields.take::<Fields<'_>>("embeddingConfig")?.value() {
                wishes.dimensions = config.take("outputEmbeddingLength")?.value();
                bag = config.rest();
            }
        }
        Maker::CohereV3 | Maker::CohereV4 => {
            let list: Raw<'_> = fields.require("texts")?;
            for raw in list.items()? {
                texts.push((raw.str()?, raw));
            }
            if texts.is_empty() {
                return Err(ReadError::new(list, "at least one text"));
            }
            wishes.dimensions = fields.take("output_dimension")?.value();
            wishes.task = take_task(&mut fields, "input_type");
            wishes.truncation = take_truncation(&mut fields, "truncate");
        }
        Maker::Nova => {
            let _always_one: Option<Raw<'_>> = fields.offer("taskType");
            let mut single: Fields<'_> = fields.require("singleEmbeddingParams")?;
            wishes.dimensions = single.take("embeddingDimension")?.value();
            wishes.task = take_task(&mut single, "embeddingPurpose");
            let mut text: Fields<'_> = single.require("text")?;
            let raw: Raw<'_> = text.require("value")?;
            texts.push((raw.str()?, raw));
            wishes.truncation = take_truncation(&mut text, "truncationMode");
            bag = text.rest();
            bags::append(&mut bag, single.rest());
        }
    }
    let input = |(text, place): (_, Raw<'a>)| Input {
        content: InputContent::Text(text),
        wishes: wishes.clone(),
        wishes_bag: Bag::EMPTY,
        bag: Bag::EMPTY,
        place: place.into(),
    };
    let inputs = texts.into_iter().map(input).collect();
    bags::append(&mut bag, fields.rest());
    Ok(EmbeddingsRequest { inputs, bag, ..EmbeddingsRequest::default() })
}

/// A purpose that is not known stays for the bag.
fn take_task<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<Placed<'a, Task>> {
    let raw = fields.peek(name)?;
    let value = match Purpose::from_name(&raw.str().ok()?)? {
        Purpose::Document => Task::Document,
        Purpose::Query => Task::Query,
        Purpose::Classification => Task::Classification,
        Purpose::Clustering => Task::Clustering,
    };
    let _known: Option<Raw<'_>> = fields.offer(name);
    Some(Placed { value, place: raw.into() })
}

fn take_truncation<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<Placed<'a, Truncation>> {
    let raw = fields.peek(name)?;
    let said = raw.str().ok()?;
    let (value, ..) = TRUNCATIONS.into_iter().find(|(_, v4, name)| said == *name || said == *v4)?;
    let _known: Option<Raw<'_>> = fields.offer(name);
    Some(Placed { value, place: raw.into() })
}

pub(super) fn encode_request<'a>(
    maker: Maker,
    request: &EmbeddingsRequest<'a>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, Refused<'a>> {
    let dimensions = request.wish("the number of dimensions", |wishes| &wishes.dimensions)?;
    let dimensions = dimensions.filter(|_| maker.takes_dimensions()).map(|dimensions| dimensions.value);
    let task = request.wish("their task", |wishes| &wishes.task)?;
    let truncation = request.wish("how a text is shortened", |wishes| &wishes.truncation)?;
    let purpose = if maker.takes_purpose() { purpose(task, losses) } else { Purpose::default() };
    let texts = request.texts(losses);
    let first = texts.first().map_or("", |text| text.as_ref());
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    match maker {
        Maker::TitanG1 | Maker::TitanV2 => {
            object.key("inputText").string(first);
            if let Some(dimensions) = dimensions {
                object.key("dimensions").number(dimensions);
            }
        }
        Maker::TitanMultimodal => {
            object.key("inputText").string(first);
            if let Some(dimensions) = dimensions {
                object.key("embeddingConfig").object().key("outputEmbeddingLength").number(dimensions);
            }
        }
        Maker::CohereV3 | Maker::CohereV4 => {
            object.key("input_type").string(purpose.cohere_name());
            let mut list = object.key("texts").array();
            texts.iter().for_each(|text| list.item().string(text));
            drop(list);
            if let Some(truncation) = truncation {
                object.key("truncate").string(truncation_name(maker, truncation.value));
            }
            if let Some(dimensions) = dimensions {
                object.key("output_dimension").number(dimensions);
            }
        }
        Maker::Nova => write_nova(purpose, dimensions, truncation, first, &mut object),
    }
    if !maker.takes_dimensions() {
        request.unheard("the number of dimensions", |wishes| &wishes.dimensions, losses);
    }
    if !maker.takes_purpose() {
        request.unheard("a task", |wishes| &wishes.task, losses);
        // Titan refuses a text that is too long.
        request.unheard_truncation(&[Truncation::Never], losses);
    }
    request.unheard("a title", |wishes| &wishes.title, losses);
    request.unnamed(losses);
    request.leftovers(losses);
    losses.write_bag(&request.bag, &mut object);
    drop(object);
    Ok(out)
}

fn write_nova(
    purpose: Purpose,
    dimensions: Option<u64>,
    truncation: Option<Placed<'_, Truncation>>,
    text: &str,
    object: &mut Object<'_>,
) {
    object.key("taskType").string("SINGLE_EMBEDDING");
    let mut single = object.key("singleEmbeddingParams").object();
    single.key("embeddingPurpose").string(purpose.nova_name());
    if let Some(dimensions) = dimensions {
        single.key("embeddingDimension").number(dimensions);
    }
    let mut inner = single.key("text").object();
    let truncation = truncation.map_or(Truncation::Never, |truncation| truncation.value);
    // Demanded. Whoever says nothing is refused a text that is too long, as by OpenAI.
    inner.key("truncationMode").string(truncation_name(Maker::Nova, truncation));
    inner.key("value").string(text);
}

/// The purpose that makers demand; four of Google's tasks have none of their own.
fn purpose<'a>(task: Option<Placed<'a, Task>>, losses: &mut Losses<'a>) -> Purpose {
    let Some(task) = task else {
        let target = losses.target();
        losses.report(
            Place::NOWHERE,
            LossKind::Defaulted,
            format!("{target} demands a purpose, and the request has none: its vectors are kept to be found"),
            "what the vectors are for",
        );
        return Purpose::Document;
    };
    let (purpose, is_exact) = match task.value {
        Task::Document => (Purpose::Document, true),
        Task::Query => (Purpose::Query, true),
        Task::Classification => (Purpose::Classification, true),
        Task::Clustering => (Purpose::Clustering, true),
        // Likeness has no side that asks, as groups have none.
        Task::Similarity => (Purpose::Clustering, false),
        Task::CodeQuery | Task::QuestionAnswering | Task::FactVerification => (Purpose::Query, false),
    };
    if !is_exact {
        let target = losses.target();
        losses.report(
            task.place,
            LossKind::Approximated,
            format!("{target} has no purpose `{}`", task.value.google_name()),
            "a purpose of that kind",
        );
    }
    purpose
}

pub(super) fn decode_answer(body: Raw<'_>) -> Result<EmbeddingsAnswer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let tokens = ["inputTextTokenCount", "inputTokenCount"].into_iter().find_map(|name| fields.offer(name));
    let usage = tokens.map_or_else(Usage::new, |tokens| Usage::new().with(Bucket::Input, tokens));
    let mut bag = Bag::EMPTY;
    let embeddings = match fields.take::<Vector<'_>>("embedding")?.value() {
        Some(vector) => {
            // The same once more; another type of numbers stays for the bag.
            let by_type: Option<Fields<'_>> = fields.offer("embeddingsByType");
            let bag = match by_type {
                Some(mut by_type) => {
                    let _same: Option<Raw<'_>> = by_type.offer("float");
                    by_type.rest()
                }
                None => Bag::EMPTY,
            };
            vec![Embedding { bag, ..Embedding::new(vector) }]
        }
        None => {
            let list = fields.require::<Raw<'_>>("embeddings")?;
            let list = if list.kind() == Kind::Object {
                // By types of numbers, where the request named them.
                let mut by_type = Fields::read(list)?;
                let list = by_type.require("float")?;
                bag = by_type.rest();
                list
            } else {
                list
            };
            list.items()?.map(vector).collect::<Result<Vec<_>, _>>()?
        }
    };
    // An echo of the request, and what the list is.
    let _echo: Option<Raw<'_>> = fields.offer("texts");
    let _form: Option<Raw<'_>> = fields.offer("response_type");
    bags::append(&mut bag, fields.rest());
    Ok(EmbeddingsAnswer { embeddings, usage, bag, ..EmbeddingsAnswer::default() })
}

/// A vector, or an object that has one.
fn vector(raw: Raw<'_>) -> Result<Embedding<'_>, ReadError> {
    if raw.kind() != Kind::Object {
        return Ok(Embedding::new(raw.read()?));
    }
    let mut fields = Fields::read(raw)?;
    let vector = fields.require("embedding")?;
    let _always_text: Option<Raw<'_>> = fields.offer("embeddingType");
    Ok(Embedding { bag: fields.rest(), ..Embedding::new(vector) })
}

pub(super) fn encode_answer<'a>(
    maker: Maker,
    answer: &EmbeddingsAnswer<'a>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    let tokens = (!answer.usage.is_untold()).then(|| answer.usage.prompt());
    let write_all = |mut list: weighbridge_protocol::json::Array<'_>| {
        answer.embeddings.iter().try_for_each(|one| one.vector.write(Encoding::Float, list.item()))
    };
    match maker {
        Maker::TitanG1 | Maker::TitanV2 | Maker::TitanMultimodal => {
            if let Some(one) = answer.embeddings.first() {
                one.vector.write(Encoding::Float, object.key("embedding"))?;
            }
            tokens.into_iter().for_each(|tokens| object.key("inputTextTokenCount").number(tokens));
        }
        Maker::CohereV3 => {
            write_all(object.key("embeddings").array())?;
            object.key("response_type").string("embeddings_floats");
        }
        Maker::CohereV4 => {
            write_all(object.key("embeddings").object().key("float").array())?;
            object.key("response_type").string("embeddings_by_type");
        }
        Maker::Nova => {
            let mut list = object.key("embeddings").array();
            for one in &answer.embeddings {
                let mut item = list.item().object();
                item.key("embeddingType").string("TEXT");
                one.vector.write(Encoding::Float, item.key("embedding"))?;
            }
            drop(list);
            tokens.into_iter().for_each(|tokens| object.key("inputTokenCount").number(tokens));
        }
    }
    for one in &answer.embeddings {
        losses.bag(&one.statistics);
        losses.bag(&one.bag);
    }
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    Ok(out)
}
