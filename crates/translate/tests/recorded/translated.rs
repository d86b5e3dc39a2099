//! Every request and answer is translated, and no token is lost on the way.

use weighbridge_translate::{
    AnswerTarget, Dialect, RequestTarget, TranslateError, adapter, answer_facts, decode_error, encode_error,
    request, response,
};
use weighbridge_units::{ErrorClass, Loss, Protocol, Usage};

use crate::parse;
use crate::recordings::{Recording, recordings};

const REQUEST: RequestTarget<'_> = RequestTarget { max_output_default: 99, ..RequestTarget::new("m") };
const ANSWER: AnswerTarget<'_> = AnswerTarget::new("id", 1_700_000_000);

const DIALECTS: [Dialect; 5] =
    [Dialect::Native, Dialect::Compatible, Dialect::Azure, Dialect::Vertex, Dialect::Bedrock];

/// All pairs of two protocols. No client speaks Converse, but what simulated providers say is written in it.
fn pairs() -> impl Iterator<Item = (Protocol, Protocol)> {
    Protocol::ALL
        .into_iter()
        .flat_map(|from| Protocol::ALL.into_iter().filter(move |to| *to != from).map(move |to| (from, to)))
}

fn assert_point_somewhere(losses: &[Loss], document: &str, name: &str) {
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    for loss in losses {
        assert!(value.pointer(&loss.pointer).is_some(), "{name}: {loss}");
    }
}

#[test]
fn every_recorded_request_is_translated() {
    for (from, to) in pairs() {
        for Recording { name, text, .. } in recordings(from, "request.json") {
            for dialect in DIALECTS {
                let target = RequestTarget { dialect, ..REQUEST };
                let translated = request(from, to, &text, &target).unwrap_or_else(|e| panic!("{name}: {e}"));
                let body = String::from_utf8(translated.value).unwrap();
                assert!(adapter(to).decode_request(parse(&body)).is_ok(), "{name}");
                assert_point_somewhere(&translated.losses, &text, &name);
            }
        }
    }
}

#[test]
fn m5_every_recorded_answer_is_translated_with_all_its_tokens() {
    for (from, to) in pairs() {
        for Recording { name, text, status, .. } in recordings(from, "response.json") {
            if status >= 400 {
                continue;
            }
            let translated = match response(from, to, &text, &ANSWER) {
                Ok(translated) => translated,
                Err(TranslateError::InBandError(error)) => {
                    assert!(error.status >= 400, "{name}");
                    continue;
                }
                Err(error) => panic!("{name}: {error}"),
            };
            let (body, facts) = translated.value;
            assert_eq!(answer_facts(from, &text).unwrap(), facts, "{name}");
            let body = String::from_utf8(body).unwrap();
            let there = answer_facts(to, &body).unwrap();
            let totals = |usage: Option<Usage>| usage.map(|usage| (usage.prompt(), usage.answer()));
            assert_eq!(totals(facts.usage), totals(there.usage).filter(|_| facts.usage.is_some()), "{name}");
            assert_point_somewhere(&translated.losses, &text, &name);
        }
    }
}

#[test]
fn every_recorded_error_has_a_message_and_a_fitting_class() {
    for from in Protocol::ALL {
        for Recording { name, text, status, .. } in recordings(from, "response.json") {
            if status < 400 {
                continue;
            }
            let error = decode_error(from, status, text.as_bytes());
            assert_eq!(error.status, status, "{name}");
            assert!(!error.message.is_empty(), "{name}");
            let fits = match error.class {
                // Bedrock's 424 is a failure of the model.
                ErrorClass::Server | ErrorClass::Overloaded => status >= 500 || status == 424,
                ErrorClass::Timeout => status >= 500 || status == 408,
                ErrorClass::RateLimit => status == 429,
                ErrorClass::Authentication => matches!(status, 401 | 403),
                _ => (400..500).contains(&status),
            };
            assert!(fits, "{name}: {:?} under {status}", error.class);
            for client in Protocol::ALL.into_iter().filter(|client| client.is_clients()) {
                let (status, body) = encode_error(client, &error, "req_1");
                assert!(status >= 400, "{name}");
                assert_eq!(decode_error(client, status, &body).message, error.message, "{name}");
            }
        }
    }
}
