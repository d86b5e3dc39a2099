//! Messages, arranged as the service demands them: instructions apart, turns of user and model one after
//! the other.

use weighbridge_units::LossKind;

use super::blocks_encode::Pen;
use crate::{Content, Conversation, Message, Part, Role};

/// What a request says, in the order of the wire.
pub(super) struct Turns<'p, 'a> {
    /// What `system` holds.
    pub(super) instructions: Vec<&'p Part<'a>>,
    pub(super) turns: Vec<Turn<'p, 'a>>,
}

/// One message of the wire, made of one message or several of the same side.
pub(super) struct Turn<'p, 'a> {
    /// Empty where the only part is the whole message, in the words of its own protocol.
    pub(super) role: &'static str,
    pub(super) parts: Vec<&'p Part<'a>>,
    pub(super) messages: Vec<&'p Message<'a>>,
}

/// Where a part stands, as far as it decides what the part may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Instructions,
    User,
    Model,
    Result,
}

/// Arranges the messages; what cannot be said is reported, and so is what stands in another place.
pub(super) fn arrange<'p, 'a>(conversation: &'p Conversation<'a>, pen: &mut Pen<'_, 'a>) -> Turns<'p, 'a> {
    let is_system = |message: &&Message<'a>| matches!(message.role, Role::System | Role::Developer);
    let leading = conversation.messages.iter().take_while(is_system).count();
    let mut arranged = Turns { instructions: Vec::new(), turns: Vec::new() };
    for (index, message) in conversation.messages.iter().enumerate() {
        let stand = match message.role {
            Role::System | Role::Developer => Stand::Instructions,
            Role::User => Stand::User,
            Role::Assistant => Stand::Model,
            Role::Other(_) => {
                arranged.other(message, pen);
                continue;
            }
        };
        let parts = ordered(pen.kept(&message.parts, stand), pen);
        if parts.is_empty() && !pen.losses.is_same_protocol() {
            pen.losses.dropped(
                message.place,
                "a message without content is refused",
                "messages without content",
            );
            pen.losses.bag(&message.bag);
            continue;
        }
        let keeps_place = pen.losses.is_same_protocol() || pen.family.takes_late_instructions();
        if stand == Stand::Instructions && (index < leading || !keeps_place) {
            if index >= leading {
                pen.losses.report(
                    message.place,
                    LossKind::Moved,
                    "the model takes instructions only before all else",
                    "instructions between the turns of a conversation",
                );
            }
            pen.losses.bag(&message.bag);
            arranged.instructions.extend(parts);
            continue;
        }
        arranged.push(message, stand, parts, pen);
    }
    arranged.begin_with_the_user(conversation, pen);
    arranged
}

impl<'p, 'a> Turns<'p, 'a> {
    /// Neighbours of the same side are one turn: the service refuses two in a row.
    fn push(
        &mut self,
        message: &'p Message<'a>,
        stand: Stand,
        parts: Vec<&'p Part<'a>>,
        pen: &mut Pen<'_, 'a>,
    ) {
        let role = match stand {
            Stand::Instructions => "system",
            Stand::Model => "assistant",
            Stand::User | Stand::Result => "user",
        };
        let is_own = pen.losses.is_same_protocol();
        match self.turns.last_mut().filter(|last| last.role == role && !is_own) {
            Some(last) => {
                last.parts.extend(parts);
                last.parts = ordered(std::mem::take(&mut last.parts), pen);
                last.messages.push(message);
            }
            None => self.turns.push(Turn { role, parts, messages: vec![message] }),
        }
    }

    /// A message of somebody that only its own protocol knows.
    fn other(&mut self, message: &'p Message<'a>, pen: &mut Pen<'_, 'a>) {
        if pen.losses.is_same_protocol() {
            let parts = message.parts.iter().collect();
            self.turns.push(Turn { role: "", parts, messages: vec![message] });
            return;
        }
        for part in &message.parts {
            if let Content::Unknown { name, raw } = &part.content {
                pen.losses.unknown(*raw, "role", name);
            }
        }
    }

    fn begin_with_the_user(&mut self, conversation: &'p Conversation<'a>, pen: &mut Pen<'_, 'a>) {
        let first = self.turns.first();
        let begins_well =
            first.is_some_and(|turn| turn.role != "assistant" || pen.family.may_begin_with_the_model());
        if begins_well || pen.losses.is_same_protocol() {
            return;
        }
        let place = first.and_then(|turn| turn.messages.first()).map(|message| message.place);
        pen.losses.report(
            place.or(conversation.messages.first().map(|message| message.place)).unwrap_or_default(),
            LossKind::Defaulted,
            "a conversation must begin with the user, and this one does not: a full stop stands there",
            "conversations that the user does not begin",
        );
        self.turns.insert(0, Turn { role: "user", parts: Vec::new(), messages: Vec::new() });
    }
}

/// Results of tools stand before anything else in a message, or they are refused.
fn ordered<'p, 'a>(mut parts: Vec<&'p Part<'a>>, pen: &mut Pen<'_, 'a>) -> Vec<&'p Part<'a>> {
    if pen.losses.is_same_protocol() {
        return parts;
    }
    let is_result = |part: &Part<'_>| matches!(part.content, Content::ToolResult(_));
    let last_result = parts.iter().rposition(|part| is_result(part)).unwrap_or(0);
    for part in parts.iter().take(last_result).filter(|part| !is_result(part)) {
        pen.losses.report(
            part.place,
            LossKind::Moved,
            "it stands behind the results of tools, which must come first",
            "results of tools behind other content",
        );
    }
    parts.sort_by_key(|part| !is_result(part));
    parts
}
