//! Rules: the first that matches counts, all that it says must hold, and nothing is read that it does not ask for.

use std::cell::Cell;
use std::sync::Arc;

use proptest::prelude::*;
use weighbridge_routing::{Asked, Classification, Prompt, Rule, Task, Then, When, classify, first_match};
use weighbridge_units::{Feature, Features};

#[derive(Debug, Clone)]
struct Request {
    key: String,
    tenant: String,
    tag: String,
    header: Option<String>,
    prompt: u64,
    answer: u64,
    needs: Features,
    text: &'static str,
    read: Cell<u32>,
}

impl Asked for Request {
    fn key(&self) -> &str {
        &self.key
    }
    fn is_within(&self, tenant: &str) -> bool {
        self.tenant == tenant || self.tenant.starts_with(&format!("{tenant}/"))
    }
    fn tag(&self, name: &str) -> Option<&str> {
        (name == "env").then_some(&*self.tag)
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.header.as_deref().filter(|_| name == "x-app")
    }
    fn prompt_tokens(&self) -> u64 {
        self.prompt
    }
    fn answer_tokens(&self) -> u64 {
        self.answer
    }
    fn needs(&self) -> Features {
        self.needs
    }
    fn classification(&self) -> Classification {
        self.read.set(self.read.get() + 1);
        classify(&Prompt { user: self.text, ..Prompt::default() })
    }
}

fn features() -> impl Strategy<Value = Features> {
    prop::sample::subsequence(Feature::ALL.to_vec(), 0..=2).prop_map(|some| Features::of(&some))
}

fn request() -> impl Strategy<Value = Request> {
    let texts = vec![
        "hi",
        "Translate to German: hello",
        "Prove that e is irrational.",
        "What is the capital of Peru?",
    ];
    let names =
        ("[ab]", prop::sample::select(vec!["acme", "acme/a", "other"]), "[xy]", prop::option::of("[xy]"));
    (names, 0..100_u64, 0..100_u64, features(), prop::sample::select(texts)).prop_map(
        |((key, tenant, tag, header), prompt, answer, needs, text)| Request {
            key,
            tenant: tenant.to_owned(),
            tag,
            header,
            prompt,
            answer,
            needs,
            text,
            read: Cell::new(0),
        },
    )
}

/// Each condition by itself, and whether a request fulfils it.
fn condition() -> impl Strategy<Value = (usize, String, u64, Features)> {
    (0..10_usize, "[abxy]", 0..120_u64, features())
}

/// Adds the condition to `when`, and tells whether `asked` fulfils it: the model that the rules are compared with.
fn add(when: &mut When, (kind, name, number, set): (usize, String, u64, Features), asked: &Request) -> bool {
    let name: Arc<str> = name.into();
    let guess = classify(&Prompt { user: asked.text, ..Prompt::default() });
    match kind {
        0 => {
            when.keys.push(name);
            when.keys.iter().any(|key| **key == *asked.key)
        }
        1 => {
            when.tenants.push(if number % 2 == 0 { "acme".into() } else { "acme/a".into() });
            when.tenants.iter().any(|tenant| asked.is_within(tenant))
        }
        2 => {
            when.tags = vec![("env".into(), name.clone())];
            *name == *asked.tag
        }
        3 => {
            let value: Arc<str> = if number % 3 == 0 { "*".into() } else { name };
            when.headers = vec![("x-app".into(), value.clone())];
            asked.header.as_deref().is_some_and(|is| *value == *is || &*value == "*")
        }
        4 => {
            when.prompt_tokens = Some(number..u64::MAX);
            asked.prompt >= number
        }
        5 => {
            when.context_tokens = Some(0..number);
            asked.prompt + asked.answer < number
        }
        6 => {
            when.needs = set;
            set.iter().all(|feature| asked.needs.has(feature))
        }
        7 => {
            when.needs_not = set;
            !set.iter().any(|feature| asked.needs.has(feature))
        }
        8 => {
            when.difficulty = Some(0..number * 10);
            u64::from(guess.difficulty.get()) < number * 10
        }
        _ => {
            when.tasks = vec![if number % 2 == 0 { Task::Translation } else { Task::Reasoning }];
            when.tasks.contains(&guess.task)
        }
    }
}

proptest! {
    #[test]
    fn a_rule_matches_where_all_of_its_conditions_hold(
        asked in request(), conditions in prop::collection::vec(condition(), 0..4),
    ) {
        let mut when = When::default();
        let mut said = std::collections::BTreeMap::new();
        for condition in conditions {
            let kind = condition.0;
            // A condition that is said again is the later one; lists grow.
            said.insert(kind, add(&mut when, condition, &asked));
        }
        let expected = said.values().all(|holds| *holds);
        prop_assert_eq!(when.matches(&asked), expected);
        if !when.reads_text() {
            prop_assert_eq!(asked.read.get(), 0, "the text was read without need");
        }
    }

    #[test]
    fn the_first_match_counts(asked in request(), rules in prop::collection::vec(condition(), 0..6)) {
        let mut expected = None;
        let mut made = Vec::new();
        for (number, condition) in rules.into_iter().enumerate() {
            let mut when = When::default();
            if add(&mut when, condition, &asked) && expected.is_none() {
                expected = Some(number);
            }
            made.push(Rule { name: number.to_string().into(), when, then: Then::Model("m".into()) });
        }
        let found = first_match(&made, &asked).map(|rule| rule.name.parse::<usize>().unwrap());
        prop_assert_eq!(found, expected);
    }
}
