//! The laws of translation, over generated conversations and answers.
//!
//! `decode(encode(c)) == c`, but for the losses that `encode` reported. Equal means: after bringing
//! both to one form where a protocol has several ways to say the same ([`same_conversation`],
//! [`same_answer`]).

mod found;

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;
use weighbridge_protocol::json::{Bag, Kind, Raw, ScanLimits};
use weighbridge_units::{Bucket, LossKind, Protocol, Usage};

use crate::conversation::{CallKind, Document, DocumentSource, Format, Span, ToolResult};
use crate::generators::{answer, conversation, protocol};
use crate::{
    Answer, AnswerTarget, Content, Conversation, Losses, Message, Part, Place, RequestTarget, Role, adapter,
    anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses, response,
};

const REQUEST: RequestTarget<'_> =
    RequestTarget { max_output_default: 99, include_usage: false, ..RequestTarget::new("m") };
pub(crate) const ANSWER: AnswerTarget<'_> = AnswerTarget::new("fallback", 1_700_000_000).model("asked-for");

pub(crate) fn parse(bytes: &[u8]) -> Raw<'_> {
    Raw::parse(std::str::from_utf8(bytes).unwrap(), &ScanLimits::default()).unwrap()
}

pub(crate) fn encode_request(conversation: &Conversation<'static>, to: Protocol) -> (Vec<u8>, Vec<LossKind>) {
    let mut losses = Losses::new(conversation.source, to);
    let bytes = adapter(to).encode_request(conversation, &REQUEST, &mut losses);
    (bytes, losses.into_list("null").into_iter().map(|loss| loss.kind).collect())
}

pub(crate) fn encode_answer(answer: &Answer<'static>, to: Protocol) -> (Vec<u8>, Vec<LossKind>) {
    let mut losses = Losses::new(answer.source, to);
    let bytes = adapter(to).encode_answer(answer, &ANSWER, &mut losses);
    (bytes, losses.into_list("null").into_iter().map(|loss| loss.kind).collect())
}

/// One form for what `to` says in several ways, or does not have to say.
pub(crate) fn same_conversation<'a>(conversation: &Conversation<'a>, to: Protocol) -> Conversation<'a> {
    let mut same = conversation.clone();
    same.source = to;
    // The target names its own, in some protocols in the path alone.
    same.model = Cow::Borrowed("");
    if conversation.source != to {
        same.bag = Bag::EMPTY;
    }
    if same.tools.is_empty() {
        (same.tool_choice, same.parallel_tool_calls) = (None, None);
    }
    // Not to keep the answer is no wish.
    same.store = same.store.filter(|store| store.value);
    for message in &mut same.messages {
        message.parts.iter_mut().for_each(same_part);
    }
    // What the user says after results of tools belongs to their message.
    let mut messages: Vec<Message<'a>> = Vec::new();
    for message in std::mem::take(&mut same.messages) {
        let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
        let only_results = |m: &Message<'_>| m.role == Role::User && m.parts.iter().all(is_result);
        match messages.last_mut().filter(|last| only_results(last) && message.role == Role::User) {
            Some(last) => last.parts.extend(message.parts),
            None => messages.push(message),
        }
    }
    same.messages = messages;
    same_for(to).0(&mut same);
    same
}

/// What one protocol says in several ways, or need not say, brought to one form: in `same.rs` of its
/// folder.
type SameFor = (fn(&mut Conversation<'_>), fn(&mut Answer<'_>));

fn same_for(to: Protocol) -> SameFor {
    match to {
        Protocol::OpenAiChat => (openai_chat::same::conversation, openai_chat::same::answer),
        Protocol::AnthropicMessages => {
            (anthropic_messages::same::conversation, anthropic_messages::same::answer)
        }
        Protocol::OpenAiResponses => (openai_responses::same::conversation, openai_responses::same::answer),
        Protocol::GeminiGenerateContent => (gemini::same::conversation, gemini::same::answer),
        Protocol::BedrockConverse => (bedrock_converse::same::conversation, bedrock_converse::same::answer),
    }
}

fn same_part(part: &mut Part<'_>) {
    match &mut part.content {
        Content::ToolCall(call) if call.arguments.is_empty() && call.kind == CallKind::Function => {
            call.arguments = Cow::Borrowed("{}");
        }
        Content::ToolResult(result) => result.parts.iter_mut().for_each(same_part),
        // Where JSON is no kind of its own, its text is.
        Content::Json(json) => part.content = Content::Text(json.text().to_owned().into()),
        _ => {}
    }
}

/// Without the wishes for what is the case anyway, which a protocol that does not know them need not
/// report.
pub(crate) fn without_silent(same: &mut Conversation<'_>) {
    same.candidates = same.candidates.filter(|count| count.value != 1);
    same.format = same.format.take().filter(|format| format.value != Format::Text);
    same.verbosity = same.verbosity.take().filter(|word| word.value != "medium");
    same.store = same.store.filter(|store| store.value);
    without_zero_penalties(same);
}

/// No penalty is what is the case anyway.
pub(crate) fn without_zero_penalties(same: &mut Conversation<'_>) {
    let is_zero = |raw: &Raw<'_>| raw.text().parse::<f64>().is_ok_and(|number| number == 0.0);
    let sampling = &mut same.sampling;
    sampling.frequency_penalty = sampling.frequency_penalty.filter(|number| !is_zero(number));
    sampling.presence_penalty = sampling.presence_penalty.filter(|number| !is_zero(number));
}

/// As [`same_conversation`].
pub(crate) fn same_answer<'a>(answer: &Answer<'a>, to: Protocol) -> Answer<'a> {
    let mut same = answer.clone();
    same.source = to;
    if answer.source != to {
        same.bag = Bag::EMPTY;
    }
    same.id.get_or_insert(Cow::Borrowed(ANSWER.id_fallback));
    same.model.get_or_insert(Cow::Borrowed(ANSWER.model_fallback));
    same.usage = answer.usage.map(told);
    for candidate in &mut same.candidates {
        // `"logprobs": null` is required, and says nothing.
        if candidate.bag.iter().all(|(_, value)| value.is_null()) {
            candidate.bag = Bag::EMPTY;
        }
        candidate.parts.iter_mut().for_each(same_part);
    }
    same_for(to).1(&mut same);
    same
}

/// A part of zero need not be told: the rest is the whole.
fn told(usage: Usage) -> Usage {
    let counts =
        |(bucket, count): &(Bucket, u64)| *count > 0 || matches!(bucket, Bucket::Input | Bucket::Output);
    usage.iter().filter(counts).fold(Usage::new(), |told, (bucket, count)| told.with(bucket, count))
}

/// Neighbouring texts are pieces of one text.
pub(crate) fn joined(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let mut joined: Vec<Part<'_>> = Vec::new();
    for part in parts {
        if let (Some(Part { content: Content::Text(before), .. }), Content::Text(text)) =
            (joined.last_mut(), &part.content)
        {
            let offset = before.text.chars().count() as u64;
            before.text.to_mut().push_str(&text.text);
            before.citations.extend(text.citations.iter().cloned().map(|mut citation| {
                citation.span =
                    citation.span.map(|span| Span { start: span.start + offset, end: span.end + offset });
                citation
            }));
        } else {
            joined.push(part);
        }
    }
    joined
}

/// All visible text, for what must survive even a lossy translation.
fn visible(parts: &[Part<'_>]) -> String {
    let text = |part: &Part<'_>| match &part.content {
        Content::Text(text) => text.text.to_string(),
        Content::Refusal(text) => text.to_string(),
        Content::Json(json) => json.text().to_owned(),
        Content::Document(Document { source: DocumentSource::Text(text), .. }) => text.to_string(),
        Content::Document(Document { source: DocumentSource::Parts(parts), .. }) => visible(parts),
        Content::ToolResult(result) => visible(&result.parts),
        _ => String::new(),
    };
    parts.iter().map(text).collect()
}

/// Whether the characters of a text stand in another in the same order.
fn is_within(text: &str, other: &str) -> bool {
    let mut chars = other.chars();
    text.chars().all(|char| chars.any(|found| found == char))
}

fn names_of_calls(parts: &[Part<'_>]) -> Vec<(String, String)> {
    let call = |part: &Part<'_>| match &part.content {
        Content::ToolCall(call) => Some((call.id.to_string(), call.name.to_string())),
        _ => None,
    };
    parts.iter().filter_map(call).collect()
}

pub(crate) fn assert_request_is_read_as_meant(c: &Conversation<'static>, to: Protocol) {
    let (bytes, losses) = encode_request(c, to);
    let read = adapter(to).decode_request(parse(&bytes)).unwrap();
    if losses.is_empty() {
        assert_eq!(same_conversation(&read, to), same_conversation(c, to));
    }
}

pub(crate) fn assert_answer_is_read_as_meant(a: &Answer<'static>, to: Protocol) {
    let (bytes, losses) = encode_answer(a, to);
    let read = adapter(to).decode_answer(parse(&bytes)).unwrap();
    if losses.is_empty() {
        assert_eq!(same_answer(&read, to), same_answer(a, to));
    }
}

fn assert_request_comes_back(c: &Conversation<'static>) {
    let own = c.source;
    for other in Protocol::ALL.into_iter().filter(|other| *other != own) {
        let (there, lost) = encode_request(c, other);
        if !lost.is_empty() {
            continue;
        }
        let text: &'static str = Box::leak(String::from_utf8(there).unwrap().into_boxed_str());
        let read = adapter(other).decode_request(parse(text.as_bytes())).unwrap();
        let (back, lost) = encode_request(&read, own);
        if !lost.is_empty() {
            continue;
        }
        let read = adapter(own).decode_request(parse(&back)).unwrap();
        let expected = same_conversation(&same_conversation(c, other), own);
        assert_eq!(same_conversation(&read, own), expected);
    }
}

// `PROPTEST_CASES` says how often each law is tried. What breaks one becomes a test in `found`.
proptest! {
    #[test]
    fn a_request_without_losses_is_read_as_it_was_meant(c in conversation(), to in protocol()) {
        assert_request_is_read_as_meant(&c, to);
    }

    #[test]
    fn a_request_never_loses_text_or_calls(c in conversation(), to in protocol()) {
        let (bytes, _) = encode_request(&c, to);
        let read = adapter(to).decode_request(parse(&bytes)).unwrap();
        let all = |c: &Conversation<'_>| {
            let texts: String = c.messages.iter().map(|message| visible(&message.parts)).collect();
            let calls: Vec<_> = c.messages.iter().flat_map(|message| names_of_calls(&message.parts)).collect();
            // Moved text is reported, and still there; what stands in for something is more of it.
            let mut letters: BTreeMap<char, usize> = BTreeMap::new();
            for letter in texts.chars().filter(|letter| !letter.is_whitespace()) {
                *letters.entry(letter).or_default() += 1;
            }
            (letters, calls)
        };
        let ((there, calls), (meant, meant_calls)) = (all(&read), all(&c));
        prop_assert_eq!(calls, meant_calls);
        for (letter, count) in meant {
            prop_assert!(there.get(&letter).is_some_and(|found| *found >= count), "{:?} in {:?}", letter, there);
        }
    }

    #[test]
    fn a_request_comes_back_from_every_other_protocol(c in conversation()) {
        assert_request_comes_back(&c);
    }

    #[test]
    fn an_answer_without_losses_is_read_as_it_was_meant(a in answer(), to in protocol()) {
        assert_answer_is_read_as_meant(&a, to);
    }

    #[test]
    fn an_answer_never_loses_text_calls_or_tokens(a in answer(), to in protocol()) {
        let (bytes, _) = encode_answer(&a, to);
        let read = adapter(to).decode_answer(parse(&bytes)).unwrap();
        let (there, meant) = (visible(&read.candidates[0].parts), visible(&a.candidates[0].parts));
        // What stands in for something else may stand between.
        prop_assert!(is_within(&meant, &there), "{:?} in {:?}", meant, there);
        prop_assert_eq!(names_of_calls(&read.candidates[0].parts), names_of_calls(&a.candidates[0].parts));
        let totals = |a: &Answer<'_>| a.usage.map(|usage| (usage.prompt(), usage.answer())).unwrap_or_default();
        prop_assert_eq!(totals(&read), totals(&a));
    }

    #[test]
    fn the_facts_of_an_answer_are_those_of_its_passing(a in answer()) {
        let (bytes, _) = encode_answer(&a, a.source);
        let text = std::str::from_utf8(&bytes).unwrap();
        let passing = crate::answer_facts(a.source, text).unwrap();
        for client in Protocol::ALL {
            let translated = response(a.source, client, text, &ANSWER).unwrap();
            prop_assert_eq!(&translated.value.1, &passing);
        }
    }

    #[test]
    fn arguments_are_always_an_object_for_anthropic(a in answer()) {
        let (bytes, _) = encode_answer(&a, Protocol::AnthropicMessages);
        let root = parse(&bytes);
        for block in root.get("content").unwrap().items().unwrap() {
            if let Some(input) = block.get("input") {
                prop_assert_eq!(input.kind(), Kind::Object);
            }
        }
    }
}

#[test]
fn results_of_tools_come_first_and_what_they_pass_is_reported() {
    let result =
        ToolResult { call_id: "a".into(), name: None, parts: vec![Part::text("1")], is_error: false };
    let parts = vec![Part::text("said"), Part::new(Place::NOWHERE, Content::ToolResult(result))];
    let message = Message::new(Place::NOWHERE, Role::User, parts);
    for (source, to) in [
        (Protocol::OpenAiChat, Protocol::AnthropicMessages),
        (Protocol::AnthropicMessages, Protocol::OpenAiChat),
    ] {
        let empty = r#"{"model":"m","max_tokens":9,"messages":[]}"#;
        let mut conversation = adapter(source).decode_request(parse(empty.as_bytes())).unwrap();
        conversation.messages.push(message.clone());
        let mut losses = Losses::new(source, to);
        let bytes = adapter(to).encode_request(&conversation, &REQUEST, &mut losses);
        let kinds: Vec<LossKind> = losses.into_list(empty).into_iter().map(|loss| loss.kind).collect();
        assert_eq!(kinds, [LossKind::Moved]);
        let read = adapter(to).decode_request(parse(&bytes)).unwrap();
        let first = read.messages.first().and_then(|message| message.parts.first());
        assert!(matches!(first.map(|part| &part.content), Some(Content::ToolResult(_))));
    }
}
