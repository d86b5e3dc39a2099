//! Whole requests and answers of any protocol into any other: what is written is read by its protocol, and
//! says there what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weighbridge_fuzz::{PROTOCOLS, check_whole, pick, settings};
use weighbridge_translate::{AnswerTarget, Dialect, RequestTarget, request, response};

/// Names from which an encoder learns what a model takes.
const MODELS: [&str; 8] = [
    "some-model",
    "gpt-4o",
    "gpt-5.1",
    "claude-haiku-4-5",
    "claude-opus-4-7",
    "gemini-2.5-flash",
    "gemini-3-pro",
    "us.amazon.nova-lite-v1:0",
];

fuzz_target!(|input: &[u8]| {
    let Some(([kind, from, to, dialect, model], body)) = settings(input) else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let (from, to) = (pick(&PROTOCOLS, from), pick(&PROTOCOLS, to));
    if pick(&[true, false], kind) {
        let target = RequestTarget {
            dialect: pick(&Dialect::ALL, dialect),
            ..RequestTarget::new(pick(&MODELS, model))
        };
        let Ok(translated) = request(from, to, body, &target) else { return };
        check_whole(body, &translated.value, &translated.losses);
        let written = std::str::from_utf8(&translated.value).expect("JSON is text");
        let read = request(to, to, written, &target);
        assert!(read.is_ok(), "{read:?}: {written}");
    } else {
        let target = AnswerTarget::new("fallback-1", 1_700_000_000);
        let Ok(translated) = response(from, to, body, &target) else { return };
        let (written, facts) = translated.value;
        check_whole(body, &written, &translated.losses);
        let written = std::str::from_utf8(&written).expect("JSON is text");
        let read = response(to, to, written, &target);
        let read = read.unwrap_or_else(|error| panic!("{error}: {written}"));
        let told = |facts: &weighbridge_translate::AnswerFacts| {
            facts.usage.map(|usage| (usage.prompt(), usage.answer())).unwrap_or_default()
        };
        assert_eq!(told(&read.value.1), told(&facts), "{written}");
    }
});
