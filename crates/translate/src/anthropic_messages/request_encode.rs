//! The canonical conversation, written as a request. <https://docs.anthropic.com/en/api/messages>

use weighbridge_protocol::Dialect;
use weighbridge_protocol::anthropic_messages::house;
use weighbridge_protocol::anthropic_messages::models::Claude;
use weighbridge_protocol::json::{Array, Object, Writer};
use weighbridge_units::LossKind;

use super::blocks_encode::{Blocks, Where};
use super::cache_mark::Marks;
use super::plan::Plan;
use super::{tools_encode, wishes_encode};
use crate::conversation::Text;
use crate::{Content, Conversation, Losses, Message, Part, Place, RequestTarget, Role};

pub(super) fn encode<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    losses: &mut Losses<'a>,
) -> Vec<u8> {
    let plan = Plan::of(conversation, target, losses);
    let mut out = Vec::with_capacity(1024);
    let mut object = Writer::new(&mut out).object();
    dialect(conversation, target, &mut object, losses);
    object.key("max_tokens").number(plan.max_tokens);
    let mut turns = Turns {
        blocks: Blocks {
            place: Where::System,
            addresses: target.dialect != Dialect::Bedrock,
            marks: Marks::of(conversation),
        },
        late_system: plan.claude.is_some_and(Claude::takes_late_system) && target.dialect == Dialect::Native,
        goes_on: plan.claude.is_none_or(Claude::goes_on),
    };
    turns.write(&conversation.messages, &mut object, losses);
    wishes_encode::write(conversation, target, &plan, &mut object, losses);
    tools_encode::write(conversation, &plan, &mut turns.blocks.marks, &mut object, losses);
    if conversation.stream && target.dialect != Dialect::Bedrock {
        object.key("stream").bool(true);
    }
    losses.write_bag(&conversation.bag, &mut object);
    drop(object);
    out
}

/// Elsewhere than at Anthropic the model stands in the path, and the version in the body.
fn dialect<'a>(
    conversation: &Conversation<'a>,
    target: &RequestTarget<'_>,
    object: &mut Object<'_>,
    losses: &Losses<'a>,
) {
    let Some(version) = house::version(target.dialect) else {
        return object.key("model").string(target.model);
    };
    let has_own = conversation.bag.iter().any(|(name, _)| name == house::VERSION_FIELD);
    if !(losses.is_same_protocol() && has_own) {
        object.key(house::VERSION_FIELD).string(version);
    }
}

/// The messages of a request, in the order and with the roles that the provider takes.
struct Turns {
    blocks: Blocks,
    /// Whether the model takes system messages behind a message of the user.
    late_system: bool,
    /// Whether the model goes on with a message of its own that stands last.
    goes_on: bool,
}

/// `developer` is OpenAI's newer name for the same thing.
fn is_system(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

impl Turns {
    fn write<'a>(&mut self, messages: &[Message<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
        let same = losses.is_same_protocol();
        // Instructions that stand first have a field of their own.
        let first = messages.iter().take_while(|message| is_system(message)).count();
        let (leading, others) = messages.split_at(first);
        let mut instructions: Vec<&Message<'a>> = leading.iter().collect();
        let mut turns: Vec<&Message<'a>> = Vec::with_capacity(others.len());
        for (place, message) in others.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|place| others.get(place));
            let after = others.get(place + 1);
            let stays = same
                || !is_system(message)
                || (self.late_system
                    && before.is_some_and(|before| before.role == Role::User)
                    && after.is_none_or(|after| after.role == Role::Assistant));
            if stays {
                turns.push(message);
                continue;
            }
            losses.report(
                message.place,
                LossKind::Moved,
                "instructions stand before all messages",
                "instructions between messages",
            );
            instructions.push(message);
        }
        self.system(&instructions, object, losses);
        let mut list = object.key("messages").array();
        if !same && turns.first().is_none_or(|first| first.role != Role::User) {
            stand_in(Place::NOWHERE, "the user must speak first", &mut list, losses);
        }
        let last = turns.len().saturating_sub(1);
        for (place, message) in turns.iter().enumerate() {
            self.message(message, place == last, &mut list, losses);
        }
        if let Some(last) = turns.last().filter(|last| !same && last.role == Role::Assistant) {
            self.after_own(last, &mut list, losses);
        }
    }

    /// Each part of each instruction becomes a block: nothing stands between them that was not there
    /// before.
    fn system<'a>(&mut self, messages: &[&Message<'a>], object: &mut Object<'_>, losses: &mut Losses<'a>) {
        self.blocks.place = Where::System;
        for message in messages {
            losses.bag(&message.bag);
        }
        let parts = self.blocks.expressible(messages.iter().flat_map(|message| &message.parts), losses);
        if !parts.is_empty() {
            self.blocks.content(&parts, object.key("system"), losses);
        }
    }

    fn message<'a>(
        &mut self,
        message: &Message<'a>,
        is_last: bool,
        list: &mut Array<'_>,
        losses: &mut Losses<'a>,
    ) {
        let (role, place) = match &message.role {
            Role::System | Role::Developer => ("system", Where::System),
            Role::User => ("user", Where::User),
            Role::Assistant => ("assistant", Where::Assistant),
            Role::Other(_) => return other(message, list, losses),
        };
        self.blocks.place = place;
        let mut parts = match place {
            Where::System => self.blocks.expressible(&message.parts, losses),
            _ => self.ordered(message, losses),
        };
        // What the model is to go on with must not end with white space.
        let trimmed = parts.last().filter(|_| is_last && place == Where::Assistant).and_then(|p| trimmed(p));
        if let (Some(trimmed), Some(last), false) = (&trimmed, parts.last_mut(), losses.is_same_protocol()) {
            losses.report(
                last.place,
                LossKind::Approximated,
                "white space at the end of the last message is left out",
                "a message of the model that ends with white space",
            );
            *last = trimmed;
        }
        parts.retain(|part| !matches!(&part.content, Content::Text(text) if text.text.is_empty()));
        if parts.is_empty() {
            losses.dropped(message.place, "a message without content is refused", "messages without content");
            return losses.bag(&message.bag);
        }
        let mut object = list.item().object();
        object.key("role").string(role);
        self.blocks.content(&parts, object.key("content"), losses);
        losses.write_bag(&message.bag, &mut object);
    }

    /// Results of tools stand before anything else in a message, or they are refused.
    fn ordered<'p, 'a: 'p>(&self, message: &'p Message<'a>, losses: &mut Losses<'a>) -> Vec<&'p Part<'a>> {
        let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
        let mut parts = self.blocks.expressible(&message.parts, losses);
        let last_result = parts.iter().rposition(|part| is_result(part));
        let moved: Vec<&Part<'a>> =
            parts.iter().take(last_result.unwrap_or(0)).filter(|part| !is_result(part)).copied().collect();
        for part in moved {
            losses.report(
                part.place,
                LossKind::Moved,
                "it stands behind the results of tools, which must come first",
                "results of tools behind other content",
            );
        }
        parts.sort_by_key(|part| !is_result(part));
        parts
    }

    /// What stands last is history to others. Older models go on with it here; newer ones refuse it.
    fn after_own<'a>(&self, last: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
        if last.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_))) {
            return;
        }
        if self.goes_on {
            losses.report(
                last.place,
                LossKind::Approximated,
                "the model continues the last message instead of answering it",
                "a message of the model that stands last and is not continued",
            );
        } else {
            stand_in(last.place, "the user must speak last", list, losses);
        }
    }
}

/// A message of the user that says nothing, where there must be one.
fn stand_in<'a>(place: Place<'a>, why: &'static str, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    losses.report(place, LossKind::Defaulted, format!("{why}: a full stop stands in"), why);
    let mut object = list.item().object();
    object.key("role").string("user");
    object.key("content").string(".");
}

/// A text without the white space at its end, if there is any.
fn trimmed<'a>(part: &Part<'a>) -> Option<Part<'a>> {
    let Content::Text(text) = &part.content else { return None };
    let end = text.text.trim_end();
    (end.len() < text.text.len()).then(|| {
        let text = Text { text: end.to_owned().into(), citations: text.citations.clone() };
        Part { content: Content::Text(text), ..part.clone() }
    })
}

fn other<'a>(message: &Message<'a>, list: &mut Array<'_>, losses: &mut Losses<'a>) {
    for part in &message.parts {
        if let Content::Unknown { name, raw } = &part.content {
            if losses.is_same_protocol() {
                list.item().raw(raw.text());
            } else {
                losses.unknown(*raw, "role", name);
            }
        }
    }
}
