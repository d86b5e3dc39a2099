//! Ids of calls of tools, as the format demands them: 1 to 64 letters, digits, `_` and `-`.
//!
//! The service takes `.` and `:` as well, but Claude models do not.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;

use crate::tool_id;

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

/// An id, or the name of a tool, that the format accepts. One that is not too long comes back with
/// [`tool_id::original`]; of a longer one only the beginning is there, and a number that tells it from
/// others.
pub(super) fn legal(id: &str) -> Cow<'_, str> {
    let legal = tool_id::legal(id);
    if legal.len() <= LENGTH_MAX {
        return legal;
    }
    let mut short: String = legal.chars().take(LENGTH_MAX - 17).collect();
    // Writing to a string cannot fail.
    let _ = write!(short, "-{:016x}", fnv1a(id));
    Cow::Owned(short)
}

/// Whether [`legal`] had to cut it.
pub(super) fn is_cut(id: &str) -> bool {
    tool_id::legal(id).len() > LENGTH_MAX
}

/// The same number for the same text, everywhere and always: a prompt cache must find its prompt again.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(legal("functions.search:0"), tool_id::legal("functions.search:0"));
    }
}
