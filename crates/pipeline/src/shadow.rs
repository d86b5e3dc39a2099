//! Copies of requests to another model, to see how it does: nobody gets their answers.
//!
//! A copy is made once its request has an answer, and goes its own way as a task: the client does not wait for it,
//! and whatever becomes of it concerns no target's health. The installation bears its cost (`absorbed:shadow`), and its
//! budgets bound it: a copy that finds no room is left out and counted. It never goes out on a tenant's own key, nor
//! where the tenant's requests do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use tokio::runtime::Handle;
use weighbridge_routing::{Demand, Plan, Rejection};
use weighbridge_transport::Transport;

use crate::admit::Travelling;
use crate::attempt::{Attempted, dispatch};
use crate::demand::demand;
use crate::departure::read_out;
use crate::exchange::Place;
use crate::fit;
use crate::own_keys::Lent;
use crate::reserve::{Rejected, reserve};
use crate::settings::ShadowSettings;

/// The copies of one route.
pub(crate) struct Shadowing {
    pub(crate) settings: ShadowSettings,
    running: Arc<AtomicUsize>,
}

impl Shadowing {
    pub(crate) fn new(settings: ShadowSettings) -> Self {
        Self { settings, running: Arc::default() }
    }

    /// Whether a request is one of those that are copied.
    const fn is_drawn(&self, random: u64) -> bool {
        // The top half of a random number is one too.
        ((random >> 32) * 1_000) >> 32 < self.settings.permille as u64
    }
}

/// The copy of a request.
pub(crate) struct Copied {
    request: Travelling,
    /// What the request says to the strategies of the other model: its record says less of the client than the
    /// request's own.
    demand: Option<Demand>,
}

/// The copy of a request, if one is to be made: neither under load, nor of what is kept or claimed, nor for a key
/// that may not use the other model, nor of what may go out on keys of the tenant's own.
///
/// On the heap: it is held until the request has an answer, and most requests have none.
pub(crate) fn copy(request: &Travelling) -> Option<Box<Copied>> {
    let Travelling { exchange, settings, route } = request;
    let shadowing = route.shadowing.as_ref()?;
    let core = exchange.core();
    let is_loaded = core.places.load(Ordering::Relaxed) > settings.limits.open_requests / 2;
    if is_loaded || !exchange.may_be_set_aside() || !shadowing.is_drawn(core.env.random()) {
        return None;
    }
    let to = &*shadowing.settings.to;
    let target = settings.route(to).filter(|_| exchange.principal.may_use(to))?;
    let shelf = core.shelf.load();
    let may_be_own = |route| Lent::of(&shelf, &exchange.principal, route).is_some();
    if may_be_own(route) || may_be_own(&target) {
        return None;
    }
    let place = Place::take(&shadowing.running, shadowing.settings.most)?;
    let demand = demand(exchange, &target);
    let mut exchange = exchange.copy(place);
    // A copy, too, goes only where everybody demands that it goes.
    exchange.demands.push(target.require.clone());
    let request = Travelling { exchange, settings: Arc::clone(settings), route: target };
    Some(Box::new(Copied { request, demand }))
}

/// Sends a copy on its way, where its request came to an answer.
pub(crate) fn send(copy: Option<Box<Copied>>, transport: &Arc<dyn Transport>, status: StatusCode) {
    let Some(copy) = copy.filter(|_| status.is_success()) else { return };
    let Ok(runtime) = Handle::try_current() else { return };
    let transport = Arc::clone(transport);
    runtime.spawn(async move { run(*copy, &*transport).await });
}

/// One attempt, read to its end.
async fn run(copy: Copied, transport: &dyn Transport) {
    let Copied { request: Travelling { exchange, settings, route }, demand } = copy;
    let mut plan = Plan::new(Arc::clone(&route.route));
    if let Some(demand) = demand {
        plan = plan.with_demand(demand);
    }
    if fit::bar(&mut plan, &exchange, &route).is_some() {
        return;
    }
    let Some(pick) = plan.copy(exchange.now(), exchange.core().env.random()) else { return };
    let Some(deployment) = route.deployments.get(pick.target().get()) else { return };
    let reserved = match reserve(exchange, &settings, &route, deployment, pick, None).await {
        Ok(reserved) => reserved,
        Err(rejected) => {
            let Rejected { exchange, unfit, .. } = *rejected;
            if !unfit.ends && matches!(unfit.why, Rejection::Budget | Rejection::Limit) {
                exchange.core().copies_without_room.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
    };
    if let Attempted::Answered(response) = dispatch(reserved, &settings, transport).await {
        read_out(response.into_body()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_drawn() {
        let drawn = |permille, random| {
            let settings = ShadowSettings { to: "m".into(), permille, most: 1 };
            Shadowing::new(settings).is_drawn(random)
        };
        assert!(!drawn(0, 0) && drawn(1_000, u64::MAX));
        let share =
            |permille| (0..10_000).filter(|n| drawn(permille, (((2 * n + 1) << 32) / 20_000) << 32)).count();
        assert_eq!([5, 50, 999].map(share), [50, 500, 9_990]);
    }
}
