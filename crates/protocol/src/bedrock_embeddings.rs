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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_purpose_is_found_under_either_of_its_names() {
        for (purpose, cohere, nova) in PURPOSES {
            assert_eq!((purpose.cohere_name(), purpose.nova_name()), (cohere, nova));
            assert_eq!(Purpose::from_name(cohere), Some(purpose));
            assert_eq!(Purpose::from_name(nova), Some(purpose));
        }
        assert_eq!(Purpose::from_name("image"), None);
    }
}
