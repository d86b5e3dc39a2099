//! The cells of each model at each provider, found by one read of one map.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use weighbridge_records::redact;
use weighbridge_units::{AttemptOutcome, Bucket};

use crate::money_counter::MoneyCounter;

/// What names collapse into once there are too many of them.
const OTHER: &str = "other";

/// Everything that is counted per model and provider, so that an attempt looks up one thing.
///
/// Series come into being when they are first counted: an unused bucket is no line in the scrape.
#[derive(Default)]
pub(crate) struct ModelCells {
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) cost: MoneyCounter,
    pub(crate) outcomes: [OnceLock<Counter>; AttemptOutcome::ALL.len()],
    pub(crate) tokens: [OnceLock<Counter>; Bucket::ALL.len()],
    pub(crate) duration: OnceLock<Histogram>,
    pub(crate) first_chunk: OnceLock<Histogram>,
    pub(crate) first_token: OnceLock<Histogram>,
    pub(crate) gap: OnceLock<Histogram>,
    pub(crate) longest_gap: OnceLock<Histogram>,
    pub(crate) prompt_tokens: OnceLock<Histogram>,
    pub(crate) answer_tokens: OnceLock<Histogram>,
}

type Models = HashMap<Arc<str>, Arc<ModelCells>>;

/// All cells, by provider and model; at most `cap` of them, and one for the rest.
pub(crate) struct ModelMap {
    cap: usize,
    by_provider: RwLock<HashMap<Arc<str>, Models>>,
    other: Arc<ModelCells>,
}

impl ModelMap {
    pub(crate) fn new(cap: usize) -> Self {
        let other = ModelCells { provider: OTHER.into(), model: OTHER.into(), ..ModelCells::default() };
        Self { cap, by_provider: RwLock::default(), other: Arc::new(other) }
    }

    /// The cells of a model at a provider.
    pub(crate) fn get(&self, provider: &Arc<str>, model: &Arc<str>) -> Arc<ModelCells> {
        let cells = self.by_provider.read().unwrap_or_else(PoisonError::into_inner);
        match cells.get(provider).and_then(|models| models.get(model)) {
            Some(found) => found.clone(),
            None => {
                drop(cells);
                self.create(provider, model)
            }
        }
    }

    fn create(&self, provider: &Arc<str>, model: &Arc<str>) -> Arc<ModelCells> {
        let mut cells = self.by_provider.write().unwrap_or_else(PoisonError::into_inner);
        let count: usize = cells.values().map(HashMap::len).sum();
        let known = cells.get(provider).and_then(|models| models.get(model));
        if let Some(found) = known {
            return found.clone();
        }
        if count >= self.cap {
            return self.other.clone();
        }
        // A client may have chosen the model's name, and put anything into it.
        let shown = Arc::from(redact(model));
        let new = Arc::new(ModelCells { provider: provider.clone(), model: shown, ..ModelCells::default() });
        cells.entry(provider.clone()).or_default().insert(model.clone(), new.clone());
        new
    }

    /// All cells, sorted by provider and model, so that scrapes are stable.
    pub(crate) fn all(&self) -> Vec<Arc<ModelCells>> {
        let cells = self.by_provider.read().unwrap_or_else(PoisonError::into_inner);
        let known = cells.values().flat_map(HashMap::values);
        let mut all: Vec<_> = known.chain([&self.other]).cloned().collect();
        all.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_cap_collapse_into_other() {
        let map = ModelMap::new(3);
        let shown = |provider: &str, model: &str| {
            let cells = map.get(&provider.into(), &model.into());
            format!("{}/{}", cells.provider, cells.model)
        };
        let names = ["a", "b", "c", "d", "e"].map(|model| shown("openai", model));
        assert_eq!(names, ["openai/a", "openai/b", "openai/c", "other/other", "other/other"]);
        assert_eq!(shown("claude", "a"), "other/other");
        assert_eq!(shown("openai", "b"), "openai/b", "what is known stays");
        assert_eq!(map.all().len(), 4);
    }

    #[test]
    fn a_credential_as_a_model_name_is_no_label() {
        let map = ModelMap::new(3);
        let cells = map.get(&"openai".into(), &"sk-CANARY0123456789".into());
        assert_eq!(&*cells.model, "sk-[redacted]");
    }
}
