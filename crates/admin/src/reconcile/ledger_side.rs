use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use weighbridge_ledger::{Book, EntityId, Entry, Fact, Used};
use weighbridge_units::{AttemptId, Provenance};

use super::export::{Part, PartKind};
use super::{ExportError, Figures, Found, Subject, family};

/// What the ledger has of one provider.
pub(crate) struct LedgerSide {
    provider: EntityId,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Ended on a tenant's own credential; their usage follows.
    own_key: HashSet<AttemptId>,
}

struct Attempt {
    /// In which it was dispatched (UTC).
    day: i64,
    model: EntityId,
    used: Used,
}

impl LedgerSide {
    pub(crate) fn new(provider: EntityId) -> Self {
        Self { provider, attempts: BTreeMap::new(), own_key: HashSet::new() }
    }

    /// The next row of the journal.
    pub(crate) fn row(&mut self, entry: &Entry) {
        match &entry.fact {
            Fact::Ended { attempt, .. } | Fact::Late { attempt, .. } if entry.book == Book::Surcharge => {
                self.own_key.insert(*attempt);
            }
            Fact::Used { attempt, rollup, used, .. } => {
                let billed_to_tenant = self.own_key.remove(attempt);
                if !billed_to_tenant && rollup.provider == self.provider {
                    let day = rollup.hour.div_euclid(24);
                    // What came late replaces what was entered first.
                    self.attempts.insert(*attempt, Attempt { day, model: rollup.model, used: *used });
                }
            }
            _ => {}
        }
    }

    pub(crate) fn models(&self) -> BTreeSet<EntityId> {
        self.attempts.values().map(|attempt| attempt.model).collect()
    }

    /// Added up as a part of an export is, on the days that it covers.
    pub(crate) fn grouped(
        &self,
        part: &Part,
        model: impl Fn(EntityId) -> String,
    ) -> Result<BTreeMap<Subject, Found>, ExportError> {
        let mut names: HashMap<EntityId, String> = HashMap::new();
        let days: BTreeSet<i64> = match part.kind {
            // Lines tell no day: those that they have attempts of are covered.
            PartKind::Requests => {
                let said =
                    self.attempts.iter().filter(|(id, _)| part.said.contains_key(&Subject::Attempt(**id)));
                said.map(|(_, attempt)| attempt.day).collect()
            }
            PartKind::Usage | PartKind::Costs => part.days.clone(),
        };
        let mut grouped: BTreeMap<Subject, Found> = BTreeMap::new();
        for (id, attempt) in self.attempts.iter().filter(|(_, attempt)| days.contains(&attempt.day)) {
            let subject = match part.kind {
                PartKind::Requests => Subject::Attempt(*id),
                _ if part.is_whole_day(attempt.day) => Subject::Day(attempt.day, None),
                _ => {
                    let name = names.entry(attempt.model).or_insert_with(|| model(attempt.model));
                    Subject::Day(attempt.day, Some(family(name).to_owned()))
                }
            };
            let found = grouped.entry(subject).or_default();
            let figures = part.figures();
            found.figures.add(&Figures {
                counts: figures
                    .iter()
                    .flatten()
                    .map(|figure| (*figure, figure.of(&attempt.used.usage)))
                    .collect(),
                cost: figures.contains(&None).then_some(attempt.used.exact),
            })?;
            found.estimates += u64::from(attempt.used.provenance != Provenance::Reported);
        }
        Ok(grouped)
    }
}
