//! What holds of every request, whatever it says.

use proptest::prelude::*;
use weighbridge_protocol::json::{Kind, Raw};
use weighbridge_units::Protocol;

use super::{PromptCaching, marked, place};
use crate::conversation::{CacheTtl, DocumentSource};
use crate::generators::conversation;
use crate::laws::{encode_request, parse};
use crate::{Content, Conversation, Part, adapter};

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Protocol::AnthropicMessages, Protocol::BedrockConverse])
}

fn caching() -> impl Strategy<Value = PromptCaching> {
    let ttl = prop::sample::select(vec![CacheTtl::FiveMinutes, CacheTtl::OneHour]);
    let minimum = prop_oneof![3 => Just(0), 1 => 0_u64..60];
    (ttl, minimum, prop::bool::weighted(0.8)).prop_map(|(ttl, minimum_tokens, marks_tools)| PromptCaching {
        ttl,
        minimum_tokens,
        marks_tools,
    })
}

fn read(protocol: Protocol, body: &[u8]) -> Conversation<'_> {
    adapter(protocol).decode_request(parse(body)).unwrap()
}

/// The same without any mark; how many there were.
fn unmarked<'a>(mut conversation: Conversation<'a>) -> (Conversation<'a>, usize) {
    fn parts(list: &mut [Part<'_>]) -> usize {
        let mut count = 0;
        for part in list {
            count += usize::from(part.cache.take().is_some());
            match &mut part.content {
                Content::ToolResult(result) => count += parts(&mut result.parts),
                Content::Document(document) => {
                    if let DocumentSource::Parts(list) = &mut document.source {
                        count += parts(list);
                    }
                }
                _ => {}
            }
        }
        count
    }
    let mut count = conversation.tools.iter_mut().filter_map(|tool| tool.cache.take()).count();
    count += conversation.messages.iter_mut().map(|message| parts(&mut message.parts)).sum::<usize>();
    (conversation, count)
}

/// What a model reads, in order: tools, instructions, blocks of messages.
fn blocks(protocol: Protocol, body: Raw<'_>) -> Vec<Raw<'_>> {
    fn list(value: Option<Raw<'_>>) -> Vec<Raw<'_>> {
        value.map_or_else(Vec::new, |raw| raw.items().map_or_else(|_| vec![raw], Iterator::collect))
    }
    let tools = match protocol {
        Protocol::BedrockConverse => body.get("toolConfig").and_then(|config| config.get("tools")),
        _ => body.get("tools"),
    };
    let said = list(body.get("messages")).into_iter().flat_map(|message| list(message.get("content")));
    list(tools).into_iter().chain(list(body.get("system"))).chain(said).collect()
}

/// The mark that a block is or has.
fn mark_of(block: Raw<'_>) -> Option<Raw<'_>> {
    block.get("cache_control").or(block.get("cachePoint"))
}

proptest! {
    #[test]
    fn a_marked_request_is_the_same_request(c in conversation(), to in protocol(), caching in caching()) {
        let (body, _) = encode_request(&c, to);
        let sent = marked(to, body.clone(), &caching);
        let (before, own) = unmarked(read(to, &body));
        let (after, marks) = unmarked(read(to, &sent));
        prop_assert_eq!(&before, &after);
        prop_assert!(marks <= 4.max(own));
        if own > 0 {
            prop_assert_eq!(&sent, &body, "the client marks for itself");
        }
        // Each byte of it is there, in its order, and nothing but what was put in.
        let root = parse(&body);
        let placed = place(to, &|name| root.get(name), &caching);
        prop_assert_eq!(sent.len(), body.len() + placed.iter().map(|one| one.text.len()).sum::<usize>());
        let mut bytes = sent.iter();
        prop_assert!(body.iter().all(|byte| bytes.any(|other| other == byte)));
        // What we have marked is marked.
        prop_assert_eq!(marked(to, sent.clone(), &caching), sent);
    }

    #[test]
    fn marks_stand_where_they_are_taken(c in conversation(), to in protocol(), caching in caching()) {
        let (c, _) = unmarked(c);
        let (body, _) = encode_request(&c, to);
        let sent = marked(to, body, &caching);
        let is_media = |block: Raw<'_>| {
            ["image", "document", "audio", "video"].iter().any(|kind| block.text().contains(kind))
        };
        let (mut length, mut media, mut before) = (0, false, None);
        for block in blocks(to, parse(&sent)) {
            let marked = if to == Protocol::BedrockConverse { before.unwrap_or(block) } else { block };
            length += block.text().len();
            media |= is_media(block);
            if let Some(mark) = mark_of(block) {
                prop_assert_eq!(mark.get("ttl").map(Raw::text), caching.ttl.is_long().then_some("\"1h\""));
                prop_assert!(media || length as u64 >= 3 * caching.minimum_tokens, "{:?}", block);
                prop_assert_ne!(marked.get("text").map(Raw::text), Some("\"\""));
                let is_reasoning = ["thinking", "data", "reasoningContent"];
                prop_assert!(is_reasoning.iter().all(|name| marked.get(name).is_none()), "{:?}", marked);
                let schema = marked.get("input_schema").or(marked.get("toolSpec"));
                let is_tool = schema.is_some_and(|schema| schema.kind() == Kind::Object);
                prop_assert!(caching.marks_tools || !is_tool, "{:?}", marked);
            }
            before = Some(block);
        }
    }

    #[test]
    fn other_protocols_have_no_marks(c in conversation(), caching in caching()) {
        let own = [Protocol::AnthropicMessages, Protocol::BedrockConverse];
        for to in Protocol::ALL.into_iter().filter(|to| !own.contains(to)) {
            let (body, _) = encode_request(&c, to);
            prop_assert_eq!(marked(to, body.clone(), &caching), body);
        }
    }
}
