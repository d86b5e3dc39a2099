//! Models and their targets.

use weighbridge_pipeline::settings::OnDisconnect;

use super::rule::{Pairs, Rule};
use super::{Budgets, ON_DISCONNECT, Rates, Strategy, budgets};
use crate::failover::SaidFailover;
use crate::keys;
use crate::reader::{Given, Item, Reader, Said, Table};

pub(crate) struct Model {
    pub(crate) name: Said<String>,
    pub(crate) strategy: Strategy,
    pub(crate) targets: Given<Vec<Target>>,
    pub(crate) fallbacks: Given<Vec<Target>>,
    pub(crate) baseline: Given<String>,
    pub(crate) failover: SaidFailover,
    pub(crate) on_disconnect: Given<OnDisconnect>,
    pub(crate) limits: Rates,
    pub(crate) budgets: Budgets,
    pub(crate) aliases: Given<Vec<Said<String>>>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) require: Pairs,
}

pub(crate) struct Target {
    pub(crate) model: Said<String>,
    pub(crate) weight: Given<u64>,
}

impl Model {
    pub(super) fn read(reader: &mut Reader<'_>, name: Said<String>, table: &Table<'_>) -> Self {
        let limits = reader.table(table, "limits", &keys::MODEL_LIMITS);
        Self {
            name,
            strategy: Strategy::read(reader, table),
            targets: Target::read_all(reader, table, "targets"),
            fallbacks: Target::read_all(reader, table, "fallbacks"),
            baseline: reader.text(table, "baseline"),
            failover: SaidFailover::read(reader, table),
            on_disconnect: reader.choice(table, "on_disconnect", &ON_DISCONNECT),
            limits: limits.map(|table| Rates::read(reader, &table)).unwrap_or_default(),
            budgets: budgets(reader, table),
            aliases: reader.list(table, "aliases", |text| Ok(text.to_owned())),
            rules: Rule::read_all(reader, table),
            require: reader.pairs(table, "require"),
        }
    }
}

impl Target {
    fn read_all(reader: &mut Reader<'_>, table: &Table<'_>, name: &str) -> Given<Vec<Self>> {
        let Given::Said(items) = reader.items(table, name, &keys::TARGET) else {
            return if table.has(name) { Given::Wrong } else { Given::Absent };
        };
        let mut targets = Vec::new();
        let is_empty = items.value.is_empty();
        for (span, item) in items.value {
            match item {
                Item::Text(model) => targets.push(Self { model, weight: Given::Absent }),
                Item::Table(table) => {
                    let weight = reader.integer(&table, "weight", 0..=1_000_000);
                    match reader.text(&table, "model") {
                        Given::Said(model) => targets.push(Self { model, weight }),
                        Given::Wrong => {}
                        Given::Absent => reader
                            .problems
                            .at(span, "this target names no model")
                            .hint(r#"write it like this: { model = "openai/gpt-4o-mini" }"#),
                    }
                }
            }
        }
        // Where nothing is left, that nothing is left has been explained.
        if targets.is_empty() && !is_empty {
            return Given::Wrong;
        }
        Given::Said(Said { value: targets, span: items.span })
    }
}
