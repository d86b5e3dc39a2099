//! Whether rules of models fit together: they lead to models that there are, and never in a circle.

use std::collections::HashMap;
use std::sync::Arc;

use weighbridge_routing::{Prompt, Then, classify};

use crate::pipeline::PipelineError;
use crate::settings::RouteSettings;

/// Checks the rules of all routes.
pub(crate) fn check(routes: &[RouteSettings]) -> Result<(), PipelineError> {
    if routes.iter().flat_map(|route| &route.rules).any(|rule| rule.when.reads_text()) {
        // The classifier sorts its words when it is first asked: that is not for a request to wait for.
        let _ = classify(&Prompt { user: "What? 什么？", ..Prompt::default() });
    }
    let by_name: HashMap<&str, &RouteSettings> = routes.iter().map(|route| (&*route.name, route)).collect();
    let mut done = HashMap::new();
    routes.iter().try_for_each(|route| follow(route, &by_name, &mut done))
}

/// Follows the rules of a route to their ends. `done` tells of a route whether all that follows is known to end.
fn follow<'a>(
    route: &'a RouteSettings,
    by_name: &HashMap<&str, &'a RouteSettings>,
    done: &mut HashMap<&'a str, bool>,
) -> Result<(), PipelineError> {
    let wrong = |reason: String| PipelineError::Route { route: route.name.to_string(), reason };
    match done.get(&*route.name) {
        Some(true) => return Ok(()),
        Some(false) => return Err(wrong("its rules lead back to it: take one of them out".to_owned())),
        None => done.insert(&route.name, false),
    };
    for to in route.rules.iter().filter_map(|rule| leads_to(&rule.then)) {
        let next = by_name.get(&**to).ok_or_else(|| {
            wrong(format!("a rule leads to `{to}`, and there is no such model: name one of the file"))
        })?;
        follow(next, by_name, done)?;
    }
    done.insert(&route.name, true);
    Ok(())
}

fn leads_to(then: &Then) -> Option<&Arc<str>> {
    match then {
        Then::Model(model) => Some(model),
        Then::Refuse(_) => None,
    }
}
