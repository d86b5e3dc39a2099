//! Vertex AI's `predict` with models of texts before Gemini:
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.

use weighbridge_protocol::gemini::names::{self, Whole};
use weighbridge_protocol::json::{Bag, Fields, Raw, ReadError, Writer};
use weighbridge_units::{Bucket, Usage};

use super::request::{EmbeddingsRequest, Input, InputContent, Task, Truncation, Wishes};
use super::{Embedding, EmbeddingsAnswer, Encoding, Refused, gemini};
use crate::bags;
use crate::losses::Losses;
use crate::place::Placed;

pub(super) fn decode_request(body: Raw<'_>) -> Result<EmbeddingsRequest<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut common = Wishes::default();
    let mut bag = Bag::EMPTY;
    if let Some(mut parameters) = fields.take::<Fields<'_>>("parameters")?.value() {
        let raw: Option<Raw<'_>> =
            names::take(&mut parameters, "outputDimensionality", "output_dimensionality")?;
        if let Some(raw) = raw {
            common.dimensions = Some(Placed { value: raw.read::<Whole>()?.0, place: raw.into() });
        }
        let cuts: Option<Placed<'_, bool>> = names::take(&mut parameters, "autoTruncate", "auto_truncate")?;
        common.truncation = cuts.map(|cuts| Placed {
            value: if cuts.value { Truncation::End } else { Truncation::Never },
            place: cuts.place,
        });
        bag = parameters.rest();
    }
    let instances: Raw<'_> = fields.require("instances")?;
    let mut inputs = Vec::new();
    for raw in instances.items()? {
        let mut instance = Fields::read(raw)?;
        let content = InputContent::Text(instance.require("content")?);
        let title = instance.take("title")?.value();
        let task = instance.peek("task_type").and_then(|raw| {
            Some(Placed { value: Task::from_google_name(&raw.str().ok()?)?, place: raw.into() })
        });
        if task.is_some() {
            let _known: Option<Raw<'_>> = instance.offer("task_type");
        }
        let wishes = Wishes { task, title, ..common.clone() };
        let bag = instance.rest();
        inputs.push(Input { content, wishes, wishes_bag: Bag::EMPTY, bag, place: raw.into() });
    }
    if inputs.is_empty() {
        return Err(ReadError::new(instances, "at least one instance"));
    }
    bags::append(&mut bag, fields.rest());
    Ok(EmbeddingsRequest { inputs, bag, ..EmbeddingsRequest::default() })
}

pub(super) fn encode_request<'a>(
    request: &EmbeddingsRequest<'a>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, Refused<'a>> {
    let dimensions = request.wish("the number of dimensions", |wishes| &wishes.dimensions)?;
    let truncation = request.wish("how a text is shortened", |wishes| &wishes.truncation)?;
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    let mut instances = object.key("instances").array();
    for (input, text) in request.inputs.iter().zip(request.texts(losses)) {
        let mut instance = instances.item().object();
        instance.key("content").string(&text);
        if let Some(title) = &input.wishes.title {
            instance.key("title").string(&title.value);
        }
        if let Some(task) = input.wishes.task {
            instance.key("task_type").string(task.value.google_name());
        }
        losses.bag(&input.wishes_bag);
        losses.write_bag(&input.bag, &mut instance);
    }
    drop(instances);
    if dimensions.is_some() || truncation.is_some() {
        let mut parameters = object.key("parameters").object();
        if let Some(dimensions) = dimensions {
            parameters.key("outputDimensionality").number(dimensions.value);
        }
        if let Some(truncation) = truncation {
            parameters.key("autoTruncate").bool(truncation.value != Truncation::Never);
        }
    }
    request.cut_at_the_end(losses);
    request.unnamed(losses);
    losses.write_bag(&request.bag, &mut object);
    drop(object);
    Ok(out)
}

pub(super) fn decode_answer(body: Raw<'_>) -> Result<EmbeddingsAnswer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut embeddings = Vec::new();
    for prediction in fields.require::<Raw<'_>>("predictions")?.items()? {
        let mut prediction = Fields::read(prediction)?;
        let mut inner: Fields<'_> = prediction.require("embeddings")?;
        let vector = inner.require("values")?;
        let (tokens, statistics) = gemini::statistics(&mut inner);
        let mut bag = inner.rest();
        bags::append(&mut bag, prediction.rest());
        embeddings.push(Embedding { vector, tokens, statistics, bag });
    }
    let usage = match gemini::counted(&embeddings) {
        Some(tokens) => Usage::new().with(Bucket::Input, tokens),
        None => Usage::new(),
    };
    Ok(EmbeddingsAnswer { embeddings, usage, bag: fields.rest(), ..EmbeddingsAnswer::default() })
}

/// The tokens are told with each vector: all of them with the first, where nothing tells them apart.
pub(super) fn encode_answer<'a>(
    answer: &EmbeddingsAnswer<'a>,
    losses: &mut Losses<'a>,
) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    let mut predictions = object.key("predictions").array();
    for (index, embedding) in answer.embeddings.iter().enumerate() {
        let mut prediction = predictions.item().object();
        let mut inner = prediction.key("embeddings").object();
        embedding.vector.write(Encoding::Float, inner.key("values"))?;
        let all = if index == 0 { answer.usage.prompt() } else { 0 };
        let tokens = embedding.tokens.or((!answer.usage.is_untold()).then_some(all));
        if tokens.is_some() || losses.keeps(&embedding.statistics) {
            let mut statistics = inner.key("statistics").object();
            tokens.into_iter().for_each(|tokens| statistics.key("token_count").number(tokens));
            losses.write_bag(&embedding.statistics, &mut statistics);
        }
        losses.write_bag(&embedding.bag, &mut inner);
    }
    drop(predictions);
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    Ok(out)
}
