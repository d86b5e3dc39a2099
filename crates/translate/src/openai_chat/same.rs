//! What the protocol says in several ways, brought to one form.

use crate::laws::joined;
use crate::{Answer, Conversation, FinishReason};

pub(crate) fn conversation(_: &mut Conversation<'_>) {}

pub(crate) fn answer(same: &mut Answer<'_>) {
    for candidate in &mut same.candidates {
        if candidate.finish == Some(FinishReason::Refusal) && candidate.seen().refusal {
            candidate.finish = Some(FinishReason::Stop);
        }
        candidate.parts = joined(std::mem::take(&mut candidate.parts));
    }
}
