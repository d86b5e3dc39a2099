use memchr::{memchr_iter, memmem};
use weighbridge_units::Protocol;

/// What a request holds that the length of its body says nothing about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Media {
    /// How many images there are at most, by URL or inline.
    pub images: u64,
    /// Whether there may be tools or a schema for the answer, for which a provider adds a prompt.
    pub tools: bool,
    /// Whether there may be anything whose tokens nothing but the context window bounds: documents,
    /// audio, stored files, work that the provider does on its side.
    pub unseen: bool,
    /// The searches that the provider may run on its side.
    pub searches: Searches,
}

/// How many searches a provider may run for one request, of each kind that has a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Searches {
    /// Of the web.
    pub web: u64,
    /// In files that the provider keeps.
    pub files: u64,
    /// Of maps.
    pub maps: u64,
}

/// The searches of one kind that a request is taken to need where it names no bound. No provider documents
/// one; what goes beyond is an overage (rule R5).
const SEARCHES_UNBOUNDED: u64 = 16;

/// Finds what the body of a request holds, in two passes that stop at quotes and at escapes only.
///
/// `client` is what the body speaks. The answer errs on the side of more: a word that is found where
/// it means something else counts. A name cannot be hidden by writing its letters as `\u0069`, which
/// no encoder does: it makes everything unseen.
pub fn media(client: Protocol, body: &str) -> Media {
    let bytes = body.as_bytes();
    let mut escapes = memmem::find_iter(bytes, br"\u00");
    let disguised = escapes.any(|at| bytes.get(at + 4..).is_some_and(writes_a_word));
    let mut found = Media { unseen: disguised, ..Media::default() };
    let mut searched =
        if disguised { Kinds { web: true, files: true, maps: true } } else { Kinds::default() };
    let mut most = SEARCHES_UNBOUNDED;
    let mut word_start = 0;
    for quote in memchr_iter(b'"', bytes) {
        // A word of the protocol lies between two quotes with nothing else in between. Escaped quotes
        // need no care: in a text, a word between them has a backslash at its end.
        let (word, rest) = (bytes.get(word_start..quote), bytes.get(quote + 1..));
        let (word, rest) = (word.unwrap_or_default(), rest.unwrap_or_default());
        look_up(client, word, rest, &mut found);
        searched.look_up(client, word, rest);
        if matches!(word, b"max_uses" | b"max_tool_calls") {
            most = most.max(number(rest));
        }
        word_start = quote + 1;
    }
    let bound = |may: bool| if may { most } else { 0 };
    let Kinds { web, files, maps } = searched;
    found.searches = Searches { web: bound(web), files: bound(files), maps: bound(maps) };
    found
}

/// The kinds of searches that a body may ask for.
#[derive(Default)]
struct Kinds {
    web: bool,
    files: bool,
    maps: bool,
}

impl Kinds {
    /// Adds what a word of the client's protocol means. The words are those of `look_up`.
    fn look_up(&mut self, client: Protocol, word: &[u8], rest: &[u8]) {
        match client {
            Protocol::AnthropicMessages => {
                self.web |= word.starts_with(b"web_search_") && runs_at_provider(word)
            }
            Protocol::OpenAiResponses if is_key(rest) => {}
            Protocol::OpenAiResponses => {
                self.web |= word.starts_with(b"web_search");
                self.files |= word.starts_with(b"file_search");
            }
            Protocol::GeminiGenerateContent if is_key(rest) => match word {
                b"googleMaps" | b"google_maps" => self.maps = true,
                b"fileSearch" | b"file_search" => self.files = true,
                b"retrieval" => self.web = true,
                word => {
                    let names = [&b"googleSearch"[..], b"google_search", b"enterpriseWeb", b"enterprise_web"];
                    self.web |= names.iter().any(|name| word.starts_with(name));
                }
            },
            // Its own searches are tools of the system, which make everything unseen.
            Protocol::GeminiGenerateContent | Protocol::BedrockConverse => {}
            _ => self.web |= matches!(word, b"web_search_options" | b"plugins" | b"openrouter:web_search"),
        }
    }
}

/// The whole number of the field whose name stands before `rest`; 0 where there is none.
fn number(rest: &[u8]) -> u64 {
    let value = rest.trim_ascii_start().strip_prefix(b":").unwrap_or_default().trim_ascii_start();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// Whether the two hexadecimal digits of an escape write a letter, a digit or an underscore.
fn writes_a_word(digits: &[u8]) -> bool {
    let code = digits
        .first_chunk::<2>()
        .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
    code.is_some_and(|code| code.is_ascii_alphanumeric() || code == b'_')
}

/// Adds what a word of the client's protocol means.
fn look_up(client: Protocol, word: &[u8], rest: &[u8], found: &mut Media) {
    match client {
        // <https://docs.anthropic.com/en/api/messages>
        Protocol::AnthropicMessages => match word {
            b"image" if !is_key(rest) => found.images += 1,
            b"tools" | b"output_format" | b"output_config" => found.tools = true,
            b"document" if !is_key(rest) => found.unseen = true,
            b"file_id" | b"container" | b"mcp_servers" => found.unseen = true,
            word => found.unseen |= runs_at_provider(word),
        },
        // <https://platform.openai.com/docs/api-reference/responses/create>
        Protocol::OpenAiResponses => match word {
            b"input_image" | b"computer_screenshot" if !is_key(rest) => found.images += 1,
            b"tools" | b"text" if is_key(rest) => found.tools = true,
            b"input_file" if !is_key(rest) => found.unseen = true,
            b"input_audio" | b"file_id" => found.unseen = true,
            // What these name is at the provider, and comes before the input.
            b"previous_response_id" | b"conversation" | b"prompt" if is_key(rest) => {
                found.unseen |= !is_null(rest);
            }
            word => found.unseen |= !is_key(rest) && OPENAI_TOOLS.iter().any(|tool| word.starts_with(tool)),
        },
        // <https://ai.google.dev/api/generate-content>
        Protocol::GeminiGenerateContent => match word {
            word if word.starts_with(b"image/") => found.images += 1,
            b"tools"
            | b"responseSchema"
            | b"response_schema"
            | b"responseJsonSchema"
            | b"response_json_schema" => found.tools = true,
            b"fileData" | b"file_data" | b"cachedContent" | b"cached_content" => found.unseen = true,
            word if [&b"audio/"[..], b"video/", b"application/", b"text/"]
                .iter()
                .any(|kind| word.starts_with(kind)) =>
            {
                // The format of a structured answer is named in the same words.
                found.unseen |= !matches!(word, b"application/json" | b"text/plain" | b"text/x.enum");
            }
            word => found.unseen |= is_key(rest) && GOOGLE_TOOLS.contains(&word),
        },
        // <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>
        Protocol::BedrockConverse => match word {
            b"image" if is_key(rest) => found.images += 1,
            b"toolConfig" | b"outputConfig" => found.tools = true,
            b"document" | b"video" | b"audio" | b"s3Location" | b"systemTool" | b"promptVariables"
                if is_key(rest) =>
            {
                found.unseen = true;
            }
            // What a model's maker calls so, such as a tool that runs at its side.
            b"additionalModelRequestFields" => found.unseen = true,
            _ => {}
        },
        // <https://platform.openai.com/docs/api-reference/chat/create>
        _ => match word {
            b"image_url" if is_key(rest) => found.images += 1,
            b"tools" | b"functions" | b"response_format" => found.tools = true,
            b"file" if !is_key(rest) => found.unseen = true,
            b"input_audio" | b"audio" | b"video_url" | b"file_id" | b"web_search_options" => {
                found.unseen = true
            }
            // <https://openrouter.ai/docs/features/web-search>
            b"plugins" => found.unseen = true,
            word => found.unseen |= word.starts_with(b"openrouter:"),
        },
    }
}

/// How the types of tools begin that OpenAI works on its side: what they find becomes prompt.
/// <https://platform.openai.com/docs/guides/tools>
const OPENAI_TOOLS: [&[u8]; 7] =
    [b"web_search", b"file_search", b"code_interpreter", b"image_generation", b"mcp", b"hosted_", b"shell"];

/// Tools that Google works on its side, under both names of each.
/// <https://ai.google.dev/api/caching#Tool>
const GOOGLE_TOOLS: [&[u8]; 15] = [
    b"googleSearch",
    b"google_search",
    b"googleSearchRetrieval",
    b"google_search_retrieval",
    b"codeExecution",
    b"code_execution",
    b"urlContext",
    b"url_context",
    b"googleMaps",
    b"google_maps",
    b"fileSearch",
    b"file_search",
    b"enterpriseWebSearch",
    b"enterprise_web_search",
    b"retrieval",
];

/// Whether the string before `rest` names a field.
fn is_key(rest: &[u8]) -> bool {
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Whether the field whose name stands before `rest` says nothing.
fn is_null(rest: &[u8]) -> bool {
    let value = rest.iter().position(|byte| *byte == b':').and_then(|colon| rest.get(colon + 1..));
    value.is_some_and(|value| value.trim_ascii_start().starts_with(b"null"))
}

/// Whether the word is the type of a tool, or of an edit of the context, that Anthropic works on its
/// side: such types end in a date, as `web_search_20250305`. Those that the client runs are known.
fn runs_at_provider(word: &[u8]) -> bool {
    let dated = match word.last_chunk::<9>() {
        Some([b'_', b'2', b'0', date @ ..]) => date.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let by_client = [&b"bash_"[..], b"text_editor_", b"computer_", b"memory_"];
    dated && !by_client.iter().any(|name| word.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use Protocol::{AnthropicMessages as Anthropic, OpenAiChat as OpenAi};

    fn found(images: u64, tools: bool, unseen: bool) -> Media {
        Media { images, tools, unseen, ..Media::default() }
    }

    #[test]
    fn r4_searches_are_bounded_by_what_the_request_says_and_never_by_less() {
        let searches = |web, files, maps| Searches { web, files, maps };
        let anthropic = |uses: &str| {
            format!(r#"{{"tools":[{{"type":"web_search_20250305","name":"web_search"{uses}}}]}}"#)
        };
        assert_eq!(media(Anthropic, &anthropic("")).searches, searches(SEARCHES_UNBOUNDED, 0, 0));
        assert_eq!(media(Anthropic, &anthropic(r#","max_uses": 40"#)).searches, searches(40, 0, 0));
        assert_eq!(
            media(Anthropic, &anthropic(r#","max_uses":2"#)).searches,
            searches(SEARCHES_UNBOUNDED, 0, 0)
        );
        let huge = anthropic(&format!(r#","max_uses":{}"#, "9".repeat(40)));
        assert_eq!(media(Anthropic, &huge).searches.web, u64::MAX);
        let responses = r#"{"tools":[{"type":"web_search"},{"type":"file_search"}],"max_tool_calls":20}"#;
        assert_eq!(media(Protocol::OpenAiResponses, responses).searches, searches(20, 20, 0));
        let gemini = r#"{"tools":[{"google_search":{}},{"googleMaps":{}}]}"#;
        let most = SEARCHES_UNBOUNDED;
        assert_eq!(media(Protocol::GeminiGenerateContent, gemini).searches, searches(most, 0, most));
        assert_eq!(media(OpenAi, r#"{"web_search_options":{}}"#).searches, searches(most, 0, 0));
        assert_eq!(media(OpenAi, r#"{"content":"\"web_search_options\":"}"#).searches, searches(0, 0, 0));
        // Where names are disguised, anything may be asked for.
        assert_eq!(media(OpenAi, r#"{"\u0061":1}"#).searches, searches(most, most, most));
    }

    #[test]
    fn images_are_counted() {
        let openai = r#"{"content":[{"type":"image_url","image_url":{"url":"https://a/b.png"}},
            {"image_url" : {"url":"data:image/png;base64,AAAA"}, "type":"image_url"},{"type":"text","text":"image"}]}"#;
        assert_eq!(media(OpenAi, openai), found(2, false, false));
        let anthropic = r#"{"content":[{"type":"image","source":{"type":"url","url":"https://a/b.png"}},
            {"source":{"type":"base64","media_type":"image/png","data":"AAAA"},"type" : "image" }]}"#;
        assert_eq!(media(Anthropic, anthropic), found(2, false, false));
    }

    #[test]
    fn converse_has_words_of_its_own() {
        let converse = |body| media(Protocol::BedrockConverse, body);
        let image = r#"{"content":[{"image":{"format":"png","source":{"bytes":"AAAA"}}},{"text":"image"}]}"#;
        assert_eq!(converse(image), found(1, false, false));
        assert_eq!(
            converse(r#"{"toolConfig":{"tools":[{"toolSpec":{"name":"f"}}]}}"#),
            found(0, true, false)
        );
        for body in [
            r#"{"content":[{"document":{"format":"pdf","name":"d","source":{"bytes":"AAAA"}}}]}"#,
            r#"{"content":[{"video":{"format":"mp4"}}]}"#,
            r#"{"content":[{"image":{"source":{"s3Location":{"uri":"s3://b/k"}}}}]}"#,
            r#"{"toolConfig":{"tools":[{"systemTool":{"name":"nova_grounding"}}]}}"#,
            r#"{"additionalModelRequestFields":{"tools":[{"type":"web_search_20250305"}]}}"#,
        ] {
            assert!(converse(body).unseen, "{body}");
        }
        assert_eq!(converse(r#"{"text":"a document, \"video\": and audio"}"#), found(0, false, false));
    }

    #[test]
    fn responses_and_gemini_have_words_of_their_own() {
        let responses = |body| media(Protocol::OpenAiResponses, body);
        let image = r#"{"input":[{"content":[{"type":"input_image","image_url":"https://a/b.png"}]}]}"#;
        assert_eq!(responses(image), found(1, false, false));
        assert_eq!(responses(r#"{"tools":[{"type":"function","name":"f"}]}"#), found(0, true, false));
        for body in [
            r#"{"tools":[{"type":"web_search_preview"}]}"#,
            r#"{"previous_response_id":"resp_1"}"#,
            r#"{"input":[{"type":"input_file","file_data":"data:…"}]}"#,
        ] {
            assert!(responses(body).unseen, "{body}");
        }
        for nothing in [r#"{"previous_response_id": null}"#, r#"{"conversation" :null,"prompt":null}"#] {
            assert_eq!(responses(nothing), found(0, false, false), "{nothing}");
        }
        let gemini = |body| media(Protocol::GeminiGenerateContent, body);
        let image = r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#;
        assert_eq!(gemini(image), found(1, false, false));
        let json = r#"{"generationConfig":{"responseMimeType":"application/json","responseSchema":{}}}"#;
        assert_eq!(gemini(json), found(0, true, false));
        for body in [
            r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"audio/wav","data":"AAAA"}}]}]}"#,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://a/b"}}]}]}"#,
            r#"{"tools":[{"googleSearch":{}}]}"#,
        ] {
            assert!(gemini(body).unseen, "{body}");
        }
    }

    #[test]
    fn words_in_a_text_are_no_media() {
        let text =
            r#"{"content":"a \"document\" and \"image_url\": an \"image\" \\","input":{"image":1,"file":2}}"#;
        assert_eq!(media(OpenAi, text), found(0, false, false));
        assert_eq!(media(Anthropic, text), found(0, false, false));
    }

    #[test]
    fn tools_and_schemas_are_found() {
        for name in ["tools", "functions", "response_format"] {
            assert_eq!(media(OpenAi, &format!("{{\"{name}\":[]}}")), found(0, true, false), "{name}");
        }
        for name in ["tools", "output_format", "output_config"] {
            assert_eq!(media(Anthropic, &format!("{{\"{name}\":[]}}")), found(0, true, false), "{name}");
        }
        let client_side =
            r#"[{"type":"bash_20250124"},{"type":"text_editor_20250728"},{"type":"computer_20250124"}]"#;
        assert_eq!(media(Anthropic, client_side), found(0, false, false));
    }

    #[test]
    fn what_cannot_be_seen_is_found() {
        for body in [
            r#"{"type":"file","file":{"file_data":"…"}}"#,
            r#"{"type":"input_audio","input_audio":{}}"#,
            r#"{"role":"assistant","audio":{"id":"audio_1"}}"#,
            r#"{"web_search_options":{}}"#,
            r#"{"tools":[{"type":"openrouter:web_search"}]}"#,
        ] {
            assert!(media(OpenAi, body).unseen, "{body}");
        }
        for body in [
            r#"{"type":"document","source":{}}"#,
            r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#,
            r#"{"type":"web_search_20250305","name":"web_search"}"#,
            r#"{"type":"code_execution_20250825"}"#,
            r#"{"edits":[{"type":"compact_20260112"}]}"#,
            r#"{"mcp_servers":[]}"#,
        ] {
            assert!(media(Anthropic, body).unseen, "{body}");
        }
    }

    #[test]
    fn r4_names_cannot_be_hidden_by_escapes() {
        assert!(media(OpenAi, r#"{"im\u0061ge_url":{"url":"u"}}"#).unseen);
        assert!(media(OpenAi, r#"{"image\u005furl":{"url":"u"}}"#).unseen);
        assert!(media(Anthropic, r#"{"type":"\u0069mage"}"#).unseen);
        // What encoders do escape hides nothing.
        let escapes = r#"{"content":"\u00e9 \u001b \u003c \ud83d\ude00 \n \t \/ \u2028"}"#;
        assert_eq!(media(OpenAi, escapes), found(0, false, false));
    }

    proptest! {
        /// However a string is filled and escaped, it hides no image after it.
        #[test]
        fn r4_texts_hide_nothing(
            text in "([a-z \"\\\\\n{}:,é]|\"image\"|\"image_url\":){0,20}", images in 0..4_u64, spaces in " {0,3}",
        ) {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let text = format!("{{\"text\":{spaces}\"{escaped}\"}}");
            let several = |image: String| format!("[{text}{}]", format!(",{image},{text}").repeat(images as usize));
            let openai = several(format!("{{\"image_url\"{spaces}:{{}}}}"));
            prop_assert!(media(OpenAi, &openai).images >= images);
            let anthropic = several(format!("{{\"type\":\"image\"{spaces}}}"));
            prop_assert!(media(Anthropic, &anthropic).images >= images);
        }

        #[test]
        fn any_text_can_be_looked_at(text in "[\"\\\\u0-9a-f:image_ ]{0,60}") {
            media(OpenAi, &text);
            media(Anthropic, &text);
        }
    }
}
