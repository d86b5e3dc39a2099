//! Which models there are, as each client's SDK expects to read it.
//!
//! | client | one | several | further pages |
//! |---|---|---|---|
//! | [OpenAI](https://platform.openai.com/docs/api-reference/models) | `/v1/models/{id}` | `/v1/models` | – |
//! | [Anthropic](https://docs.anthropic.com/en/api/models-list) | `/v1/models/{id}` | `/v1/models` | `limit`, `after_id`, `before_id` |
//! | [Gemini](https://ai.google.dev/api/models) | `/v1beta/models/{id}` | `/v1beta/models` | `pageSize`, `pageToken` |
//!
//! ```
//! use weighbridge_translate::model_list::{self, Listed, Paging};
//! use weighbridge_units::Protocol::GeminiGenerateContent;
//!
//! let models = [Listed::new("fast", "weighbridge"), Listed::new("openai/gpt-4o", "openai")];
//! let paging = Paging::of(GeminiGenerateContent, Some("pageSize=1"));
//! assert_eq!(
//!     std::str::from_utf8(&model_list::list(GeminiGenerateContent, &models, &paging))?,
//!     r#"{"models":[{"name":"models/fast","displayName":"fast","supportedGenerationMethods":["generateContent","countTokens"]}],"nextPageToken":"fast"}"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use weighbridge_protocol::json::{Object, Writer};
use weighbridge_protocol::unescaped;
use weighbridge_units::{Protocol, Timestamp};

/// A model in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The name that requests give it.
    pub id: &'a str,
    /// Who offers it.
    pub owner: &'a str,
    /// Its name for people.
    pub display_name: &'a str,
    /// When it was made, in seconds since the epoch; 0 where that is not known, which Anthropic's
    /// documentation allows.
    pub created: i64,
    /// The most tokens of a prompt.
    pub input_max: Option<u64>,
    /// The most tokens of an answer.
    pub output_max: Option<u64>,
    /// Whether it makes vectors, and no texts.
    pub embeds: bool,
}

impl<'a> Listed<'a> {
    /// A model of which no more is known.
    pub const fn new(id: &'a str, owner: &'a str) -> Self {
        Self { id, owner, display_name: id, created: 0, input_max: None, output_max: None, embeds: false }
    }
}

/// Which part of a list is asked for. By default all of it: whoever can list the models of a key can do so
/// in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paging {
    /// The models that follow this one.
    pub after: Option<String>,
    /// The models that this one follows.
    pub before: Option<String>,
    /// The most models of one page.
    pub limit: Option<usize>,
}

impl Paging {
    /// Reads a query without its question mark. What is not understood says nothing.
    pub fn of(client: Protocol, query: Option<&str>) -> Self {
        let (after, before, limit) = match client {
            Protocol::AnthropicMessages => ("after_id", "before_id", "limit"),
            Protocol::GeminiGenerateContent => ("pageToken", "", "pageSize"),
            _ => return Self::default(),
        };
        let mut paging = Self::default();
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|field| field.split_once('=')) {
            let Some(value) = unescaped(value).filter(|value| !value.is_empty()) else { continue };
            if name == after {
                paging.after = Some(value.into_owned());
            } else if name == before {
                paging.before = Some(value.into_owned());
            } else if name == limit {
                paging.limit = value.parse().ok().filter(|limit| *limit > 0);
            }
        }
        paging
    }

    /// The part that is asked for, and whether there is more in the direction of reading. A name that is not
    /// in the list has nothing after or before it.
    fn cut<'m, 'a>(&self, models: &'m [Listed<'a>]) -> (&'m [Listed<'a>], bool) {
        let place = |id: &str| models.iter().position(|model| model.id == id);
        let limit = self.limit.unwrap_or(usize::MAX);
        if let Some(before) = &self.before {
            let head = place(before).and_then(|place| models.get(..place)).unwrap_or_default();
            let start = head.len().saturating_sub(limit);
            return (head.get(start..).unwrap_or_default(), start > 0);
        }
        let tail = match &self.after {
            Some(after) => place(after).and_then(|place| models.get(place + 1..)).unwrap_or_default(),
            None => models,
        };
        (tail.get(..limit).unwrap_or(tail), tail.len() > limit)
    }
}

/// A list, in the shape of the client's protocol: OpenAI's for the two of OpenAI, and for Bedrock's, which
/// no client speaks.
pub fn list(client: Protocol, models: &[Listed<'_>], paging: &Paging) -> Vec<u8> {
    let (page, has_more) = paging.cut(models);
    let ends = (page.first().map(|model| model.id), page.last().map(|model| model.id));
    let mut out = Vec::new();
    let mut object = Writer::new(&mut out).object();
    let name = if client == Protocol::GeminiGenerateContent { "models" } else { "data" };
    if !matches!(client, Protocol::GeminiGenerateContent | Protocol::AnthropicMessages) {
        object.key("object").string("list");
    }
    let mut list = object.key(name).array();
    page.iter().for_each(|model| describe(client, model, &mut list.item().object()));
    drop(list);
    match client {
        Protocol::AnthropicMessages => {
            object.key("has_more").bool(has_more);
            object.key("first_id").string_or_null(ends.0);
            object.key("last_id").string_or_null(ends.1);
        }
        Protocol::GeminiGenerateContent => {
            if let (true, Some(last)) = (has_more, ends.1) {
                object.key("nextPageToken").string(last);
            }
        }
        _ => {}
    }
    drop(object);
    out
}

/// One model, in the shape of the client's protocol.
pub fn one(client: Protocol, model: &Listed<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    describe(client, model, &mut Writer::new(&mut out).object());
    out
}

fn describe(client: Protocol, model: &Listed<'_>, object: &mut Object<'_>) {
    match client {
        Protocol::AnthropicMessages => anthropic(model, object),
        Protocol::GeminiGenerateContent => gemini(model, object),
        Protocol::OpenAiChat | Protocol::OpenAiResponses | Protocol::BedrockConverse => {
            object.key("id").string(model.id);
            object.key("object").string("model");
            object.key("created").number(model.created);
            object.key("owned_by").string(model.owner);
        }
    }
}

/// All fields are demanded; what is not known is `null`.
fn anthropic(model: &Listed<'_>, object: &mut Object<'_>) {
    object.key("type").string("model");
    object.key("id").string(model.id);
    object.key("display_name").string(model.display_name);
    object.key("created_at").string(&Timestamp::from_secs(model.created).to_string());
    for (name, limit) in [("max_input_tokens", model.input_max), ("max_tokens", model.output_max)] {
        match limit {
            Some(limit) => object.key(name).number(limit),
            None => object.key(name).null(),
        }
    }
    object.key("lifecycle").string("active");
    for name in ["capabilities", "line", "deprecated_at", "retires_at"] {
        object.key(name).null();
    }
}

/// What is not known is left out, as Google does.
fn gemini(model: &Listed<'_>, object: &mut Object<'_>) {
    object.key("name").string(&format!("models/{}", model.id));
    object.key("displayName").string(model.display_name);
    for (name, limit) in [("inputTokenLimit", model.input_max), ("outputTokenLimit", model.output_max)] {
        if let Some(limit) = limit {
            object.key(name).number(limit);
        }
    }
    let methods: &[&str] = if model.embeds { &["embedContent"] } else { &["generateContent", "countTokens"] };
    let mut list = object.key("supportedGenerationMethods").array();
    methods.iter().for_each(|method| list.item().string(method));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weighbridge_protocol::json::Raw;

    use super::*;
    use crate::laws::parse;

    const CLIENTS: [Protocol; 5] = Protocol::ALL;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_model_has_a_shape_in_each_protocol() {
        let model = Listed {
            display_name: "Fast",
            created: 1_700_000_000,
            input_max: Some(200_000),
            output_max: Some(64_000),
            ..Listed::new("fast", "weighbridge")
        };
        let shapes = CLIENTS.map(|client| format!("{client} {}", text(&one(client, &model))));
        insta::assert_snapshot!(shapes.join("\n"), @r#"
        openai-chat {"id":"fast","object":"model","created":1700000000,"owned_by":"weighbridge"}
        anthropic-messages {"type":"model","id":"fast","display_name":"Fast","created_at":"2023-11-14T22:13:20.000Z","max_input_tokens":200000,"max_tokens":64000,"lifecycle":"active","capabilities":null,"line":null,"deprecated_at":null,"retires_at":null}
        openai-responses {"id":"fast","object":"model","created":1700000000,"owned_by":"weighbridge"}
        gemini {"name":"models/fast","displayName":"Fast","inputTokenLimit":200000,"outputTokenLimit":64000,"supportedGenerationMethods":["generateContent","countTokens"]}
        bedrock-converse {"id":"fast","object":"model","created":1700000000,"owned_by":"weighbridge"}
        "#);
        let embeds = Listed { embeds: true, ..Listed::new("openai/small", "openai") };
        insta::assert_snapshot!(text(&one(Protocol::GeminiGenerateContent, &embeds)), @r#"{"name":"models/openai/small","displayName":"openai/small","supportedGenerationMethods":["embedContent"]}"#);
        insta::assert_snapshot!(text(&one(Protocol::AnthropicMessages, &embeds)), @r#"{"type":"model","id":"openai/small","display_name":"openai/small","created_at":"1970-01-01T00:00:00.000Z","max_input_tokens":null,"max_tokens":null,"lifecycle":"active","capabilities":null,"line":null,"deprecated_at":null,"retires_at":null}"#);
    }

    #[test]
    fn a_list_tells_whether_there_is_more() {
        let models = ["a", "b/1", "c"].map(|id| Listed::new(id, "o"));
        let shown = |client, query| text(&list(client, &models, &Paging::of(client, query))).to_owned();
        insta::assert_snapshot!(shown(Protocol::OpenAiChat, Some("limit=1")), @r#"{"object":"list","data":[{"id":"a","object":"model","created":0,"owned_by":"o"},{"id":"b/1","object":"model","created":0,"owned_by":"o"},{"id":"c","object":"model","created":0,"owned_by":"o"}]}"#);
        insta::assert_snapshot!(shown(Protocol::AnthropicMessages, Some("limit=1&after_id=a")), @r#"{"data":[{"type":"model","id":"b/1","display_name":"b/1","created_at":"1970-01-01T00:00:00.000Z","max_input_tokens":null,"max_tokens":null,"lifecycle":"active","capabilities":null,"line":null,"deprecated_at":null,"retires_at":null}],"has_more":true,"first_id":"b/1","last_id":"b/1"}"#);
        insta::assert_snapshot!(shown(Protocol::GeminiGenerateContent, Some("key=k&pageSize=5&pageToken=b%2F1")), @r#"{"models":[{"name":"models/c","displayName":"c","supportedGenerationMethods":["generateContent","countTokens"]}]}"#);
        let empty = list(Protocol::AnthropicMessages, &[], &Paging::default());
        assert_eq!(text(&empty), r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }

    proptest! {
        #[test]
        fn pages_give_every_model_once_and_in_order(count in 0_usize..12, limit in 1_usize..5) {
            let ids: Vec<String> = (0..count).map(|number| format!("p/{number}")).collect();
            let models: Vec<Listed<'_>> = ids.iter().map(|id| Listed::new(id, "o")).collect();
            let pages = [
                (Protocol::AnthropicMessages, format!("limit={limit}"), "&after_id="),
                (Protocol::GeminiGenerateContent, format!("pageSize={limit}"), "&pageToken="),
            ];
            for (client, first, next) in pages {
                let mut seen: Vec<String> = Vec::new();
                let mut query = first.clone();
                loop {
                    let page = list(client, &models, &Paging::of(client, Some(&query)));
                    let page = parse(&page);
                    let listed = page.get("data").or_else(|| page.get("models")).unwrap();
                    let name = |model: Raw<'_>| {
                        let name = model.get("id").or_else(|| model.get("name")).unwrap().str().unwrap();
                        name.strip_prefix("models/").unwrap_or(&name).to_owned()
                    };
                    let before = seen.len();
                    seen.extend(listed.items().unwrap().map(name));
                    prop_assert!(seen.len() <= before + limit);
                    let has_more = page.get("has_more").is_some_and(|more| more.bool().unwrap())
                        || page.get("nextPageToken").is_some();
                    let Some(last) = seen.last().filter(|_| has_more) else { break };
                    query = format!("{first}{next}{}", last.replace('/', "%2F"));
                }
                prop_assert_eq!(&seen, &ids);
            }
        }

        #[test]
        fn any_query_is_read(query in ".{0,40}") {
            for client in CLIENTS {
                let _read: Paging = Paging::of(client, Some(&query));
            }
        }
    }

    #[test]
    fn reading_backwards_ends_at_the_beginning() {
        let models = ["a", "b", "c", "d"].map(|id| Listed::new(id, "o"));
        let paging = |query| Paging::of(Protocol::AnthropicMessages, Some(query));
        let ids = |query| {
            let query: Paging = paging(query);
            let (page, more) = query.cut(&models);
            (page.iter().map(|model| model.id).collect::<Vec<_>>().join(""), more)
        };
        assert_eq!(ids("limit=2&before_id=d"), ("bc".to_owned(), true));
        assert_eq!(ids("limit=2&before_id=b"), ("a".to_owned(), false));
        assert_eq!(ids("before_id=nobody"), (String::new(), false));
        assert_eq!(ids("after_id=nobody"), (String::new(), false));
        assert_eq!(ids("limit=0"), ("abcd".to_owned(), false));
    }
}
