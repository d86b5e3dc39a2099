//! Answers and errors of each protocol, read and written: no body makes a reader or writer panic, and what
//! was written back to its own protocol says the same when it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use weighbridge_fuzz::{PROTOCOLS, check_whole, pick, says_the_same, settings};
use weighbridge_translate::{
    AnswerTarget, answer_facts, decode_error, encode_error, encode_stream_error, response, retry_delay,
};

fuzz_target!(|input: &[u8]| {
    let Some(([protocol, status, legacy], bytes)) = settings(input) else { return };
    let protocol = pick(&PROTOCOLS, protocol);
    let status = pick(&[400, 200, 401, 403, 404, 408, 413, 429, 500, 503, 529], status);
    let error = decode_error(protocol, status, bytes);
    let _delay = retry_delay(protocol, bytes);
    for client in PROTOCOLS {
        let (_, told) = encode_error(client, &error, "req_1");
        let told = serde_json::from_slice::<IgnoredAny>(&told);
        assert!(told.is_ok(), "{told:?}");
        let _event = encode_stream_error(client, &error, "req_1");
    }

    let Ok(body) = std::str::from_utf8(bytes) else { return };
    let target =
        AnswerTarget { legacy_functions: legacy % 2 == 1, ..AnswerTarget::new("fallback-1", 1_700_000_000) };
    let first = response(protocol, protocol, body, &target);
    let facts = answer_facts(protocol, body);
    let Ok(first) = first else { return };
    let facts = facts.expect("the whole was read");
    let (written, read) = first.value;
    assert_eq!((facts.usage, &facts.id, &facts.model), (read.usage, &read.id, &read.model));
    check_whole(body, &written, &first.losses);
    let written = std::str::from_utf8(&written).expect("JSON is text");
    let second = response(protocol, protocol, written, &target);
    let second = second.unwrap_or_else(|error| panic!("{error}: {written}"));
    let again = std::str::from_utf8(&second.value.0).expect("JSON is text");
    assert!(says_the_same(written, again), "{written}\n{again}");
});
