//! Usage, read and written: the buckets are disjoint and their sum is the provider's total (rule M5).

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use proptest::prelude::*;
use weighbridge_protocol::json::{Raw, ScanLimits, Writer};
use weighbridge_protocol::{anthropic_messages, openai_chat};
use weighbridge_units::{Bucket, Usage};

fn raw(text: &str) -> Raw<'_> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

fn chat(text: &str) -> Usage {
    openai_chat::usage::read(raw(text))
}

fn anthropic(text: &str) -> Usage {
    anthropic_messages::usage::read(raw(text))
}

/// Usage in which the buckets of every answer are told, and others perhaps.
fn usage() -> impl Strategy<Value = Usage> {
    prop::collection::vec(prop::option::of(0_u64..1 << 40), Bucket::ALL.len()).prop_map(|counts| {
        let mut usage = Usage::new().with(Bucket::Input, 0).with(Bucket::Output, 0);
        for (bucket, count) in Bucket::ALL.into_iter().zip(counts) {
            if let Some(count) = count {
                usage.set(bucket, count);
            }
        }
        usage
    })
}

fn without(usage: &Usage, buckets: &[Bucket]) -> Usage {
    usage.iter().filter(|(bucket, _)| !buckets.contains(bucket)).fold(Usage::new(), |u, (b, n)| u.with(b, n))
}

fn written(usage: &Usage, write: fn(&Usage, Writer<'_>)) -> String {
    let mut out = Vec::new();
    write(usage, Writer::new(&mut out));
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn m5_chat_reads_what_it_writes(usage in usage()) {
        let usage = without(&usage, &openai_chat::usage::UNTOLD);
        prop_assert_eq!(chat(&written(&usage, openai_chat::usage::write)), usage);
    }

    #[test]
    fn m5_anthropic_reads_what_it_writes(usage in usage()) {
        let mut usage = without(&usage, &anthropic_messages::usage::UNTOLD);
        // The two kinds of writes are told together or, as older servers do, as the first alone.
        if usage.told(Bucket::CacheWrite1h) && !usage.told(Bucket::CacheWrite5m) {
            usage.set(Bucket::CacheWrite5m, 0);
        }
        prop_assert_eq!(anthropic(&written(&usage, anthropic_messages::usage::write)), usage);
    }

    #[test]
    fn m5_no_token_is_lost_on_the_way(usage in usage()) {
        let (c, a) = (written(&usage, openai_chat::usage::write), written(&usage, anthropic_messages::usage::write));
        for read in [chat(&c), anthropic(&a)] {
            prop_assert_eq!(read.prompt(), usage.prompt());
            prop_assert_eq!(read.answer(), usage.answer());
            prop_assert!(!read.is_contradictory());
        }
    }

    #[test]
    fn m5_contradictions_are_flagged_and_never_wrap(
        figures in prop::collection::vec(prop::option::of(prop_oneof![0_u64..50, any::<u64>()]), 8),
    ) {
        let field = |name: &str, index: usize| figures[index].map(|n| format!("\"{name}\":{n}"));
        let join = |fields: &[Option<String>]| fields.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"prompt_tokens_details":{{{}}},"completion_tokens_details":{{{}}},{}}}"#,
            join(&[field("cached_tokens", 0), field("cache_write_tokens", 1), field("audio_tokens", 2)]),
            join(&[field("reasoning_tokens", 3), field("audio_tokens", 4)]),
            join(&[Some("\"x\":0".into()), field("prompt_tokens", 5), field("completion_tokens", 6), field("total_tokens", 7)]),
        );
        let usage = chat(&text);
        if let (Some(prompt), Some(answer)) = (figures[5], figures[6]) {
            let told = [prompt.saturating_add(answer), figures[7].unwrap_or(0)];
            prop_assert!(told.contains(&usage.total()) || usage.is_contradictory(), "{}: {:?}", text, usage);
        }
    }

    #[test]
    fn odd_shapes_are_not_told(text in prop_oneof![
        Just("null"), Just("7"), Just("[]"), Just("{}"), Just(r#"{"prompt_tokens":null,"input_tokens":null}"#),
        Just(r#"{"prompt_tokens":"7","prompt_tokens_details":3,"input_tokens":1.5}"#),
    ]) {
        prop_assert!(chat(text).is_untold());
        prop_assert!(anthropic(text).is_untold());
    }
}

#[test]
fn m7_zero_is_told_and_missing_is_not() {
    assert!(chat(r#"{"prompt_tokens":0,"completion_tokens":0}"#).told(Bucket::Input));
    assert!(!chat(r#"{"prompt_tokens":0}"#).told(Bucket::Output));
    assert!(!anthropic(r#"{"output_tokens":0}"#).told(Bucket::Input));
}

#[test]
fn what_each_dialect_includes() {
    let cases = [
        (
            "openai",
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":20}}"#,
        ),
        (
            "xai: reasoning beside",
            r#"{"prompt_tokens":429,"completion_tokens":44,"total_tokens":975,"prompt_tokens_details":{"cached_tokens":192},"completion_tokens_details":{"reasoning_tokens":502}}"#,
        ),
        ("gemini: reasoning unnamed", r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#),
        (
            "deepseek",
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
        ),
        (
            "mistral: audio beside",
            r#"{"prompt_tokens":9,"completion_tokens":201,"total_tokens":585,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":375}}"#,
        ),
        (
            "vercel to gemini: reasoning beside, and not in the total",
            r#"{"prompt_tokens":40,"completion_tokens":14,"total_tokens":54,"completion_tokens_details":{"reasoning_tokens":43,"image_tokens":0}}"#,
        ),
        (
            "openrouter: images",
            r#"{"prompt_tokens":9,"completion_tokens":1300,"total_tokens":1309,"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":1290}}"#,
        ),
        (
            "grok on azure: more cached than there is",
            r#"{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":163}}"#,
        ),
    ];
    let lines: Vec<String> = cases.iter().map(|(name, text)| format!("{name}: {:?}", chat(text))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    openai: {"input": 30, "cache_read": 60, "cache_write_5m": 10, "output": 30, "reasoning": 20}
    xai: reasoning beside: {"input": 237, "cache_read": 192, "output": 44, "reasoning": 502}
    gemini: reasoning unnamed: {"input": 10, "output": 5, "reasoning": 25}
    deepseek: {"input": 6, "cache_read": 4, "output": 5}
    mistral: audio beside: {"input": 9, "cache_read": 0, "input_audio": 375, "output": 201}
    vercel to gemini: reasoning beside, and not in the total: {"input": 40, "output": 14, "reasoning": 43, "output_image": 0, "contradictory": true}
    openrouter: images: {"input": 9, "output": 10, "reasoning": 0, "output_image": 1290}
    grok on azure: more cached than there is: {"input": 7, "cache_read": 163, "output": 1, "contradictory": true}
    "#);
}

#[test]
fn a5_later_figures_replace_and_the_split_stays() {
    let mut usage = Usage::new();
    anthropic_messages::usage::update(
        &mut usage,
        raw(
            r#"{"input_tokens":700,"cache_creation_input_tokens":30,"cache_read_input_tokens":5,"output_tokens":1,
            "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}"#,
        ),
    );
    anthropic_messages::usage::update(
        &mut usage,
        raw(r#"{"input_tokens":1591,"cache_creation_input_tokens":30,"output_tokens":80}"#),
    );
    let expected = Usage::new()
        .with(Bucket::Input, 1591)
        .with(Bucket::CacheRead, 5)
        .with(Bucket::CacheWrite5m, 10)
        .with(Bucket::CacheWrite1h, 20)
        .with(Bucket::Output, 80);
    assert_eq!(usage, expected);
}

#[test]
fn a_split_of_zeros_leaves_the_sum() {
    let usage = anthropic(
        r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":9,
            "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}"#,
    );
    assert_eq!((usage.get(Bucket::CacheWrite5m), usage.get(Bucket::CacheWrite1h)), (9, 0));
    assert!(!usage.is_contradictory());
}

#[test]
fn iterations_are_what_is_billed() {
    let usage = anthropic(
        r#"{"input_tokens":682,"output_tokens":1320,"iterations":[
            {"type":"compaction","input_tokens":60385,"output_tokens":592},
            {"type":"message","input_tokens":682,"output_tokens":1320}]}"#,
    );
    assert_eq!((usage.get(Bucket::Input), usage.get(Bucket::Output)), (61067, 1912));
}
