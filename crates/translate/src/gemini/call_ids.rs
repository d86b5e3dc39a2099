//! Ids of calls where Gemini has none: calls and their results are then matched by name and order.
//!
//! Other protocols tie a result to its call by an id. One that is made here is recognised on the way
//! back and left out again, so nothing has to be remembered.

use std::borrow::Cow;

/// How ids begin that are made here. Every protocol accepts them.
const MADE: &str = "call-without-id-";

/// Whether an id was made for a call that has none.
pub(super) fn is_made(id: &str) -> bool {
    let number = id.strip_prefix(MADE).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Hands out the ids of a request's calls, and finds them again for the results.
#[derive(Debug, Default)]
pub(super) struct CallIds<'a> {
    made: usize,
    /// Calls of the latest turn of the model that have no result yet: id and name.
    open: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    model_speaks: bool,
}

impl<'a> CallIds<'a> {
    /// A message of the model begins. Results behind it belong to its calls.
    pub(super) fn model(&mut self) {
        if !std::mem::replace(&mut self.model_speaks, true) {
            self.open.clear();
        }
    }

    /// A message of anybody else begins.
    pub(super) fn other(&mut self) {
        self.model_speaks = false;
    }

    /// The id of a call, made if it has none.
    pub(super) fn of_call(&mut self, id: Option<Cow<'a, str>>, name: &Cow<'a, str>) -> Cow<'a, str> {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.make());
        self.open.push((id.clone(), name.clone()));
        id
    }

    /// The id of the call that a result belongs to: its own, else that of the first call of the same
    /// name without a result.
    pub(super) fn of_result(&mut self, id: Option<Cow<'a, str>>, name: Option<&str>) -> Cow<'a, str> {
        let id = id.filter(|id| !id.is_empty());
        let found = match &id {
            Some(id) => self.open.iter().position(|(open, _)| open == id),
            None => self.open.iter().position(|(_, open)| Some(open.as_ref()) == name),
        };
        let open = found.map(|place| self.open.remove(place).0);
        id.or(open).unwrap_or_else(|| self.make())
    }

    fn make(&mut self) -> Cow<'a, str> {
        self.made += 1;
        Cow::Owned(format!("{MADE}{}", self.made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_name_and_order() {
        let mut ids = CallIds::default();
        let (f, g) = (Cow::Borrowed("f"), Cow::Borrowed("g"));
        ids.model();
        let calls = [ids.of_call(None, &f), ids.of_call(None, &g), ids.of_call(None, &f)];
        assert!(calls.iter().all(|id| is_made(id)));
        ids.other();
        let results = [
            ids.of_result(None, Some("f")),
            ids.of_result(None, Some("f")),
            ids.of_result(Some(Cow::Borrowed("")), Some("g")),
        ];
        assert_eq!(results, [calls[0].clone(), calls[2].clone(), calls[1].clone()]);
        // Nobody called.
        assert!(is_made(&ids.of_result(None, Some("f"))));
    }

    #[test]
    fn a_new_turn_of_the_model_forgets_what_was_left_open() {
        let mut ids = CallIds::default();
        let name = Cow::Borrowed("f");
        ids.model();
        let first = ids.of_call(None, &name);
        ids.other();
        ids.model();
        ids.model();
        let second = ids.of_call(Some(Cow::Borrowed("abc")), &name);
        ids.other();
        assert_eq!(ids.of_result(None, Some("f")), second);
        assert_ne!(first, second);
        assert!(!is_made("abc") && !is_made("call-without-id-") && !is_made("call-without-id-x"));
    }
}
