//! Cache points, placed where the client has placed none.

use weighbridge_protocol::json::ReadError;

use super::{request_decode, tools_decode};
use crate::conversation::Content;
use crate::prompt_cache::{FieldOf, Inserter, Insertion, Prompt, PromptCaching, stops};

/// The block that is a mark.
const POINT: &str = "cachePoint";

pub(super) fn place(field: FieldOf<'_, '_>, caching: &PromptCaching) -> Result<Vec<Insertion>, ReadError> {
    let mut inserter = Inserter::new(field);
    let prompt = read(&mut inserter)?;
    // Five minutes is how long it lives anyway, and models that know no other refuse the word.
    let point = match caching.ttl.is_long() {
        true => r#",{"cachePoint":{"type":"default","ttl":"1h"}}"#,
        false => r#",{"cachePoint":{"type":"default"}}"#,
    };
    for stop in stops(&prompt, caching, POINT, takes) {
        inserter.insert(stop, stop.text().len(), point);
    }
    Ok(inserter.placed())
}

fn read<'a>(request: &mut Inserter<'_, 'a>) -> Result<Prompt<'a>, ReadError> {
    let mut prompt = Prompt::default();
    if let Some(tools) = request.read("toolConfig").and_then(|config| config.get("tools")) {
        prompt.tools = tools_decode::tools(tools.items()?)?;
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

/// Directly behind a document a point may be refused.
fn takes(content: &Content<'_>) -> bool {
    matches!(content, Content::Text(_) | Content::Image(_) | Content::ToolResult(_))
}
