//! Rules of a model: which other model a request is served by, or that it is refused; and what it demands of whoever
//! serves it.

use std::cell::OnceCell;
use std::sync::Arc;

use weighbridge_access::{Principal, TenantName};
use weighbridge_protocol::{Body, Envelope};
use weighbridge_records::RuleMatch;
use weighbridge_routing::{Asked, Classification, Labels, Prompt, Then, classify, first_match};
use weighbridge_tokens::estimate;
use weighbridge_units::{Feature, Features, Protocol};

use crate::compiled::{Compiled, ModelRoute};
use crate::needs::{needs, texts};
use crate::receive::Authenticated;
use crate::refusal::Refusal;

/// A request, as rules look at it.
struct View<'a> {
    caller: &'a Authenticated,
    key: String,
    client: Protocol,
    body: &'a Body,
    envelope: &'a Envelope,
    needs: OnceCell<Features>,
    classification: OnceCell<Classification>,
}

impl Asked for View<'_> {
    fn key(&self) -> &str {
        &self.key
    }

    fn is_within(&self, tenant: &str) -> bool {
        is_within(&self.caller.principal.key().tenant, tenant)
    }

    fn tag(&self, name: &str) -> Option<&str> {
        self.caller.attributes.tags.get(name)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.caller.head.headers.get(name)?.to_str().ok()
    }

    fn prompt_tokens(&self) -> u64 {
        estimate(self.body.bytes().len() as u64)
    }

    fn answer_tokens(&self) -> u64 {
        self.envelope.max_output.unwrap_or(0).saturating_mul(self.envelope.candidates)
    }

    fn needs(&self) -> Features {
        *self.needs.get_or_init(|| needs(self.client, self.body, Features::of(&Feature::ALL)))
    }

    fn classification(&self) -> Classification {
        *self.classification.get_or_init(|| {
            let (user, system) = texts(self.client, self.body);
            let needs = self.needs();
            classify(&Prompt {
                user: &user,
                system: &system,
                conversation_bytes: self.body.bytes().len() as u64,
                tools: needs.has(Feature::Tools),
                media: !needs
                    .and(Features::of(&[Feature::Images, Feature::Audio, Feature::Documents]))
                    .is_empty(),
            })
        })
    }
}

/// Where rules have led a request.
pub(crate) struct Steered {
    pub(crate) route: Arc<ModelRoute>,
    /// The rules that matched, one after the other.
    pub(crate) matched: Vec<RuleMatch>,
    /// What is demanded of whoever serves it: by its headers, by its key's tenant, and by every model on the way.
    pub(crate) demands: Vec<Labels>,
    /// Why it is refused, where a rule says so.
    pub(crate) refused: Option<Refusal>,
}

/// Follows the rules from `route` on. They do not lead in circles: that was checked when they were compiled.
pub(crate) fn steer(
    caller: &Authenticated,
    settings: &Compiled,
    route: Arc<ModelRoute>,
    client: Protocol,
    body: &Body,
    envelope: &Envelope,
) -> Steered {
    let demands = demands(caller, settings);
    let mut steered = Steered { route, matched: Vec::new(), demands, refused: None };
    let view = OnceCell::new();
    loop {
        steered.demand(&steered.route.require.clone());
        if steered.route.rules.is_empty() {
            return steered;
        }
        let view = view.get_or_init(|| View {
            caller,
            key: caller.principal.key().id.to_string(),
            client,
            body,
            envelope,
            needs: OnceCell::new(),
            classification: OnceCell::new(),
        });
        let route = Arc::clone(&steered.route);
        let Some(rule) = first_match(&route.rules, view) else {
            // What the classifier thought is worth knowing where no rule matched as well.
            steered.note(&route, None, None, view);
            return steered;
        };
        match &rule.then {
            Then::Model(model) => {
                steered.note(&route, Some(&rule.name), Some(model), view);
                match settings.route(model).filter(|_| caller.principal.may_use(model)) {
                    Some(next) => steered.route = next,
                    None => {
                        steered.refused = Some(Refusal::ModelNotAllowed { model: model.to_string() });
                        return steered;
                    }
                }
            }
            Then::Refuse(message) => {
                steered.note(&route, Some(&rule.name), None, view);
                steered.refused = Some(Refusal::ByRule { message: Arc::clone(message) });
                return steered;
            }
        }
    }
}

impl Steered {
    /// Adds what a model demands.
    pub(crate) fn demand(&mut self, labels: &Labels) {
        if !labels.is_empty() {
            self.demands.push(labels.clone());
        }
    }

    fn note(&mut self, route: &ModelRoute, rule: Option<&Arc<str>>, to: Option<&Arc<str>>, view: &View<'_>) {
        let guess = view.classification.get();
        if rule.is_none() && guess.is_none() {
            return;
        }
        self.matched.push(RuleMatch {
            of: route.name.clone().unwrap_or_default(),
            rule: rule.cloned(),
            to: to.cloned(),
            difficulty: guess.map(|guess| guess.difficulty.get()),
            task: guess.map(|guess| guess.task.as_str()),
        });
    }
}

/// What a request demands whichever model it asks for.
pub(crate) fn demands(caller: &Authenticated, settings: &Compiled) -> Vec<Labels> {
    let mut demands: Vec<Labels> = caller.attributes.require.iter().cloned().collect();
    demands.extend(demanded_of(&caller.principal, settings).cloned());
    demands
}

/// What is demanded for a key, or for whom it belongs to: by the store, and by the configuration.
pub(crate) fn demanded_of<'a>(
    principal: &'a Principal,
    settings: &'a Compiled,
) -> impl Iterator<Item = &'a Labels> {
    let key = principal.key();
    let meant = |names: &[Arc<str>], is: &dyn Fn(&str) -> bool| names.iter().any(|name| is(name));
    let configured = settings.residency.iter().filter_map(move |rule| {
        let everybody = rule.keys.is_empty() && rule.tenants.is_empty();
        let holds = everybody
            || meant(&rule.tenants, &|tenant| is_within(&key.tenant, tenant))
            || (!rule.keys.is_empty() && meant(&rule.keys, &|id| key.id.to_string() == *id));
        holds.then_some(&rule.require)
    });
    principal.demands().chain(configured)
}

fn is_within(of: &TenantName, tenant: &str) -> bool {
    match of.as_str().strip_prefix(tenant) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}
