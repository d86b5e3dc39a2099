//! Where a prompt is worth a mark.

use memchr::memmem;
use weighbridge_protocol::json::{Bag, Raw};

use super::{Prompt, PromptCaching};
use crate::conversation::{Content, DocumentSource, Part, Tool, ToolKind};
use crate::token_count::PromptSize;
use crate::{Place, Role};

/// The fewest bytes of text in a token, over a whole prompt: code, and other scripts than Latin. English has
/// four.
const BYTES_PER_TOKEN_LEAST: u64 = 3;

/// The most tokens of an image: <https://docs.anthropic.com/en/docs/build-with-claude/vision>.
const IMAGE_MOST: u64 = 4_784;

/// How many turns of the user are marked: the one that the request before this one ended with, and the last.
const TURNS: usize = 2;

/// The tools and parts behind which marks are placed, in the order in which a model reads them; none where
/// the client has placed a mark. `mark` names the field, or the part, that is one; `takes` tells which parts
/// may have one, beyond what none may.
pub(crate) fn stops<'a>(
    prompt: &Prompt<'a>,
    caching: &PromptCaching,
    mark: &str,
    takes: fn(&Content<'_>) -> bool,
) -> Vec<Raw<'a>> {
    if is_marked(prompt, mark) {
        return Vec::new();
    }
    let mut walk = Walk { size: PromptSize::default(), takes };
    let tools = walk.tools(&prompt.tools).filter(|_| caching.marks_tools);
    let first = prompt.messages.iter().take_while(|message| is_system(&message.role)).count();
    let (leading, turns) = prompt.messages.split_at(first);
    let instructions = leading.iter().filter_map(|message| walk.parts(&message.parts)).next_back();
    let mut ends = Vec::new();
    // Neighbours of the user's are one turn.
    let mut turn = None;
    for message in turns {
        let end = walk.parts(&message.parts);
        if message.role == Role::User {
            turn = end.or(turn);
        } else {
            ends.extend(turn.take());
        }
    }
    ends.extend(turn);
    let goes_on = !prompt.tools.is_empty() || turns.iter().any(|message| message.role == Role::Assistant);
    let earlier = ends.len().saturating_sub(if goes_on { TURNS } else { 0 });
    let ends = ends.into_iter().skip(earlier);
    let found = tools.into_iter().chain(instructions).chain(ends);
    found.filter(|end| end.tokens_most >= caching.minimum_tokens).filter_map(|end| end.place.raw()).collect()
}

fn is_system(role: &Role<'_>) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// A place that a mark may stand behind.
#[derive(Debug, Clone, Copy)]
struct End<'a> {
    place: Place<'a>,
    /// As many tokens as the prompt up to there may well have.
    tokens_most: u64,
}

/// Goes through a prompt as a model reads it.
struct Walk {
    /// Everything so far.
    size: PromptSize,
    takes: fn(&Content<'_>) -> bool,
}

impl Walk {
    fn tools<'a>(&mut self, tools: &[Tool<'a>]) -> Option<End<'a>> {
        let mut end = None;
        for tool in tools {
            self.size.tool(tool);
            if takes_mark(tool) {
                end = Some(self.end(tool.place));
            }
        }
        end
    }

    fn parts<'a>(&mut self, parts: &[Part<'a>]) -> Option<End<'a>> {
        let mut end = None;
        for part in parts {
            self.size.part(part);
            if (self.takes)(&part.content) && !is_blank(&part.content) {
                end = Some(self.end(part.place));
            }
        }
        end
    }

    fn end<'a>(&self, place: Place<'a>) -> End<'a> {
        let PromptSize { text_bytes, images, unseen, .. } = self.size;
        let tokens_most = match unseen {
            0 => (text_bytes / BYTES_PER_TOKEN_LEAST).saturating_add(images.saturating_mul(IMAGE_MOST)),
            // A page of a document alone has more than most models ask for.
            _ => u64::MAX,
        };
        End { place, tokens_most }
    }
}

/// A tool of the client's that the model is shown from the beginning.
fn takes_mark(tool: &Tool<'_>) -> bool {
    let is_deferred = tool.bag.iter().any(|(name, value)| name == "defer_loading" && value.text() == "true");
    !is_deferred && !matches!(tool.kind, ToolKind::Unknown { .. })
}

/// A text without a word may pass as a string, and be refused as a block.
fn is_blank(content: &Content<'_>) -> bool {
    matches!(content, Content::Text(text) if text.text.trim().is_empty())
}

/// Whether the client has placed any mark, one that is not understood included.
fn is_marked(prompt: &Prompt<'_>, mark: &str) -> bool {
    let is_tool_marked = |tool: &Tool<'_>| match &tool.kind {
        ToolKind::Unknown { raw, .. } => mentions(*raw, mark),
        _ => tool.cache.is_some() || has(&tool.bag, mark),
    };
    prompt.tools.iter().any(is_tool_marked)
        || prompt.messages.iter().any(|message| message.parts.iter().any(|part| is_part_marked(part, mark)))
}

fn is_part_marked(part: &Part<'_>, mark: &str) -> bool {
    let within = |parts: &[Part<'_>]| parts.iter().any(|part| is_part_marked(part, mark));
    part.cache.is_some()
        || has(&part.bag, mark)
        || match &part.content {
            Content::ToolResult(result) => within(&result.parts),
            Content::Document(document) => match &document.source {
                DocumentSource::Parts(parts) => within(parts),
                _ => false,
            },
            Content::Unknown { raw, .. } => mentions(*raw, mark),
            _ => false,
        }
}

fn has(bag: &Bag<'_>, mark: &str) -> bool {
    bag.iter().any(|(name, _)| name == mark)
}

fn mentions(raw: Raw<'_>, mark: &str) -> bool {
    memmem::find(raw.text().as_bytes(), mark.as_bytes()).is_some()
}
