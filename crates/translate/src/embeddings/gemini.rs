//! Gemini's `embedContent` and `batchEmbedContents`: <https://ai.google.dev/api/embeddings>; as Vertex AI
//! serves them: <https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings>.
//!
//! Vertex AI has what is wished of a vector in `embedContentConfig`, and alone tells `autoTruncate`. Both
//! places are read.

use std::borrow::Cow;

use weighbridge_protocol::Dialect;
use weighbridge_protocol::gemini::names::{self, Whole};
use weighbridge_protocol::json::{Bag, Fields, Kind, Object, Raw, ReadError, Writer};
use weighbridge_units::{Bucket, Usage};

use super::request::{EmbeddingsRequest, Input, InputContent, Task, Truncation, Wishes};
use super::{Embedding, EmbeddingsAnswer, Encoding, Refused, RequestTarget};
use crate::bags;
use crate::losses::Losses;
use crate::place::Placed;

pub(super) fn decode_request(body: Raw<'_>) -> Result<EmbeddingsRequest<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let Some(list) = fields.take::<Raw<'_>>("requests")?.value() else {
        let (model, input) = input(body)?;
        return Ok(EmbeddingsRequest { model, inputs: vec![input], ..EmbeddingsRequest::default() });
    };
    let mut model = None;
    let mut inputs = Vec::new();
    for item in list.items()? {
        let (name, input) = input(item)?;
        model = model.or(name);
        inputs.push(input);
    }
    if inputs.is_empty() {
        return Err(ReadError::new(list, "at least one request"));
    }
    Ok(EmbeddingsRequest { model, inputs, bag: fields.rest(), ..EmbeddingsRequest::default() })
}

/// One request for one vector, and the model that it names.
fn input(raw: Raw<'_>) -> Result<(Option<Cow<'_, str>>, Input<'_>), ReadError> {
    let mut fields = Fields::read(raw)?;
    let model = fields.take("model")?.value().filter(|name: &Cow<'_, str>| !name.is_empty());
    let model = model.map(|name| match name {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_prefix("models/").unwrap_or(name)),
        Cow::Owned(name) => Cow::Owned(name.strip_prefix("models/").unwrap_or(&name).to_owned()),
    });
    let (content, mut bag) = content(fields.require("content")?)?;
    let mut wishes = wishes(&mut fields)?;
    let mut wishes_bag = Bag::EMPTY;
    let config: Option<Fields<'_>> = names::take(&mut fields, "embedContentConfig", "embed_content_config")?;
    if let Some(mut config) = config {
        let inner = self::wishes(&mut config)?;
        wishes = Wishes {
            dimensions: inner.dimensions.or(wishes.dimensions),
            task: inner.task.or(wishes.task),
            title: inner.title.or(wishes.title),
            truncation: inner.truncation.or(wishes.truncation),
        };
        wishes_bag = config.rest();
    }
    bags::append(&mut bag, fields.rest());
    Ok((model, Input { content, wishes, wishes_bag, bag, place: raw.into() }))
}

fn wishes<'a>(fields: &mut Fields<'a>) -> Result<Wishes<'a>, ReadError> {
    let dimensions: Option<Raw<'a>> = names::take(fields, "outputDimensionality", "output_dimensionality")?;
    let dimensions = match dimensions {
        // Zero is the same as no field.
        Some(raw) => Some(raw.read::<Whole>()?.0)
            .filter(|number| *number > 0)
            .map(|value| Placed { value, place: raw.into() }),
        None => None,
    };
    let named = names::peek(fields, "taskType", "task_type").map(|raw| (raw, raw.str().unwrap_or_default()));
    let task = named
        .as_ref()
        .and_then(|(raw, name)| Some(Placed { value: Task::from_google_name(name)?, place: (*raw).into() }));
    // A task that is not known stays for the bag.
    if task.is_some() || named.is_some_and(|(_, name)| name == "TASK_TYPE_UNSPECIFIED") {
        let _known: Option<Raw<'_>> = names::offer(fields, "taskType", "task_type");
    }
    let title: Option<Placed<'a, Cow<'a, str>>> = fields.take("title")?.value();
    let truncation: Option<Placed<'a, bool>> = names::take(fields, "autoTruncate", "auto_truncate")?;
    let truncation = truncation.map(|cuts| Placed {
        value: if cuts.value { Truncation::End } else { Truncation::Never },
        place: cuts.place,
    });
    Ok(Wishes { dimensions, task, title: title.filter(|title| !title.value.is_empty()), truncation })
}

/// A content, and what of it is not understood.
fn content(raw: Raw<'_>) -> Result<(InputContent<'_>, Bag<'_>), ReadError> {
    let mut fields = Fields::read(raw)?;
    // A vector has no speaker.
    let _role: Option<Raw<'_>> = fields.offer("role");
    let parts: Raw<'_> = fields.require("parts")?;
    let mut bag = Bag::EMPTY;
    let mut texts = Vec::new();
    let parts = if parts.kind() == Kind::Object { vec![parts] } else { parts.items()?.collect() };
    for part in parts {
        let mut part = Fields::read(part)?;
        let Some(text) = part.take("text")?.value() else {
            return Ok((InputContent::Parts(raw), Bag::EMPTY));
        };
        texts.push(text);
        bags::append(&mut bag, part.rest());
    }
    bags::append(&mut bag, fields.rest());
    let content = match <[_; 1]>::try_from(texts) {
        Ok([text]) => InputContent::Text(text),
        Err(texts) => InputContent::Texts(texts),
    };
    Ok((content, bag))
}

pub(super) fn encode_request<'a>(
    request: &EmbeddingsRequest<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
    is_batch: bool,
) -> Result<Vec<u8>, Refused<'a>> {
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    if is_batch {
        let mut list = object.key("requests").array();
        for input in &request.inputs {
            write_input(input, target, losses, &mut list.item().object());
        }
        drop(list);
    } else if let Some(input) = request.inputs.first() {
        write_input(input, target, losses, &mut object);
    }
    if target.dialect == Dialect::Vertex {
        request.cut_at_the_end(losses);
    } else {
        request.unheard_truncation(&[], losses);
    }
    request.unnamed(losses);
    losses.write_bag(&request.bag, &mut object);
    drop(object);
    Ok(out)
}

fn write_input<'a>(
    input: &Input<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
    object: &mut Object<'_>,
) {
    let at_vertex = target.dialect == Dialect::Vertex;
    if !at_vertex {
        object.key("model").string(&resource(target.model));
    }
    // Vertex AI wants to know of any content who speaks.
    let role = at_vertex.then_some("user");
    match &input.content {
        InputContent::Text(text) => write_texts(role, std::slice::from_ref(text), object.key("content")),
        InputContent::Texts(texts) => write_texts(role, texts, object.key("content")),
        // Tokens were refused before.
        InputContent::Tokens(raw) | InputContent::Parts(raw) => object.key("content").raw(raw.text()),
    }
    if !at_vertex {
        // The Gemini API does not let itself be told how to shorten a text.
        write_wishes(&Wishes { truncation: None, ..input.wishes.clone() }, object);
    }
    let is_wished = at_vertex && input.wishes != Wishes::default();
    if is_wished || losses.keeps(&input.wishes_bag) {
        let mut config = object.key("embedContentConfig").object();
        if at_vertex {
            write_wishes(&input.wishes, &mut config);
        }
        losses.write_bag(&input.wishes_bag, &mut config);
    } else {
        losses.bag(&input.wishes_bag);
    }
    losses.write_bag(&input.bag, object);
}

/// The name of a model as a resource.
fn resource(model: &str) -> Cow<'_, str> {
    if model.starts_with("models/") || model.starts_with("tunedModels/") {
        return Cow::Borrowed(model);
    }
    Cow::Owned(format!("models/{model}"))
}

fn write_texts(role: Option<&str>, texts: &[Cow<'_, str>], writer: Writer<'_>) {
    let mut content = writer.object();
    if let Some(role) = role {
        content.key("role").string(role);
    }
    let mut parts = content.key("parts").array();
    texts.iter().for_each(|text| parts.item().object().key("text").string(text));
}

fn write_wishes(wishes: &Wishes<'_>, object: &mut Object<'_>) {
    if let Some(task) = wishes.task {
        object.key("taskType").string(task.value.google_name());
    }
    if let Some(title) = &wishes.title {
        object.key("title").string(&title.value);
    }
    if let Some(dimensions) = wishes.dimensions {
        object.key("outputDimensionality").number(dimensions.value);
    }
    if let Some(truncation) = wishes.truncation {
        object.key("autoTruncate").bool(truncation.value != Truncation::Never);
    }
}

pub(super) fn decode_answer(body: Raw<'_>) -> Result<EmbeddingsAnswer<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let (mut usage, usage_bag) = match fields.offer::<Fields<'_>>("usageMetadata") {
        Some(told) => read_usage(told),
        None => (Usage::new(), Bag::EMPTY),
    };
    let embeddings = match fields.take::<Raw<'_>>("embedding")?.value() {
        Some(one) => vec![embedding(one)?],
        None => {
            fields.require::<Raw<'_>>("embeddings")?.items()?.map(embedding).collect::<Result<Vec<_>, _>>()?
        }
    };
    if usage.is_untold()
        && let Some(tokens) = counted(&embeddings)
    {
        usage.set(Bucket::Input, tokens);
    }
    Ok(EmbeddingsAnswer { embeddings, model: None, usage, usage_bag, bag: fields.rest() })
}

fn embedding(raw: Raw<'_>) -> Result<Embedding<'_>, ReadError> {
    let mut fields = Fields::read(raw)?;
    let vector = fields.require("values")?;
    let (tokens, statistics) = statistics(&mut fields);
    Ok(Embedding { vector, tokens, statistics, bag: fields.rest() })
}

/// What Vertex AI tells with a vector: the tokens of its input, and whether some were cut.
pub(super) fn statistics<'a>(fields: &mut Fields<'a>) -> (Option<u64>, Bag<'a>) {
    let Some(mut statistics) = fields.offer::<Fields<'a>>("statistics") else { return (None, Bag::EMPTY) };
    let tokens: Option<Whole> = names::offer(&mut statistics, "tokenCount", "token_count");
    if statistics.peek("truncated").is_some_and(|cut| cut.text() == "false") {
        let _is_whole: Option<bool> = statistics.offer("truncated");
    }
    (tokens.map(|tokens| tokens.0), statistics.rest())
}

/// The tokens of all texts, where each vector tells its own.
pub(super) fn counted(embeddings: &[Embedding<'_>]) -> Option<u64> {
    embeddings.iter().try_fold(0_u64, |sum, embedding| Some(sum.saturating_add(embedding.tokens?)))
}

/// `promptTokenDetails` is what the Gemini API calls it here; elsewhere it is `promptTokensDetails`.
fn read_usage(mut fields: Fields<'_>) -> (Usage, Bag<'_>) {
    let mut usage = Usage::new();
    let details: Option<Raw<'_>> = names::offer(&mut fields, "promptTokenDetails", "promptTokensDetails");
    let is_audio = |item: &Raw<'_>| item.get("modality").is_some_and(|raw| raw.text() == "\"AUDIO\"");
    let audio = details.and_then(|list| list.items().ok()?.find(is_audio));
    let audio = audio.and_then(|item| names::whole(item.get("tokenCount")?).ok());
    let _same: Option<Whole> = fields.offer("totalTokenCount");
    if let Some(Whole(prompt)) = fields.offer("promptTokenCount") {
        if let Some(audio) = audio {
            if audio > prompt {
                usage.flag_contradiction();
            }
            usage.set(Bucket::InputAudio, audio.min(prompt));
        }
        usage.set(Bucket::Input, prompt.saturating_sub(audio.unwrap_or(0)));
    }
    (usage, fields.rest())
}

pub(super) fn encode_answer<'a>(
    answer: &EmbeddingsAnswer<'a>,
    losses: &mut Losses<'a>,
    is_batch: bool,
) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    if is_batch {
        let mut list = object.key("embeddings").array();
        for embedding in &answer.embeddings {
            write_embedding(embedding, losses, list.item())?;
        }
    } else if let Some(embedding) = answer.embeddings.first() {
        write_embedding(embedding, losses, object.key("embedding"))?;
    }
    if !answer.usage.is_untold() {
        let mut usage = object.key("usageMetadata").object();
        usage.key("promptTokenCount").number(answer.usage.prompt());
        let audio = answer.usage.get(Bucket::InputAudio);
        if audio > 0 {
            let mut details = usage.key("promptTokenDetails").array();
            let text = answer.usage.prompt().saturating_sub(audio);
            for (modality, tokens) in [("TEXT", text), ("AUDIO", audio)] {
                let mut item = details.item().object();
                item.key("modality").string(modality);
                item.key("tokenCount").number(tokens);
            }
            drop(details);
        }
        losses.write_bag(&answer.usage_bag, &mut usage);
    }
    losses.write_bag(&answer.bag, &mut object);
    drop(object);
    Ok(out)
}

fn write_embedding<'a>(
    embedding: &Embedding<'a>,
    losses: &mut Losses<'a>,
    writer: Writer<'_>,
) -> Result<(), ReadError> {
    let mut object = writer.object();
    embedding.vector.write(Encoding::Float, object.key("values"))?;
    if losses.is_same_protocol() && (embedding.tokens.is_some() || !embedding.statistics.is_empty()) {
        let mut statistics = object.key("statistics").object();
        embedding.tokens.into_iter().for_each(|tokens| statistics.key("tokenCount").number(tokens));
        losses.write_bag(&embedding.statistics, &mut statistics);
    } else {
        losses.bag(&embedding.statistics);
    }
    losses.write_bag(&embedding.bag, &mut object);
    Ok(())
}
