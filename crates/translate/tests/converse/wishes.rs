//! Wishes and content that not every protocol here can say: conversations built by hand.

use serde_json::{Value, json};
use weighbridge_protocol::json::Bag;
use weighbridge_translate::conversation::{
    AllowedMode, CacheMark, CacheTtl, Document, DocumentSource, Effort, Format, Image, JsonText, MediaSource,
    Proof, Reasoning, ReasoningExtent, ReasoningWish, ServiceTier, Shown, Tool, ToolCall, ToolChoice,
    ToolKind, ToolResult,
};
use weighbridge_translate::{Content, Conversation, Message, Part, Place, Placed, Role};
use weighbridge_units::{Loss, LossKind};

use crate::support::*;

fn said<'a>(parts: Vec<Part<'a>>) -> Conversation<'a> {
    Conversation {
        messages: vec![Message::new(Place::NOWHERE, Role::User, parts)],
        ..Conversation::new(CHAT)
    }
}

fn hello() -> Conversation<'static> {
    said(vec![Part::text("Hi")])
}

fn part(content: Content<'_>) -> Part<'_> {
    Part::new(Place::NOWHERE, content)
}

fn kinds(losses: &[Loss]) -> Vec<LossKind> {
    losses.iter().map(|loss| loss.kind).collect()
}

const APPROXIMATED: LossKind = LossKind::Approximated;
const DROPPED: LossKind = LossKind::Dropped;
const DEFAULTED: LossKind = LossKind::Defaulted;

fn effort(effort: Effort) -> ReasoningWish<'static> {
    ReasoningWish { effort: Some(Placed::nowhere(effort)), ..ReasoningWish::NONE }
}

fn extent(extent: ReasoningExtent) -> ReasoningWish<'static> {
    ReasoningWish { extent: Some(Placed::nowhere(extent)), ..ReasoningWish::NONE }
}

#[test]
fn reasoning_stands_in_the_fields_of_the_models_maker() {
    let fields = |value: Value| json!({"additionalModelRequestFields": value});
    let sonnet_3_5 = "anthropic.claude-3-5-sonnet-20240620-v1:0";
    let (opus_4_6, opus_4_8) = ("anthropic.claude-opus-4-6-v1", "anthropic.claude-opus-4-8");
    let nova_2 = "us.amazon.nova-2-lite-v1:0";
    let (gpt_oss, gpt) = ("openai.gpt-oss-120b-1:0", "us.openai.gpt-5.6-v1");
    let budget = |tokens| extent(ReasoningExtent::Budget(tokens));
    for (model, wish, expected, losses) in [
        (
            CLAUDE,
            budget(2000),
            fields(json!({"thinking": {"type": "enabled", "budget_tokens": 2000}})),
            vec![],
        ),
        (
            CLAUDE,
            budget(10),
            fields(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})),
            vec![APPROXIMATED],
        ),
        (
            CLAUDE,
            effort(Effort::Low),
            fields(json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
            vec![APPROXIMATED],
        ),
        (CLAUDE, extent(ReasoningExtent::Off), fields(json!({"thinking": {"type": "disabled"}})), vec![]),
        (sonnet_3_5, extent(ReasoningExtent::Off), json!({}), vec![]),
        (sonnet_3_5, effort(Effort::High), json!({}), vec![DROPPED]),
        (
            opus_4_6,
            effort(Effort::XHigh),
            json!({"outputConfig": {"effort": "high"}, "additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}),
            vec![APPROXIMATED],
        ),
        (
            opus_4_8,
            effort(Effort::XHigh),
            json!({"outputConfig": {"effort": "xhigh"}, "additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}),
            vec![],
        ),
        (opus_4_8, budget(9000), fields(json!({"thinking": {"type": "adaptive"}})), vec![APPROXIMATED]),
        (
            opus_4_8,
            ReasoningWish { shown: Some(Placed::nowhere(Shown::Auto)), ..extent(ReasoningExtent::Dynamic) },
            fields(json!({"thinking": {"type": "adaptive", "display": "summarized"}})),
            vec![],
        ),
        (
            nova_2,
            effort(Effort::High),
            fields(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}})),
            vec![],
        ),
        (
            nova_2,
            budget(2048),
            fields(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})),
            vec![APPROXIMATED],
        ),
        (
            nova_2,
            extent(ReasoningExtent::Off),
            fields(json!({"reasoningConfig": {"type": "disabled"}})),
            vec![],
        ),
        (NOVA, effort(Effort::Low), json!({}), vec![DROPPED]),
        (gpt_oss, effort(Effort::Max), fields(json!({"reasoning_effort": "high"})), vec![APPROXIMATED]),
        (gpt, effort(Effort::Minimal), fields(json!({"reasoning_effort": "minimal"})), vec![]),
        (gpt, extent(ReasoningExtent::Off), json!({}), vec![DROPPED]),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/x",
            effort(Effort::Low),
            json!({}),
            vec![DROPPED],
        ),
    ] {
        let (mut body, lost) = built(&Conversation { reasoning: wish, ..hello() }, model);
        body.as_object_mut().unwrap().remove("messages");
        assert_eq!(body, expected, "{model}");
        assert_eq!(kinds(&lost), losses, "{model}: {lost:?}");
    }
}

#[test]
fn the_highest_effort_of_nova_is_not_given_together_with_a_cap() {
    let capped =
        Conversation { max_output: Some(Placed::nowhere(500)), reasoning: effort(Effort::High), ..hello() };
    let (body, losses) = built(&capped, "us.amazon.nova-2-lite-v1:0");
    assert_eq!(body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"], "medium");
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 500}));
    assert_eq!(kinds(&losses), [APPROXIMATED]);
}

#[test]
fn what_reasoning_forbids_beside_it_is_reported() {
    let number = |text| Some(raw(text));
    let mut conversation = Conversation {
        max_output: Some(Placed::nowhere(2000)),
        reasoning: extent(ReasoningExtent::Budget(9000)),
        tools: vec![tool("f", None)],
        tool_choice: Some(Placed::nowhere(ToolChoice::Required)),
        ..hello()
    };
    (conversation.sampling.temperature, conversation.sampling.top_k) = (number("0.5"), number("5"));
    conversation.sampling.top_p = number("0.97");
    let (body, losses) = built(&conversation, CLAUDE);
    assert_eq!(
        body["additionalModelRequestFields"],
        json!({"thinking": {"type": "enabled", "budget_tokens": 1999}})
    );
    assert_eq!(body["inferenceConfig"], json!({"maxTokens": 2000, "topP": 0.97}));
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"auto": {}}));
    assert_eq!(kinds(&losses), [APPROXIMATED, APPROXIMATED, DROPPED, DROPPED]);
    // No room for it at all.
    conversation.max_output = Some(Placed::nowhere(1000));
    let (body, _) = built(&conversation, CLAUDE);
    assert_eq!(body["additionalModelRequestFields"], json!({"top_k": 5}));
}

#[test]
fn top_k_stands_where_the_models_maker_has_it() {
    let mut conversation = hello();
    conversation.sampling.top_k = Some(raw("5"));
    for (model, expected, lost) in [
        (CLAUDE, json!({"top_k": 5}), 0),
        (NOVA, json!({"inferenceConfig": {"topK": 5}}), 0),
        ("mistral.mistral-large-2402-v1:0", json!({"top_k": 5}), 0),
        ("meta.llama3-70b-instruct-v1:0", Value::Null, 1),
    ] {
        let (body, losses) = built(&conversation, model);
        assert_eq!((&body["additionalModelRequestFields"], losses.len()), (&expected, lost), "{model}");
    }
}

fn tool(name: &'static str, cache: Option<CacheTtl>) -> Tool<'static> {
    Tool {
        place: Place::NOWHERE,
        kind: ToolKind::Function { name: name.into(), description: None, parameters: None, strict: None },
        cache: cache.map(|ttl| Placed::nowhere(CacheMark { ttl: Some(ttl) })),
        bag: Bag::EMPTY,
    }
}

#[test]
fn trap_19_marks_for_the_cache_become_blocks_of_their_own() {
    let mut conversation = hello();
    conversation.messages[0].parts[0].cache = Some(Placed::nowhere(CacheMark { ttl: None }));
    let system = Part { cache: conversation.messages[0].parts[0].cache, ..Part::text("Be brief.") };
    conversation.messages.insert(0, Message::new(Place::NOWHERE, Role::System, vec![system]));
    conversation.tools = vec![tool("f", Some(CacheTtl::OneHour)), tool("g", None)];
    let (body, losses) = built(&conversation, CLAUDE);
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(body["system"], json!([{"text": "Be brief."}, point]));
    assert_eq!(body["messages"][0]["content"], json!([{"text": "Hi"}, point]));
    assert_eq!(body["toolConfig"]["tools"][1], json!({"cachePoint": {"type": "default", "ttl": "1h"}}));
    assert_eq!(losses, []);
    // Nova caches no tools.
    let (body, losses) = built(&conversation, NOVA);
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 2);
    assert_eq!(kinds(&losses), [DROPPED]);
}

fn document(source: DocumentSource<'static>, title: Option<&'static str>) -> Part<'static> {
    part(Content::Document(Document { source, title: title.map(Into::into), context: None, citations: None }))
}

fn file(media_type: &'static str) -> DocumentSource<'static> {
    DocumentSource::Media(MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() })
}

#[test]
fn documents_get_names_and_a_text_beside_them() {
    let (body, losses) = built(
        &said(vec![
            document(file("application/pdf"), Some("report v1")),
            document(file("application/pdf"), Some("report_v1")),
            document(file("application/json"), Some("data")),
            document(file(""), Some("table.csv")),
            document(DocumentSource::Text("hello".into()), None),
            document(file("application/zip"), Some("z")),
        ]),
        CLAUDE,
    );
    let content = body["messages"][0]["content"].as_array().unwrap();
    let named: Vec<(&str, &str)> = content
        .iter()
        .filter_map(|block| block.get("document"))
        .map(|document| (document["name"].as_str().unwrap(), document["format"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            ("report v1", "pdf"),
            ("report v1 2", "pdf"),
            ("data", "txt"),
            ("table csv", "csv"),
            ("Document", "txt")
        ]
    );
    assert_eq!(content[4]["document"]["source"], json!({"bytes": "aGVsbG8="}));
    assert_eq!(content.last().unwrap(), &json!({"text": "."}));
    // The archive; a name that is taken, JSON as text, a name with a dot, no name, no text.
    assert_eq!(kinds(&losses), [DROPPED, APPROXIMATED, APPROXIMATED, APPROXIMATED, DEFAULTED, DEFAULTED]);
}

#[test]
fn trap_a_cache_point_does_not_follow_a_document_of_text_directly() {
    let mut marked = document(DocumentSource::Text("hello".into()), Some("Notes"));
    marked.cache = Some(Placed::nowhere(CacheMark { ttl: Some(CacheTtl::FiveMinutes) }));
    let (body, losses) = built(&said(vec![marked]), CLAUDE);
    let content = &body["messages"][0]["content"];
    assert_eq!(content[1], json!({"text": "."}));
    assert_eq!(content[2], json!({"cachePoint": {"type": "default", "ttl": "5m"}}));
    assert_eq!((content.as_array().unwrap().len(), kinds(&losses)), (3, vec![APPROXIMATED]));
}

#[test]
fn documents_that_are_to_be_cited_are_told_in_texts() {
    let cited = |source| {
        let citations = Some(Placed::nowhere(true));
        part(Content::Document(Document { source, title: Some("T".into()), context: None, citations }))
    };
    let parts = DocumentSource::Parts(vec![Part::text("a"), Part::text("b")]);
    let (body, losses) = built(
        &said(vec![cited(DocumentSource::Text("hello".into())), cited(parts.clone()), Part::text("?")]),
        CLAUDE,
    );
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["document"]["source"], json!({"text": "hello"}));
    assert_eq!(content[1]["document"]["source"], json!({"content": [{"text": "a"}, {"text": "b"}]}));
    assert_eq!(kinds(&losses), [APPROXIMATED]);
    // Others are taken as bytes alone.
    let (body, losses) = built(&said(vec![document(parts, Some("T")), Part::text("?")]), CLAUDE);
    assert_eq!(body["messages"][0]["content"][0]["document"]["source"], json!({"bytes": "YQoKYg=="}));
    assert_eq!(kinds(&losses), [APPROXIMATED]);
}

#[test]
fn media_in_s3_stay_there() {
    let source =
        |url: &'static str| MediaSource::Url { url: url.into(), media_type: Some("image/png".into()) };
    let image = |url| part(Content::Image(Image { source: source(url), detail: None }));
    let (body, losses) = built(&said(vec![image("s3://bucket/a.png"), image("gs://bucket/a.png")]), CLAUDE);
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/a.png"}}}}])
    );
    assert_eq!(kinds(&losses), [DROPPED]);
}

#[test]
fn forms_of_the_answer_labels_and_tiers() {
    let schema = r#"{"type": "object", "properties": {"z": {"minimum": 1.50}}}"#;
    let format = Format::JsonSchema {
        name: Some("n".into()),
        description: None,
        schema: JsonText::from(raw(schema)),
        strict: Some(true),
    };
    let conversation = Conversation {
        format: Some(Placed::nowhere(format)),
        metadata: Some(raw(r#"{"team": "a b", "bad!": "x", "n": 1}"#)),
        service_tier: Some(Placed::nowhere(ServiceTier::Priority)),
        ..hello()
    };
    let (body, losses) = built(&conversation, CLAUDE);
    assert_eq!(
        body["outputConfig"],
        json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "schema": schema}}}})
    );
    assert_eq!(body["requestMetadata"], json!({"team": "a b"}));
    assert_eq!(body["serviceTier"], json!({"type": "priority"}));
    assert_eq!(kinds(&losses), [DROPPED, DROPPED]);
    let any = Conversation { format: Some(Placed::nowhere(Format::JsonObject)), ..hello() };
    let (body, losses) = built(&any, CLAUDE);
    assert_eq!((body.get("outputConfig"), kinds(&losses)), (None, vec![DROPPED]));
}

#[test]
fn a_choice_among_some_tools_leaves_the_others_out() {
    let names = vec!["g".into()];
    let conversation = Conversation {
        tools: vec![tool("f", None), tool("g", None)],
        tool_choice: Some(Placed::nowhere(ToolChoice::Allowed { mode: AllowedMode::Required, names })),
        ..hello()
    };
    let (body, losses) = built(&conversation, NOVA);
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    assert_eq!(kinds(&losses), [APPROXIMATED]);
}

#[test]
fn calls_without_ids_and_with_long_names_are_tied_to_their_results() {
    let call = |id: &'static str, name: String| {
        part(Content::ToolCall(ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: "{}".into(),
            kind: Default::default(),
        }))
    };
    let result = |id: &'static str, name: &'static str| {
        let parts = vec![
            part(Content::Json(JsonText::from(raw(r#"{"a":1.0}"#)))),
            part(Content::Json(raw("[1]").into())),
        ];
        part(Content::ToolResult(ToolResult {
            call_id: id.into(),
            name: Some(name.into()),
            parts,
            is_error: false,
        }))
    };
    let long = "mcp__".to_owned() + &"x".repeat(80);
    let mut conversation = hello();
    conversation.messages.push(Message::new(
        Place::NOWHERE,
        Role::Assistant,
        vec![call("", "f".into()), call("", "g".into()), call("c", long)],
    ));
    conversation.messages.push(Message::new(
        Place::NOWHERE,
        Role::User,
        vec![result("", "g"), result("", "f")],
    ));
    conversation.tools = vec![tool("f", None)];
    let (body, losses) = built(&conversation, CLAUDE);
    let calls = &body["messages"][1]["content"];
    let results = &body["messages"][2]["content"];
    assert_eq!(calls[1]["toolUse"]["toolUseId"], results[0]["toolResult"]["toolUseId"]);
    assert_eq!(calls[0]["toolUse"]["toolUseId"], results[1]["toolResult"]["toolUseId"]);
    assert_ne!(calls[0]["toolUse"]["toolUseId"], calls[1]["toolUse"]["toolUseId"]);
    assert_eq!(calls[2]["toolUse"]["name"].as_str().unwrap().len(), 64);
    assert_eq!(results[0]["toolResult"]["content"], json!([{"json": {"a": 1.0}}, {"text": "[1]"}]));
    // The name that is cut, and two lists that are no objects.
    assert_eq!(kinds(&losses), [APPROXIMATED, APPROXIMATED, APPROXIMATED]);
}

#[test]
fn reasoning_of_others_is_reported_and_sealed_reasoning_goes_back() {
    let reasoning =
        |proof| part(Content::Reasoning(Reasoning { proof: Some(proof), ..Reasoning::default() }));
    let mut conversation = hello();
    conversation.messages.push(Message::new(
        Place::NOWHERE,
        Role::Assistant,
        vec![
            reasoning(Proof::sealed(Proof::ANTHROPIC, "Eu8ECkgI")),
            reasoning(Proof::sealed(Proof::OPENAI, "gAAA")),
            reasoning(Proof::signature(Proof::GEMINI, "CiQB")),
            Part::text("Yes"),
        ],
    ));
    conversation.messages.push(Message::new(Place::NOWHERE, Role::User, vec![Part::text("And?")]));
    let (body, losses) = built(&conversation, CLAUDE);
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"reasoningContent": {"redactedContent": "RXU4RUNrZ0k="}}, {"text": "Yes"}])
    );
    assert_eq!(kinds(&losses), [DROPPED, DROPPED]);
}
