//! What limits of models and of deployments are counted in. It outlives reloads, and is found by name: a
//! deployment is the same one whichever route leads to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weighbridge_access::{LimitCells, LimitOwner, Limits};

/// Deployments that are counted each for itself. Names of models are the clients' to make up: further ones of
/// a provider are counted together.
const DEPLOYMENTS_MOST: usize = 4096;

/// Cells by owner.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<HashMap<(LimitOwner, Arc<str>), Counter>>);

#[derive(Debug)]
struct Counter {
    limits: Limits,
    cells: Arc<LimitCells>,
}

impl Counters {
    /// The cells of a configured model.
    pub(crate) fn model(&self, name: &Arc<str>, limits: &Limits) -> Arc<LimitCells> {
        cells(&mut self.all(), LimitOwner::Model, Arc::clone(name), limits)
    }

    /// The cells of a model at a provider.
    pub(crate) fn deployment(&self, provider: &str, model: &str, limits: &Limits) -> Arc<LimitCells> {
        if *limits == Limits::NONE {
            return Arc::new(LimitCells::new(LimitOwner::Deployment, "", limits, None));
        }
        let mut all = self.all();
        let name = (LimitOwner::Deployment, Arc::from(format!("{provider}/{model}")));
        let is_known = all.len() < DEPLOYMENTS_MOST || all.contains_key(&name);
        let name = if is_known { name.1 } else { format!("{provider}/").into() };
        cells(&mut all, LimitOwner::Deployment, name, limits)
    }

    /// The cells of everything that is limited.
    pub(crate) fn limits(&self) -> Vec<Arc<LimitCells>> {
        let all = self.all();
        all.values().filter(|it| it.limits != Limits::NONE).map(|it| Arc::clone(&it.cells)).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(LimitOwner, Arc<str>), Counter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cells that are there, if the limits are the same; else others that go on where those are.
fn cells(
    all: &mut HashMap<(LimitOwner, Arc<str>), Counter>,
    whose: LimitOwner,
    name: Arc<str>,
    limits: &Limits,
) -> Arc<LimitCells> {
    let former = all.get(&(whose, Arc::clone(&name)));
    if let Some(same) = former.filter(|former| former.limits == *limits) {
        return Arc::clone(&same.cells);
    }
    let cells = Arc::new(LimitCells::new(whose, &name, limits, former.map(|former| &*former.cells)));
    all.insert((whose, name), Counter { limits: *limits, cells: Arc::clone(&cells) });
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_make_up_take_no_memory() {
        let counters = Counters::default();
        let limits = Limits { rpm: Some(1), ..Limits::NONE };
        let first = counters.deployment("p", "m0", &limits);
        for at in 0..DEPLOYMENTS_MOST + 100 {
            counters.deployment("p", &format!("m{at}"), &limits);
        }
        assert!(counters.all().len() <= DEPLOYMENTS_MOST + 1);
        assert!(Arc::ptr_eq(&counters.deployment("p", "m0", &limits), &first));
        let (one, other) = (counters.deployment("p", "x", &limits), counters.deployment("p", "y", &limits));
        assert!(Arc::ptr_eq(&one, &other));
    }
}
