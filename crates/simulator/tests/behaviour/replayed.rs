//! Conversations of OpenAI Responses that the gateway kept and sends once more: each provider accepts them,
//! and answers as where the conversation is held.

use bytes::Bytes;
use futures::executor::block_on;
use serde_json::{Value, json};
use weighbridge_protocol::Body;
use weighbridge_protocol::json::ScanLimits;
use weighbridge_simulator::Simulator;
use weighbridge_translate::RequestTarget;
use weighbridge_translate::openai_responses::kept::{
    CitedItems, Reads, ReplayTo, Turn, input_as_items, replayed,
};
use weighbridge_units::Protocol;

use crate::support::{Call, Endpoint, answer};

/// A conversation of two requests, and what was answered at the provider that holds it.
struct Conversation {
    provider: Simulator,
    first: Value,
    first_answer: Value,
    second: Value,
    second_answer: Value,
}

fn openai() -> Simulator {
    Simulator::new(Endpoint::Responses.vendor())
}

fn ask(simulator: &Simulator, body: &Value) -> Value {
    let (status, answered) = block_on(answer(simulator, &Call::of(Endpoint::Responses, body.clone())));
    assert_eq!(status, 200, "{body}\n{answered}");
    answered
}

impl Conversation {
    /// `more` goes into the first request; the second one's input is made of the first answer.
    fn hold(model: &str, text: &str, more: &Value, reply: impl FnOnce(&Value) -> Value) -> Self {
        let provider = openai();
        let mut first = json!({"model": model, "input": text, "instructions": "Be brief."});
        for (name, value) in more.as_object().expect("an object") {
            first[name] = value.clone();
        }
        let first_answer = ask(&provider, &first);
        let mut second = first.clone();
        second["instructions"] = json!("Be kind.");
        second["input"] = reply(&first_answer);
        second["previous_response_id"] = first_answer["id"].clone();
        let second_answer = ask(&provider, &second);
        assert!(!texts(&second_answer).is_empty(), "{second_answer}");
        Self { provider, first, first_answer, second, second_answer }
    }

    fn with_a_tool(more: &Value) -> Self {
        let mut more = more.clone();
        more["tools"] = json!([{"type": "function", "name": "weigh", "parameters": null, "strict": null}]);
        Self::hold("gpt-5-mini", "call a tool", &more, |answered| {
            let output = answered["output"].as_array().expect("output");
            assert_eq!(output[0]["type"], "reasoning");
            let call = output.iter().find(|item| item["type"] == "function_call").expect("a call");
            json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "42 kg"}])
        })
    }

    /// The second request with the first one's turn in it.
    fn replay(&self, reads: Reads, to: ReplayTo) -> Value {
        let scan = |value: &Value| {
            Body::scan(Bytes::from(value.to_string()), &ScanLimits::default()).expect("an object")
        };
        let input = input_as_items(&scan(&self.first)).expect("items");
        let first_answer = self.first_answer.to_string();
        let turn = Turn { input: &input, answer: &first_answer, reads };
        let edits =
            replayed(&scan(&self.second), &[turn], &CitedItems::default(), to, 1 << 20).expect("a request");
        serde_json::from_slice(&edits.rope().concat()).expect("JSON")
    }
}

fn texts(answered: &Value) -> Vec<&str> {
    let output = answered["output"].as_array().expect("output");
    output.iter().filter_map(|item| item["content"][0]["text"].as_str()).collect()
}

#[test]
fn a_stranger_answers_as_the_provider_that_holds_the_conversation() {
    let sealed = json!({"include": ["reasoning.encrypted_content"]});
    for held in [
        Conversation::hold("gpt-4o-mini", "echo:one", &json!({}), |_| json!("echo:two")),
        Conversation::with_a_tool(&json!({})),
        Conversation::with_a_tool(&sealed),
    ] {
        let replay = held.replay(Reads::Nothing, ReplayTo::Responses);
        assert_eq!(texts(&ask(&openai(), &replay)), texts(&held.second_answer));
        // The one that holds it takes what a stranger would.
        assert_eq!(texts(&ask(&held.provider, &replay)), texts(&held.second_answer));
    }
}

#[test]
fn the_maker_takes_its_own_answer_back_whether_or_not_it_was_sealed() {
    let sealed = json!({"include": ["reasoning.encrypted_content"], "store": true});
    for held in [
        Conversation::hold("gpt-4o-mini", "echo:one", &json!({}), |_| json!("echo:two")),
        Conversation::with_a_tool(&json!({})),
        Conversation::with_a_tool(&sealed),
    ] {
        let replay = held.replay(Reads::Encrypted, ReplayTo::Responses);
        assert_eq!(texts(&ask(&held.provider, &replay)), texts(&held.second_answer));
        // Also once it has forgotten what it kept.
        assert_eq!(texts(&ask(&openai(), &replay)), texts(&held.second_answer));
    }
}

#[test]
fn another_protocol_goes_on_as_well() {
    let held = Conversation::with_a_tool(&json!({}));
    let replay = held.replay(Reads::Nothing, ReplayTo::Translation).to_string();
    let target = RequestTarget::new("claude-haiku-4-5");
    let sent = weighbridge_translate::request(
        Protocol::OpenAiResponses,
        Protocol::AnthropicMessages,
        &replay,
        &target,
    )
    .expect("a request");
    let body: Value = serde_json::from_slice(&sent.value).expect("JSON");
    assert_eq!(body["system"], "Be kind.");
    let simulator = Simulator::new(Endpoint::Messages.vendor());
    let (status, answered) = block_on(answer(&simulator, &Call::of(Endpoint::Messages, body)));
    assert_eq!(status, 200, "{answered}");
    assert_eq!(answered["content"][0]["text"].as_str(), texts(&held.second_answer).first().copied());
}
