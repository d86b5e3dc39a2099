//! What is odd about streams, for every provider and every client: one driver has it in hand.

use serde_json::{Value, json};
use weighbridge_stream::RelayOptions;
use weighbridge_stream::testkit::{Verdict, check};
use weighbridge_units::{ErrorClass, Protocol};

use crate::frames::sensible;
use crate::support::*;

/// The frames of a stream that makes sense.
fn frames(provider: Protocol) -> Vec<String> {
    let stream = sensible(provider).replace("\r\n", "\n");
    stream.split_inclusive("\n\n").map(str::to_owned).collect()
}

/// The same with another frame put in at a place.
fn with(provider: Protocol, place: usize, frame: &str) -> String {
    let mut frames = frames(provider);
    frames.insert(place, frame.to_owned());
    frames.concat()
}

/// Where a frame may be put in that is neither first nor behind the end. Gemini's stream has no end but
/// that of its body.
fn places(provider: Protocol) -> std::ops::Range<usize> {
    1..frames(provider).len()
}

/// Each place in each provider's stream, with each client.
fn everywhere() -> impl Iterator<Item = (RelayOptions<'static>, usize)> {
    pairs()
        .flat_map(|(provider, client)| places(provider).map(move |place| (options(provider, client), place)))
}

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// A frame that no documentation knows.
fn unknown(provider: Protocol) -> String {
    match provider {
        OpenAiChat => "data: {\"object\":\"brand.new\",\"odd\":[1]}\n\n".to_owned(),
        GeminiGenerateContent => "data: {\"brandNew\":{\"odd\":[1]}}\n\n".to_owned(),
        BedrockConverse => event("brandNew", r#"{"odd":[1]}"#),
        AnthropicMessages | OpenAiResponses => event("brand.new", r#"{"type":"brand.new","odd":[1]}"#),
    }
}

/// The provider's own error, as a frame.
fn failed(provider: Protocol) -> String {
    match provider {
        OpenAiChat => "data: {\"error\":{\"message\":\"Slow down\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}\n\n".to_owned(),
        GeminiGenerateContent => "data: {\"error\":{\"code\":429,\"message\":\"Slow down\",\"status\":\"RESOURCE_EXHAUSTED\"}}\n\n".to_owned(),
        BedrockConverse => event("throttlingException", r#"{"message":"Slow down"}"#),
        AnthropicMessages => event("error", r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}"#),
        OpenAiResponses => event("error", r#"{"type":"error","code":"rate_limit_exceeded","message":"Slow down","param":null}"#),
    }
}

/// Usage so far, as a frame of a stream that goes on; `None` where no provider tells it so.
fn running_usage(provider: Protocol, output: u64) -> Option<String> {
    match provider {
        OpenAiChat => Some(chat_chunk(
            "[]",
            &format!(
                r#","usage":{{"prompt_tokens":9,"completion_tokens":{output},"total_tokens":{}}}"#,
                9 + output
            ),
        )),
        AnthropicMessages => Some(event(
            "message_delta",
            &format!(r#"{{"type":"message_delta","delta":{{}},"usage":{{"output_tokens":{output}}}}}"#),
        )),
        GeminiGenerateContent => Some(format!(
            "data: {{\"usageMetadata\":{{\"promptTokenCount\":9,\"candidatesTokenCount\":{output},\"totalTokenCount\":{}}}}}\n\n",
            9 + output
        )),
        BedrockConverse | OpenAiResponses => None,
    }
}

/// A stream in which each frame that has the answer's id has another one.
fn renamed(provider: Protocol) -> String {
    let frames = frames(provider).into_iter().enumerate().map(|(number, frame)| {
        let Some((head, data)) = frame.split_once("data: ") else { return frame };
        let Ok(mut data) = serde_json::from_str::<Value>(data) else { return frame };
        let pointers = ["/id", "/message/id", "/response/id", "/responseId"];
        let other = match provider {
            GeminiGenerateContent => {
                data["responseId"] = json!("id");
                "/responseId"
            }
            _ => pointers.into_iter().find(|at| data.pointer(at).is_some()).unwrap_or("/id"),
        };
        if let Some(id) = data.pointer_mut(other) {
            *id = json!(format!("id-{number}"));
        }
        format!("{head}data: {data}\n\n")
    });
    frames.collect()
}

#[test]
fn a_frame_that_nobody_knows_changes_nothing_and_is_counted_or_reported() {
    for (options, place) in everywhere() {
        let (provider, client) = (options.provider, options.client);
        let plain = run_text(&options, &frames(provider).concat());
        let stream = with(provider, place, &unknown(provider));
        let odd = run_text(&options, &stream);
        let about = format!("{provider} to {client}, at {place}");
        assert!(odd.end.is_complete(), "{about}: {:?}", odd.end);
        if provider == client {
            assert_eq!(odd.text(), stream, "{about}: kept");
        } else {
            assert_eq!(odd.text(), plain.text(), "{about}");
            let told = odd.facts().losses.len() > plain.facts().losses.len();
            assert!(told, "{about}: {:?}", odd.facts().losses);
        }
        // Of Gemini it is a response like others, with a field that nobody knows.
        let is_frame = provider != GeminiGenerateContent;
        // Behind the commit point a tee does not read on what has no facts in it.
        let is_read = provider != client || !is_skimmed(provider);
        if is_frame && is_read {
            assert_eq!(odd.facts().unknown_events, 1, "{about}");
        }
    }
}

/// Whether the tee of that protocol passes on frames without parsing them.
fn is_skimmed(provider: Protocol) -> bool {
    matches!(provider, OpenAiChat | AnthropicMessages | OpenAiResponses)
}

#[test]
fn a_corrupt_frame_breaks_the_stream_wherever_it_stands() {
    for (options, place) in everywhere() {
        let (provider, client) = (options.provider, options.client);
        for corrupt in
            ["data: {\n\n", "data: {\"type\":}\n\n", "data: nothing\n\n", "data: {\"a\":\"\u{1}\"}\n\n"]
        {
            // A frame of Converse is what its name says.
            let corrupt = match provider {
                BedrockConverse => format!("event: contentBlockDelta\n{corrupt}"),
                _ => corrupt.to_owned(),
            };
            let ran = run_text(&options, &with(provider, place, &corrupt));
            let about = format!("{provider} to {client}, at {place}: {corrupt}\n{}", ran.text());
            assert!(!ran.end.is_complete(), "{about}");
            assert_eq!(ran.error().class, ErrorClass::Server, "{about}");
            assert_ne!(check(client, &ran.bytes), Ok(Verdict::EndedWell), "{about}");
            if provider != client {
                assert_eq!(check(client, &ran.bytes), Ok(Verdict::EndedWithError), "{about}");
                let good: String = frames(provider)[..place].concat();
                let before = run_cut(&options, [good.as_bytes()], Some(ran.error().clone()));
                assert_eq!(ran.text(), before.text(), "{about}");
            }
        }
    }
}

#[test]
fn an_error_under_200_is_the_providers_own_and_commits_to_nothing() {
    for (provider, client) in pairs() {
        let options = options(provider, client);
        let ran = run_text(&options, &failed(provider));
        assert!(!ran.committed, "{provider} to {client}");
        assert_eq!((ran.error().class, ran.error().message.as_str()), (ErrorClass::RateLimit, "Slow down"));
        assert!(ended_with_error(&options, &ran), "{}", ran.text());
    }
}

#[test]
fn an_error_in_mid_stream_is_told_and_ends_it() {
    for (options, place) in everywhere() {
        let stream = with(options.provider, place, &failed(options.provider));
        let ran = run_text(&options, &stream);
        let about = format!("{} to {}, at {place}:\n{}", options.provider, options.client, ran.text());
        assert_eq!((ran.error().class, ran.error().message.as_str()), (ErrorClass::RateLimit, "Slow down"));
        assert!(ended_with_error(&options, &ran), "{about}");
    }
}

/// As its grammar has it; of what passes, the number that ours has in the order of events is not right.
fn ended_with_error(options: &RelayOptions<'_>, ran: &Ran) -> bool {
    let verdict = check(options.client, &ran.bytes);
    let is_unnumbered = options.provider == OpenAiResponses && options.client == OpenAiResponses;
    verdict == Ok(Verdict::EndedWithError) || (is_unnumbered && verdict.is_err())
}

#[test]
fn what_follows_the_end_changes_nothing() {
    for (provider, client) in pairs().filter(|(provider, _)| *provider != GeminiGenerateContent) {
        let options = options(provider, client);
        let stream = frames(provider).concat();
        let once = run_text(&options, &stream);
        for more in [stream.as_str(), &failed(provider), "data: {\n\n", &unknown(provider)] {
            let ran = run_text(&options, &format!("{stream}{more}"));
            let about = format!("{provider} to {client}: {more}");
            assert!(ran.end.is_complete(), "{about}");
            assert_eq!(ran.facts().usage, once.facts().usage, "{about}");
            assert_eq!(ran.facts().finish, once.facts().finish, "{about}");
            if provider != client {
                assert_eq!(ran.text(), once.text(), "{about}");
                assert!(ran.facts().unknown_events > 0, "{about}");
            }
        }
    }
}

/// Whoever reads on after two ends has one answer: also where the second says something else.
#[test]
fn geminis_candidate_may_end_twice() {
    for client in Protocol::ALL {
        let options = options(GeminiGenerateContent, client);
        let stream = sensible(GeminiGenerateContent);
        let last = frames(GeminiGenerateContent).pop().unwrap().replace("lo", "");
        let ran = run_text(&options, &format!("{stream}{last}"));
        assert!(ran.end.is_complete());
        if client != GeminiGenerateContent {
            assert_eq!(ran.text(), run_text(&options, &stream).text());
        }
    }
}

#[test]
fn a_stream_without_its_end_is_broken() {
    for (provider, client) in pairs() {
        let frames = frames(provider);
        for length in 0..frames.len() {
            let ran = run_text(&options(provider, client), &frames[..length].concat());
            let about = format!("{provider} to {client}, {length} frames:\n{}", ran.text());
            // Bedrock's answer is whole where it says why it stopped; what is missing is its usage.
            let is_whole = provider == BedrockConverse && length + 1 == frames.len();
            assert_eq!(ran.end.is_complete(), is_whole, "{about}");
            let looks_whole = check(client, &ran.bytes) == Ok(Verdict::EndedWell);
            assert!(is_whole || !looks_whole, "{about}");
        }
    }
}

/// Also where it passes untranslated, and the client numbers events.
#[test]
fn what_ends_a_cut_stream_that_passes_is_as_its_grammar_has_it() {
    for protocol in Protocol::ALL {
        let bridged = run_text(&options(OpenAiChat, protocol), &frames(OpenAiChat).concat());
        let whole = bridged.text();
        let options = options(protocol, protocol);
        for (at, _) in whole.match_indices("\n\n") {
            let ran = run_text(&options, &whole[..at + 2]);
            let verdict = check(protocol, &ran.bytes);
            let is_right = ran.end.is_complete() || verdict == Ok(Verdict::EndedWithError);
            assert!(is_right, "{protocol}, {verdict:?}:\n{}", ran.text());
        }
    }
}

#[test]
fn the_first_of_several_ids_counts() {
    for (provider, client) in pairs().filter(|(provider, _)| *provider != BedrockConverse) {
        let ran = run_text(&options(provider, client), &renamed(provider));
        let about = format!("{provider} to {client}:\n{}", ran.text());
        assert!(ran.end.is_complete(), "{about}");
        assert_eq!(ran.facts().id.as_deref(), Some("id-0"), "{about}");
        if provider != client {
            assert!(!ran.text().contains("id-1") && !ran.text().contains("id-2"), "{about}");
        }
    }
}

#[test]
fn untold_usage_is_none_and_running_usage_counts_once() {
    for (provider, client) in pairs() {
        let options = options(provider, client);
        let Some(last) = running_usage(provider, 7) else { continue };
        // With the others the last frames tell usage: 7 as well.
        if provider == OpenAiChat {
            let plain = run_text(&options, &frames(provider).concat());
            assert_eq!(plain.facts().usage, None, "{provider} to {client}");
            let is_needed = client == AnthropicMessages;
            let is_told = plain.facts().losses.iter().any(|loss| loss.pointer == "/usage");
            assert!(is_told || !is_needed, "{:?}", plain.facts().losses);
        }
        for place in places(provider) {
            let mut frames = frames(provider);
            for output in [5, 3] {
                frames.insert(place, running_usage(provider, output).unwrap());
            }
            let end = frames.len() - usize::from(provider != GeminiGenerateContent);
            frames.insert(end, last.clone());
            let ran = run_text(&options, &frames.concat());
            let about = format!("{provider} to {client}, at {place}:\n{}", ran.text());
            assert!(ran.end.is_complete(), "{about}");
            assert_eq!(ran.facts().usage.map(|usage| usage.answer()), Some(7), "{about}");
        }
    }
}
