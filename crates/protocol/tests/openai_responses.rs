//! OpenAI Responses: its envelope and its usage.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use bytes::Bytes;
use proptest::prelude::*;
use weighbridge_protocol::json::{Raw, ScanLimits, Writer};
use weighbridge_protocol::openai_responses::usage;
use weighbridge_protocol::{Body, Envelope, envelope};
use weighbridge_units::{Bucket, Protocol, Usage};

fn asked(text: &'static str) -> Result<Envelope, String> {
    let body = Body::scan(Bytes::from_static(text.as_bytes()), &ScanLimits::default()).unwrap();
    envelope(Protocol::OpenAiResponses, &body).map_err(|error| error.to_string())
}

#[test]
fn the_envelope_has_what_routing_and_limits_need() {
    let read = asked(
        r#"{"model":"gpt-5","input":"Hi","stream":true,"max_output_tokens":64,"safety_identifier":"u1",
            "service_tier":"flex","n":7}"#,
    );
    let expected = Envelope {
        model: "gpt-5".into(),
        stream: true,
        wants_usage: true,
        max_output: Some(64),
        candidates: 1,
        end_user: Some("u1".into()),
        service_tier: Some("flex".into()),
    };
    assert_eq!(read, Ok(expected));
    let bare = asked(r#"{"model":"gpt-5"}"#).unwrap();
    assert_eq!((bare.stream, bare.max_output, bare.end_user), (false, None, None));
    assert_eq!(asked(r#"{"input":"Hi"}"#), Err("the field `model` expected, found nothing".into()));
    assert_eq!(
        asked(r#"{"model":"m","max_output_tokens":"64"}"#),
        Err("a whole number from 0 expected, found a string".into())
    );
}

fn read(text: &str, tool_usage: Option<&str>) -> Usage {
    let raw = |text| Raw::parse(text, &ScanLimits::default()).unwrap();
    usage::read(raw(text), tool_usage.map(raw))
}

fn written(told: &Usage) -> (String, Option<String>) {
    let mut out = Vec::new();
    usage::write(told, Writer::new(&mut out));
    let mut beside = Vec::new();
    let mut object = Writer::new(&mut beside).object();
    usage::write_tool_usage(told, &mut object);
    drop(object);
    let beside = String::from_utf8(beside).unwrap();
    let tool_usage = Raw::parse(&beside, &ScanLimits::default()).unwrap().get("tool_usage");
    (String::from_utf8(out).unwrap(), tool_usage.map(|raw| raw.text().to_owned()))
}

/// What the format demands is told, if only as zero.
fn usage_strategy() -> impl Strategy<Value = Usage> {
    prop::collection::vec(prop::option::of(0_u64..1 << 40), Bucket::ALL.len()).prop_map(|counts| {
        let demanded =
            [Bucket::Input, Bucket::CacheRead, Bucket::CacheWrite5m, Bucket::Output, Bucket::Reasoning];
        let zero = demanded.into_iter().fold(Usage::new(), |usage, bucket| usage.with(bucket, 0));
        let told = Bucket::ALL.into_iter().zip(counts).filter_map(|(bucket, count)| Some((bucket, count?)));
        told.fold(zero, |usage, (bucket, count)| usage.with(bucket, count))
    })
}

proptest! {
    #[test]
    fn m5_it_reads_what_it_writes(told in usage_strategy()) {
        let kept = told.iter().filter(|(bucket, _)| !usage::UNTOLD.contains(bucket));
        let told = kept.fold(Usage::new(), |usage, (bucket, count)| usage.with(bucket, count));
        let (text, tool_usage) = written(&told);
        prop_assert_eq!(read(&text, tool_usage.as_deref()), told);
        let beside = tool_usage.unwrap_or("{}".into());
        prop_assert!(usage::tells_only_searches(Raw::parse(&beside, &ScanLimits::default()).unwrap()));
    }

    #[test]
    fn m5_no_token_is_lost_on_the_way(told in usage_strategy()) {
        let back = read(&written(&told).0, None);
        prop_assert_eq!((back.prompt(), back.answer()), (told.prompt(), told.answer()));
        prop_assert!(!back.is_contradictory());
    }

    #[test]
    fn m5_contradictions_are_flagged_and_never_wrap(
        figures in prop::collection::vec(prop::option::of(prop_oneof![0_u64..50, any::<u64>()]), 8),
    ) {
        let field = |name: &str, index: usize| figures[index].map(|n| format!("\"{name}\":{n}"));
        let join = |fields: &[Option<String>]| fields.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        let lifetimes = join(&[field("ttl_12h_tokens", 0), field("ttl_30m_tokens", 1)]);
        let details = join(&[
            field("cached_tokens", 2),
            field("cache_write_tokens", 3),
            Some(format!("\"cache_write_tokens_details\":{{{lifetimes}}}")),
        ]);
        let text = format!(
            r#"{{"input_tokens_details":{{{details}}},"output_tokens_details":{{{}}},{}}}"#,
            join(&[field("reasoning_tokens", 4)]),
            join(&[
                Some("\"x\":0".into()),
                field("input_tokens", 5),
                field("output_tokens", 6),
                field("total_tokens", 7),
            ]),
        );
        let told = read(&text, None);
        if let (Some(prompt), Some(answer)) = (figures[5], figures[6]) {
            let totals = [prompt.saturating_add(answer), figures[7].unwrap_or(0)];
            prop_assert!(totals.contains(&told.total()) || told.is_contradictory(), "{}: {:?}", text, told);
        }
    }

    #[test]
    fn odd_shapes_are_not_told(text in prop_oneof![
        Just("null"), Just("7"), Just("[]"), Just("{}"), Just(r#"{"input_tokens":"7","output_tokens":1.5}"#),
    ]) {
        prop_assert!(read(text, Some("[1]")).is_untold());
    }
}

#[test]
fn what_each_server_includes() {
    let cases = [
        (
            "openai",
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,
                "cache_write_tokens_details":{"ttl_12h_tokens":4,"ttl_30m_tokens":6}},
                "output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}"#,
            Some(r#"{"image_gen":{"total_tokens":0},"web_search":{"num_requests":2}}"#),
        ),
        (
            "xai: reasoning inside here, searches inside too",
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":20},"output_tokens":50,
                "output_tokens_details":{"reasoning_tokens":30},"total_tokens":150,
                "server_side_tool_usage_details":{"web_search_calls":3,"x_search_calls":1}}"#,
            None,
        ),
        (
            "perplexity: searches inside",
            r#"{"input_tokens":100,"input_tokens_details":{"cache_read_input_tokens":40},"output_tokens":50,
                "total_tokens":150,"tool_calls_details":{"search_web":{"invocation":2}}}"#,
            None,
        ),
        ("bare", r#"{"input_tokens":3,"output_tokens":4}"#, None),
        (
            "more cached than there is",
            r#"{"input_tokens":7,"input_tokens_details":{"cached_tokens":163},"output_tokens":1,"total_tokens":8}"#,
            None,
        ),
    ];
    let lines: Vec<String> =
        cases.iter().map(|(name, text, beside)| format!("{name}: {:?}", read(text, *beside))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    openai: {"input": 30, "cache_read": 60, "cache_write_5m": 6, "cache_write_1h": 4, "output": 30, "reasoning": 20, "web_search": 2}
    xai: reasoning inside here, searches inside too: {"input": 80, "cache_read": 20, "output": 20, "reasoning": 30, "web_search": 3}
    perplexity: searches inside: {"input": 60, "cache_read": 40, "output": 50, "web_search": 2}
    bare: {"input": 3, "output": 4}
    more cached than there is: {"input": 0, "cache_read": 7, "output": 1, "contradictory": true}
    "#);
}

#[test]
fn tokens_of_the_model_that_makes_images_are_more_than_searches() {
    let only = |text: &str| usage::tells_only_searches(Raw::parse(text, &ScanLimits::default()).unwrap());
    assert!(only(r#"{"image_gen":{"total_tokens":0},"web_search":{"num_requests":2}}"#));
    assert!(!only(r#"{"image_gen":{"total_tokens":9},"web_search":{"num_requests":0}}"#));
    assert!(!only(r#"{"new_tool":{"calls":0}}"#));
}
