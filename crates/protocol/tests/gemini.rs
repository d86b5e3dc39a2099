//! Gemini's wire format: envelope, usage, errors, counting and embedding.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use weighbridge_protocol::gemini::{Route, count_tokens, envelope, error, usage};
use weighbridge_protocol::json::{Raw, ScanLimits, Writer};
use weighbridge_protocol::{Body, Envelope};
use weighbridge_units::{Bucket, Usage};

fn raw(text: &str) -> Raw<'_> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

fn body(text: &str) -> Body {
    Body::scan(Bytes::copy_from_slice(text.as_bytes()), &ScanLimits::default()).unwrap()
}

fn written(write: impl FnOnce(Writer<'_>)) -> String {
    let mut out = Vec::new();
    write(Writer::new(&mut out));
    String::from_utf8(out).unwrap()
}

#[test]
fn model_and_stream_stand_in_the_path() {
    let body = body(
        r#"{"contents":[],"generation_config":{"max_output_tokens":"50","candidateCount":2},"serviceTier":"flex"}"#,
    );
    let route = Route::parse("/v1beta/models/gemini-2.5-pro:streamGenerateContent", None).unwrap();
    assert_eq!(
        weighbridge_protocol::envelope_at(
            weighbridge_units::Protocol::GeminiGenerateContent,
            &body,
            route.addressed()
        )
        .unwrap(),
        Envelope {
            model: "gemini-2.5-pro".into(),
            stream: true,
            wants_usage: true,
            max_output: Some(50),
            candidates: 2,
            end_user: None,
            service_tier: Some("flex".into()),
        }
    );
    assert_eq!(envelope::read(&body).unwrap().model, "");
}

#[test]
fn an_envelope_of_the_wrong_type_is_refused() {
    for text in [
        r#"{"generationConfig":[]}"#,
        r#"{"generationConfig":{"maxOutputTokens":"many"}}"#,
        r#"{"generationConfig":{"candidateCount":-1}}"#,
    ] {
        assert!(envelope::read(&body(text)).is_err(), "{text}");
    }
    let empty =
        envelope::read(&body(r#"{"model":"models/m","generationConfig":{"candidateCount":0}}"#)).unwrap();
    assert_eq!((empty.model.as_str(), empty.candidates, empty.max_output), ("m", 1, None));
}

/// Usage as an answer tells it: what is zero is not told, but for the whole figures.
fn usage() -> impl Strategy<Value = Usage> {
    prop::collection::vec(prop::option::of(1_u64..1 << 40), Bucket::ALL.len()).prop_map(|counts| {
        let mut usage = Usage::new().with(Bucket::Input, 0).with(Bucket::Output, 0);
        for (bucket, count) in Bucket::ALL.into_iter().zip(counts) {
            if let Some(count) = count {
                usage.set(bucket, count);
            }
        }
        usage
    })
}

proptest! {
    #[test]
    fn m5_gemini_reads_what_it_writes(told in usage()) {
        let untold = |bucket: &Bucket| usage::UNTOLD.contains(bucket);
        let told = told.iter().filter(|(b, _)| !untold(b)).fold(Usage::new(), |u, (b, n)| u.with(b, n));
        let text = written(|writer| usage::write(&told, writer));
        prop_assert_eq!(usage::read(raw(&text)), told);
    }

    #[test]
    fn m5_no_token_is_lost_on_the_way_to_gemini(told in usage()) {
        let text = written(|writer| usage::write(&told, writer));
        let read = usage::read(raw(&text));
        prop_assert_eq!((read.prompt(), read.answer()), (told.prompt(), told.answer()));
        prop_assert_eq!(raw(&text).get("totalTokenCount").unwrap().u64().unwrap(), told.total());
        prop_assert!(!read.is_contradictory());
    }

    #[test]
    fn m5_contradictions_are_flagged_and_never_wrap(
        figures in prop::collection::vec(prop_oneof![0_u64..50, any::<u64>()], 8),
    ) {
        let text = format!(
            r#"{{"promptTokenCount":{},"cachedContentTokenCount":{},"candidatesTokenCount":{},
            "thoughtsTokenCount":{},"promptTokensDetails":[{{"modality":"AUDIO","tokenCount":{}}}],
            "cacheTokensDetails":[{{"modality":"AUDIO","tokenCount":{}}}],
            "candidatesTokensDetails":[{{"modality":"IMAGE","tokenCount":{}}},{{"modality":"AUDIO","tokenCount":{}}}]}}"#,
            figures[0], figures[1], figures[2], figures[3], figures[4], figures[5], figures[6], figures[7],
        );
        let read = usage::read(raw(&text));
        prop_assert_eq!(read.prompt(), figures[0]);
        prop_assert_eq!(read.answer(), figures[2].saturating_add(figures[3]));
        let fits = figures[1].saturating_add(figures[4].saturating_sub(figures[5])) <= figures[0]
            && figures[6].saturating_add(figures[7]) <= figures[2];
        prop_assert_eq!(read.is_contradictory(), !fits);
    }
}

/// protocols.md, section 2: thoughts stand beside the candidates, tools beside the prompt, the cached part
/// within it.
#[test]
fn usage_of_gemini_has_thoughts_beside_candidates() {
    let text = r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":40,"thoughtsTokenCount":7,
        "toolUsePromptTokenCount":5,"totalTokenCount":152,"serviceTier":"standard","trafficType":"ON_DEMAND",
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":80},{"modality":"AUDIO","tokenCount":20}],
        "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":12}],
        "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":30}]}"#;
    let read = usage::read(raw(text));
    let expected = Usage::new()
        .with(Bucket::Input, 32)
        .with(Bucket::CacheRead, 60)
        .with(Bucket::InputAudio, 8)
        .with(Bucket::Output, 10)
        .with(Bucket::OutputImage, 30)
        .with(Bucket::Reasoning, 7)
        .with(Bucket::ToolPrompt, 5);
    assert_eq!(read, expected);
    assert_eq!(read.total(), 152);
    assert_eq!(usage::service_tier(raw(text)).as_deref(), Some("standard"));
}

/// protocols.md, section 2: zero counts are left out.
#[test]
fn usage_that_gemini_leaves_out_is_zero_at_the_end_and_unknown_before() {
    let text = raw(r#"{"promptTokenCount":8,"totalTokenCount":8}"#);
    let mut running = Usage::new();
    usage::update(&mut running, text);
    assert!(!running.told(Bucket::Output));
    assert_eq!(usage::read(text), Usage::new().with(Bucket::Input, 8).with(Bucket::Output, 0));
    assert!(usage::read(raw(r#"{"trafficType":"ON_DEMAND"}"#)).is_untold());
}

#[test]
fn usage_in_a_stream_is_cumulative_and_keeps_what_is_not_repeated() {
    let mut running = Usage::new();
    for text in [
        r#"{"promptTokenCount":20,"cachedContentTokenCount":15,"totalTokenCount":20}"#,
        r#"{"promptTokenCount":20,"candidatesTokenCount":4,"totalTokenCount":24}"#,
        r#"{"promptTokenCount":22,"candidatesTokenCount":9,"thoughtsTokenCount":3,"totalTokenCount":34}"#,
    ] {
        usage::update(&mut running, raw(text));
    }
    let expected = Usage::new().with(Bucket::Input, 7).with(Bucket::CacheRead, 15).with(Bucket::Output, 9);
    assert_eq!(running, expected.with(Bucket::Reasoning, 3));
}

#[test]
fn searches_are_counted_where_their_words_stand() {
    assert_eq!(usage::searches(raw(r#"{"webSearchQueries":["a","b"],"searchEntryPoint":{}}"#)), 2);
    assert_eq!(usage::searches(raw(r#"{"searchEntryPoint":{"renderedContent":"x"}}"#)), 1);
    assert_eq!(usage::searches(raw(r#"{"groundingChunks":[{"web":{}}]}"#)), 0);
}

#[test]
fn traffic_of_vertex_names_a_tier() {
    let tier = |text| usage::service_tier(raw(text)).map(|tier| tier.into_owned());
    assert_eq!(tier(r#"{"trafficType":"ON_DEMAND_PRIORITY"}"#).as_deref(), Some("priority"));
    assert_eq!(tier(r#"{"trafficType":"ON_DEMAND_FLEX"}"#).as_deref(), Some("flex"));
    assert_eq!(tier(r#"{"trafficType":"PROVISIONED_THROUGHPUT"}"#), None);
}

/// protocols.md, section 4: the delay in the details stands for the `retry-after` header.
#[test]
fn an_error_of_gemini_says_when_to_come_back() {
    let text = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}"#;
    let parts = error::read(raw(text)).unwrap();
    assert_eq!(parts.retry_delay, Some(Duration::from_millis(34_400)));
    assert_eq!((parts.status, parts.kind.as_deref()), (Some(429), Some("RESOURCE_EXHAUSTED")));
    // The same in an array, as a stream that is no stream of events gets it.
    assert_eq!(error::read(raw(&format!("[{text}]"))), error::read(raw(text)));
}

#[test]
fn delays_of_other_forms_are_no_delays() {
    for delay in ["\"s\"", "\"5\"", "\"-5s\"", "\"1e3s\"", "\"1.0000000000s\"", "5", "null", "\".5s\""] {
        let text = format!(
            r#"{{"error":{{"details":[{{"@type":"x/google.rpc.RetryInfo","retryDelay":{delay}}}]}}}}"#
        );
        assert_eq!(error::read(raw(&text)).unwrap().retry_delay, None, "{delay}");
    }
}

#[test]
fn errors_of_any_form_are_read() {
    let parts = error::read(raw(r#"{"error":"invalid_grant","error_description":"Bad token"}"#)).unwrap();
    assert_eq!(parts.message.as_deref(), Some("Bad token"));
    for text in [r#"{"candidates":[]}"#, "[]", "7", r#"{"error":null}"#, "[[[]]]"] {
        assert_eq!(error::read(raw(text)), None, "{text}");
    }
    let odd = error::read(raw(r#"{"error":{"code":"x","message":7,"details":7}}"#)).unwrap();
    assert_eq!(odd, error::ErrorParts::default());
}

#[test]
fn a_written_error_is_read_as_it_was_meant() {
    let body = error::ErrorBody {
        status: 400,
        kind: "INVALID_ARGUMENT",
        message: "no",
        reason: Some("bad_seed"),
        field: Some("generationConfig.seed"),
        request_id: "req_1",
    };
    let text = written(|writer| error::write(&body, writer));
    let parts = error::read(raw(&text)).unwrap();
    assert_eq!(parts.reason.as_deref(), Some("bad_seed"));
    assert_eq!(parts.field.as_deref(), Some("generationConfig.seed"));
    assert_eq!((parts.status, parts.message.as_deref()), (Some(400), Some("no")));
}

#[test]
fn tokens_are_counted_of_contents_or_of_a_whole_request() {
    let alone = raw(r#"{"contents":[{"parts":[{"text":"a"}]}]}"#);
    assert_eq!(count_tokens::read_request(alone), Ok(alone));
    let mut asked = Vec::new();
    count_tokens::write_request("gemini-3", raw(r#"{"model":"x","contents":[]}"#), Writer::new(&mut asked))
        .unwrap();
    let asked = String::from_utf8(asked).unwrap();
    assert_eq!(asked, r#"{"generateContentRequest":{"model":"models/gemini-3","contents":[]}}"#);
    assert_eq!(
        count_tokens::read_request(raw(&asked)).unwrap().text(),
        r#"{"model":"models/gemini-3","contents":[]}"#
    );
    let counted = count_tokens::Counted { total: 36, cached: 4 };
    let answer = written(|writer| count_tokens::write_answer(counted, writer));
    assert_eq!(answer, r#"{"totalTokens":36,"cachedContentTokenCount":4}"#);
    assert_eq!(count_tokens::read_answer(raw(&answer)), Ok(counted));
    assert_eq!(count_tokens::read_answer(raw("{}")), Ok(count_tokens::Counted::default()));
    assert!(count_tokens::read_answer(raw(r#"{"totalTokens":"many"}"#)).is_err());
}
