use std::borrow::Cow;

use crate::{Addressed, escaped, unescaped};

/// What is asked of a model; its name stands behind the model's in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// A whole answer: `generateContent`.
    Generate,
    /// A streamed answer: `streamGenerateContent`.
    StreamGenerate,
    /// How many tokens a request has: `countTokens`.
    CountTokens,
    /// The embedding of one content: `embedContent`.
    Embed,
    /// The embeddings of several contents: `batchEmbedContents`.
    BatchEmbed,
}

impl Call {
    /// Every call.
    pub const ALL: [Self; 5] =
        [Self::Generate, Self::StreamGenerate, Self::CountTokens, Self::Embed, Self::BatchEmbed];

    /// The name in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generateContent",
            Self::StreamGenerate => "streamGenerateContent",
            Self::CountTokens => "countTokens",
            Self::Embed => "embedContent",
            Self::BatchEmbed => "batchEmbedContents",
        }
    }

    /// The call of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.as_str() == name)
    }

    /// The path with query below a provider's base URL, which ends in `/v1beta` (Gemini API) or
    /// `/publishers/google` (Vertex AI). A stream is asked for as server-sent events.
    ///
    /// ```
    /// use weighbridge_protocol::gemini::Call;
    ///
    /// assert_eq!(Call::Generate.path("gemini-2.5-flash"), "/models/gemini-2.5-flash:generateContent");
    /// assert_eq!(
    ///     Call::StreamGenerate.path("gemini 3"),
    ///     "/models/gemini%203:streamGenerateContent?alt=sse"
    /// );
    /// assert_eq!(Call::Embed.path("tunedModels/mine"), "/tunedModels/mine:embedContent");
    /// ```
    pub fn path(self, model: &str) -> String {
        let collection =
            if COLLECTIONS.iter().any(|name| model.starts_with(name)) { "/" } else { "/models/" };
        let mut path = format!("{collection}{}:{}", escaped(model, "/@"), self.as_str());
        if self == Self::StreamGenerate {
            path.push_str("?alt=sse");
        }
        path
    }
}

/// How a model's name may begin where it names its collection itself.
const COLLECTIONS: [&str; 4] = ["models/", "tunedModels/", "publishers/", "endpoints/"];

/// How a streamed answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StreamForm {
    /// Server-sent events, as `alt=sse` asks for.
    #[default]
    Events,
    /// A JSON array that comes piece by piece, as everybody else gets it.
    JsonArray,
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<'a> {
    /// The model, without `models/` before it.
    pub model: Cow<'a, str>,
    /// What is asked of it.
    pub call: Call,
    /// How a stream is wanted.
    pub form: StreamForm,
}

impl<'a> Route<'a> {
    /// Reads a path such as `/v1beta/models/gemini-2.5-flash:streamGenerateContent`, with whatever stands
    /// before `models/`, and a query without its question mark. `None` where it is no call of a model.
    ///
    /// A name may hold slashes, for a gateway's models such as `openai/gpt-4o`. Vercel's AI SDK leaves
    /// `models/` out before such a name, as it takes it for that of a collection.
    ///
    /// ```
    /// use weighbridge_protocol::gemini::{Call, Route, StreamForm};
    ///
    /// let route = Route::parse("/v1beta/models/gemini-2.5-flash:streamGenerateContent", Some("alt=sse&key=k"));
    /// let route = route.expect("it is a call");
    /// assert_eq!(route.model, "gemini-2.5-flash");
    /// assert_eq!((route.call, route.form), (Call::StreamGenerate, StreamForm::Events));
    ///
    /// let route = Route::parse("/v1/models/openai%2Fgpt-4o:generateContent", None).expect("it is a call");
    /// assert_eq!((route.model.as_ref(), route.call), ("openai/gpt-4o", Call::Generate));
    /// assert_eq!(Route::parse("/v1beta/models", None), None);
    /// ```
    pub fn parse(path: &'a str, query: Option<&str>) -> Option<Self> {
        let (name, call) = path.rsplit_once(':')?;
        let call = Call::from_name(call)?;
        let model = match name.find("models/") {
            // `models` is a whole segment.
            Some(at) if at == 0 || name.as_bytes().get(at - 1) == Some(&b'/') => {
                name.get(at + "models/".len()..)?
            }
            _ => match name.find("tunedModels/").or_else(|| name.find("endpoints/")) {
                Some(at) => name.get(at..)?,
                None => slashed(name)?,
            },
        };
        let model = unescaped(model)?;
        let events = query.is_some_and(|query| query.split('&').any(|field| field == "alt=sse"));
        let form = if events { StreamForm::Events } else { StreamForm::JsonArray };
        (!model.is_empty()).then_some(Self { model, call, form })
    }

    /// What the path says of a request.
    pub fn addressed(&self) -> Addressed {
        Addressed {
            model: Some(self.model.as_ref().to_owned()),
            stream: Some(self.call == Call::StreamGenerate),
        }
    }
}

/// A name with a slash that stands right behind the version.
fn slashed(name: &str) -> Option<&str> {
    let (version, rest) = name.strip_prefix('/')?.split_once('/')?;
    let whole =
        rest.split_once('/').is_some_and(|(collection, name)| !collection.is_empty() && !name.is_empty());
    (matches!(version, "v1" | "v1beta" | "v1beta1") && whole).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_both_dialects_are_read() {
        let vertex =
            "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:generateContent";
        assert_eq!(Route::parse(vertex, None).unwrap().model, "gemini-2.5-pro");
        let tuned = Route::parse("/v1beta/tunedModels/mine:generateContent", Some("")).unwrap();
        assert_eq!((tuned.model.as_ref(), tuned.form), ("tunedModels/mine", StreamForm::JsonArray));
        let nested = Route::parse("/v1beta/models/openai/gpt-4o:countTokens", None).unwrap();
        assert_eq!((nested.model.as_ref(), nested.call), ("openai/gpt-4o", Call::CountTokens));
        let bare = Route::parse("/v1beta/openai/gpt-4o:generateContent", None).unwrap();
        assert_eq!((bare.model.as_ref(), bare.call), ("openai/gpt-4o", Call::Generate));
    }

    #[test]
    fn what_is_no_call_is_none() {
        for path in [
            "/",
            "",
            "/v1/models/:generateContent",
            "/v1/models/m:delete",
            "/v1/chat:generateContent",
            "/v1//chat:generateContent",
            "/v1/chat/:generateContent",
            "/openai/gpt-4o:generateContent",
        ] {
            assert_eq!(Route::parse(path, None), None, "{path}");
        }
        for model in ["%", "%zz", "%ff", "a%2"] {
            assert_eq!(Route::parse(&format!("/v1/models/{model}:generateContent"), None), None, "{model}");
        }
    }

    #[test]
    fn a_written_path_is_read_as_it_was_meant() {
        for call in Call::ALL {
            for model in ["gemini-2.5-flash", "a b/ü%", "tunedModels/x"] {
                let path = call.path(model);
                let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(p, q)| (p, Some(q)));
                let route = Route::parse(path, query).unwrap();
                assert_eq!((route.model.as_ref(), route.call), (model, call));
            }
        }
    }
}
