//! Streams of each protocol and framing, folded to whole answers, of which each client's stream is made
//! again: it obeys the client's grammar, and folds to an answer again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use weighbridge_fuzz::{PROTOCOLS, pick, settings};
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_stream::{Framing, StreamForm, fold_stream, replay};
use weighbridge_translate::{AnswerTarget, Losses, StreamTarget, adapter, stream_writer};
use weighbridge_units::Protocol;

fuzz_target!(|input: &[u8]| {
    let Some(([provider, client, framing], stream)) = settings(input) else { return };
    let (provider, client) = (pick(&PROTOCOLS, provider), pick(&Protocol::ALL, client));
    let framing = pick(&[Framing::Sse, Framing::JsonArray], framing);
    let (folder, _end) = fold_stream(provider, framing, stream, 1 << 16);
    let answer = folder.answer();
    let target = AnswerTarget::new("fallback-1", 1_700_000_000);
    let mut losses = Losses::new(provider, client);
    let whole = adapter(client).encode_answer(&answer, &target, &mut losses);
    assert!(serde_json::from_slice::<IgnoredAny>(&whole).is_ok());

    let target = StreamTarget {
        id_fallback: "fallback-1",
        model_fallback: "a-model",
        created: 1_700_000_000,
        show_usage: true,
        form: StreamForm::Events,
        legacy_functions: false,
    };
    let mut writer = stream_writer(client, &target);
    let (mut out, mut losses) = (Vec::new(), Vec::new());
    replay(&answer, &mut |event| writer.write(&event, &mut out, &mut losses).expect("it was written before"));
    writer.complete(&mut out, &mut losses);
    assert_eq!(check(client, &out), Ok(Verdict::EndedWell), "{}", String::from_utf8_lossy(&out));
    let (_, end) = fold_stream(client, Framing::Sse, &out, 1 << 24);
    assert!(end.is_ok(), "{end:?}");
});
