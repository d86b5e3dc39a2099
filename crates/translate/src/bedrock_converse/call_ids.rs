//! Ids of calls of tools, and the tools' names, as the format demands them: 1 to 64 letters, digits, `_`
//! and `-`.
//!
//! The service takes `.` and `:` as well, but Claude models do not.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::conversation::CallKind;
use crate::{tool_id, tool_name};

/// The most characters of an id or of the name of a tool.
pub(super) const LENGTH_MAX: usize = 64;

/// Gives each call of a request an id, and its result the same.
///
/// Where the source's protocol has no ids, results belong to calls by their names and order.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    calls: usize,
    /// Calls without ids whose results have not come yet: name, and the id that was made.
    waiting: VecDeque<(String, String)>,
}

impl CallIds {
    /// The id of a call.
    pub(super) fn of_call<'i>(&mut self, id: &'i str, name: &str) -> Cow<'i, str> {
        if !id.is_empty() {
            return legal(id);
        }
        let made = tool_id::fallback("", self.calls);
        self.calls += 1;
        self.waiting.push_back((name.to_owned(), made.clone()));
        Cow::Owned(made)
    }

    /// The id of the call that a result belongs to.
    pub(super) fn of_result<'i>(&mut self, id: &'i str, name: Option<&str>) -> Cow<'i, str> {
        if !id.is_empty() {
            return legal(id);
        }
        let place = self.waiting.iter().position(|(waiting, _)| name.is_none_or(|name| name == waiting));
        match place.and_then(|place| self.waiting.remove(place)) {
            Some((_, made)) => Cow::Owned(made),
            // A result of a call that is not there: the provider will say so.
            None => self.of_call_that_is_missing(),
        }
    }

    fn of_call_that_is_missing<'i>(&mut self) -> Cow<'i, str> {
        self.calls += 1;
        Cow::Owned(tool_id::fallback("", self.calls - 1))
    }
}

/// An id that the format accepts. One that is not too long comes back with [`tool_id::original`]; of a
/// longer one only the beginning is there, and a number that tells it from others. What was cut once stays
/// as it is: nobody can tell any more what it was cut from.
pub(super) fn legal(id: &str) -> Cow<'_, str> {
    if has_form_of_cut(id) && tool_id::original(id) == id {
        return Cow::Borrowed(id);
    }
    short(tool_id::legal(id), id)
}

/// The name of a tool that the format accepts, as [`legal`]; the name and its kind come back with
/// [`tool_name::original`].
pub(super) fn legal_name(name: &str, kind: CallKind) -> Cow<'_, str> {
    if kind == CallKind::Function {
        return legal(name);
    }
    let marked = tool_name::marked(name, kind);
    if has_form_of_cut(&marked) && tool_id::original(name) == name {
        return marked;
    }
    short(tool_name::legal(name, kind), name)
}

/// Whether [`legal`] has to cut an id.
pub(super) fn is_cut(id: &str) -> bool {
    is_cut_name(id, CallKind::Function)
}

/// Whether [`legal_name`] has to cut a name.
pub(super) fn is_cut_name(name: &str, kind: CallKind) -> bool {
    tool_name::legal(name, kind).len() > LENGTH_MAX && legal_name(name, kind) != tool_name::marked(name, kind)
}

/// How many characters of the beginning are left of what is cut.
const KEPT: usize = LENGTH_MAX - 17;

/// What is legal but for its length; `id` is what it was made of.
fn short<'i>(legal: Cow<'i, str>, id: &str) -> Cow<'i, str> {
    if legal.len() <= LENGTH_MAX {
        return legal;
    }
    let mut short: String = legal.chars().take(KEPT).collect();
    // Writing to a string cannot fail.
    let _ = write!(short, "-{:016x}", fnv1a(id));
    Cow::Owned(short)
}

/// Whether a text has the form of one that [`short`] has cut.
fn has_form_of_cut(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let Some((kept, [b'-', number @ ..])) = text.as_bytes().split_at_checked(KEPT) else { return false };
    text.len() == LENGTH_MAX && kept.iter().copied().all(is_legal) && number.iter().copied().all(is_digit)
}

/// The same number for the same text, everywhere and always: a prompt cache must find its prompt again.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_once_is_written_so_again(
            name in "(wb_custom__)?(wb-){0,2}([a-zA-Z0-9._:-]{1,12}|[a-z_:]{30,80})",
        ) {
            let (read, kind) = tool_name::original(&name);
            let written = legal_name(&read, kind).into_owned();
            prop_assert!((1..=LENGTH_MAX).contains(&written.len()));
            let (read, kind) = tool_name::original(&written);
            prop_assert_eq!(legal_name(&read, kind), written.as_str());
            prop_assert!(!is_cut_name(&read, kind));

            let written = legal(&name).into_owned();
            let read = tool_id::original(&written);
            prop_assert_eq!(legal(&read), written.as_str());
        }

        #[test]
        fn what_fits_comes_back(name in "(wb-)?[a-z._:-]{1,12}", is_custom in any::<bool>()) {
            let kind = if is_custom { CallKind::Custom } else { CallKind::Function };
            prop_assert!(!is_cut_name(&name, kind));
            let written = legal_name(&name, kind);
            prop_assert_eq!(tool_name::original(&written), (name.as_str().into(), kind));
        }
    }

    #[test]
    fn results_without_ids_find_their_calls_by_name_and_order() {
        let mut ids = CallIds::default();
        let first = ids.of_call("", "a").into_owned();
        let second = ids.of_call("", "b").into_owned();
        let third = ids.of_call("", "b").into_owned();
        assert_eq!(ids.of_call("own", "b"), "own");
        assert_eq!(ids.of_result("", Some("b")), second);
        assert_eq!(ids.of_result("", Some("b")), third);
        assert_eq!(ids.of_result("", None), first);
        assert_eq!(ids.of_result("own", Some("b")), "own");
        assert!(![first, second, third].contains(&ids.of_result("", Some("c")).into_owned()));
    }

    #[test]
    fn long_ids_are_cut_and_stay_different() {
        let (a, b) = ("x".repeat(70) + "a", "x".repeat(70) + "b");
        assert_eq!(legal(&a).len(), LENGTH_MAX);
        assert_ne!(legal(&a), legal(&b));
        assert_eq!(legal(&a), legal(&a));
        assert!(is_cut(&a) && !is_cut("x"));
        let escaped = legal(&("wb-".to_owned() + &a)).into_owned();
        let read = tool_id::original(&escaped);
        assert_eq!((legal(&read).as_ref(), is_cut(&read)), (escaped.as_str(), false));
        assert_ne!(legal_name(&a, CallKind::Custom), legal_name(&b, CallKind::Custom));
        assert!(legal_name(&a, CallKind::Custom).starts_with("wb_custom__"));
        assert_eq!(legal("functions.search:0"), tool_id::legal("functions.search:0"));
    }
}
