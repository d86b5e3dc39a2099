use std::time::Duration;

use weighbridge_catalogue::traits;
use weighbridge_units::Timestamp;

use crate::settings::{Settings, TargetSettings};

/// How long before a model is shut down it is warned of.
pub const WARNED_BEFORE: Duration = Duration::from_secs(90 * 86_400);

/// A target of a route whose provider shuts its model down, or has done so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retiring {
    /// `provider/model`.
    pub target: String,
    /// From when on it is not served, as the catalogue knows it.
    pub at: Timestamp,
}

/// The targets of all routes whose models are shut down within [`WARNED_BEFORE`], those that are already included;
/// each once, in the order of the settings.
pub fn retiring(settings: &Settings, now: Timestamp) -> Vec<Retiring> {
    let mut found: Vec<Retiring> = Vec::new();
    let targets = settings.routes.iter().flat_map(|route| route.targets.iter().chain(&route.fallbacks));
    for TargetSettings { provider, model, .. } in targets {
        let known = settings.providers.iter().find(|known| known.name == *provider);
        let at = known.and_then(|known| traits(&known.price_as, model).retires);
        let Some(at) = at.filter(|at| *at <= now + WARNED_BEFORE) else { continue };
        let target = format!("{provider}/{model}");
        if !found.iter().any(|other| other.target == target) {
            found.push(Retiring { target, at });
        }
    }
    found
}
