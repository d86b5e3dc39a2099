//! Token counting: questions of every client to every provider, answers, recorded traffic.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "recordings are read, or skipped aloud")]

use std::path::PathBuf;

use insta::assert_snapshot;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_translate::token_count::{self, Call, PromptSize, TokenCount};
use weighbridge_translate::{Dialect, RequestTarget, TranslateError};
use weighbridge_units::Protocol::{self, *};

const ANTHROPIC: &str = r#"{"model": "fast", "system": "Be brief.", "messages": [
    {"role": "user", "content": [{"type": "text", "text": "Weigh this.", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}]}],
    "tools": [{"name": "now", "description": "The time", "input_schema": {"type": "object", "properties": {}}}],
    "tool_choice": {"type": "any"}, "thinking": {"type": "enabled", "budget_tokens": 2048}}"#;

const GEMINI: &str = r#"{"generateContentRequest": {"model": "models/fast", "contents": [{"role": "user", "parts": [{"text": "Weigh this."}]}],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "generationConfig": {"temperature": 0, "maxOutputTokens": 10, "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"kg": {"type": "NUMBER"}}}}}}"#;

const RESPONSES: &str = r#"{"model": "fast", "instructions": "Be brief.", "input": "Weigh this.",
    "tools": [{"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}}],
    "truncation": "auto", "reasoning": {"effort": "low"}}"#;

/// A model that each call can be about.
fn model(call: Call) -> &'static str {
    match call {
        Call::Anthropic | Call::AnthropicVertex => "claude-haiku-4-5",
        Call::Responses => "gpt-5-mini",
        Call::Gemini | Call::GeminiVertex => "gemini-2.5-flash",
        Call::BedrockConverse | Call::BedrockInvoke => "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    }
}

fn asked(client: Protocol, body: &str) -> String {
    let question = |call: Call| {
        let question = token_count::request(client, call, body, &RequestTarget::new(model(call))).unwrap();
        let mut lines = vec![format!("{call:?} {}", std::str::from_utf8(&question.value).unwrap())];
        lines.extend(question.losses.iter().map(|loss| format!("  {loss}")));
        lines.join("\n")
    };
    Call::ALL.map(question).join("\n")
}

#[test]
fn a_question_of_anthropic() {
    assert_snapshot!(asked(AnthropicMessages, ANTHROPIC), @r#"
    Anthropic {"model":"claude-haiku-4-5","system":"Be brief.","messages":[{"role":"user","content":[{"type":"text","text":"Weigh this.","cache_control":{"type":"ephemeral"}},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}],"thinking":{"type":"enabled","budget_tokens":2048},"tools":[{"name":"now","description":"The time","input_schema":{"type": "object", "properties": {}}}],"tool_choice":{"type":"any"}}
    AnthropicVertex {"model":"claude-haiku-4-5","anthropic_version":"vertex-2023-10-16","system":"Be brief.","messages":[{"role":"user","content":[{"type":"text","text":"Weigh this.","cache_control":{"type":"ephemeral"}},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}],"thinking":{"type":"enabled","budget_tokens":2048},"tools":[{"name":"now","description":"The time","input_schema":{"type": "object", "properties": {}}}],"tool_choice":{"type":"any"}}
    Responses {"model":"gpt-5-mini","input":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"input_text","text":"Weigh this."},{"type":"input_image","image_url":"data:image/png;base64,aGk=","detail":"auto"}]}],"tools":[{"type":"function","name":"now","description":"The time","parameters":{"type": "object", "properties": {}},"strict":false}],"tool_choice":"required","reasoning":{"effort":"low"}}
      dropped /messages/0/content/0/cache_control: openai-responses caches on its own
      approximated /thinking: a budget of 2048 tokens stands as the effort `low`
    Gemini {"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"Weigh this."},{"inlineData":{"mimeType":"image/png","data":"aGk="}}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},"tools":[{"functionDeclarations":[{"name":"now","description":"The time","parametersJsonSchema":{"type": "object", "properties": {}}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}},"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}}
      dropped /messages/0/content/0/cache_control: gemini caches on its own
    GeminiVertex {"contents":[{"role":"user","parts":[{"text":"Weigh this."},{"inlineData":{"mimeType":"image/png","data":"aGk="}}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},"tools":[{"functionDeclarations":[{"name":"now","description":"The time","parametersJsonSchema":{"type": "object", "properties": {}}}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}
      dropped /messages/0/content/0/cache_control: gemini caches on its own
    BedrockConverse {"input":{"converse":{"system":[{"text":"Be brief."}],"messages":[{"role":"user","content":[{"text":"Weigh this."},{"cachePoint":{"type":"default"}},{"image":{"format":"png","source":{"bytes":"aGk="}}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"now","description":"The time","inputSchema":{"json":{"type": "object", "properties": {}}}}}],"toolChoice":{"auto":{}}},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2048}}}}}
      approximated /tool_choice: a call cannot be forced while the model reasons: it decides itself
    BedrockInvoke {"input":{"invokeModel":{"body":"eyJhbnRocm9waWNfdmVyc2lvbiI6ImJlZHJvY2stMjAyMy0wNS0zMSIsIm1heF90b2tlbnMiOjEwNDg1NzYsInN5c3RlbSI6IkJlIGJyaWVmLiIsIm1lc3NhZ2VzIjpbeyJyb2xlIjoidXNlciIsImNvbnRlbnQiOlt7InR5cGUiOiJ0ZXh0IiwidGV4dCI6IldlaWdoIHRoaXMuIiwiY2FjaGVfY29udHJvbCI6eyJ0eXBlIjoiZXBoZW1lcmFsIn19LHsidHlwZSI6ImltYWdlIiwic291cmNlIjp7InR5cGUiOiJiYXNlNjQiLCJtZWRpYV90eXBlIjoiaW1hZ2UvcG5nIiwiZGF0YSI6ImFHaz0ifX1dfV0sInRoaW5raW5nIjp7InR5cGUiOiJlbmFibGVkIiwiYnVkZ2V0X3Rva2VucyI6MjA0OH0sInRvb2xzIjpbeyJuYW1lIjoibm93IiwiZGVzY3JpcHRpb24iOiJUaGUgdGltZSIsImlucHV0X3NjaGVtYSI6eyJ0eXBlIjogIm9iamVjdCIsICJwcm9wZXJ0aWVzIjoge319fV0sInRvb2xfY2hvaWNlIjp7InR5cGUiOiJhbnkifX0="}}}
    "#);
}

#[test]
fn a_question_of_gemini() {
    assert_snapshot!(asked(GeminiGenerateContent, GEMINI), @r#"
    Anthropic {"model":"claude-haiku-4-5","system":"Be brief.","messages":[{"role":"user","content":"Weigh this."}],"tools":[{"name":"wb_structured_answer","description":"Gives the final answer. Call it exactly once, with the whole answer as its arguments.","input_schema":{"type":"object","properties":{"kg":{"type":"number"}}}}],"tool_choice":{"type":"tool","name":"wb_structured_answer"}}
      approximated /generateContentRequest/generationConfig/responseSchema: the answer is asked for as the arguments of a function
    AnthropicVertex {"model":"claude-haiku-4-5","anthropic_version":"vertex-2023-10-16","system":"Be brief.","messages":[{"role":"user","content":"Weigh this."}],"tools":[{"name":"wb_structured_answer","description":"Gives the final answer. Call it exactly once, with the whole answer as its arguments.","input_schema":{"type":"object","properties":{"kg":{"type":"number"}}}}],"tool_choice":{"type":"tool","name":"wb_structured_answer"}}
      approximated /generateContentRequest/generationConfig/responseSchema: the answer is asked for as the arguments of a function
    Responses {"model":"gpt-5-mini","input":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weigh this."}],"text":{"format":{"type":"json_schema","name":"answer","schema":{"type":"object","properties":{"kg":{"type":"number"}}}}}}
    Gemini {"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"Weigh this."}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type": "OBJECT", "properties": {"kg": {"type": "NUMBER"}}}}}}
    GeminiVertex {"contents":[{"role":"user","parts":[{"text":"Weigh this."}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type": "OBJECT", "properties": {"kg": {"type": "NUMBER"}}}}}
    BedrockConverse {"input":{"converse":{"system":[{"text":"Be brief."}],"messages":[{"role":"user","content":[{"text":"Weigh this."}]}]}}}
      dropped /generateContentRequest/generationConfig/responseSchema: the provider does not count the form of the answer
    BedrockInvoke {"input":{"invokeModel":{"body":"eyJhbnRocm9waWNfdmVyc2lvbiI6ImJlZHJvY2stMjAyMy0wNS0zMSIsIm1heF90b2tlbnMiOjEwNDg1NzYsInN5c3RlbSI6IkJlIGJyaWVmLiIsIm1lc3NhZ2VzIjpbeyJyb2xlIjoidXNlciIsImNvbnRlbnQiOiJXZWlnaCB0aGlzLiJ9XSwidG9vbHMiOlt7Im5hbWUiOiJ3Yl9zdHJ1Y3R1cmVkX2Fuc3dlciIsImRlc2NyaXB0aW9uIjoiR2l2ZXMgdGhlIGZpbmFsIGFuc3dlci4gQ2FsbCBpdCBleGFjdGx5IG9uY2UsIHdpdGggdGhlIHdob2xlIGFuc3dlciBhcyBpdHMgYXJndW1lbnRzLiIsImlucHV0X3NjaGVtYSI6eyJ0eXBlIjoib2JqZWN0IiwicHJvcGVydGllcyI6eyJrZyI6eyJ0eXBlIjoibnVtYmVyIn19fX1dLCJ0b29sX2Nob2ljZSI6eyJ0eXBlIjoidG9vbCIsIm5hbWUiOiJ3Yl9zdHJ1Y3R1cmVkX2Fuc3dlciJ9fQ=="}}}
      approximated /generateContentRequest/generationConfig/responseSchema: the answer is asked for as the arguments of a function
    "#);
    let plain = r#"{"contents": [{"parts": [{"text": "Weigh this."}]}]}"#;
    let target = RequestTarget::new("claude-haiku-4-5");
    let question = token_count::request(GeminiGenerateContent, Call::Anthropic, plain, &target).unwrap();
    assert_snapshot!(std::str::from_utf8(&question.value).unwrap(), @r#"{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"Weigh this."}]}"#);
}

#[test]
fn a_question_of_responses() {
    assert_snapshot!(asked(OpenAiResponses, RESPONSES), @r#"
    Anthropic {"model":"claude-haiku-4-5","system":"Be brief.","messages":[{"role":"user","content":"Weigh this."}],"thinking":{"type":"enabled","budget_tokens":2048},"tools":[{"name":"now","input_schema":{"type": "object", "properties": {}}}]}
      approximated /reasoning/effort: the effort `low` stands as a budget of 2048 tokens
      dropped /truncation: the field `truncation` is not carried over to anthropic-messages
    AnthropicVertex {"model":"claude-haiku-4-5","anthropic_version":"vertex-2023-10-16","system":"Be brief.","messages":[{"role":"user","content":"Weigh this."}],"thinking":{"type":"enabled","budget_tokens":2048},"tools":[{"name":"now","input_schema":{"type": "object", "properties": {}}}]}
      approximated /reasoning/effort: the effort `low` stands as a budget of 2048 tokens
      dropped /truncation: the field `truncation` is not carried over to anthropic-messages
    Responses {"model":"gpt-5-mini","instructions":"Be brief.","input":[{"role":"user","content":"Weigh this."}],"tools":[{"type":"function","name":"now","parameters":{"type": "object", "properties": {}},"strict":null}],"reasoning":{"effort":"low"},"truncation":"auto"}
    Gemini {"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"Weigh this."}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},"tools":[{"functionDeclarations":[{"name":"now","parametersJsonSchema":{"type": "object", "properties": {}}}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}}
      dropped /truncation: the field `truncation` is not carried over to gemini
      approximated /reasoning/effort: the model takes no effort but a budget: 2048 tokens
    GeminiVertex {"contents":[{"role":"user","parts":[{"text":"Weigh this."}]}],"systemInstruction":{"parts":[{"text":"Be brief."}]},"tools":[{"functionDeclarations":[{"name":"now","parametersJsonSchema":{"type": "object", "properties": {}}}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}
      dropped /truncation: the field `truncation` is not carried over to gemini
      approximated /reasoning/effort: the model takes no effort but a budget: 2048 tokens
    BedrockConverse {"input":{"converse":{"system":[{"text":"Be brief."}],"messages":[{"role":"user","content":[{"text":"Weigh this."}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"now","inputSchema":{"json":{"type": "object", "properties": {}}}}}]},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2048}}}}}
      approximated /reasoning/effort: the model takes only a budget: one that is usual for the effort was given
      dropped /truncation: the field `truncation` is not carried over to bedrock-converse
    BedrockInvoke {"input":{"invokeModel":{"body":"eyJhbnRocm9waWNfdmVyc2lvbiI6ImJlZHJvY2stMjAyMy0wNS0zMSIsIm1heF90b2tlbnMiOjEwNDg1NzYsInN5c3RlbSI6IkJlIGJyaWVmLiIsIm1lc3NhZ2VzIjpbeyJyb2xlIjoidXNlciIsImNvbnRlbnQiOiJXZWlnaCB0aGlzLiJ9XSwidGhpbmtpbmciOnsidHlwZSI6ImVuYWJsZWQiLCJidWRnZXRfdG9rZW5zIjoyMDQ4fSwidG9vbHMiOlt7Im5hbWUiOiJub3ciLCJpbnB1dF9zY2hlbWEiOnsidHlwZSI6ICJvYmplY3QiLCAicHJvcGVydGllcyI6IHt9fX1dfQ=="}}}
      approximated /reasoning/effort: the effort `low` stands as a budget of 2048 tokens
      dropped /truncation: the field `truncation` is not carried over to anthropic-messages
    "#);
}

#[test]
fn each_provider_answers_in_its_words_and_each_client_is_told_in_its_own() {
    let answers = [
        (Call::Anthropic, r#"{"input_tokens": 7, "context_management": {"original_input_tokens": 9}}"#),
        (Call::AnthropicVertex, r#"{"input_tokens": 7}"#),
        (Call::Responses, r#"{"object": "response.input_tokens", "input_tokens": 7}"#),
        (
            Call::Gemini,
            r#"{"totalTokens": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]}"#,
        ),
        (Call::GeminiVertex, r#"{"totalTokens": 7, "totalBillableCharacters": 20}"#),
        (Call::BedrockConverse, r#"{"inputTokens": 7}"#),
        (Call::BedrockInvoke, r#"{"inputTokens": 7}"#),
    ];
    for (call, body) in answers {
        let count = token_count::answer(call, body).unwrap();
        assert_eq!(count, TokenCount { tokens: 7, cached: 0, is_estimate: false }, "{call:?}");
    }
    let cached =
        token_count::answer(Call::Gemini, r#"{"totalTokens": 7, "cachedContentTokenCount": 3}"#).unwrap();
    let told = [AnthropicMessages, GeminiGenerateContent, OpenAiResponses]
        .map(|client| String::from_utf8(token_count::encode(client, cached)).unwrap());
    assert_snapshot!(told.join("\n"), @r#"
    {"input_tokens":7}
    {"totalTokens":7,"cachedContentTokenCount":3}
    {"object":"response.input_tokens","input_tokens":7}
    "#);
}

#[test]
fn what_a_client_is_told_is_read_as_it_was_meant() {
    let calls = [
        (AnthropicMessages, Call::Anthropic),
        (GeminiGenerateContent, Call::Gemini),
        (OpenAiResponses, Call::Responses),
        (BedrockConverse, Call::BedrockConverse),
    ];
    for (client, call) in calls {
        for tokens in [0, 1, u64::MAX] {
            let count = TokenCount { tokens, ..TokenCount::default() };
            let body = String::from_utf8(token_count::encode(client, count)).unwrap();
            assert_eq!(token_count::answer(call, &body).unwrap(), count);
        }
    }
}

#[test]
fn who_counts_is_known() {
    let of = Call::of;
    assert_eq!(of(OpenAiChat, Dialect::Native, "gpt-5"), None);
    assert_eq!(of(OpenAiResponses, Dialect::Azure, "gpt-5"), None);
    assert_eq!(of(BedrockConverse, Dialect::Native, "amazon.nova-lite-v1:0"), None);
    for call in Call::ALL {
        assert_eq!(of(call.protocol(), call.dialect(), model(call)), Some(call));
    }
    let paths = Call::ALL.map(|call| format!("{call:?} {}", call.path(model(call))));
    assert_snapshot!(paths.join("\n"), @r"
    Anthropic /v1/messages/count_tokens
    AnthropicVertex /models/count-tokens:rawPredict
    Responses /responses/input_tokens
    Gemini /models/gemini-2.5-flash:countTokens
    GeminiVertex /models/gemini-2.5-flash:countTokens
    BedrockConverse /model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens
    BedrockInvoke /model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens
    ");
}

#[test]
fn what_is_no_question_or_no_answer_is_pointed_at() {
    let asks = [
        (AnthropicMessages, r#"{"messages": 1}"#),
        (AnthropicMessages, r#"{"messages": [{"role": "user"}]}"#),
        (GeminiGenerateContent, r#"{"generateContentRequest": {}}"#),
        (GeminiGenerateContent, r#"{"generateContentRequest": {"contents": [{"parts": [1]}]}}"#),
        (OpenAiResponses, r#"{"input": 7}"#),
        (OpenAiResponses, "{"),
    ];
    let target = RequestTarget::new("claude-haiku-4-5");
    let fails = |(client, body): (Protocol, &str)| {
        let error = token_count::request(client, Call::Anthropic, body, &target).unwrap_err();
        format!("{client} {body}: {error}")
    };
    assert_snapshot!(asks.map(fails).join("\n"), @r#"
    anthropic-messages {"messages": 1}: /messages: an array expected, found a number
    anthropic-messages {"messages": [{"role": "user"}]}: /messages/0/content: the field `content` expected, found nothing
    gemini {"generateContentRequest": {}}: /generateContentRequest/contents: the field `contents` expected, found nothing
    gemini {"generateContentRequest": {"contents": [{"parts": [1]}]}}: /generateContentRequest/contents/0/parts/0: an object expected, found a number
    openai-responses {"input": 7}: /input: an array expected, found a number
    openai-responses {: the body is not JSON: a string expected at line 1, column 2
    "#);
    let answers = [
        (Call::Anthropic, "{}"),
        (Call::Anthropic, r#"{"input_tokens": -1}"#),
        (Call::Gemini, r#"{"totalTokens": "many"}"#),
        (Call::BedrockConverse, r#"{"inputTokens": null}"#),
        (Call::Responses, "[]"),
    ];
    let fails = |(call, body): (Call, &str)| {
        format!("{call:?} {body}: {}", token_count::answer(call, body).unwrap_err())
    };
    assert_snapshot!(answers.map(fails).join("\n"), @r#"
    Anthropic {}: /input_tokens: the field `input_tokens` expected, found nothing
    Anthropic {"input_tokens": -1}: /input_tokens: a whole number from 0 expected, found a number
    Gemini {"totalTokens": "many"}: /totalTokens: a whole number from 0 expected, found a string
    BedrockConverse {"inputTokens": null}: /inputTokens: the field `inputTokens` expected, found nothing
    Responses []: the body is an array: an object is expected
    "#);
    let error = token_count::answer(
        Call::Anthropic,
        r#"{"type": "error", "error": {"type": "not_found_error", "message": "no"}}"#,
    );
    assert!(matches!(error, Err(TranslateError::InBandError(_))));
}

struct Recorded {
    name: String,
    call: Call,
    request: String,
    response: String,
}

#[expect(clippy::disallowed_methods, reason = "recordings are files")]
fn recordings() -> Vec<Recorded> {
    let mut found = Vec::new();
    for folder in ["anthropic-count-tokens", "gemini-other"] {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures"));
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            println!("skipped: no recordings of {folder}");
            continue;
        };
        for case in entries.map(|entry| entry.unwrap().path()) {
            let read = |file| std::fs::read_to_string(case.join(file)).unwrap();
            let meta = read("meta.json");
            let meta = Raw::parse(&meta, &ScanLimits::default()).unwrap();
            let path = meta.get("url_path").unwrap().str().unwrap().into_owned();
            let call = if path.contains("/publishers/google/") && path.ends_with(":countTokens") {
                Call::GeminiVertex
            } else if path.ends_with(":countTokens") {
                Call::Gemini
            } else if path.contains("count_tokens") {
                Call::Anthropic
            } else {
                continue;
            };
            let name = case.file_name().unwrap().to_string_lossy().into_owned();
            found.push(Recorded {
                name,
                call,
                request: read("request.json"),
                response: read("response.json"),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

#[test]
fn recorded_questions_reach_every_provider_and_keep_their_meaning() {
    for recorded in recordings() {
        let client = recorded.call.protocol();
        let size_of = |protocol, text: &str| {
            let question = Raw::parse(text, &ScanLimits::default()).unwrap();
            PromptSize::of(&token_count::decode(protocol, question).unwrap())
        };
        let size = size_of(client, &recorded.request);
        for call in Call::ALL {
            let target = RequestTarget::new(model(call));
            let question = token_count::request(client, call, &recorded.request, &target).unwrap();
            let text = String::from_utf8(question.value).unwrap();
            if call == recorded.call {
                assert_eq!(size_of(client, &text), size, "{}", recorded.name);
            }
        }
        let count = token_count::answer(recorded.call, &recorded.response).unwrap();
        assert!(count.tokens > 0, "{}", recorded.name);
        let told = String::from_utf8(token_count::encode(client, count)).unwrap();
        assert_eq!(token_count::answer(recorded.call, &told).unwrap(), count);
    }
}
