//! Items of a conversation: messages, calls and their results, reasoning.

use serde_json::Value;

use crate::scatter::Scatter;

/// The type of an item; a message may leave it out.
pub(super) fn kind(item: &Value) -> &str {
    item["type"].as_str().unwrap_or("message")
}

/// The parts of a content.
pub(super) fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

/// The text of a content field, parts joined.
pub(super) fn text_of(content: &Value) -> String {
    match content.as_str() {
        Some(text) => text.to_owned(),
        None => parts(content).filter_map(|part| part["text"].as_str()).collect(),
    }
}

/// Whether the item is a call that its caller has to answer.
pub(super) fn is_call(item: &Value) -> bool {
    matches!(kind(item), "function_call" | "custom_tool_call")
}

/// Whether the item answers such a call.
pub(super) fn is_call_output(item: &Value) -> bool {
    matches!(kind(item), "function_call_output" | "custom_tool_call_output")
}

/// Characters at the end of each item's id that all items of one response share.
const TAIL: usize = 32;
/// Of these, the ones that tell a response of this simulator from anything else.
const MARK: usize = 4;

/// A new shared end for the ids of one response's items.
pub(super) fn new_tail(ids: &mut Scatter, reasoned: bool) -> String {
    let random = ids.id("", TAIL - MARK);
    let mark = mark(&random, reasoned);
    random + &mark
}

fn mark(random: &str, reasoned: bool) -> String {
    Scatter::of_bytes(format!("{random} {reasoned}").as_bytes()).id("", MARK)
}

/// The response that an item is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    pub(super) tail: &'a str,
    /// Whether the response has reasoned before it answered.
    pub(super) reasoned: bool,
}

/// The response of this simulator that the item is from, by its id.
pub(super) fn origin(item: &Value) -> Option<Origin<'_>> {
    let id = item["id"].as_str()?;
    let tail = id.get(id.len().checked_sub(TAIL)?..)?;
    let (random, found) = tail.split_at_checked(TAIL - MARK)?;
    let reasoned = [true, false].into_iter().find(|reasoned| mark(random, *reasoned) == found)?;
    Some(Origin { tail, reasoned })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_know_their_response() {
        let mut ids = Scatter::new(0, 0);
        for reasoned in [false, true] {
            let tail = new_tail(&mut ids, reasoned);
            let item = json!({"id": format!("fc_{tail}")});
            assert_eq!(origin(&item), Some(Origin { tail: &tail, reasoned }));
        }
        for foreign in ["fc_1", "fc_0123456789abcdef0123456789abcdef0123456789", "fc_ööööööööööööööööööö"]
        {
            assert_eq!(origin(&json!({"id": foreign})), None);
        }
    }
}
