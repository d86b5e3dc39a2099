use std::borrow::Cow;

use weighbridge_protocol::openai_chat::Quirks;
use weighbridge_protocol::{Dialect, escaped, unescaped};
use weighbridge_units::Protocol;

/// A protocol that a provider speaks, and where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The protocol.
    pub protocol: Protocol,
    /// What this provider wants differently in it.
    pub dialect: Dialect,
    /// Path and query of a call, below the base URL.
    pub path: PathTemplate,
    /// The same for a streamed call.
    pub stream_path: PathTemplate,
    /// Which of the provider's models can be called in it.
    pub models: ModelFilter,
    /// Whether a stream of Chat Completions is not to be asked for its usage, since `stream_options` is
    /// refused: it tells it unasked, or not at all.
    pub usage_unasked: bool,
    /// What else requests of Chat Completions are changed in.
    pub quirks: Quirks,
}

impl Spoken {
    /// A protocol as its own provider speaks it, for all models, at one path for whole answers and one
    /// for streams.
    pub const fn natively(protocol: Protocol, path: &'static str, stream_path: &'static str) -> Self {
        Self::by(Dialect::Native, protocol, path, stream_path, ModelFilter::All)
    }

    /// A protocol as somebody speaks it, for some models.
    pub const fn by(
        dialect: Dialect,
        protocol: Protocol,
        path: &'static str,
        stream_path: &'static str,
        models: ModelFilter,
    ) -> Self {
        Self {
            protocol,
            dialect,
            path: PathTemplate::of(path),
            stream_path: PathTemplate::of(stream_path),
            models,
            usage_unasked: false,
            quirks: Quirks::NONE,
        }
    }

    /// The same at a provider that is not to be asked for usage.
    #[must_use]
    pub const fn telling_usage_unasked(mut self) -> Self {
        self.usage_unasked = true;
        self
    }

    /// The same at a provider that takes some fields otherwise.
    #[must_use]
    pub const fn with_quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }
}

/// Path and query of a call, in which `{model}` stands for the model's name, escaped as one segment,
/// and `{+model}` for a name whose slashes, colons and at signs stay (RFC 6570 calls them simple and
/// reserved expansion).
///
/// ```
/// use weighbridge_catalogue::PathTemplate;
///
/// let converse = PathTemplate::of("/model/{model}/converse");
/// assert_eq!(converse.for_model("amazon.nova-lite-v1:0").unwrap(), "/model/amazon.nova-lite-v1%3A0/converse");
/// let tuned = PathTemplate::of("/{+model}:generateContent");
/// assert_eq!(tuned.for_model("tunedModels/mine").unwrap(), "/tunedModels/mine:generateContent");
/// assert_eq!(tuned.for_model("../secrets"), None);
/// assert_eq!(PathTemplate::of("/v1/messages").for_model("any").unwrap(), "/v1/messages");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(Cow<'static, str>);

const SEGMENT: &str = "{model}";
const PATH: &str = "{+model}";

impl PathTemplate {
    /// A template that is known in advance.
    pub const fn of(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the model stands in the path, and so not in the body.
    pub fn names_model(&self) -> bool {
        self.0.contains(SEGMENT) || self.0.contains(PATH)
    }

    /// The part before the first of some marks that it has.
    ///
    /// ```
    /// use weighbridge_catalogue::PathTemplate;
    ///
    /// let azure = PathTemplate::of("/openai/deployments/{model}/chat/completions?api-version=1");
    /// let root = azure.before(&["/chat/completions"]).unwrap();
    /// assert_eq!(root.as_str(), "/openai/deployments/{model}");
    /// ```
    pub fn before(&self, marks: &[&str]) -> Option<Self> {
        let at = marks.iter().find_map(|mark| self.0.find(mark))?;
        self.0.get(..at).map(|root| Self(Cow::Owned(root.to_owned())))
    }

    /// The model that a path names, where the path is one of these, its query apart: `Some(None)` where the path
    /// names none.
    ///
    /// ```
    /// use weighbridge_catalogue::PathTemplate;
    ///
    /// let gemini = PathTemplate::of("/models/{+model}:generateContent");
    /// assert_eq!(gemini.model_in("/models/gemini-2.5-flash:generateContent"), Some(Some("gemini-2.5-flash".into())));
    /// assert_eq!(gemini.model_in("/models/gemini-2.5-flash:countTokens"), None);
    /// assert_eq!(PathTemplate::of("/responses").model_in("/responses"), Some(None));
    /// ```
    pub fn model_in(&self, path: &str) -> Option<Option<String>> {
        let template = self.0.split('?').next().unwrap_or_default();
        let place = [PATH, SEGMENT].into_iter().find_map(|place| template.split_once(place));
        let Some((before, after)) = place else { return (path == template).then_some(None) };
        let model = unescaped(path.strip_prefix(before)?.strip_suffix(after)?)?.into_owned();
        // What makes another path is another call's.
        let own = self.for_model(&model).filter(|_| !model.is_empty())?;
        let is_own = own.split('?').next().and_then(unescaped) == unescaped(path);
        is_own.then_some(Some(model))
    }

    /// The path for a model. `None` where its name would lead to another place: a name with an empty
    /// segment, or one of `.` or `..`, which servers resolve.
    pub fn for_model(&self, model: &str) -> Option<String> {
        if !self.names_model() {
            return Some(self.0.clone().into_owned());
        }
        if model.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return None;
        }
        Some(self.0.replace(SEGMENT, &escaped(model, "")).replace(PATH, &escaped(model, "/:@")))
    }
}

impl From<String> for PathTemplate {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// Some of a provider's models, by a part of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFilter {
    /// All of them.
    All,
    /// Those whose name has one of these in it.
    With(&'static [&'static str]),
    /// Those whose name has none of these in it.
    Without(&'static [&'static str]),
}

impl ModelFilter {
    /// Whether a model is among them.
    pub fn admits(self, model: &str) -> bool {
        match self {
            Self::All => true,
            Self::With(parts) => parts.iter().any(|part| model.contains(part)),
            Self::Without(parts) => !parts.iter().any(|part| model.contains(part)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_model_leads_nowhere_else(model in "[a-z./?#% :@é\\\\]{0,12}") {
            for template in ["/model/{model}/converse", "/models/{+model}:generateContent"] {
                let Some(path) = PathTemplate::of(template).for_model(&model) else { continue };
                let (before, place) = template.split_once('{').unwrap();
                let (_, after) = place.split_once('}').unwrap();
                prop_assert!(path.starts_with(before));
                prop_assert!(path.ends_with(after));
                prop_assert!(!path.contains(['?', '#', ' ', '\\']));
                prop_assert!(path.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }
    }

    #[test]
    fn models_are_told_apart_by_a_part_of_their_names() {
        let claude = &["claude"][..];
        assert!(ModelFilter::With(claude).admits("us.anthropic.claude-haiku-4-5"));
        assert!(!ModelFilter::Without(claude).admits("claude-3"));
        assert!(ModelFilter::Without(claude).admits("gemini-2.5-flash"));
        assert!(ModelFilter::All.admits(""));
    }
}
