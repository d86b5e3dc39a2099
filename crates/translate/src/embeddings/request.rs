//! The canonical request for vectors.

use std::borrow::Cow;

use weighbridge_protocol::EmbeddingsProtocol;
use weighbridge_protocol::json::{Bag, Raw};
use weighbridge_units::LossKind;

use super::Refused;
use crate::losses::Losses;
use crate::place::{Place, Placed};

/// A request for vectors, one per input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmbeddingsRequest<'a> {
    /// The model, where the body names it.
    pub model: Option<Cow<'a, str>>,
    /// What vectors are wanted for, in order; at least one.
    pub inputs: Vec<Input<'a>>,
    /// How their numbers are to be written. The gateway writes an answer itself, so that a provider
    /// which knows but one way loses nothing.
    pub encoding: Option<Placed<'a, Encoding>>,
    /// The end user on whose behalf the client asks.
    pub end_user: Option<Placed<'a, Cow<'a, str>>>,
    /// What is not understood.
    pub bag: Bag<'a>,
}

/// Something that a vector is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input<'a> {
    /// What it is.
    pub content: InputContent<'a>,
    /// What its vector is to be. Most formats say it once for all inputs, Gemini with each.
    pub wishes: Wishes<'a>,
    /// What is not understood of its wishes, where they stand apart (Vertex AI's `embedContentConfig`).
    pub wishes_bag: Bag<'a>,
    /// What is not understood.
    pub bag: Bag<'a>,
    /// Where it stands.
    pub place: Place<'a>,
}

/// What an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputContent<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// Several texts that have one vector together (Gemini's `parts`).
    Texts(Vec<Cow<'a, str>>),
    /// Tokens of the model's own vocabulary: an array of whole numbers, as it was written.
    Tokens(Raw<'a>),
    /// A `content` of Gemini that holds more than texts, as it was written.
    Parts(Raw<'a>),
}

/// What a vector is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes<'a> {
    /// How many numbers it is to have.
    pub dimensions: Option<Placed<'a, u64>>,
    /// What it is for.
    pub task: Option<Placed<'a, Task>>,
    /// The title of the document that its text is.
    pub title: Option<Placed<'a, Cow<'a, str>>>,
    /// What becomes of a text that is too long for the model.
    pub truncation: Option<Placed<'a, Truncation>>,
}

/// How the numbers of a vector are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// As an array of numbers.
    #[default]
    Float,
    /// As base64 of their 32 bits each, least significant byte first.
    Base64,
}

impl Encoding {
    /// The name in OpenAI's format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Base64 => "base64",
        }
    }
}

/// What a vector is for. <https://ai.google.dev/gemini-api/docs/embeddings#supported-task-types>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// It is kept, to be found.
    Document,
    /// It finds documents.
    Query,
    /// It finds code.
    CodeQuery,
    /// It finds what answers a question.
    QuestionAnswering,
    /// It finds what supports or refutes a statement.
    FactVerification,
    /// It tells how alike texts are.
    Similarity,
    /// It is sorted into classes.
    Classification,
    /// It is grouped with others.
    Clustering,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 8] = [
        Self::Document,
        Self::Query,
        Self::CodeQuery,
        Self::QuestionAnswering,
        Self::FactVerification,
        Self::Similarity,
        Self::Classification,
        Self::Clustering,
    ];

    /// The name in Google's formats.
    pub const fn google_name(self) -> &'static str {
        match self {
            Self::Document => "RETRIEVAL_DOCUMENT",
            Self::Query => "RETRIEVAL_QUERY",
            Self::CodeQuery => "CODE_RETRIEVAL_QUERY",
            Self::QuestionAnswering => "QUESTION_ANSWERING",
            Self::FactVerification => "FACT_VERIFICATION",
            Self::Similarity => "SEMANTIC_SIMILARITY",
            Self::Classification => "CLASSIFICATION",
            Self::Clustering => "CLUSTERING",
        }
    }

    /// The task of that name in Google's formats, if there is one.
    pub fn from_google_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.google_name() == name)
    }
}

/// What becomes of a text that is too long for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truncation {
    /// The request fails.
    Never,
    /// Its beginning is left out.
    Start,
    /// Its end is left out.
    End,
}

impl<'a> EmbeddingsRequest<'a> {
    /// Whether the target takes as many inputs, and of these kinds.
    pub(super) fn fits(&self, to: EmbeddingsProtocol) -> Result<(), Refused<'a>> {
        let max = to.inputs_max();
        if let Some(input) = self.inputs.get(max) {
            let many = if max == 1 { "one input".to_owned() } else { format!("{max} inputs") };
            let reason = format!(
                "{to} takes {many} per request and this one has {}; send them in several requests",
                self.inputs.len()
            );
            return Err((input.place, reason));
        }
        for input in &self.inputs {
            match &input.content {
                InputContent::Tokens(_) if to != EmbeddingsProtocol::OpenAi => {
                    let reason = format!("{to} takes texts and no tokens; send the text itself");
                    return Err((input.place, reason));
                }
                InputContent::Parts(_)
                    if !matches!(
                        to,
                        EmbeddingsProtocol::GeminiEmbed | EmbeddingsProtocol::GeminiBatchEmbed
                    ) =>
                {
                    let reason = format!("{to} takes texts; a content with anything else is not translated");
                    return Err((input.place, reason));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What all inputs wish alike, for a target that says it once.
    pub(super) fn wish<T: Clone + PartialEq>(
        &self,
        name: &str,
        of: impl for<'i> Fn(&'i Wishes<'a>) -> &'i Option<Placed<'a, T>>,
    ) -> Result<Option<Placed<'a, T>>, Refused<'a>> {
        let mut wishes = self.inputs.iter().map(|input| of(&input.wishes));
        let first = wishes.next().cloned().flatten();
        match self.inputs.iter().find(|input| *of(&input.wishes) != first) {
            Some(odd) => {
                let reason =
                    format!("the inputs differ in {name}; send those that agree in one request each");
                Err((odd.place, reason))
            }
            None => Ok(first),
        }
    }

    /// Reports something that the target has no word for, once for each place in which it stands.
    pub(super) fn unheard<T>(
        &self,
        needed: &'static str,
        of: impl for<'i> Fn(&'i Wishes<'a>) -> &'i Option<Placed<'a, T>>,
        losses: &mut Losses<'a>,
    ) {
        let mut last = None;
        for place in self.inputs.iter().filter_map(|input| of(&input.wishes).as_ref()).map(|wish| wish.place)
        {
            let address = place.raw().map(|raw| raw.text().as_ptr());
            // A format that says it once for all gives every input the same place.
            if last != Some(address) {
                let target = losses.target();
                losses.dropped(place, format!("{target} has no word for {needed}"), needed);
            }
            last = Some(address);
        }
    }

    /// Reports what is to become of texts that are too long, unless it is what happens anyway.
    pub(super) fn unheard_truncation(&self, usual: &[Truncation], losses: &mut Losses<'a>) {
        let odd = |wishes: &Wishes<'a>| wishes.truncation.filter(|wish| !usual.contains(&wish.value));
        if self.inputs.iter().any(|input| odd(&input.wishes).is_some()) {
            self.unheard("how to shorten a text", |wishes| &wishes.truncation, losses);
        }
    }

    /// Reports that a text's end is cut where its beginning was to be, once for each place.
    pub(super) fn cut_at_the_end(&self, losses: &mut Losses<'a>) {
        let mut last = None;
        let wishes = self.inputs.iter().filter_map(|input| input.wishes.truncation);
        for wish in wishes.filter(|wish| wish.value == Truncation::Start) {
            let address = wish.place.raw().map(|raw| raw.text().as_ptr());
            if last != Some(address) {
                let target = losses.target();
                let reason = format!("{target} cuts the end of a text that is too long");
                losses.report(wish.place, LossKind::Approximated, reason, "cutting a text's beginning");
            }
            last = Some(address);
        }
    }

    /// Reports the end user, whom only OpenAI is told.
    pub(super) fn unnamed(&self, losses: &mut Losses<'a>) {
        if let Some(user) = &self.end_user {
            let target = losses.target();
            losses.dropped(user.place, format!("{target} has no word for the end user"), "the end user");
        }
    }

    /// Reports what is not understood of the inputs, for a target that has no place for it.
    pub(super) fn leftovers(&self, losses: &mut Losses<'a>) {
        for input in &self.inputs {
            losses.bag(&input.wishes_bag);
            losses.bag(&input.bag);
        }
    }

    /// Reports that texts are joined, and gives each input's text.
    pub(super) fn texts(&self, losses: &mut Losses<'a>) -> Vec<Cow<'_, str>> {
        let text = |input: &'_ Input<'a>, losses: &mut Losses<'a>| match &input.content {
            InputContent::Text(text) => text.as_ref().to_owned(),
            InputContent::Texts(texts) => {
                let target = losses.target();
                losses.report(
                    input.place,
                    LossKind::Approximated,
                    format!("{target} takes one text per vector; the parts are joined by a line break"),
                    "several texts for one vector",
                );
                texts.join("\n")
            }
            // Refused before.
            InputContent::Tokens(_) | InputContent::Parts(_) => String::new(),
        };
        self.inputs.iter().map(|input| Cow::Owned(text(input, losses))).collect()
    }
}
