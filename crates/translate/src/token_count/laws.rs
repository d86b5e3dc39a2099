//! The laws of questions, over generated conversations.

use proptest::prelude::*;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_units::Protocol;

use super::*;
use crate::generators::conversation;
use crate::laws::encode_request;

fn parse(text: &str) -> Raw<'_> {
    Raw::parse(text, &ScanLimits::default()).unwrap()
}

/// A client with the call of its own provider.
fn pairs() -> impl Strategy<Value = (Protocol, Call)> {
    prop::sample::select(vec![
        (Protocol::AnthropicMessages, Call::Anthropic),
        (Protocol::OpenAiResponses, Call::Responses),
        (Protocol::GeminiGenerateContent, Call::Gemini),
        (Protocol::GeminiGenerateContent, Call::GeminiVertex),
    ])
}

/// What steers an answer and has no tokens, in the words of any protocol.
const WISHES: [&str; 14] = [
    "max_tokens",
    "max_output_tokens",
    "maxOutputTokens",
    "maxTokens",
    "temperature",
    "top_p",
    "topP",
    "stop_sequences",
    "stopSequences",
    "stream",
    "service_tier",
    "metadata",
    "user",
    "store",
];

proptest! {
    #[test]
    fn a_question_to_the_same_provider_is_about_the_same(
        conversation in conversation(), (client, call) in pairs(),
    ) {
        let body = String::from_utf8(encode_request(&conversation, client).0).unwrap();
        let asked = request(client, call, &body, &RequestTarget::new("m")).unwrap();
        let asked = String::from_utf8(asked.value).unwrap();
        let before = PromptSize::of(&decode(client, parse(&body)).unwrap());
        let after = PromptSize::of(&decode(client, parse(&asked)).unwrap());
        prop_assert_eq!(before, after, "{}\n{}", body, asked);
    }

    #[test]
    fn a_question_wishes_nothing(
        conversation in conversation(), (client, _) in pairs(),
        call in prop::sample::select(Call::ALL.to_vec()),
    ) {
        let body = String::from_utf8(encode_request(&conversation, client).0).unwrap();
        let asked = request(client, call, &body, &RequestTarget::new("m")).unwrap();
        let asked = String::from_utf8(asked.value).unwrap();
        let root = parse(&asked);
        let inner = [root.get("generateContentRequest"), root.get("input").and_then(|input| input.get("converse"))];
        let about = inner.into_iter().flatten().next().unwrap_or(root);
        let config = about.get("generationConfig").or_else(|| about.get("inferenceConfig"));
        for place in [Some(about), config].into_iter().flatten() {
            for wish in WISHES {
                prop_assert!(place.get(wish).is_none(), "{} in {}", wish, asked);
            }
        }
    }
}
