//! What rules of models mean: names that lead to models of the file, and never in a circle; and labels.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use http::HeaderName;
use weighbridge_catalogue::near;
use weighbridge_pipeline::settings::ResidencyRule;
use weighbridge_routing::{Labels, Rule, Then, When};
use weighbridge_units::{Feature, Features};

use crate::problem::Problems;
use crate::reader::{Given, Said};
use crate::said::{self, Bounds, Pairs};

/// The most rules of one model: each is looked at for each of its requests.
const RULES_MOST: usize = 100;

/// The rules of each model, in the order of the file.
pub(crate) fn rules(said: &[said::Model], problems: &mut Problems) -> Vec<Vec<Rule>> {
    let places: HashMap<&str, usize> =
        said.iter().enumerate().map(|(place, model)| (model.name.value.as_str(), place)).collect();
    let ways: Vec<Vec<Way>> = said.iter().map(|model| ways(model, &places, problems)).collect();
    let mut circles =
        Circles { said, ways: &ways, done: vec![false; said.len()], path: Vec::new(), problems };
    (0..said.len()).for_each(|place| circles.follow(place));
    said.iter().map(|model| of_model(model, problems)).collect()
}

/// A rule that leads from one model to another.
struct Way {
    to: usize,
    span: Range<usize>,
}

fn ways(model: &said::Model, places: &HashMap<&str, usize>, problems: &mut Problems) -> Vec<Way> {
    let mut ways = Vec::new();
    for Said { value, span } in model.rules.iter().filter_map(|rule| rule.to.said()) {
        match places.get(value.as_str()) {
            Some(to) => ways.push(Way { to: *to, span: span.clone() }),
            None => {
                let hint = match near(value, places.keys().copied()).first() {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("name a model of this file: begin one with [models.{}]", plain(value)),
                };
                problems.at(span.clone(), format!("`{value}` is no model of this file")).hint(hint);
            }
        }
    }
    ways
}

/// A name as it could stand in a header of a table.
fn plain(name: &str) -> &str {
    name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("NAME")
}

/// Follows rules from model to model, depth first, and finds those that lead back.
struct Circles<'a> {
    said: &'a [said::Model],
    ways: &'a [Vec<Way>],
    done: Vec<bool>,
    path: Vec<usize>,
    problems: &'a mut Problems,
}

impl Circles<'_> {
    fn follow(&mut self, place: usize) {
        let (ways, said) = (self.ways, self.said);
        if self.done.get(place).copied().unwrap_or(true) {
            return;
        }
        self.path.push(place);
        for way in ways.get(place).map_or(&[][..], |ways| ways) {
            match self.path.iter().position(|seen| *seen == way.to) {
                Some(start) => {
                    let circle = self.path.iter().skip(start).chain([&way.to]);
                    let names: Vec<&str> = circle
                        .filter_map(|place| said.get(*place))
                        .map(|model| model.name.value.as_str())
                        .collect();
                    let message = format!("the rules go round in a circle: {}", names.join(" → "));
                    self.problems.at(way.span.clone(), message).hint("take one of them out");
                }
                None => self.follow(way.to),
            }
        }
        self.path.pop();
        if let Some(done) = self.done.get_mut(place) {
            *done = true;
        }
    }
}

fn of_model(model: &said::Model, problems: &mut Problems) -> Vec<Rule> {
    let name = &model.name.value;
    if let Some(beyond) = model.rules.get(RULES_MOST) {
        problems
            .at(beyond.span.clone(), format!("`{name}` has more than {RULES_MOST} rules"))
            .hint("send some requests to another model, and give that one rules of its own");
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (number, said) in model.rules.iter().enumerate() {
        let called = said.name.said().map_or_else(|| format!("{}", number + 1), |said| said.value.clone());
        if rules.iter().any(|rule| *rule.name == *called) {
            let span = said.name.said().map_or(said.span.clone(), |said| said.span.clone());
            problems
                .at(span, format!("`{called}` is a rule of `{name}` already"))
                .hint("give it another name");
        }
        let when = match &said.when {
            Some(when) if !when.is_empty() => self::when(when, problems),
            _ => {
                problems
                    .at(said.span.clone(), format!("this rule of `{name}` would hold for every request"))
                    .hint("say when it holds: when = { difficulty_below = 400 }");
                continue;
            }
        };
        let then = match (&said.to, &said.refuse) {
            (Given::Said(to), Given::Absent) => Then::Model(to.value.as_str().into()),
            (Given::Absent, Given::Said(why)) => Then::Refuse(message(why, problems)),
            (Given::Wrong, _) | (_, Given::Wrong) => continue,
            _ => {
                problems
                    .at(
                        said.span.clone(),
                        format!("this rule of `{name}` must say one of `use` and `refuse`"),
                    )
                    .hint(
                        "use = \"another-model\" serves the request there, refuse = \"a message\" refuses it",
                    );
                continue;
            }
        };
        rules.push(Rule { name: called.into(), when, then });
    }
    rules
}

/// What a client is told.
fn message(why: &Said<String>, problems: &mut Problems) -> Arc<str> {
    let text = why.value.trim();
    if text.is_empty() || text.len() > 500 || text.chars().any(char::is_control) {
        problems
            .at(why.span.clone(), "`refuse` is what the client is told")
            .hint("a sentence of at most 500 bytes, on one line");
    }
    text.into()
}

fn when(said: &said::When, problems: &mut Problems) -> When {
    let mut when = When::default();
    let keys = said.keys.said().map_or(&[][..], |said| &said.value);
    when.keys = keys.iter().map(|key| key.value.as_str().into()).collect();
    when.tenants = tenants(&said.tenants);
    when.tags = pairs(&said.tags);
    for (name, _) in said.headers.said().map_or(&[][..], |said| &said.value) {
        // As it is compared, so it must be written.
        if HeaderName::from_bytes(name.value.as_bytes())
            .map(|header| header.as_str() != name.value)
            .unwrap_or(true)
        {
            problems
                .at(name.span.clone(), format!("`{}` is not the name of a header", name.value))
                .hint("lower-case letters, digits and `-`");
        }
    }
    when.headers = pairs(&said.headers);
    when.prompt_tokens = range(&said.tokens, problems);
    when.context_tokens = range(&said.context, problems);
    when.difficulty = range(&said.difficulty, problems);
    let flags = |wanted: bool| {
        let of_it = said
            .features
            .iter()
            .filter(move |(_, said)| said.said().is_some_and(|said| said.value == wanted));
        Features::of(&of_it.map(|(feature, _)| *feature).collect::<Vec<Feature>>())
    };
    (when.needs, when.needs_not) = (flags(true), flags(false));
    when.tasks =
        said.tasks.said().map_or_else(Vec::new, |said| said.value.iter().map(|task| task.value).collect());
    when
}

fn tenants(said: &Given<Vec<Said<weighbridge_access::TenantName>>>) -> Vec<Arc<str>> {
    said.said()
        .map_or_else(Vec::new, |said| said.value.iter().map(|name| name.value.as_str().into()).collect())
}

fn pairs(said: &Pairs) -> Vec<(Arc<str>, Arc<str>)> {
    let said = said.said().map_or(&[][..], |said| &said.value);
    said.iter().map(|(name, value)| (name.value.as_str().into(), value.value.as_str().into())).collect()
}

fn range(said: &Bounds, problems: &mut Problems) -> Option<Range<u64>> {
    let (from, below) = (said.from.said(), said.below.said());
    if let (Some(from), Some(below)) = (from, below)
        && from.value >= below.value
    {
        problems
            .at(below.span.clone(), format!("nothing is from {} and below {}", from.value, below.value))
            .hint("the lower bound belongs to the range, the upper one does not");
    }
    let range = from.map_or(0, |from| from.value)..below.map_or(u64::MAX, |below| below.value);
    (from.is_some() || below.is_some()).then_some(range)
}

/// Labels, of which one name may have several values, separated by commas.
pub(crate) fn labels(said: &Pairs, problems: &mut Problems) -> Labels {
    let Some(said) = said.said() else { return Labels::default() };
    let each = said
        .value
        .iter()
        .flat_map(|(name, values)| values.value.split(',').map(|value| (name.value.trim(), value.trim())));
    Labels::new(each).unwrap_or_else(|why| {
        problems
            .at(said.span.clone(), why.to_string())
            .hint(r#"write it like this: { region = "eu", compliance = "gdpr, hipaa" }"#);
        Labels::default()
    })
}

/// What is demanded for keys and tenants.
pub(crate) fn residency(said: &[said::ResidencyRule], problems: &mut Problems) -> Vec<ResidencyRule> {
    said.iter()
        .map(|rule| {
            if rule.require.is_absent() || rule.require.said().is_some_and(|said| said.value.is_empty()) {
                problems
                    .at(rule.span.clone(), "this rule demands nothing")
                    .hint(r#"say what must hold: require = { region = "eu" }"#);
            }
            let keys = rule.keys.said().map_or(&[][..], |said| &said.value);
            ResidencyRule {
                keys: keys.iter().map(|key| key.value.as_str().into()).collect(),
                tenants: tenants(&rule.tenants),
                require: labels(&rule.require, problems),
            }
        })
        .collect()
}

/// A demand that no provider of the file meets is a slip of the pen: nothing could be served.
pub(crate) fn check_met(said: &Pairs, meant: &Labels, providers: &[Labels], problems: &mut Problems) {
    let Some(span) = said.said().map(|said| said.span.clone()) else { return };
    if meant.is_empty() || providers.iter().any(|labels| labels.lacks(meant).is_none()) {
        return;
    }
    problems
        .at(span, format!("no provider of this file has the labels `{meant}`"))
        .hint("give them to those where they hold: labels = { … } under [providers.NAME]");
}

/// Further names of a model: names that nothing else has.
pub(crate) fn aliases(said: &[said::Model], providers: &[&str], problems: &mut Problems) {
    let mut taken: Vec<&str> = said.iter().map(|model| model.name.value.as_str()).collect();
    for alias in said.iter().flat_map(|model| model.aliases.said().map_or(&[][..], |said| &said.value)) {
        let text = alias.value.as_str();
        let plain = (1..=128).contains(&text.len())
            && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '*');
        let direct = text.split_once('/').is_some_and(|(provider, _)| providers.contains(&provider));
        let why = match (plain, direct, taken.contains(&text)) {
            (false, ..) => "cannot name a model",
            (_, true, _) => "already means a model at a provider",
            (.., true) => "is a model's name already",
            _ => {
                taken.push(text);
                continue;
            }
        };
        problems
            .at(alias.span.clone(), format!("`{}` {why}", text.escape_debug()))
            .hint("choose another name");
    }
}
