//! Deployments that answer, fail and refuse in virtual time, and the requests that plans send to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use weighbridge_routing::{
    Availability, Demand, FailureCause, HealthPolicy, KeyPool, Limit, Pick, Plan, RateLimits, RetryBudget,
    RetryPolicy, Route, RouteParts, Sent, Strategy, Target, stable_hash,
};
use weighbridge_units::{ErrorClass, Monotonic, NanoUsd};

pub(crate) const DEPLOYMENTS: usize = 20;
/// Away from zero, where forgotten instants would hide.
const START: Monotonic = Monotonic::from_micros(3_600_000_000);

/// What a deployment is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deployment {
    /// What an answer takes while few are under way.
    pub(crate) answer_ms: u64,
    /// How many answers are made at once without getting slower.
    pub(crate) at_once: u64,
    /// The provider's limit of tokens.
    pub(crate) per_minute: Option<u64>,
    /// What a request costs, in nano-dollars.
    pub(crate) price: i64,
}

/// What befalls a deployment at an instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) is_down: bool,
    /// How much of its usual time an answer takes.
    pub(crate) slow_percent: u64,
    /// Requests of a hundred that it answers with an error.
    pub(crate) failing_percent: u64,
}

pub(crate) const FAIR: Weather = Weather { is_down: false, slow_percent: 100, failing_percent: 0 };

/// A request as its caller makes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) caller: u64,
    /// What its prompt begins with.
    pub(crate) conversation: u64,
    /// What it takes of a limit.
    pub(crate) tokens: u64,
    /// How much of the usual time it takes.
    pub(crate) work_percent: u64,
    /// It fails anywhere, by its own fault.
    pub(crate) is_wrong: bool,
}

pub(crate) struct Scenario {
    pub(crate) deployments: fn(usize) -> Deployment,
    pub(crate) weather: fn(deployment: usize, second: u64) -> Weather,
    pub(crate) request: fn(number: u64, random: u64) -> Request,
    pub(crate) seconds: u64,
    pub(crate) per_second: u64,
    /// Requests that arrive in these seconds are in [`Outcome::added_us`].
    pub(crate) added_in: std::ops::Range<u64>,
    /// What requests are kept together by.
    pub(crate) affinity: fn(&Request) -> u64,
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) wrong: u64,
    pub(crate) answered: u64,
    pub(crate) tries: u64,
    pub(crate) rate_limited: u64,
    pub(crate) cost: i64,
    /// Answers after the first of a conversation, and those of them whose prompt the deployment remembered.
    pub(crate) later_turns: u64,
    pub(crate) remembered: u64,
    /// From arrival to answer.
    pub(crate) latencies_us: Vec<u64>,
    /// What passed before the try that succeeded.
    pub(crate) added_us: Vec<u64>,
    /// Where each caller was served.
    pub(crate) served: HashMap<u64, BTreeSet<usize>>,
    /// Whether a deployment was ever not ready.
    pub(crate) benched: bool,
}

impl Outcome {
    pub(crate) fn mean_ms(&self) -> u64 {
        self.latencies_us.iter().sum::<u64>() / 1_000 / self.latencies_us.len() as u64
    }

    pub(crate) fn p99_ms(&self) -> u64 {
        p99(&self.latencies_us) / 1_000
    }
}

pub(crate) fn p99(times: &[u64]) -> u64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * 99).div_ceil(100) - 1]
}

/// SplitMix64: the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        stable_hash(&self.0.to_be_bytes())
    }
}

/// How long a provider remembers the beginning of a prompt that nobody uses.
const CACHE: Duration = Duration::from_secs(300);

struct State {
    deployment: Deployment,
    under_way: u64,
    /// What is left of its limit, in sixty-millionths of a token: as many come each microsecond as it has per minute.
    left: u64,
    filled_at: Monotonic,
    remembers: HashMap<u64, Monotonic>,
}

const WHOLE: u64 = 60_000_000;

impl State {
    /// Takes tokens out of the limit; whether there were so many.
    fn takes(&mut self, tokens: u64, now: Monotonic) -> bool {
        let Some(limit) = self.deployment.per_minute else { return true };
        let gone = now.since(self.filled_at).as_micros() as u64;
        self.left = (self.left + gone * limit).min(limit * WHOLE);
        self.filled_at = now;
        let has_room = self.left >= tokens * WHOLE;
        if has_room {
            self.left -= tokens * WHOLE;
        }
        has_room
    }

    fn tells(&self) -> Option<RateLimits> {
        let limit = self.deployment.per_minute?;
        let full = Duration::from_micros((limit * WHOLE - self.left) / limit);
        let tokens = Limit { limit: Some(limit), remaining: self.left / WHOLE, reset: Some(full) };
        Some(RateLimits { requests: None, tokens: Some(tokens) })
    }
}

/// A try that is under way.
struct Waiting {
    plan: Plan,
    pick: Pick,
    request: Request,
    arrived: Monotonic,
    sent: Monotonic,
    failure: Option<FailureCause>,
    remembered: bool,
}

struct World<'s> {
    scenario: &'s Scenario,
    random: Random,
    states: Vec<State>,
    /// By the instant of their end and a number, so that equal instants keep their order.
    waiting: BTreeMap<(Monotonic, u64), Waiting>,
    outcome: Outcome,
}

/// Plays a scenario with these strategies.
pub(crate) fn play(scenario: &Scenario, strategies: Vec<Box<dyn Strategy>>) -> Outcome {
    let primaries = (0..DEPLOYMENTS).map(|at| {
        let name = format!("vendor-{}/deployment-{at}", at % 4);
        (Target::new(name, Arc::new(KeyPool::new(1)), HealthPolicy::default()), 1)
    });
    let retry_budget = Arc::new(RetryBudget::new(RetryPolicy::default()));
    let parts =
        RouteParts { primaries: primaries.collect(), strategies, retry_budget, ..RouteParts::default() };
    let route = Route::new(parts).unwrap();
    let state = |deployment: Deployment| State {
        deployment,
        under_way: 0,
        left: deployment.per_minute.unwrap_or(0) * WHOLE,
        filled_at: START,
        remembers: HashMap::new(),
    };
    let states = (0..DEPLOYMENTS).map(|at| state((scenario.deployments)(at))).collect();
    let (waiting, outcome) = (BTreeMap::new(), Outcome::default());
    let mut world = World { scenario, random: Random(1), states, waiting, outcome };
    let gap = Duration::from_micros(1_000_000 / scenario.per_second);
    let (end, mut arrival) = (START + Duration::from_secs(scenario.seconds), START);
    loop {
        let next = world.waiting.keys().next().map(|(at, _)| *at);
        if arrival < end && next.is_none_or(|at| arrival <= at) {
            world.arrives(&route, arrival);
            arrival = arrival + gap;
        } else if let Some(((now, _), waiting)) = world.waiting.pop_first() {
            world.ends(waiting, now);
        } else {
            let served = route.targets().map(|target| target.observed().in_flight());
            assert_eq!(served.sum::<u32>(), 0, "all attempts have ended");
            return world.outcome;
        }
    }
}

impl World<'_> {
    fn arrives(&mut self, route: &Arc<Route>, now: Monotonic) {
        let request = (self.scenario.request)(self.outcome.requests, self.random.next());
        self.outcome.requests += 1;
        self.outcome.wrong += u64::from(request.is_wrong);
        let ready = |target: &Arc<Target>| target.health().availability(now) == Availability::Ready;
        self.outcome.benched |= !route.targets().all(ready);
        let demand = Demand {
            affinity: Some((self.scenario.affinity)(&request)),
            tokens: request.tokens,
            costs: self.states.iter().map(|state| Some(NanoUsd::new(state.deployment.price))).collect(),
        };
        let plan = Plan::new(Arc::clone(route)).with_demand(demand);
        self.tries(plan, request, now, now);
    }

    fn tries(&mut self, mut plan: Plan, request: Request, arrived: Monotonic, now: Monotonic) {
        let Some(pick) = plan.next(now, self.random.next()) else { return };
        self.outcome.tries += 1;
        let at = pick.target().get();
        let weather = (self.scenario.weather)(at, now.since(START).as_secs());
        let Some(state) = self.states.get_mut(at) else { return };
        let used = state.remembers.insert(request.conversation, now);
        let remembered = used.is_some_and(|used| now.since(used) <= CACHE);
        let status = |class| FailureCause::Status { class, retry_after: None };
        let (millis, failure) = if weather.is_down {
            (5, Some(FailureCause::Transport { sent: Sent::No }))
        } else if request.is_wrong {
            (20, Some(status(ErrorClass::BadRequest)))
        } else if !state.takes(request.tokens, now) {
            self.outcome.rate_limited += 1;
            let retry_after = Some(Duration::from_secs(1));
            (20, Some(FailureCause::Status { class: ErrorClass::RateLimit, retry_after }))
        } else if self.random.next() % 100 < weather.failing_percent {
            (100, Some(status(ErrorClass::Overloaded)))
        } else {
            let crowd = (state.under_way + 1).max(state.deployment.at_once) * 100 / state.deployment.at_once;
            let cached = if remembered { 50 } else { 100 };
            let percents = weather.slow_percent * request.work_percent / 100 * crowd / 100 * cached / 100;
            (state.deployment.answer_ms * percents / 100, None)
        };
        if failure.is_some() {
            match used {
                Some(used) => state.remembers.insert(request.conversation, used),
                None => state.remembers.remove(&request.conversation),
            };
        }
        state.under_way += 1;
        let waiting = Waiting { plan, pick, request, arrived, sent: now, failure, remembered };
        self.waiting.insert((now + Duration::from_millis(millis), self.outcome.tries), waiting);
    }

    fn ends(&mut self, waiting: Waiting, now: Monotonic) {
        let Waiting { mut plan, pick, request, arrived, sent, failure, remembered } = waiting;
        let at = pick.target().get();
        let Some(state) = self.states.get_mut(at) else { return };
        state.under_way -= 1;
        if let Some(limits) = state.tells() {
            pick.told(&limits, now);
        }
        if let Some(cause) = failure {
            plan.failed(pick, &cause, now);
            self.tries(plan, request, arrived, now);
            return;
        }
        pick.succeeded(now);
        let outcome = &mut self.outcome;
        outcome.answered += 1;
        outcome.cost += state.deployment.price;
        outcome.latencies_us.push(now.since(arrived).as_micros() as u64);
        if self.scenario.added_in.contains(&arrived.since(START).as_secs()) {
            outcome.added_us.push(sent.since(arrived).as_micros() as u64);
        }
        outcome.served.entry(request.caller).or_default().insert(at);
        outcome.remembered += u64::from(remembered);
        outcome.later_turns += 1;
    }
}
