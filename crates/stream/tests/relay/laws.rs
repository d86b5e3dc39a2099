//! Laws that hold for every pair, whatever comes in.

use proptest::prelude::*;
use weighbridge_stream::RelayOptions;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::Protocol;

use crate::frames::sent;
use crate::support::*;

/// No client speaks Converse, but what simulated providers say is written in it.
fn to_every_client(provider: Protocol, choice: bool) -> impl Iterator<Item = RelayOptions<'static>> {
    Protocol::ALL.into_iter().map(move |client| RelayOptions {
        hide_usage: choice,
        show_usage: choice,
        ..options(provider, client)
    })
}

fn terminal(protocol: Protocol, stream: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stream);
    let markers: &[&str] = match protocol {
        OpenAiChat => &["[DONE]"],
        AnthropicMessages => &["message_stop"],
        OpenAiResponses => &["response.completed", "response.incomplete"],
        GeminiGenerateContent => &["finishReason", "blockReason"],
        BedrockConverse => &["event: metadata"],
    };
    markers.iter().any(|marker| text.contains(marker))
}

proptest! {
    #[test]
    fn any_cut_of_the_same_bytes_gives_the_same_bytes(
        (provider, stream) in sent(),
        choice in any::<bool>(),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        for options in to_every_client(provider, choice) {
            let whole = run(&options, [stream.as_slice()]);
            for pieces in [cut(&stream, &sizes), cut(&stream, &[1])] {
                let ran = run(&options, pieces);
                // Behind the end the pipeline stops reading, at the end of a piece.
                let (whole_bytes, bytes) = match options.provider == options.client && whole.end.is_complete() {
                    true => (&whole.bytes[..ran.bytes.len().min(whole.bytes.len())], ran.bytes.as_slice()),
                    false => (whole.bytes.as_slice(), ran.bytes.as_slice()),
                };
                prop_assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(whole_bytes));
                prop_assert_eq!(ran.end.is_complete(), whole.end.is_complete());
                prop_assert_eq!(ran.facts().usage, whole.facts().usage);
                prop_assert_eq!(&ran.facts().finish, &whole.facts().finish);
            }
        }
    }

    #[test]
    fn every_bridges_output_obeys_the_clients_grammar((provider, stream) in sent(), choice in any::<bool>(), lost in any::<bool>()) {
        for options in to_every_client(provider, choice).filter(|options| options.provider != options.client) {
            let ran = run_cut(&options, [stream.as_slice()], lost.then(connection_lost));
            let expected = if ran.end.is_complete() { Verdict::EndedWell } else { Verdict::EndedWithError };
            prop_assert_eq!(check(options.client, &ran.bytes), Ok(expected), "{}", String::from_utf8_lossy(&ran.bytes));
        }
    }

    #[test]
    fn what_did_not_end_well_never_looks_as_if_it_had((provider, stream) in sent(), choice in any::<bool>(), lost in any::<bool>()) {
        for options in to_every_client(provider, choice) {
            let ran = run_cut(&options, [stream.as_slice()], lost.then(connection_lost));
            if ran.end.is_complete() {
                prop_assert!(terminal(options.provider, &stream) || !lost);
                continue;
            }
            prop_assert_ne!(check(options.client, &ran.bytes), Ok(Verdict::EndedWell));
            if options.provider != options.client {
                prop_assert!(!terminal(options.client, &ran.bytes));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_break_and_never_panic(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1_usize..70, 1..6),
    ) {
        for options in pairs().map(|(provider, client)| options(provider, client)) {
            let ran = run(&options, cut(&stream, &sizes));
            prop_assert!(!ran.end.is_complete());
        }
    }
}
