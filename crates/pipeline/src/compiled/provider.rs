//! Providers, ready to be called.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use weighbridge_access::{Budget, BudgetMeter, Limits, OnExceed, OpenKey};
use weighbridge_catalogue::{AuthStyle, PathTemplate, Spoken};
use weighbridge_ledger::Name;
use weighbridge_routing::{HealthPolicy, KeyPool, Labels};
use weighbridge_transport::{Issued, QueryKey, Signer};

use super::deployment::DOCUMENTED;
use super::{Address, checked, meters};
use crate::pipeline::PipelineError;
use crate::settings::{
    BUDGETS_BESIDE, CredentialProof, NativeCalls, ProbeSettings, ProviderCredential, ProviderSettings,
    Timeouts,
};

/// The parameter of the query that a key goes into, where it goes there.
const QUERY_KEY: &str = "key";

/// One provider, ready to be called.
pub(crate) struct Provider {
    pub(crate) name: Arc<str>,
    /// The name, as answers show it; `None` where no header can carry it.
    pub(crate) shown: Option<HeaderValue>,
    pub(crate) ledger_name: Name,
    /// What it speaks, best first.
    pub(crate) spoken: Vec<Spoken>,
    pub(super) base_url: String,
    pub(crate) auth: AuthStyle,
    pub(crate) credentials: Vec<Credential>,
    /// Everything that each request carries but for the credential.
    pub(crate) headers: HeaderMap,
    pub(crate) price_as: Arc<str>,
    pub(crate) timeouts: Timeouts,
    pub(crate) budgets: Arc<[BudgetMeter]>,
    pub(crate) native: NativeCalls,
    pub(crate) native_paths: Vec<String>,
    pub(super) limits: Limits,
    pub(super) health: HealthPolicy,
    pub(crate) labels: Labels,
    pub(crate) probe: Option<ProbeSettings>,
    pub(super) keys: Arc<KeyPool>,
    /// The shares of the credentials.
    pub(super) weights: Vec<u32>,
}

/// A credential, ready to be sent.
pub(crate) struct Credential {
    pub(crate) proof: Proof,
    /// The bare secrets: for finding them in what a provider says.
    pub(crate) secrets: Vec<SecretString>,
}

/// How a credential is shown to the provider.
pub(crate) enum Proof {
    Header(HeaderName, HeaderValue),
    Signature(Signer),
    Issued(Issued),
}

impl Proof {
    /// A key, where a provider expects it; `None` where it cannot stand there.
    pub(crate) fn of_key(auth: AuthStyle, key: &str) -> Option<Self> {
        let Some(name) = auth.header() else {
            return Some(Self::Signature(Signer(Arc::new(QueryKey::new(QUERY_KEY, key)))));
        };
        let mut value = HeaderValue::try_from(format!("{}{key}", auth.prefix())).ok()?;
        value.set_sensitive(true);
        Some(Self::Header(HeaderName::from_static(name), value))
    }
}

/// A provider is chosen after the model, so that its budgets choose no other model.
fn provider_meters(settings: &ProviderSettings) -> Result<Arc<[BudgetMeter]>, PipelineError> {
    let downgrades = |budget: &Budget| matches!(budget.on_exceed, OnExceed::Downgrade(_));
    if settings.budgets.iter().any(downgrades) {
        return Err(PipelineError::Budget {
            owner: settings.name.to_string(),
            reason: "a provider's budget cannot choose another model: give the budget to the model"
                .to_owned(),
        });
    }
    meters(&settings.name, &settings.budgets, BUDGETS_BESIDE)
}

impl Provider {
    pub(super) fn new(
        settings: &ProviderSettings,
        vault: &[OpenKey],
        former: Option<&Arc<Self>>,
    ) -> Result<Self, PipelineError> {
        let base_url = |reason: &str| PipelineError::BaseUrl {
            provider: settings.name.to_string(),
            reason: reason.to_owned(),
        };
        let uri: Uri = settings.base_url.parse().map_err(|_| base_url("it is not an address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            return Err(base_url("it must begin with http:// or https:// and name a host"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(base_url("credentials belong into api_keys"));
        }
        let vault = vault.iter().filter(|open| *open.key.provider == *settings.name && open.key.weight > 0);
        let (mut credentials, mut weights) = (Vec::new(), Vec::new());
        for credential in &settings.credentials {
            credentials.push(ready(settings, credential)?);
            weights.push(credential.weight);
        }
        for open in vault {
            credentials.push(ready(settings, &ProviderCredential::key(open.secret.expose()))?);
            weights.push(open.key.weight);
        }
        // What is known of the same credentials stays known; others are tried afresh.
        let same = |former: &&Arc<Self>| {
            former.weights == weights && same_secrets(&former.credentials, &credentials)
        };
        let keys = former
            .filter(same)
            .map_or_else(|| Arc::new(KeyPool::weighted(&weights)), |former| Arc::clone(&former.keys));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("weighbridge/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(settings.headers.iter().cloned());
        Ok(Self {
            name: settings.name.clone(),
            shown: HeaderValue::try_from(&*settings.name).ok(),
            ledger_name: Name::new(Arc::clone(&settings.name)),
            spoken: settings.spoken.clone(),
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            headers,
            price_as: settings.price_as.clone(),
            timeouts: settings.timeouts,
            budgets: provider_meters(settings)?,
            limits: checked(&settings.name, settings.limits)?,
            health: settings.health.policy,
            labels: settings.labels.clone(),
            probe: settings.health.probe.clone(),
            auth: settings.auth,
            native: settings.native,
            native_paths: settings.native_paths.clone(),
            keys,
            weights,
            credentials,
        })
    }

    /// Where it is asked whether it is back.
    pub(crate) fn probe_uri(&self) -> Option<Uri> {
        format!("{}{}", self.base_url, self.probe.as_ref()?.path).parse().ok()
    }

    /// The address that paths are below, without slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn address(&self, spoken: &Spoken, model: &str) -> Result<Address, String> {
        let uri = |path: &PathTemplate| {
            let path = path.for_model(model)?;
            format!("{}{path}", self.base_url).parse().ok()
        };
        let documented = spoken.path.before(&DOCUMENTED).and_then(|root| root.for_model(model));
        let query = spoken.path.as_str().find('?').and_then(|at| spoken.path.as_str().get(at..));
        let behind = query.unwrap_or_default().to_owned();
        let [whole, streamed] = [&spoken.path, &spoken.stream_path].map(|path| {
            uri(path).ok_or_else(|| format!("the model's name `{model}` makes no address at `{}`", self.name))
        });
        Ok(Address {
            protocol: spoken.protocol,
            dialect: spoken.dialect,
            usage_unasked: spoken.usage_unasked,
            quirks: spoken.quirks,
            whole: whole?,
            streamed: streamed?,
            beside: documented.map(|root| (format!("{}{root}", self.base_url), behind)),
        })
    }
}

fn same_secrets(some: &[Credential], others: &[Credential]) -> bool {
    let secrets = |credentials: &[Credential]| -> Vec<SecretString> {
        credentials.iter().flat_map(|credential| credential.secrets.iter().cloned()).collect()
    };
    let (some, others) = (secrets(some), secrets(others));
    some.len() == others.len()
        && some.iter().zip(&others).all(|(one, other)| one.expose_secret() == other.expose_secret())
}

fn ready(settings: &ProviderSettings, credential: &ProviderCredential) -> Result<Credential, PipelineError> {
    let bad = || PipelineError::Credential { provider: settings.name.to_string() };
    Ok(match &credential.proof {
        CredentialProof::Key(key) => {
            let proof = Proof::of_key(settings.auth, key.expose_secret()).ok_or_else(bad)?;
            Credential { proof, secrets: vec![key.clone()] }
        }
        CredentialProof::Signature { signer, secrets } => {
            Credential { proof: Proof::Signature(signer.clone()), secrets: secrets.clone() }
        }
        CredentialProof::Issued { issued, secrets } => {
            Credential { proof: Proof::Issued(issued.clone()), secrets: secrets.clone() }
        }
    })
}
