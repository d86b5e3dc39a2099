use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weighbridge_access::{
    Budget, Directory, KEY_RANDOM_BYTES, KeyStore, MintedKey, Pepper, VirtualKey, mint_key, mint_secret,
};
use weighbridge_ledger::{EntityId, Extent, Fact, JournalRow, LedgerStore};
use weighbridge_pipeline::{RouteExplanation, RouteQuestion, RouteQuestionError};
use weighbridge_pricing::PriceBook;
use weighbridge_records::{AuditLog, AuditRecord, RequestLog};
use weighbridge_units::{AttemptId, KeyId, Timestamp};

use crate::bounds::Grant;
use crate::provider_keys::ProviderKeys;
use crate::reconcile::{Export, ExportFormat, LedgerSide, ReconciliationView, reconcile};
use crate::routes::Routes;
use crate::statement::Statement;
use crate::wallet::{BOOKS, read_tenant, receivable, shown_id};
use crate::{
    Actor, AdminError, AttemptView, BalanceView, Change, Clock, CreatedKey, FundingView, JournalView,
    KeyView, NewFunding, NewKey, StatementView, SystemClock, VerificationView, WalletView,
};

/// Rows of the journal that are read at once.
const JOURNAL_PAGE: usize = 10_000;

/// Administrative acts over the stores. Command line and admin API differ only in who they say acts.
pub struct AdminService {
    pub(crate) keys: Arc<dyn KeyStore>,
    ledger: Arc<dyn LedgerStore>,
    audit: Arc<dyn AuditLog>,
    pepper: Pepper,
    pub(crate) directory: Option<Arc<Directory>>,
    log: Option<Arc<dyn RequestLog>>,
    prices: Option<Prices>,
    pub(crate) routes: Option<Routes>,
    clock: Box<dyn Clock>,
    pub(crate) provider_keys: Option<ProviderKeys>,
}

/// Where the present price book is had from.
type Prices = Box<dyn Fn() -> Arc<PriceBook> + Send + Sync>;

impl AdminService {
    /// Over the stores. The pepper is the one that the gateway checks keys with.
    pub fn new(
        keys: Arc<dyn KeyStore>,
        ledger: Arc<dyn LedgerStore>,
        audit: Arc<dyn AuditLog>,
        pepper: Pepper,
    ) -> Self {
        let clock = Box::new(SystemClock);
        Self {
            keys,
            ledger,
            audit,
            pepper,
            directory: None,
            log: None,
            prices: None,
            routes: None,
            clock,
            provider_keys: None,
        }
    }

    /// Makes changes known to a gateway of the same process at once. Others take notice by the
    /// store's version, within a second.
    #[must_use]
    pub fn with_directory(self, directory: Arc<Directory>) -> Self {
        Self { directory: Some(directory), ..self }
    }

    /// Answers questions that only the request log can: what became of a request, and usage by what requests say of
    /// themselves.
    #[must_use]
    pub fn with_log(self, log: Arc<dyn RequestLog>) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Explains costs by the price book that `prices` gives.
    #[must_use]
    pub fn with_prices(self, prices: impl Fn() -> Arc<PriceBook> + Send + Sync + 'static) -> Self {
        Self { prices: Some(Box::new(prices)), ..self }
    }

    /// Answers questions about routes by what a running gateway knows.
    #[must_use]
    pub fn with_routes(
        self,
        routes: impl Fn(RouteQuestion) -> Result<RouteExplanation, RouteQuestionError> + Send + Sync + 'static,
    ) -> Self {
        Self { routes: Some(Box::new(routes)), ..self }
    }

    /// Takes the time from elsewhere.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] names the field that is wrong; the others say what failed.
    pub async fn create_key(&self, actor: &Actor, new: NewKey) -> Result<CreatedKey, AdminError> {
        let now = self.clock.now();
        let minted = mint_key(&random::<KEY_RANDOM_BYTES>()?, &self.pepper);
        let key = new.define(minted.id, minted.hash, now)?;
        actor.may_give_keys(&key.tenant)?;
        Grant::from(&key).within(&self.around(&key.tenant).await?)?;
        self.write_down(actor, "key.create", key.id, describe(&key)).await?;
        self.keys.create(key.clone()).await.map_err(AdminError::from_store)?;
        self.load().await?;
        Ok(created(&key, minted, now))
    }

    /// Every key that is the actor's to see, dead ones included, in the order of creation.
    ///
    /// # Errors
    /// [`AdminError::Keys`].
    pub async fn list_keys(&self, actor: &Actor) -> Result<Vec<KeyView>, AdminError> {
        let now = self.clock.now();
        let keys = self.keys.load_all().await.map_err(AdminError::from_store)?;
        let seen = keys.iter().filter(|key| actor.may_see(&key.tenant));
        Ok(seen.map(|key| KeyView::new(key, now)).collect())
    }

    /// Changes what a key may do. Its secret stays, and so does what it has used.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Revoked`], [`AdminError::Invalid`],
    /// [`AdminError::ExceedsParent`], [`AdminError::Changed`]; the others say what failed.
    pub async fn update_key(&self, actor: &Actor, id: KeyId, change: &Change) -> Result<KeyView, AdminError> {
        let now = self.clock.now();
        let former = self.existing(actor, id).await?;
        if former.revoked.is_some() {
            return Err(AdminError::Revoked(id));
        }
        let mut key = former.clone();
        change.apply(&mut key, now)?;
        key.check().map_err(AdminError::definition)?;
        Grant::from(&key).within(&self.around(&key.tenant).await?)?;
        self.write_down(actor, "key.update", id, change.describe()).await?;
        let updated = self.keys.update(&former, key).await.map_err(AdminError::from_store)?;
        self.load().await?;
        Ok(KeyView::new(&updated, now))
    }

    /// Takes a key back for good. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`AdminError::NotFound`]; the others say what failed.
    pub async fn revoke_key(&self, actor: &Actor, id: KeyId) -> Result<KeyView, AdminError> {
        let now = self.clock.now();
        self.existing(actor, id).await?;
        self.write_down(actor, "key.revoke", id, Vec::new()).await?;
        let revoked = self.keys.revoke(id, now).await.map_err(AdminError::from_store)?;
        self.load().await?;
        Ok(KeyView::new(&revoked, now))
    }

    /// Gives a key another secret. The old one works for `grace` more; running requests are not
    /// disturbed, and account and history stay (rule K1).
    ///
    /// # Errors
    /// [`AdminError::NotFound`], [`AdminError::Revoked`]; the others say what failed.
    pub async fn rotate_key(
        &self,
        actor: &Actor,
        id: KeyId,
        grace: Duration,
    ) -> Result<CreatedKey, AdminError> {
        let now = self.clock.now();
        if self.existing(actor, id).await?.revoked.is_some() {
            return Err(AdminError::Revoked(id));
        }
        let minted = mint_secret(id, &random()?, &self.pepper);
        let until = now + grace;
        self.write_down(actor, "key.rotate", id, vec![("grace_until".to_owned(), until.to_string())]).await?;
        let rotated = self.keys.rotate(id, minted.hash, until).await.map_err(AdminError::from_store)?;
        self.load().await?;
        Ok(created(&rotated, minted, now))
    }

    /// Checks the ledger's hash chains and balances: all of it, or what was written since the last seal.
    ///
    /// # Errors
    /// [`AdminError::Ledger`] where the journal cannot be read; what is wrong in it is no error.
    pub async fn verify_ledger(&self, extent: Extent) -> Result<VerificationView, AdminError> {
        let found = self.ledger.verify(extent).await.map_err(AdminError::Ledger)?;
        Ok(VerificationView::new(&found))
    }

    /// All accounts that ever moved, with the names of those that have one.
    ///
    /// # Errors
    /// [`AdminError::Ledger`].
    pub async fn balances(&self) -> Result<Vec<BalanceView>, AdminError> {
        let mut views = Vec::new();
        for (account, balance) in self.ledger.balances().await.map_err(AdminError::Ledger)? {
            let name = match account.entity() {
                EntityId::NONE => None,
                entity => self.ledger.name(entity).await.map_err(AdminError::Ledger)?,
            };
            views.push(BalanceView::new(account, balance, name));
        }
        Ok(views)
    }

    /// What each ended attempt used and cost, in the order in which they ended, crashed ones included.
    /// An attempt whose truth came after a crash entry is listed with the truth.
    ///
    /// # Errors
    /// [`AdminError::Ledger`].
    pub async fn attempts(&self) -> Result<Vec<AttemptView>, AdminError> {
        let mut names = Names::default();
        let mut views: Vec<AttemptView> = Vec::new();
        let mut places: HashMap<AttemptId, usize> = HashMap::new();
        let mut after = 0;
        loop {
            let rows = self.ledger.journal(after, JOURNAL_PAGE).await.map_err(AdminError::Ledger)?;
            let Some(last) = rows.last() else { return Ok(views) };
            after = last.seq;
            for row in rows {
                let Fact::Used { attempt, rollup, used, .. } = row.entry.fact else { continue };
                let provider = names.of(&*self.ledger, rollup.provider).await?;
                let model = names.of(&*self.ledger, rollup.model).await?;
                let view = AttemptView::new(attempt, rollup.key, provider, model, &used);
                match places.get(&attempt).and_then(|place| views.get_mut(*place)) {
                    Some(former) => *former = view,
                    None => {
                        places.insert(attempt, views.len());
                        views.push(view);
                    }
                }
            }
        }
    }

    /// Moves a tenant's wallet, once per id.
    ///
    /// # Errors
    /// [`AdminError::Forbidden`] for administrators of tenants; [`AdminError::Invalid`] names the field that is
    /// wrong, [`AdminError::Refused`] says why the ledger does not do it; the others say what failed.
    pub async fn fund(&self, actor: &Actor, new: &NewFunding) -> Result<FundingView, AdminError> {
        if !actor.is_of_installation() {
            return Err(AdminError::forbidden("wallets are for the administrator of the installation"));
        }
        let fund = new.define(&actor.shown(), self.clock.now(), u128::from_be_bytes(random()?))?;
        let action = format!("wallet.{}", fund.funding.as_str());
        self.write_down(actor, &action, &fund.tenant, new.describe(&fund)).await?;
        let (id, kind) = (shown_id(fund.id), fund.funding.as_str());
        let (tenant, book) = (fund.tenant.clone(), fund.book);
        self.ledger.fund(fund).await.map_err(AdminError::from_ledger)?;
        let account = receivable(book, tenant.id());
        let balance = self.ledger.balance(account).await.map_err(AdminError::Ledger)?;
        Ok(FundingView { id, kind, wallet: WalletView::new(&tenant, book, balance) })
    }

    /// What a tenant owes, by book.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for what is no tenant's name; else [`AdminError::Ledger`].
    pub async fn wallet(&self, tenant: &str) -> Result<Vec<WalletView>, AdminError> {
        let tenant = read_tenant(tenant)?;
        let mut views = Vec::new();
        for book in BOOKS {
            let account = receivable(book, tenant.id());
            let balance = self.ledger.balance(account).await.map_err(AdminError::Ledger)?;
            views.push(WalletView::new(&tenant, book, balance));
        }
        Ok(views)
    }

    /// What moved a tenant's wallet from `from` on and before `until`: days in UTC such as `2026-11-01`.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] names what cannot be read; else [`AdminError::Ledger`].
    pub async fn statement(
        &self,
        tenant: &str,
        from: &str,
        until: &str,
    ) -> Result<StatementView, AdminError> {
        let tenant = read_tenant(tenant)?;
        let mut statement = Statement::new(tenant.id(), from, until)?;
        let mut after = 0;
        loop {
            let rows = self.ledger.journal(after, JOURNAL_PAGE).await.map_err(AdminError::Ledger)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            rows.iter().for_each(|row| statement.row(&row.entry));
        }
        let mut names = Names::default();
        for id in statement.names() {
            names.of(&*self.ledger, id).await?;
        }
        Ok(statement.finish(&tenant, from, until, |id| names.known(id)))
    }

    /// Compares the ledger with a provider's export of usage or costs; `provider` is what the configuration
    /// calls it. Attempts on tenants' own credentials are left out: they are billed to the tenants.
    ///
    /// # Errors
    /// [`AdminError::Export`] where the export cannot be read; else [`AdminError::Ledger`].
    pub async fn reconcile(
        &self,
        provider: &str,
        format: ExportFormat,
        export: &str,
    ) -> Result<ReconciliationView, AdminError> {
        let export = Export::read(format, export).map_err(AdminError::Export)?;
        let mut entries = LedgerSide::new(EntityId::of(provider));
        let mut after = 0;
        loop {
            let rows = self.ledger.journal(after, JOURNAL_PAGE).await.map_err(AdminError::Ledger)?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            rows.iter().for_each(|row| entries.row(&row.entry));
        }
        let mut names = Names::default();
        for model in entries.models() {
            names.of(&*self.ledger, model).await?;
        }
        let model = |id| names.known(id).unwrap_or_else(|| "?".to_owned());
        reconcile(provider, &export, &entries, model).map_err(AdminError::Export)
    }

    /// At most `limit` rows of the journal with numbers above `after`, decoded.
    ///
    /// # Errors
    /// [`AdminError::Ledger`].
    pub async fn journal(&self, after: u64, limit: usize) -> Result<Vec<JournalView>, AdminError> {
        let rows: Vec<JournalRow> =
            self.ledger.journal(after, limit.min(JOURNAL_PAGE)).await.map_err(AdminError::Ledger)?;
        let mut names = Names::default();
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            for id in crate::export::names(&row.entry) {
                names.of(&*self.ledger, id).await?;
            }
            views.push(JournalView::new(row, |id| names.known(id)));
        }
        Ok(views)
    }

    pub(crate) fn log(&self) -> Result<&dyn RequestLog, AdminError> {
        self.log.as_deref().ok_or(AdminError::NoLog)
    }

    pub(crate) fn ledger(&self) -> &dyn LedgerStore {
        &*self.ledger
    }

    /// The present price book.
    pub(crate) fn prices(&self) -> Option<Arc<PriceBook>> {
        self.prices.as_ref().map(|prices| prices())
    }

    /// The time that acts are done at.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What does not exist is not worth an entry in the audit log.
    async fn existing(&self, actor: &Actor, id: KeyId) -> Result<VirtualKey, AdminError> {
        let keys = self.keys.load_all().await.map_err(AdminError::from_store)?;
        let seen = |key: &VirtualKey| key.id == id && actor.may_see(&key.tenant);
        keys.into_iter().find(seen).ok_or(AdminError::NotFound(id))
    }

    pub(crate) async fn write_down(
        &self,
        actor: &Actor,
        action: &str,
        object: impl ToString + Send,
        details: Vec<(String, String)>,
    ) -> Result<(), AdminError> {
        let record = AuditRecord {
            at: self.clock.now(),
            actor: actor.shown(),
            action: action.to_owned(),
            object: object.to_string(),
            details,
        };
        self.audit.append(record).await.map_err(AdminError::Audit)
    }

    pub(crate) async fn load(&self) -> Result<(), AdminError> {
        match &self.directory {
            Some(directory) => directory.sync(&*self.keys).await.map(|_| ()).map_err(AdminError::NotLoaded),
            None => Ok(()),
        }
    }
}

/// Names that were looked up already: a journal mentions few, and each often.
#[derive(Default)]
pub(crate) struct Names(HashMap<EntityId, Option<String>>);

impl Names {
    pub(crate) async fn of(
        &mut self,
        ledger: &dyn LedgerStore,
        id: EntityId,
    ) -> Result<Option<String>, AdminError> {
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let name = ledger.name(id).await.map_err(AdminError::Ledger)?;
        self.0.insert(id, name.clone());
        Ok(name)
    }

    /// A name that was looked up.
    pub(crate) fn known(&self, id: EntityId) -> Option<String> {
        self.0.get(&id).cloned().flatten()
    }
}

impl fmt::Debug for AdminService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminService").finish_non_exhaustive()
    }
}

fn created(key: &VirtualKey, minted: MintedKey, now: Timestamp) -> CreatedKey {
    CreatedKey { view: KeyView::new(key, now), secret: minted.into_secret() }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], AdminError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| AdminError::Random)?;
    Ok(bytes)
}

/// What was set, field by field, for the audit log.
fn describe(key: &VirtualKey) -> Vec<(String, String)> {
    let view = KeyView::new(key, key.created);
    let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(" "));
    let fields = [
        ("name", Some(view.name)),
        ("tenant", Some(view.tenant)),
        ("models", view.models.map(|models| models.join(" "))),
        ("rpm", view.rpm.map(|rpm| rpm.to_string())),
        ("tpm", view.tpm.map(|tpm| tpm.to_string())),
        ("usd_per_minute", view.usd_per_minute),
        ("concurrency", view.concurrency.map(|most| most.to_string())),
        ("budgets", Some(joined(&key.budgets)).filter(|budgets| !budgets.is_empty())),
        ("ip_allow", list(view.ip_allow)),
        ("referrers", list(view.referrers)),
        ("tags", Some(view.tags).filter(|tags| !tags.is_empty())),
        ("require", Some(view.require).filter(|labels| !labels.is_empty())),
        ("loss_policy", view.loss_policy.map(str::to_owned)),
        ("allow_store", (!view.allow_store).then(|| "false".to_owned())),
        ("native", view.native.then(|| "true".to_owned())),
        ("prompt_cache", view.prompt_cache.map(str::to_owned)),
        ("expires", view.expires),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Budgets in one line.
fn joined(budgets: &[Budget]) -> String {
    budgets.iter().map(Budget::to_string).collect::<Vec<_>>().join("; ")
}
