//! Requests of each protocol, read and written: no body makes a reader or writer panic, and what was
//! written back to its own protocol says the same when it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weighbridge_fuzz::{PROTOCOLS, check_whole, pick, says_the_same, settings};
use weighbridge_translate::{Dialect, RequestTarget, request};

fuzz_target!(|input: &[u8]| {
    let Some(([protocol, dialect], body)) = settings(input) else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let protocol = pick(&PROTOCOLS, protocol);
    let target = RequestTarget { dialect: pick(&Dialect::ALL, dialect), ..RequestTarget::new("some-model") };
    let Ok(first) = request(protocol, protocol, body, &target) else { return };
    check_whole(body, &first.value, &first.losses);
    let written = std::str::from_utf8(&first.value).expect("JSON is text");
    let second = request(protocol, protocol, written, &target);
    let second = second.unwrap_or_else(|error| panic!("{error}: {written}"));
    let again = std::str::from_utf8(&second.value).expect("JSON is text");
    assert!(says_the_same(written, again), "{written}\n{again}");
});
