//! `embedContent` and `batchEmbedContents`: vectors for texts. <https://ai.google.dev/api/embeddings>
//!
//! One content per request, or a list of such requests, each with its model. Numbers of a vector stay
//! as they were written.

use std::borrow::Cow;

use super::Call;
use super::names::{self, Whole};
use crate::json::{Bag, Fields, Kind, Raw, ReadError, Writer};

/// One content to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedRequest<'a> {
    /// The model, without `models/` before it; empty where the path alone names it.
    pub model: Cow<'a, str>,
    /// The content's texts; one vector is made of all of them.
    pub texts: Vec<Cow<'a, str>>,
    /// How many numbers the vector is to have.
    pub dimensions: Option<u64>,
    /// What the vector is for, such as `RETRIEVAL_QUERY`.
    pub task: Option<Cow<'a, str>>,
    /// What is not understood: a title, media.
    pub bag: Bag<'a>,
}

/// Reads a request of either call.
///
/// # Errors
/// [`ReadError`] where a field is missing or wrongly typed.
pub fn read_requests(body: Raw<'_>) -> Result<Vec<EmbedRequest<'_>>, ReadError> {
    let mut fields = Fields::read(body)?;
    match fields.take::<Raw<'_>>("requests")?.value() {
        Some(list) => list.items()?.map(|raw| request(Fields::read(raw)?)).collect(),
        None => Ok(vec![request(fields)?]),
    }
}

fn request(mut fields: Fields<'_>) -> Result<EmbedRequest<'_>, ReadError> {
    let model: Cow<'_, str> = fields.take("model")?.value().unwrap_or_default();
    let model = match model {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_prefix("models/").unwrap_or(name)),
        Cow::Owned(name) => Cow::Owned(name.strip_prefix("models/").unwrap_or(&name).to_owned()),
    };
    let mut content: Fields<'_> = fields.require("content")?;
    let _role: Option<Raw<'_>> = content.offer("role");
    let parts: Raw<'_> = content.require("parts")?;
    let mut texts = Vec::new();
    let mut rest = Bag::EMPTY;
    let items = if parts.kind() == Kind::Object { vec![parts] } else { parts.items()?.collect() };
    for item in items {
        let mut part = Fields::read(item)?;
        match part.take("text")?.value() {
            Some(text) => texts.push(text),
            None => rest.push("parts", item),
        }
    }
    let dimensions: Option<Whole> =
        names::take(&mut fields, "outputDimensionality", "output_dimensionality")?;
    let task = names::take(&mut fields, "taskType", "task_type")?;
    for bag in [content.rest(), fields.rest()] {
        bag.iter().for_each(|(name, value)| rest.push(name.to_owned(), value));
    }
    Ok(EmbedRequest { model, texts, dimensions: dimensions.map(|whole| whole.0), task, bag: rest })
}

/// Writes a request of `batchEmbedContents`: one vector per text.
pub fn write_requests<'t>(
    model: &str,
    texts: impl IntoIterator<Item = &'t str>,
    dimensions: Option<u64>,
    writer: Writer<'_>,
) {
    let mut object = writer.object();
    let mut list = object.key("requests").array();
    for text in texts {
        let mut request = list.item().object();
        request.key("model").string(&format!("models/{model}"));
        let mut content = request.key("content").object();
        content.key("parts").array().item().object().key("text").string(text);
        drop(content);
        if let Some(dimensions) = dimensions {
            request.key("outputDimensionality").number(dimensions);
        }
    }
}

/// Reads the vectors of an answer of either call, each as the text of an array of numbers.
///
/// # Errors
/// [`ReadError`] where there are none.
pub fn read_vectors(body: Raw<'_>) -> Result<Vec<Raw<'_>>, ReadError> {
    let mut fields = Fields::read(body)?;
    let values = |raw| Fields::read(raw)?.require::<Raw<'_>>("values");
    match fields.take::<Raw<'_>>("embedding")?.value() {
        Some(one) => Ok(vec![values(one)?]),
        None => fields.require::<Raw<'_>>("embeddings")?.items()?.map(values).collect(),
    }
}

/// Writes an answer, from the texts of arrays of numbers: a list for [`Call::BatchEmbed`], the first
/// vector for any other call.
pub fn write_vectors<'v>(call: Call, vectors: impl IntoIterator<Item = &'v str>, writer: Writer<'_>) {
    let mut object = writer.object();
    let mut vectors = vectors.into_iter();
    if call == Call::BatchEmbed {
        let mut list = object.key("embeddings").array();
        vectors.for_each(|vector| list.item().object().key("values").raw(vector));
    } else if let Some(vector) = vectors.next() {
        object.key("embedding").object().key("values").raw(vector);
    }
}
