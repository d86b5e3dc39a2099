//! The one reader of JSON: it accepts what `serde_json` accepts within its limits, sees the same values,
//! and bodies with edits are what they were but for the edits.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weighbridge_fuzz::{PROTOCOLS, pick, settings};
use weighbridge_protocol::json::{Raw, ScanError, ScanLimits};
use weighbridge_protocol::{Body, Dialect, envelope};
use weighbridge_translate::amend;

fuzz_target!(|input: &[u8]| {
    let Some(([protocol, dialect], bytes)) = settings(input) else { return };
    let protocol = pick(&PROTOCOLS, protocol);
    let theirs = serde_json::from_slice::<Value>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        match Raw::parse(text, &ScanLimits::default()) {
            // Numbers beyond a float are theirs to refuse, and halves of surrogate pairs.
            Ok(raw) => {
                if let Ok(theirs) = &theirs {
                    assert_eq!(&serde_json::from_str::<Value>(raw.text()).expect("it is JSON"), theirs);
                }
            }
            Err(ScanError::TooDeep { .. }) => {}
            Err(error) => assert!(theirs.is_err(), "{error}"),
        }
    }
    let Ok(body) = Body::scan(Bytes::copy_from_slice(bytes), &ScanLimits::default()) else { return };
    let _envelope = envelope(protocol, &body);
    let amended = amend(protocol, body.root(), "some-model");
    let mut edits = body.edit();
    for amendment in amended.value {
        edits.set(amendment.field, amendment.json);
    }
    edits.set("model", "\"other\"");
    let _losses = pick(&Dialect::ALL, dialect).edit(protocol, ["a-1, b-2"], &mut edits);
    let sent = edits.rope().concat();
    let sent = Body::scan(Bytes::from(sent), &ScanLimits::default());
    assert!(sent.is_ok(), "{sent:?}");
    // A second pass has nothing left to take out.
    let sent = sent.expect("it was checked");
    assert_eq!(amend(protocol, sent.root(), "some-model").value, []);
});
