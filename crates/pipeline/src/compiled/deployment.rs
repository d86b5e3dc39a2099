//! Models at providers, and where they are called.

use std::sync::Arc;

use http::{HeaderValue, Uri};
use weighbridge_access::LimitCells;
use weighbridge_catalogue::{ModelInfo, PromptCacheInfo, Traits};
use weighbridge_ledger::Name;
use weighbridge_protocol::Dialect;
use weighbridge_protocol::openai_chat::Quirks;
use weighbridge_routing::{Health, Target};
use weighbridge_units::{Features, Protocol};

use super::Provider;
use crate::counters::Counters;

/// One model at one provider.
pub(crate) struct Deployment {
    pub(crate) provider: Arc<Provider>,
    pub(crate) limits: Arc<LimitCells>,
    pub(crate) model: Arc<str>,
    /// The model, as answers show it; `None` where no header can carry it.
    pub(crate) shown: Option<HeaderValue>,
    pub(crate) ledger_name: Name,
    pub(crate) info: Option<&'static ModelInfo>,
    pub(crate) traits: Traits,
    /// How the model caches prompts, if it does so only where they are marked.
    pub(crate) prompt_cache: Option<PromptCacheInfo>,
    /// Where the model is called, best first; never empty.
    addresses: Box<[Address]>,
    pub(super) target: Arc<Target>,
}

/// What any of them is known to lack.
pub(super) fn lacks(deployments: &[Arc<Deployment>]) -> Features {
    deployments.iter().fold(Features::NONE, |lacks, deployment| lacks.or(deployment.traits.lacks))
}

/// Where and how one model is called in one protocol.
pub(crate) struct Address {
    pub(crate) protocol: Protocol,
    pub(crate) dialect: Dialect,
    /// Whether a stream is not to be asked for its usage.
    pub(crate) usage_unasked: bool,
    /// What else requests of Chat Completions are changed in.
    pub(crate) quirks: Quirks,
    pub(super) whole: Uri,
    pub(super) streamed: Uri,
    /// What stands before and behind the names of the provider's other calls, where the path of this one
    /// is as its provider documents it.
    pub(super) beside: Option<(String, String)>,
}

impl Address {
    /// Where a call goes.
    pub(crate) const fn uri(&self, stream: bool) -> &Uri {
        if stream { &self.streamed } else { &self.whole }
    }

    /// Where another call of the same provider goes, by its documented path.
    pub(crate) fn beside(&self, path: &str) -> Option<Uri> {
        let (before, behind) = self.beside.as_ref()?;
        format!("{before}{path}{behind}").parse().ok()
    }
}

/// How the paths of inference calls begin, as their providers document them.
pub(super) const DOCUMENTED: [&str; 5] =
    ["/chat/completions", "/responses", "/v1/messages", "/models/", "/model/"];

impl Deployment {
    /// A model at a provider; the error is a sentence about a model that cannot be called there.
    pub(super) fn new(
        provider: &Arc<Provider>,
        model: Arc<str>,
        target: Option<Arc<Target>>,
        counters: &Counters,
    ) -> Result<Arc<Self>, String> {
        let served = provider.spoken.iter().filter(|spoken| spoken.models.admits(&model));
        let addresses: Box<[Address]> =
            served.map(|spoken| provider.address(spoken, &model)).collect::<Result<_, String>>()?;
        if addresses.is_empty() {
            return Err(format!("`{}` speaks no protocol for the model `{model}`", provider.name));
        }
        let target = target.unwrap_or_else(|| {
            let name = format!("{}/{model}", provider.name);
            Target::new(name, Arc::clone(&provider.keys), provider.health)
        });
        let info = weighbridge_catalogue::model(&provider.price_as, &model);
        let traits = weighbridge_catalogue::traits(&provider.price_as, &model);
        let prompt_cache = weighbridge_catalogue::prompt_cache(&model);
        let ledger_name = Name::new(Arc::clone(&model));
        let shown = HeaderValue::try_from(&*model).ok();
        let limits = counters.deployment(&provider.name, &model, &provider.limits);
        let provider = Arc::clone(provider);
        Ok(Arc::new(Self {
            provider,
            limits,
            model,
            shown,
            ledger_name,
            info,
            traits,
            prompt_cache,
            addresses,
            target,
        }))
    }

    /// `provider/model`.
    pub(crate) fn target_name(&self) -> Arc<str> {
        Arc::clone(self.target.name())
    }

    /// What is known of its health.
    pub(crate) fn health(&self) -> &Health {
        self.target.health()
    }

    /// Where the model is called, best first.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Where a client's request goes: to where its own protocol is spoken, else to the best place.
    pub(crate) fn address(&self, client: Protocol) -> &Address {
        let own = self.addresses.iter().find(|address| address.protocol == client);
        own.unwrap_or(&self.addresses[0])
    }
}
