//! Thoughts of a stream, which a client collects and sends back piece by piece.
//!
//! Google's own SDK does: each chunk of a streamed answer has a part of its own, and its chats keep each
//! as a content of its own. Only the last piece has the proof, which is one of the whole text.

use std::borrow::Cow;

use crate::conversation::{Content, Proof, Reasoning};
use crate::{Message, Part, Role};

/// Joins the pieces before a proof that another provider made of the whole. Google's own signatures
/// stand for no text.
pub(crate) fn join(messages: &mut Vec<Message<'_>>) {
    let mut run: Vec<(usize, usize)> = Vec::new();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for at in 0..messages.len() {
        if messages.get(at).is_some_and(|message| message.role != Role::Assistant) {
            run.clear();
        }
        for place in 0..messages.get(at).map_or(0, |message| message.parts.len()) {
            match thought(messages, (at, place)) {
                Some(Reasoning { proof: None, id: None, .. }) => run.push((at, place)),
                Some(Reasoning { proof: Some(proof), .. }) if !run.is_empty() && !proof.is(Proof::GEMINI) => {
                    let pieces = run.iter().filter_map(|&from| thought(messages, from));
                    let before: String = pieces.map(|piece| piece.text.as_ref()).collect();
                    if let Some(whole) = thought_mut(messages, (at, place)) {
                        whole.text = Cow::Owned(before + &whole.text);
                    }
                    joined.append(&mut run);
                }
                _ => run.clear(),
            }
        }
    }
    for &(at, place) in joined.iter().rev() {
        if let Some(message) = messages.get_mut(at).filter(|message| place < message.parts.len()) {
            message.parts.remove(place);
        }
    }
    let mut at = 0;
    messages.retain(|message| {
        let emptied = message.parts.is_empty() && joined.iter().any(|&(from, _)| from == at);
        at += 1;
        !emptied
    });
}

fn thought<'m, 'a>(messages: &'m [Message<'a>], (at, place): (usize, usize)) -> Option<&'m Reasoning<'a>> {
    match messages.get(at)?.parts.get(place)? {
        Part { content: Content::Reasoning(reasoning), .. } => Some(reasoning),
        _ => None,
    }
}

fn thought_mut<'m, 'a>(
    messages: &'m mut [Message<'a>],
    (at, place): (usize, usize),
) -> Option<&'m mut Reasoning<'a>> {
    match &mut messages.get_mut(at)?.parts.get_mut(place)?.content {
        Content::Reasoning(reasoning) => Some(reasoning),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::ProofKind;
    use crate::place::Place;

    fn piece(text: &'static str, proof: Option<Cow<'static, str>>) -> Part<'static> {
        let proof =
            proof.map(|format| Proof { format, kind: ProofKind::Signature, data: Cow::Borrowed("sig") });
        let reasoning = Reasoning { text: Cow::Borrowed(text), proof, ..Reasoning::default() };
        Part::new(Place::NOWHERE, Content::Reasoning(reasoning))
    }

    fn said(role: Role<'static>, parts: Vec<Part<'static>>) -> Message<'static> {
        Message::new(Place::NOWHERE, role, parts)
    }

    #[test]
    fn pieces_are_joined_over_contents_where_the_proof_is_of_the_whole() {
        let signed = || Some(Cow::from(Proof::ANTHROPIC));
        let model = |parts| said(Role::Assistant, parts);
        let mut messages = vec![
            model(vec![piece("another turn's ", None)]),
            said(Role::User, Vec::new()),
            model(vec![piece("I ", None)]),
            model(vec![piece("think ", None), piece("so.", signed())]),
            model(vec![piece("Not proven.", None)]),
        ];
        join(&mut messages);
        let whole = vec![
            model(vec![piece("another turn's ", None)]),
            said(Role::User, Vec::new()),
            model(vec![piece("I think so.", signed())]),
            model(vec![piece("Not proven.", None)]),
        ];
        assert_eq!(messages, whole);

        let own = || vec![model(vec![piece("I ", None), piece("", Some(Cow::from(Proof::GEMINI)))])];
        let mut messages = own();
        join(&mut messages);
        assert_eq!(messages, own());
    }
}
