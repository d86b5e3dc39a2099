//! Embeddings of Bedrock: `InvokeModel` with a body of the model's maker.
//!
//! | maker | texts per call | dimensions | purpose | tokens told |
//! |---|---|---|---|---|
//! | [Titan Text G1](https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html) | 1 | – | – | in the body |
//! | Titan Text V2 (same page) | 1 | 256, 512, 1024 | – | in the body |
//! | [Titan Multimodal](https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-mm.html) | 1 | 256, 384, 1024 | – | in the body |
//! | [Cohere Embed v3](https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v3.html) | 96 | – | demanded | in a header |
//! | [Cohere Embed v4](https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html) | 96 | 256 to 1536 | demanded | in a header |
//! | [Nova](https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html) | 1 | 256 to 3072 | demanded | in the body |
//!
//! Numbers of a vector stay as they were written.

use std::borrow::Cow;

use crate::json::{Bag, Fields, Kind, Raw, ReadError, Writer};

/// The header of an answer that tells the tokens of its prompt, in lower case.
pub const TOKENS_HEADER: &str = "x-amzn-bedrock-input-token-count";

/// Whose model makes the vectors. The set is closed on purpose: each has a format of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// Amazon Titan, the first generation.
    TitanG1,
    /// Amazon Titan Text V2.
    TitanV2,
    /// Amazon Titan Multimodal.
    TitanMultimodal,
    /// Cohere Embed v3.
    CohereV3,
    /// Cohere Embed v4.
    CohereV4,
    /// Amazon Nova.
    Nova,
}

impl Maker {
    /// Every maker, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::TitanG1, Self::TitanV2, Self::TitanMultimodal, Self::CohereV3, Self::CohereV4, Self::Nova];

    /// Whose model it is, by its id or ARN; `None` where it is none that makes vectors.
    pub fn of(model: &str) -> Option<Self> {
        let has = |name| model.contains(name);
        Some(if has("titan-embed-text-v2") {
            Self::TitanV2
        } else if has("titan-embed-image") {
            Self::TitanMultimodal
        } else if has("titan-embed") {
            Self::TitanG1
        } else if has("cohere.embed-v4") {
            Self::CohereV4
        } else if has("cohere.embed") {
            Self::CohereV3
        } else if has("amazon.nova") && has("embed") {
            Self::Nova
        } else {
            return None;
        })
    }

    /// The most texts of one call.
    pub const fn texts_max(self) -> usize {
        match self {
            Self::CohereV3 | Self::CohereV4 => 96,
            _ => 1,
        }
    }

    /// Whether a request can say how many numbers a vector is to have.
    pub const fn takes_dimensions(self) -> bool {
        !matches!(self, Self::TitanG1 | Self::CohereV3)
    }

    /// Whether a request can say what a vector is for.
    pub const fn takes_purpose(self) -> bool {
        matches!(self, Self::CohereV3 | Self::CohereV4 | Self::Nova)
    }
}

/// What a vector is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Purpose {
    /// It is kept, to be found.
    #[default]
    Document,
    /// It finds others.
    Query,
    /// It is sorted into classes.
    Classification,
    /// It is grouped with others.
    Clustering,
}

/// A purpose, in the words of Cohere and of Nova.
const PURPOSES: [(Purpose, &str, &str); 4] = [
    (Purpose::Document, "search_document", "GENERIC_INDEX"),
    (Purpose::Query, "search_query", "GENERIC_RETRIEVAL"),
    (Purpose::Classification, "classification", "CLASSIFICATION"),
    (Purpose::Clustering, "clustering", "CLUSTERING"),
];

impl Purpose {
    /// The purpose of that name, in the words of either.
    pub fn from_name(name: &str) -> Option<Self> {
        PURPOSES.into_iter().find(|(_, cohere, nova)| name == *cohere || name == *nova).map(|(own, ..)| own)
    }

    /// The name in Cohere's format.
    pub fn cohere_name(self) -> &'static str {
        self.words().0
    }

    /// The name in Nova's format.
    pub fn nova_name(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        let found = PURPOSES.into_iter().find(|(own, ..)| *own == self);
        found.map_or(("search_document", "GENERIC_INDEX"), |(_, cohere, nova)| (cohere, nova))
    }
}

/// Texts that vectors are wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmbedRequest<'a> {
    /// The texts, each to have a vector. No more than [`Maker::texts_max`] go into one call.
    pub texts: Vec<Cow<'a, str>>,
    /// How many numbers a vector is to have.
    pub dimensions: Option<u64>,
    /// What the vectors are for.
    pub purpose: Option<Purpose>,
    /// What is not understood: images, other types of numbers.
    pub bag: Bag<'a>,
}

/// Reads a request.
///
/// # Errors
/// [`ReadError`] where a field is wrongly typed.
pub fn read_request(maker: Maker, body: Raw<'_>) -> Result<EmbedRequest<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let mut read = EmbedRequest::default();
    match maker {
        Maker::TitanG1 | Maker::TitanV2 | Maker::TitanMultimodal => {
            read.texts.extend(fields.take("inputText")?.value());
            read.dimensions = fields.take("dimensions")?.value();
            if let Some(mut config) = fields.take::<Fields<'_>>("embeddingConfig")?.value() {
                read.dimensions = config.take("outputEmbeddingLength")?.value();
            }
        }
        Maker::CohereV3 | Maker::CohereV4 => {
            read.texts = fields.take("texts")?.value().unwrap_or_default();
            read.dimensions = fields.take("output_dimension")?.value();
            read.purpose = purpose(&mut fields, "input_type");
        }
        Maker::Nova => {
            let _always_one: Option<Raw<'_>> = fields.offer("taskType");
            let mut single: Fields<'_> = fields.require("singleEmbeddingParams")?;
            read.dimensions = single.take("embeddingDimension")?.value();
            read.purpose = purpose(&mut single, "embeddingPurpose");
            if let Some(mut text) = single.take::<Fields<'_>>("text")?.value() {
                read.texts.extend(text.take("value")?.value());
            }
        }
    }
    read.bag = fields.rest();
    Ok(read)
}

/// A purpose that is not known stays for the bag.
fn purpose(fields: &mut Fields<'_>, name: &'static str) -> Option<Purpose> {
    let known = fields.peek(name).and_then(|raw| Purpose::from_name(&raw.str().ok()?))?;
    let _: Option<Raw<'_>> = fields.offer(name);
    Some(known)
}

/// Writes a request. What the maker does not take ([`Maker::takes_dimensions`],
/// [`Maker::takes_purpose`]) is left out, as are texts beyond [`Maker::texts_max`].
pub fn write_request(maker: Maker, request: &EmbedRequest<'_>, writer: Writer<'_>) {
    let mut object = writer.object();
    let first = request.texts.first().map_or("", |text| text.as_ref());
    let dimensions = request.dimensions.filter(|_| maker.takes_dimensions());
    let (cohere, nova) = request.purpose.unwrap_or_default().words();
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
            object.key("input_type").string(cohere);
            let mut texts = object.key("texts").array();
            request.texts.iter().take(maker.texts_max()).for_each(|text| texts.item().string(text));
            drop(texts);
            if let Some(dimensions) = dimensions {
                object.key("output_dimension").number(dimensions);
            }
        }
        Maker::Nova => {
            object.key("taskType").string("SINGLE_EMBEDDING");
            let mut single = object.key("singleEmbeddingParams").object();
            single.key("embeddingPurpose").string(nova);
            if let Some(dimensions) = dimensions {
                single.key("embeddingDimension").number(dimensions);
            }
            let mut text = single.key("text").object();
            text.key("truncationMode").string("NONE");
            text.key("value").string(first);
        }
    }
}

/// Vectors, and what they cost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Embedded<'a> {
    /// The vectors, each an array of numbers as it was written.
    pub vectors: Vec<Raw<'a>>,
    /// Tokens of the texts, where the body tells them; else [`TOKENS_HEADER`] does.
    pub tokens: Option<u64>,
}

/// Reads an answer of any maker.
///
/// # Errors
/// [`ReadError`] where it has no vectors.
pub fn read_answer(body: Raw<'_>) -> Result<Embedded<'_>, ReadError> {
    let mut fields = Fields::read(body)?;
    let tokens = ["inputTextTokenCount", "inputTokenCount"].into_iter().find_map(|name| fields.offer(name));
    let vectors = match fields.take::<Raw<'_>>("embedding")?.value() {
        Some(one) => vec![one],
        None => {
            let list = fields.require::<Raw<'_>>("embeddings")?;
            // By types of numbers, where the request named them.
            let list = if list.kind() == Kind::Object { Fields::read(list)?.require("float")? } else { list };
            list.items()?.map(vector).collect::<Result<_, _>>()?
        }
    };
    Ok(Embedded { vectors, tokens })
}

/// A vector, or an object that has one.
fn vector(raw: Raw<'_>) -> Result<Raw<'_>, ReadError> {
    if raw.kind() == Kind::Object { Fields::read(raw)?.require("embedding") } else { Ok(raw) }
}

/// Writes an answer, from the texts of arrays of numbers.
pub fn write_answer<'v>(
    maker: Maker,
    vectors: impl IntoIterator<Item = &'v str>,
    tokens: u64,
    writer: Writer<'_>,
) {
    let mut object = writer.object();
    let mut vectors = vectors.into_iter();
    match maker {
        Maker::TitanG1 | Maker::TitanV2 | Maker::TitanMultimodal => {
            let vector = vectors.next().unwrap_or("[]");
            object.key("embedding").raw(vector);
            object.key("inputTextTokenCount").number(tokens);
            if maker == Maker::TitanV2 {
                object.key("embeddingsByType").object().key("float").raw(vector);
            }
        }
        Maker::CohereV3 => {
            let mut list = object.key("embeddings").array();
            vectors.for_each(|vector| list.item().raw(vector));
            drop(list);
            object.key("response_type").string("embeddings_floats");
        }
        Maker::CohereV4 => {
            let mut by_type = object.key("embeddings").object();
            let mut list = by_type.key("float").array();
            vectors.for_each(|vector| list.item().raw(vector));
            drop(list);
            drop(by_type);
            object.key("response_type").string("embeddings_by_type");
        }
        Maker::Nova => {
            let mut list = object.key("embeddings").array();
            let mut item = list.item().object();
            item.key("embeddingType").string("TEXT");
            item.key("embedding").raw(vectors.next().unwrap_or("[]"));
            drop(item);
            drop(list);
            object.key("inputTokenCount").number(tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::ScanLimits;

    fn written(write: impl FnOnce(Writer<'_>)) -> String {
        let mut out = Vec::new();
        write(Writer::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    fn parse(text: &str) -> Raw<'_> {
        Raw::parse(text, &ScanLimits::default()).unwrap()
    }

    #[test]
    fn makers_are_read_off_the_id() {
        for (model, maker) in [
            ("amazon.titan-embed-text-v1", Some(Maker::TitanG1)),
            ("amazon.titan-embed-g1-text-02", Some(Maker::TitanG1)),
            ("amazon.titan-embed-text-v2:0", Some(Maker::TitanV2)),
            ("amazon.titan-embed-image-v1", Some(Maker::TitanMultimodal)),
            ("cohere.embed-multilingual-v3", Some(Maker::CohereV3)),
            ("us.cohere.embed-v4:0", Some(Maker::CohereV4)),
            ("amazon.nova-2-multimodal-embeddings-v1:0", Some(Maker::Nova)),
            ("amazon.nova-lite-v1:0", None),
        ] {
            assert_eq!(Maker::of(model), maker, "{model}");
        }
    }

    #[test]
    fn each_maker_has_a_form_of_its_own() {
        let request = EmbedRequest {
            texts: vec!["a".into(), "b".into()],
            dimensions: Some(256),
            purpose: Some(Purpose::Query),
            bag: Bag::EMPTY,
        };
        let forms = [
            (Maker::TitanG1, r#"{"inputText":"a"}"#),
            (Maker::TitanV2, r#"{"inputText":"a","dimensions":256}"#),
            (Maker::TitanMultimodal, r#"{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":256}}"#),
            (Maker::CohereV3, r#"{"input_type":"search_query","texts":["a","b"]}"#),
            (Maker::CohereV4, r#"{"input_type":"search_query","texts":["a","b"],"output_dimension":256}"#),
            (
                Maker::Nova,
                r#"{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_RETRIEVAL","embeddingDimension":256,"text":{"truncationMode":"NONE","value":"a"}}}"#,
            ),
        ];
        for (maker, form) in forms {
            assert_eq!(written(|writer| write_request(maker, &request, writer)), form);
        }
    }

    #[test]
    fn an_answer_without_vectors_is_none() {
        for text in ["{}", "[]", r#"{"embeddings":{"int8":[[1]]}}"#, r#"{"embeddings":[{}]}"#] {
            assert!(read_answer(parse(text)).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_request_and_its_answer_are_read_as_they_were_written(
            maker in prop::sample::select(&Maker::ALL[..]),
            texts in prop::collection::vec("\\PC{0,5}", 1..4),
            dimensions in prop::option::of(1_u64..4000),
            purpose in prop::option::of(prop::sample::select(PURPOSES.map(|(own, ..)| own).to_vec())),
            vectors in prop::collection::vec("\\[(-?[0-9]\\.[0-9]{1,3}(e-[1-9])?)?\\]", 1..4),
            tokens in any::<u64>(),
        ) {
            let request = EmbedRequest {
                texts: texts.into_iter().map(Cow::Owned).collect(),
                dimensions,
                purpose,
                bag: Bag::EMPTY,
            };
            let text = written(|writer| write_request(maker, &request, writer));
            let read = read_request(maker, parse(&text)).unwrap();
            let expected = EmbedRequest {
                texts: request.texts.iter().take(maker.texts_max()).cloned().collect(),
                dimensions: dimensions.filter(|_| maker.takes_dimensions()),
                purpose: maker.takes_purpose().then_some(purpose.unwrap_or_default()),
                bag: Bag::EMPTY,
            };
            prop_assert_eq!(read, expected);

            let text = written(|writer| write_answer(maker, vectors.iter().map(String::as_str), tokens, writer));
            let read = read_answer(parse(&text)).unwrap();
            let back: Vec<&str> = read.vectors.iter().map(|vector| vector.text()).collect();
            prop_assert_eq!(back, vectors.iter().take(maker.texts_max()).collect::<Vec<_>>());
            let is_in_body = !matches!(maker, Maker::CohereV3 | Maker::CohereV4);
            prop_assert_eq!(read.tokens, is_in_body.then_some(tokens));
        }
    }
}
