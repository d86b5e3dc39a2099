//! What a path of Google's asks for.

/// Whose rules a request follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    /// `/v1beta/models/{model}:…`
    Gemini,
    /// `/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:…`
    Vertex,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Generate,
    /// Streamed, as server-sent events or as one array.
    Stream {
        events: bool,
    },
    Count,
    Embed,
    EmbedAll,
    /// Embeddings of models before Gemini, only at Vertex.
    Predict,
    /// Only of models of Anthropic's.
    RawPredict,
    StreamRawPredict,
}

impl Method {
    /// The name in paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generateContent",
            Self::Stream { .. } => "streamGenerateContent",
            Self::Count => "countTokens",
            Self::Embed => "embedContent",
            Self::EmbedAll => "batchEmbedContents",
            Self::Predict => "predict",
            Self::RawPredict => "rawPredict",
            Self::StreamRawPredict => "streamRawPredict",
        }
    }
}

/// A request by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) dialect: Dialect,
    pub(crate) model: String,
    pub(crate) method: Method,
}

/// Whose models a call is for.
const PUBLISHERS: [&str; 2] = ["/publishers/google/models/", "/publishers/anthropic/models/"];

impl Call {
    /// The call of a path with its query, if it is one.
    pub(crate) fn of(target: &str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
        if !matches!(version, "v1" | "v1beta" | "v1beta1") {
            return None;
        }
        let (dialect, named) = match rest.strip_prefix("models/") {
            Some(named) => (Dialect::Gemini, named),
            None => {
                let rest = rest.strip_prefix("projects/")?;
                (Dialect::Vertex, PUBLISHERS.iter().find_map(|publisher| rest.split_once(publisher))?.1)
            }
        };
        let (model, method) = named.split_once(':')?;
        let events = query.split('&').any(|pair| pair == "alt=sse");
        let all = [
            Method::Generate,
            Method::Stream { events },
            Method::Count,
            Method::Embed,
            Method::EmbedAll,
            Method::Predict,
            Method::RawPredict,
            Method::StreamRawPredict,
        ];
        let method = all.into_iter().find(|known| known.name() == method)?;
        let known = match method {
            Method::Predict => dialect == Dialect::Vertex && !path.contains(PUBLISHERS[1]),
            Method::RawPredict | Method::StreamRawPredict => path.contains(PUBLISHERS[1]),
            _ => !path.contains(PUBLISHERS[1]),
        };
        known.then(|| Self { dialect, model: model.to_owned(), method })
    }

    /// Whether the call is for a model of Anthropic's.
    pub(crate) const fn is_claudes(&self) -> bool {
        matches!(self.method, Method::RawPredict | Method::StreamRawPredict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let read = |target| Call::of(target).map(|call| (call.dialect, call.model, call.method));
        let flash = || "gemini-2.5-flash".to_owned();
        assert_eq!(
            read("/v1beta/models/gemini-2.5-flash:streamGenerateContent?key=k&alt=sse"),
            Some((Dialect::Gemini, flash(), Method::Stream { events: true }))
        );
        assert_eq!(
            read("/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:countTokens"),
            Some((Dialect::Vertex, flash(), Method::Count))
        );
        for other in
            ["/v1beta/models", "/v2/models/x:generateContent", "/v1beta/models/x:predict", "/v1beta/models/x"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
