//! Active probes: a question that costs nothing, to providers of which a model is benched.
//!
//! An answer ends the cool-down, and the next request finds out whether the model is back: that a provider lists its
//! models does not prove that each of them works. No answer changes nothing. Without `probe` under a provider's
//! health, nobody is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;
use tokio::time::timeout;
use weighbridge_transport::{Rope, Transport};
use weighbridge_units::Monotonic;

use crate::compiled::{Deployment, Provider};
use crate::jobs::ticks;
use crate::outbound;
use crate::own_keys::Used;
use crate::pipeline::Core;

/// How often is looked for benched models.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest time in which an answer counts.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(core: Arc<Core>, transport: Arc<dyn Transport>) {
    let mut ticks = ticks(LOOK_EVERY);
    let mut asked: HashMap<Arc<str>, Monotonic> = HashMap::new();
    // Dropped with the job, which ends all that is under way.
    let mut probes = JoinSet::new();
    loop {
        ticks.tick().await;
        while probes.try_join_next().is_some() {}
        let now = core.env.monotonic();
        let mut benched: HashMap<Arc<str>, Vec<Arc<Deployment>>> = HashMap::new();
        for deployment in core.compiled.load().benched(now) {
            benched.entry(Arc::clone(&deployment.provider.name)).or_default().push(deployment);
        }
        for (name, deployments) in benched {
            let Some(provider) = deployments.first().map(|first| Arc::clone(&first.provider)) else {
                continue;
            };
            let every = provider.probe.as_ref().map_or(Duration::MAX, |probe| probe.every);
            if asked.get(&name).is_some_and(|last| now.since(*last) < every) {
                continue;
            }
            asked.insert(name, now);
            let (core, transport) = (Arc::clone(&core), Arc::clone(&transport));
            probes.spawn(async move {
                if answers(&provider, &*transport).await {
                    let now = core.env.monotonic();
                    deployments.iter().for_each(|deployment| deployment.health().answered_probe(now));
                }
            });
        }
    }
}

async fn answers(provider: &Provider, transport: &dyn Transport) -> bool {
    let Some(uri) = provider.probe_uri() else { return false };
    let mut request = outbound::call(provider, &Used::Platform(0), uri, None, Rope::new());
    *request.method_mut() = Method::GET;
    let answer = timeout(ANSWERS_WITHIN, transport.send(request, provider.timeouts.connect)).await;
    let good = matches!(&answer, Ok(Ok(response)) if response.status().is_success());
    tracing::debug!(provider = &*provider.name, good, "a provider of a benched model was probed");
    good
}
