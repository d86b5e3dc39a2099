//! Provider keys from the vault: tenants' own, which serve their owner's requests and nobody else's, and the
//! installation's, which join those of the configuration.
//!
//! The shelf is swapped whole. A request takes from it what is its tenant's own, once, and keeps that for all its
//! attempts: a key that is rotated or revoked meanwhile disturbs nothing that runs (rule K1).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use weighbridge_access::{
    KeyOwner, KeySecret, MasterKeys, OpenKey, OwnKeys, Principal, ProviderKey, ProviderKeyError,
    ProviderKeyId, ProviderKeyStore, TenantName, VaultError,
};
use weighbridge_ledger::{Billing, Book};
use weighbridge_routing::{KeyPool, Pick};
use weighbridge_units::ErrorClass;

use crate::compiled::{ModelRoute, Proof, Provider};
use crate::pipeline::Pipeline;
use crate::refusal::Refusal;

/// Tenants' own keys: by owner, and by provider.
#[derive(Default)]
pub(crate) struct Shelf {
    tenants: HashMap<Arc<str>, HashMap<Arc<str>, Arc<KeySet>>>,
}

/// The keys that one tenant has at one provider, and which of them are worth trying.
pub(crate) struct KeySet {
    owner: TenantName,
    keys: Box<[OpenKey]>,
    pool: Arc<KeyPool>,
}

impl Shelf {
    /// Sorts keys by owner. Where nothing has changed since `former`, what is known of them stays known.
    pub(crate) fn new(keys: Vec<OpenKey>, former: &Self) -> Self {
        let mut sorted: HashMap<TenantName, HashMap<Arc<str>, Vec<OpenKey>>> = HashMap::new();
        for open in keys.into_iter().filter(|open| open.key.weight > 0) {
            let KeyOwner::Tenant(owner) = &open.key.owner else { continue };
            let provider = Arc::from(open.key.provider.as_str());
            sorted.entry(owner.clone()).or_default().entry(provider).or_default().push(open);
        }
        let set = |owner: &TenantName, provider: Arc<str>, keys: Vec<OpenKey>| {
            let kept = former.at(owner.as_str(), &provider).filter(|kept| *kept.keys == *keys);
            let set = kept.cloned().unwrap_or_else(|| {
                let weights: Vec<u32> = keys.iter().map(|open| open.key.weight).collect();
                let pool = Arc::new(KeyPool::weighted(&weights));
                Arc::new(KeySet { owner: owner.clone(), keys: keys.into(), pool })
            });
            (provider, set)
        };
        let tenants = sorted.into_iter().map(|(owner, providers)| {
            let sets = providers.into_iter().map(|(provider, keys)| set(&owner, provider, keys)).collect();
            (owner.shared(), sets)
        });
        Self { tenants: tenants.collect() }
    }

    fn at(&self, owner: &str, provider: &str) -> Option<&Arc<KeySet>> {
        self.tenants.get(owner)?.get(provider)
    }

    /// What a tenant's request uses at a provider: its team's keys, else its organisation's.
    fn nearest(&self, tenant: &TenantName, provider: &str) -> Option<&Arc<KeySet>> {
        let team = || self.at(tenant.team()?.as_str(), provider);
        team().or_else(|| self.at(tenant.organisation(), provider))
    }
}

/// What of the shelf is a request's own, for each of the targets that it may go to.
pub(crate) struct Lent {
    sets: Box<[Option<Arc<KeySet>>]>,
    /// No other keys may be used.
    required: bool,
}

impl Lent {
    /// `None` where the request goes out on the installation's keys, wherever it goes.
    pub(crate) fn of(shelf: &Shelf, principal: &Principal, route: &ModelRoute) -> Option<Self> {
        let policy = principal.own_keys();
        if policy == OwnKeys::Off || (policy == OwnKeys::Prefer && shelf.tenants.is_empty()) {
            return None;
        }
        let tenant = &principal.key().tenant;
        let own = |provider: &Provider| shelf.nearest(tenant, &provider.name).cloned();
        let sets: Box<[_]> = route.deployments.iter().map(|deployment| own(&deployment.provider)).collect();
        let required = policy == OwnKeys::Require;
        (required || sets.iter().any(Option::is_some)).then_some(Self { sets, required })
    }

    /// The books that a request may be billed in, by what it is lent: whose keys may serve it.
    pub(crate) fn books(lent: Option<&Self>) -> impl Iterator<Item = Book> + Clone + use<> {
        let own = lent.is_some_and(|lent| lent.sets.iter().any(Option::is_some));
        let platform = lent.is_none_or(|lent| !lent.required && lent.sets.iter().any(Option::is_none));
        let of = |may_be: bool, billing: Billing| may_be.then_some(billing.book());
        of(platform, Billing::Platform).into_iter().chain(of(own, Billing::OwnKey))
    }

    /// What a plan chooses from.
    pub(crate) fn pools(&self) -> Box<[Option<Arc<KeyPool>>]> {
        self.sets.iter().map(|set| set.as_ref().map(|set| Arc::clone(&set.pool))).collect()
    }

    /// The same, of which nothing that is done to it is known to others.
    pub(crate) fn snapshots(&self) -> Box<[Option<Arc<KeyPool>>]> {
        self.sets.iter().map(|set| set.as_ref().map(|set| Arc::new(set.pool.snapshot()))).collect()
    }

    /// Whether the target of that position may only be asked with a key of the tenant's own, and there is none.
    pub(crate) fn lacks(&self, position: usize) -> bool {
        self.required && self.sets.get(position).is_none_or(Option::is_none)
    }

    /// The credential that was picked; none where an own one is required and there is none.
    fn used(&self, pick: &Pick) -> Option<Used> {
        match self.sets.get(pick.target().get()).and_then(Option::as_ref) {
            Some(set) => Some(Used::Own(OwnKey { set: Arc::clone(set), at: pick.key() })),
            None if self.required => None,
            None => Some(Used::Platform(pick.key())),
        }
    }

    /// The credential that a call without a plan takes at the target of that position.
    pub(crate) fn first(lent: Option<&Self>, position: usize) -> Option<Used> {
        let Some(lent) = lent else { return Some(Used::Platform(0)) };
        match lent.sets.get(position).and_then(Option::as_ref) {
            Some(set) => Some(Used::Own(OwnKey { set: Arc::clone(set), at: 0 })),
            None if lent.required => None,
            None => Some(Used::Platform(0)),
        }
    }
}

/// Whose credential an attempt is sent with.
pub(crate) enum Used {
    /// One of the installation's, by its position among those of its provider.
    Platform(usize),
    /// One of the tenant's own.
    Own(OwnKey),
}

impl Used {
    /// The credential that a plan has picked.
    ///
    /// # Errors
    /// [`Refusal::NoOwnKey`] where only own ones may be used, and there is none.
    pub(crate) fn picked(lent: Option<&Lent>, pick: &Pick, provider: &Provider) -> Result<Self, Refusal> {
        match lent {
            None => Ok(Self::Platform(pick.key())),
            Some(lent) => {
                lent.used(pick).ok_or_else(|| Refusal::NoOwnKey { provider: Arc::clone(&provider.name) })
            }
        }
    }

    /// Who settles with the provider.
    pub(crate) const fn billing(&self) -> Billing {
        match self {
            Self::Platform(_) => Billing::Platform,
            Self::Own(_) => Billing::OwnKey,
        }
    }

    /// The tenant's own key, if it is one.
    pub(crate) const fn own(&self) -> Option<&OwnKey> {
        match self {
            Self::Platform(_) => None,
            Self::Own(own) => Some(own),
        }
    }
}

/// A tenant's own key at a provider.
pub(crate) struct OwnKey {
    set: Arc<KeySet>,
    at: usize,
}

impl OwnKey {
    fn open(&self) -> Option<&OpenKey> {
        self.set.keys.get(self.at)
    }

    /// Its id, for the record.
    pub(crate) fn id(&self) -> Option<ProviderKeyId> {
        self.open().map(|open| open.key.id)
    }

    /// The credential, as the provider wants it.
    pub(crate) fn proof(&self, provider: &Provider) -> Option<Proof> {
        let open = self.open().filter(|open| *open.key.provider == *provider.name)?;
        Proof::of_key(provider.auth, open.secret.expose())
    }

    /// The bare secret: for finding it in what a provider says.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.open().map(|open| open.secret.expose())
    }

    /// What its owner is told where the provider refuses it; `None` for failures of other kinds.
    pub(crate) fn refused(&self, provider: &Provider, class: ErrorClass, status: u16) -> Option<Refusal> {
        let is_refusal =
            matches!(class, ErrorClass::Authentication | ErrorClass::Permission | ErrorClass::Billing);
        let open = self.open().filter(|_| is_refusal)?;
        Some(Refusal::OwnKey {
            provider: Arc::clone(&provider.name),
            owner: self.set.owner.clone(),
            key: open.key.id,
            label: open.key.label.as_str().into(),
            fingerprint: open.key.fingerprint.clone(),
            class,
            status,
        })
    }
}

/// Why providers' keys could not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadKeysError {
    /// The store failed.
    #[error("the provider keys cannot be read: {0}")]
    Store(#[from] ProviderKeyError),
    /// A key does not open. Those that were loaded before stay in use.
    #[error("the provider keys cannot be opened: {0}")]
    Vault(#[from] VaultError),
    /// An installation's key cannot be used beside those of the configuration.
    #[error("the provider keys cannot be used: {0}")]
    Pipeline(#[from] crate::PipelineError),
}

/// The vault of a running pipeline: a store of providers' keys, and what they are sealed under.
pub struct KeyVault {
    store: Arc<dyn ProviderKeyStore>,
    masters: Option<MasterKeys>,
    /// The store's version that was loaded last, plus one; 0 before the first load.
    loaded: AtomicU64,
}

impl KeyVault {
    /// A vault that is not loaded yet. Without `masters` it must hold no key that is not revoked.
    pub fn new(store: Arc<dyn ProviderKeyStore>, masters: Option<MasterKeys>) -> Self {
        Self { store, masters, loaded: AtomicU64::new(0) }
    }

    /// Whether it can be opened: else it need not be asked for changes.
    pub const fn is_open(&self) -> bool {
        self.masters.is_some()
    }

    /// Loads and opens the keys where the store says that any has changed; tells whether they had.
    ///
    /// # Errors
    /// [`LoadKeysError`]; the pipeline then goes on with the keys that it has. One that does not open is told of
    /// once, and again when something has changed.
    pub async fn sync(&self, pipeline: &Pipeline) -> Result<bool, LoadKeysError> {
        // Read before the keys: a change in between is loaded now and once more at the next call.
        let version = self.store.version().await?.wrapping_add(1);
        if self.loaded.load(Ordering::Acquire) == version {
            return Ok(false);
        }
        let keys = self.store.load().await?;
        self.loaded.store(version, Ordering::Release);
        let open = match &self.masters {
            Some(masters) => masters.open_all(keys)?,
            None => none_sealed(&keys).map(|()| Vec::new())?,
        };
        pipeline.put_provider_keys(open)?;
        Ok(true)
    }
}

/// Without a master key, what is sealed cannot be opened.
fn none_sealed(keys: &[ProviderKey]) -> Result<(), VaultError> {
    keys.iter().try_for_each(|key| match &key.secret {
        KeySecret::Revoked(_) => Ok(()),
        KeySecret::Sealed(sealed) => {
            Err(sealed.master_key().map_or(VaultError::Damaged { id: key.id }, |master| {
                VaultError::NoMasterKey { id: key.id, master }
            }))
        }
    })
}
