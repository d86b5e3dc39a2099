//! Marks for the prompt cache, placed where the client has placed none.

use weighbridge_protocol::json::{Kind, Raw, ReadError};

use super::cache_mark::FIELD;
use super::request_decode;
use crate::conversation::{CacheTtl, Content};
use crate::prompt_cache::{FieldOf, Inserter, Insertion, Prompt, PromptCaching, stops};

pub(super) fn place(field: FieldOf<'_, '_>, caching: &PromptCaching) -> Result<Vec<Insertion>, ReadError> {
    // At the root it lets the provider place one.
    if field(FIELD).is_some() {
        return Ok(Vec::new());
    }
    let mut inserter = Inserter::new(field);
    let prompt = read(&mut inserter)?;
    // A field that says `null` is no mark, and must not be there twice.
    for stop in stops(&prompt, caching, FIELD, takes).into_iter().filter(|stop| stop.get(FIELD).is_none()) {
        mark(stop, caching.ttl, &mut inserter);
    }
    Ok(inserter.placed())
}

fn read<'a>(request: &mut Inserter<'_, 'a>) -> Result<Prompt<'a>, ReadError> {
    let mut prompt = Prompt::default();
    if let Some(tools) = request.read("tools") {
        prompt.tools = tools.items()?.map(request_decode::tool).collect::<Result<_, _>>()?;
    }
    if let Some(system) = request.read("system") {
        prompt.messages.extend(request_decode::instructions(system)?);
    }
    if let Some(messages) = request.read("messages") {
        for raw in messages.items()? {
            prompt.messages.push(request_decode::message(raw)?);
        }
    }
    Ok(prompt)
}

fn takes(content: &Content<'_>) -> bool {
    matches!(content, Content::Text(_) | Content::Image(_) | Content::Document(_) | Content::ToolResult(_))
}

/// Marks a tool or a block by a field more. A string becomes the block that it is shorthand for.
fn mark<'a>(value: Raw<'a>, ttl: CacheTtl, request: &mut Inserter<'_, 'a>) {
    let end = value.text().len();
    match (value.kind(), ttl.is_long()) {
        (Kind::String, is_long) => {
            request.insert(value, 0, r#"[{"type":"text","text":"#);
            let mark = match is_long {
                true => r#","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
                false => r#","cache_control":{"type":"ephemeral"}}]"#,
            };
            request.insert(value, end, mark);
        }
        (_, true) => request.insert(value, end - 1, r#","cache_control":{"type":"ephemeral","ttl":"1h"}"#),
        // Five minutes is how long it lives anyway, and models that know no other refuse the word.
        (_, false) => request.insert(value, end - 1, r#","cache_control":{"type":"ephemeral"}"#),
    }
}
