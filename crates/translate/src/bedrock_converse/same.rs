//! What the protocol says in several ways, or need not say, brought to one form.

use crate::{Answer, Conversation};

pub(crate) fn conversation(_: &mut Conversation<'_>) {}

pub(crate) fn answer(_: &mut Answer<'_>) {}
