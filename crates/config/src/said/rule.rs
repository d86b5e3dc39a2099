//! Rules of models, and what is demanded of providers.

use std::ops::{Range, RangeInclusive};

use weighbridge_access::TenantName;
use weighbridge_catalogue::near;
use weighbridge_routing::{Difficulty, Task};
use weighbridge_units::{Feature, KeyId};

use crate::keys;
use crate::reader::{Given, Item, Mismatch, Reader, Said, Table};

/// A table of strings whose names the file chooses.
pub(crate) type Pairs = Given<Vec<(Said<String>, Said<String>)>>;

/// The most tokens that a rule may ask about.
const TOKENS_MOST: u64 = 1_000_000_000;

pub(crate) struct Rule {
    pub(crate) span: Range<usize>,
    pub(crate) name: Given<String>,
    pub(crate) when: Option<When>,
    pub(crate) to: Given<String>,
    pub(crate) refuse: Given<String>,
}

pub(crate) struct When {
    pub(crate) keys: Given<Vec<Said<String>>>,
    pub(crate) tenants: Given<Vec<Said<TenantName>>>,
    pub(crate) tags: Pairs,
    pub(crate) headers: Pairs,
    pub(crate) tokens: Bounds,
    pub(crate) context: Bounds,
    pub(crate) features: [(Feature, Given<bool>); 5],
    pub(crate) difficulty: Bounds,
    pub(crate) tasks: Given<Vec<Said<Task>>>,
}

/// `…_from` and `…_below`.
pub(crate) struct Bounds {
    pub(crate) from: Given<u64>,
    pub(crate) below: Given<u64>,
}

/// An entry of `[residency] rules`.
pub(crate) struct ResidencyRule {
    pub(crate) span: Range<usize>,
    pub(crate) keys: Given<Vec<Said<String>>>,
    pub(crate) tenants: Given<Vec<Said<TenantName>>>,
    pub(crate) require: Pairs,
}

impl Rule {
    pub(super) fn read_all(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<Self> {
        let example = r#"write it like this: { when = { difficulty_below = 400 }, use = "small" }"#;
        tables(reader, table, &keys::RULE, example)
            .into_iter()
            .map(|(span, table)| Self {
                span,
                name: reader.text(&table, "name"),
                when: reader.table(&table, "when", &keys::WHEN).map(|when| When::read(reader, &when)),
                to: reader.text(&table, "use"),
                refuse: reader.text(&table, "refuse"),
            })
            .collect()
    }
}

impl When {
    fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Self {
        let difficulty = 0..=u64::from(Difficulty::MAX.get()) + 1;
        let mut flag = |feature, name| (feature, reader.flag(table, name));
        let features = [
            flag(Feature::Tools, "tools"),
            flag(Feature::Images, "images"),
            flag(Feature::Audio, "audio"),
            flag(Feature::Documents, "documents"),
            flag(Feature::JsonSchema, "json_schema"),
        ];
        Self {
            keys: reader.list(table, "keys", key_id),
            tenants: reader.list(table, "tenants", tenant),
            tags: reader.pairs(table, "tags"),
            headers: reader.pairs(table, "headers"),
            tokens: Bounds::read(reader, table, ["tokens_from", "tokens_below"], 0..=TOKENS_MOST),
            context: Bounds::read(reader, table, ["context_from", "context_below"], 0..=TOKENS_MOST),
            features,
            difficulty: Bounds::read(reader, table, ["difficulty_from", "difficulty_below"], difficulty),
            tasks: reader.list(table, "tasks", task),
        }
    }

    /// Whether nothing is said, so that it would hold always.
    pub(crate) fn is_empty(&self) -> bool {
        let bounds = [&self.tokens, &self.context, &self.difficulty];
        self.keys.is_absent()
            && self.tenants.is_absent()
            && self.tags.is_absent()
            && self.headers.is_absent()
            && self.tasks.is_absent()
            && self.features.iter().all(|(_, said)| said.is_absent())
            && bounds.iter().all(|bounds| bounds.from.is_absent() && bounds.below.is_absent())
    }
}

impl Bounds {
    fn read(
        reader: &mut Reader<'_>,
        table: &Table<'_>,
        [from, below]: [&str; 2],
        range: RangeInclusive<u64>,
    ) -> Self {
        Self { from: reader.integer(table, from, range.clone()), below: reader.integer(table, below, range) }
    }
}

impl ResidencyRule {
    pub(super) fn read_all(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<Self> {
        let example = r#"write it like this: { tenants = ["acme"], require = { region = "eu" } }"#;
        tables(reader, table, &keys::RESIDENCY_RULE, example)
            .into_iter()
            .map(|(span, table)| Self {
                span,
                keys: reader.list(&table, "keys", key_id),
                tenants: reader.list(&table, "tenants", tenant),
                require: reader.pairs(&table, "require"),
            })
            .collect()
    }
}

/// The tables of the array `rules`.
fn tables<'t>(
    reader: &mut Reader<'_>,
    table: &Table<'t>,
    section: &'static keys::Section,
    example: &str,
) -> Vec<(Range<usize>, Table<'t>)> {
    let Given::Said(items) = reader.items(table, "rules", section) else { return Vec::new() };
    let mut tables = Vec::new();
    for (span, item) in items.value {
        match item {
            Item::Table(table) => tables.push((span, table)),
            Item::Text(_) => {
                reader.problems.at(span, "a rule is a table, not a string").hint(example);
            }
        }
    }
    tables
}

fn key_id(text: &str) -> Result<String, Mismatch> {
    let id = text.parse::<KeyId>();
    id.map(|id| id.to_string())
        .map_err(|_| Mismatch::new("the public id of a key").with_hint("as `weighbridge keys list` shows it"))
}

fn tenant(text: &str) -> Result<TenantName, Mismatch> {
    text.parse().map_err(|_| Mismatch::new("the name of an organisation, or of a team such as acme/search"))
}

fn task(text: &str) -> Result<Task, Mismatch> {
    let names = || Task::ALL.into_iter().map(Task::as_str);
    Task::ALL.into_iter().find(|task| task.as_str() == text).ok_or_else(|| {
        let mismatch = Mismatch::new(format!(
            "one of {}",
            names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ));
        match near(text, names()).first() {
            Some(meant) => mismatch.with_hint(format!("did you mean `{meant}`?")),
            None => mismatch,
        }
    })
}
