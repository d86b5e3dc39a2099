//! Which model a request is sent to instead of the one that it asked for, or that it is refused: by ordered rules,
//! of which the first that matches counts.

use std::ops::Range;
use std::sync::Arc;

use weighbridge_units::Features;

use crate::classifier::{Classification, Task};

/// What a rule may look at. Whoever has the request implements it; what costs something is only asked for where
/// a rule needs it, and may be asked for more than once.
pub trait Asked {
    /// The public id of the key.
    fn key(&self) -> &str;
    /// Whether the key belongs to that organisation or team, or to a team in it.
    fn is_within(&self, tenant: &str) -> bool;
    /// The value of a tag.
    fn tag(&self, name: &str) -> Option<&str>;
    /// The value of a header, by its name in lower case.
    fn header(&self, name: &str) -> Option<&str>;
    /// Tokens of the prompt, estimated.
    fn prompt_tokens(&self) -> u64;
    /// Tokens that the answer may have, as far as the request says.
    fn answer_tokens(&self) -> u64;
    /// What it needs beside text.
    fn needs(&self) -> Features;
    /// How difficult it is, and what it is about.
    fn classification(&self) -> Classification;
}

/// When a rule matches: all that is said must hold, and what is not said holds always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct When {
    /// Public ids of keys, of which it is one.
    pub keys: Vec<Arc<str>>,
    /// Organisations and teams, of which the key belongs to one.
    pub tenants: Vec<Arc<str>>,
    /// Tags that it bears.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Headers that it has, their names in lower case; a value `*` is any.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Tokens of its prompt, estimated.
    pub prompt_tokens: Option<Range<u64>>,
    /// Tokens of its prompt and of the answer that it asks for.
    pub context_tokens: Option<Range<u64>>,
    /// What it needs, all of it.
    pub needs: Features,
    /// What it must not need, none of it.
    pub needs_not: Features,
    /// How difficult it is.
    pub difficulty: Option<Range<u64>>,
    /// What it is about: one of these.
    pub tasks: Vec<Task>,
}

impl When {
    /// Whether a request is meant. What costs most to find out is asked last.
    pub fn matches(&self, asked: &dyn Asked) -> bool {
        let one_of = |names: &[Arc<str>], is: &dyn Fn(&str) -> bool| {
            names.is_empty() || names.iter().any(|name| is(name))
        };
        let within = |range: &Option<Range<u64>>, value: &dyn Fn() -> u64| {
            range.as_ref().is_none_or(|range| range.contains(&value()))
        };
        let has_header =
            |name: &str, value: &str| asked.header(name).is_some_and(|is| value == "*" || is == value);
        one_of(&self.keys, &|key| asked.key() == key)
            && one_of(&self.tenants, &|tenant| asked.is_within(tenant))
            && self.tags.iter().all(|(name, value)| asked.tag(name) == Some(value))
            && self.headers.iter().all(|(name, value)| has_header(name, value))
            && within(&self.prompt_tokens, &|| asked.prompt_tokens())
            && within(&self.context_tokens, &|| asked.prompt_tokens().saturating_add(asked.answer_tokens()))
            && self.needs_fit(asked)
            && self.classification_fits(asked)
    }

    /// Whether the text of a request has to be read to tell.
    pub fn reads_text(&self) -> bool {
        self.difficulty.is_some() || !self.tasks.is_empty()
    }

    fn needs_fit(&self, asked: &dyn Asked) -> bool {
        let (wants, bars) = (self.needs, self.needs_not);
        if wants.is_empty() && bars.is_empty() {
            return true;
        }
        let needs = asked.needs();
        needs.and(wants) == wants && needs.and(bars).is_empty()
    }

    fn classification_fits(&self, asked: &dyn Asked) -> bool {
        if !self.reads_text() {
            return true;
        }
        let Classification { difficulty, task } = asked.classification();
        self.difficulty.as_ref().is_none_or(|range| range.contains(&u64::from(difficulty.get())))
            && (self.tasks.is_empty() || self.tasks.contains(&task))
    }
}

/// What becomes of a request that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// It is served as if it had asked for that model.
    Model(Arc<str>),
    /// It is refused, with this message.
    Refuse(Arc<str>),
}

/// A rule of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What people call it; unique in its model.
    pub name: Arc<str>,
    /// When it matches.
    pub when: When,
    /// What then becomes of the request.
    pub then: Then,
}

/// The first of the rules that matches.
///
/// ```
/// use weighbridge_routing::{Asked, Classification, Prompt, Rule, Then, When, classify, first_match};
/// use weighbridge_units::Features;
///
/// struct Request(&'static str);
///
/// impl Asked for Request {
///     fn key(&self) -> &str { "k1" }
///     fn is_within(&self, tenant: &str) -> bool { tenant == "acme" }
///     fn tag(&self, _: &str) -> Option<&str> { None }
///     fn header(&self, _: &str) -> Option<&str> { None }
///     fn prompt_tokens(&self) -> u64 { 20 }
///     fn answer_tokens(&self) -> u64 { 0 }
///     fn needs(&self) -> Features { Features::NONE }
///     fn classification(&self) -> Classification {
///         classify(&Prompt { user: self.0, ..Prompt::default() })
///     }
/// }
///
/// let mut when = When::default();
/// when.difficulty = Some(0..400);
/// let rules = [Rule { name: "easy".into(), when, then: Then::Model("small".into()) }];
/// assert_eq!(first_match(&rules, &Request("What is the capital of France?")), Some(&rules[0]));
/// assert_eq!(first_match(&rules, &Request("Prove that e is irrational.")), None);
/// ```
pub fn first_match<'a>(rules: &'a [Rule], asked: &dyn Asked) -> Option<&'a Rule> {
    rules.iter().find(|rule| rule.when.matches(asked))
}
