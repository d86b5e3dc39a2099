//! Virtual keys and tenants.
//!
//! They are read at start and when they change, never on the way of a request. Every change is one transaction that
//! also raises `virtual_key_version`, which all instances ask for several times a second.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;
use weighbridge_access::{
    KeyHash, KeyStore, KeyStoreError, Limits, LossPolicy, ModelScope, PromptCache, RetiredSecret, Tags,
    Tenant, TenantName, VirtualKey,
};
use weighbridge_units::{KeyId, Labels, NanoUsd, Timestamp};

use crate::Database;
use crate::error::DbError;
use crate::session::{Lent, Link, Session};
use crate::tenants;

const WRITE: &str = "INSERT INTO virtual_key (id, name, tenant, hash, retired_hash, retired_until, models, rpm, tpm, \
     usd_per_minute, concurrency, budgets, ip_allow, referrers, tags, loss_policy, allow_store, prompt_cache, blocked, \
     created, expires, revoked, native, require) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
     $18, $19, $20, $21, $22, $23, $24) \
     ON CONFLICT (id) DO UPDATE SET name = $2, tenant = $3, models = $7, rpm = $8, tpm = $9, usd_per_minute = $10, \
     concurrency = $11, budgets = $12, ip_allow = $13, referrers = $14, tags = $15, loss_policy = $16, \
     allow_store = $17, prompt_cache = $18, blocked = $19, expires = $21, native = $23, require = $24";
const ALL: &str = "SELECT * FROM virtual_key ORDER BY seq";
const FIND: &str = "SELECT * FROM virtual_key WHERE id = $1 FOR UPDATE";
const REVOKE: &str = "UPDATE virtual_key SET revoked = coalesce(revoked, $2) WHERE id = $1";
const ROTATE: &str =
    "UPDATE virtual_key SET retired_hash = hash, retired_until = $2, hash = $3 WHERE id = $1";
const RAISE_VERSION: &str = "UPDATE virtual_key_version SET version = version + 1";
const LOCK: &str = "SELECT 1 FROM virtual_key_version FOR UPDATE";
const VERSION: &str = "SELECT version FROM virtual_key_version";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 8] = [WRITE, ALL, FIND, REVOKE, ROTATE, RAISE_VERSION, LOCK, VERSION];

/// A [`KeyStore`] in a PostgreSQL database, and a [`ProviderKeyStore`](weighbridge_access::ProviderKeyStore).
#[derive(Debug)]
pub struct PostgresKeyStore {
    pub(crate) database: Database,
    pub(crate) link: Arc<Link>,
}

impl PostgresKeyStore {
    /// Opens the keys of a database. Nothing is asked of the database yet.
    pub fn open(database: &Database) -> Self {
        Self { database: database.clone(), link: Arc::new(Link::new(database.connector())) }
    }

    /// Changes one key and raises the version, in one transaction; gives the key as it then is.
    async fn change(&self, id: KeyId, change: Change) -> Result<VirtualKey, KeyStoreError> {
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                lent.session.run("BEGIN").await?;
                let key = find(&mut lent.session, id).await?;
                match change {
                    Change::Revoke(at) => {
                        lent.session.execute(REVOKE, &[&id_column(id), &at.as_micros()]).await?
                    }
                    Change::Rotate(..) if key.revoked.is_some() => return Err(KeyStoreError::Revoked(id)),
                    Change::Update(..) if key.revoked.is_some() => return Err(KeyStoreError::Revoked(id)),
                    Change::Update(former, _) if *former != key => {
                        return Err(KeyStoreError::Changed(format!("the key {id}")));
                    }
                    Change::Update(_, update) => write(&mut lent.session, &update.with_life_of(&key)).await?,
                    Change::Rotate(hash, until) => {
                        let hash = hash.as_bytes().as_slice();
                        lent.session.execute(ROTATE, &[&id_column(id), &until.as_micros(), &hash]).await?
                    }
                };
                let changed = find(&mut lent.session, id).await?;
                raise_version_and_commit(lent).await?;
                Ok(changed)
            })
            .await
    }
}

enum Change {
    Revoke(Timestamp),
    Rotate(KeyHash, Timestamp),
    /// What the key was, and what it is to be.
    Update(Box<VirtualKey>, Box<VirtualKey>),
}

#[async_trait]
impl KeyStore for PostgresKeyStore {
    async fn create(&self, key: VirtualKey) -> Result<(), KeyStoreError> {
        key.check()?;
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                lent.session.run("BEGIN").await?;
                match find(&mut lent.session, key.id).await {
                    Err(KeyStoreError::NotFound(_)) => {}
                    Ok(_) => return Err(KeyStoreError::Duplicate(key.id)),
                    Err(error) => return Err(error),
                }
                write(&mut lent.session, &key).await?;
                raise_version_and_commit(lent).await
            })
            .await
    }

    async fn load_all(&self) -> Result<Vec<VirtualKey>, KeyStoreError> {
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                let rows = lent.session.query(ALL, &[]).await?;
                lent.give_back();
                rows.iter().map(read_key).collect()
            })
            .await
    }

    async fn revoke(&self, id: KeyId, at: Timestamp) -> Result<VirtualKey, KeyStoreError> {
        self.change(id, Change::Revoke(at)).await
    }

    async fn rotate(
        &self,
        id: KeyId,
        hash: KeyHash,
        grace_until: Timestamp,
    ) -> Result<VirtualKey, KeyStoreError> {
        self.change(id, Change::Rotate(hash, grace_until)).await
    }

    async fn update(&self, former: &VirtualKey, key: VirtualKey) -> Result<VirtualKey, KeyStoreError> {
        key.check()?;
        self.change(former.id, Change::Update(Box::new(former.clone()), Box::new(key))).await
    }

    async fn put_tenant(&self, former: Option<&Tenant>, tenant: Tenant) -> Result<(), KeyStoreError> {
        tenant.check()?;
        let (link, former) = (Arc::clone(&self.link), former.cloned());
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                lent.session.run("BEGIN").await?;
                // A tenant that is not there has no row to lock.
                lent.session.execute(LOCK, &[]).await?;
                if tenants::find(&mut lent.session, &tenant.name).await? != former {
                    return Err(KeyStoreError::Changed(format!("the tenant {}", tenant.name)));
                }
                tenants::write(&mut lent.session, &tenant).await?;
                raise_version_and_commit(lent).await
            })
            .await
    }

    async fn load_tenants(&self) -> Result<Vec<Tenant>, KeyStoreError> {
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                let tenants = tenants::load(&mut lent.session).await;
                lent.give_back();
                tenants
            })
            .await
    }

    async fn version(&self) -> Result<u64, KeyStoreError> {
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                let row = lent.session.query_one(VERSION, &[]).await?;
                lent.give_back();
                let version: i64 = row.try_get(0).map_err(DbError::from)?;
                Ok(version.cast_unsigned())
            })
            .await
    }
}

impl From<DbError> for KeyStoreError {
    fn from(error: DbError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

async fn raise_version_and_commit(mut lent: Lent<'_>) -> Result<(), KeyStoreError> {
    lent.session.execute(RAISE_VERSION, &[]).await?;
    lent.session.run("COMMIT").await?;
    lent.give_back();
    Ok(())
}

/// Finds a key, and keeps others from changing it until the transaction ends.
async fn find(session: &mut Session, id: KeyId) -> Result<VirtualKey, KeyStoreError> {
    let found = session.query_opt(FIND, &[&id_column(id)]).await?;
    found.as_ref().map_or(Err(KeyStoreError::NotFound(id)), read_key)
}

/// Writes a key, or what an update may change of one that is there.
async fn write(session: &mut Session, key: &VirtualKey) -> Result<u64, DbError> {
    let models = match &key.models {
        ModelScope::All => None,
        ModelScope::Only(patterns) => Some(lines(patterns)),
    };
    session
        .execute(
            WRITE,
            &[
                &id_column(key.id),
                &key.name,
                &key.tenant.as_str(),
                &key.hash.as_bytes().as_slice(),
                &key.retired.as_ref().map(|retired| retired.hash.as_bytes().as_slice()),
                &key.retired.map(|retired| retired.until.as_micros()),
                &models,
                &key.limits.rpm.map(limit_column),
                &key.limits.tpm.map(limit_column),
                &key.limits.usd_per_minute.map(NanoUsd::get),
                &key.limits.concurrency.map(limit_column),
                &lines(&key.budgets),
                &lines(&key.ip_allow),
                &lines(&key.referrers),
                &key.tags.to_string(),
                &key.loss_policy.map(LossPolicy::as_str),
                &key.allow_store,
                &key.prompt_cache.map(PromptCache::as_str),
                &key.blocked,
                &key.created.as_micros(),
                &key.expires.map(Timestamp::as_micros),
                &key.revoked.map(Timestamp::as_micros),
                &key.native,
                &key.require.to_string(),
            ],
        )
        .await
}

/// The 60 bits of an id always fit.
fn id_column(id: KeyId) -> i64 {
    id.get().cast_signed()
}

/// [`VirtualKey::check`] has bounded the limit far below the column's maximum.
pub(crate) fn limit_column(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Entries hold no line breaks: the types that they come from refuse control characters.
pub(crate) fn lines<T: ToString>(entries: &[T]) -> String {
    entries.iter().map(T::to_string).collect::<Vec<_>>().join("\n")
}

fn read_key(row: &Row) -> Result<VirtualKey, KeyStoreError> {
    let id: i64 = row.try_get("id").map_err(DbError::from)?;
    KeyRow { id: KeyId::from_bits(id.cast_unsigned()), row }.read()
}

/// A row of `virtual_key`, read column by column with errors that name the key.
struct KeyRow<'r> {
    id: KeyId,
    row: &'r Row,
}

impl KeyRow<'_> {
    fn read(&self) -> Result<VirtualKey, KeyStoreError> {
        let tenant: TenantName = self.parse(&self.get::<String>("tenant")?)?;
        let hash = self.hash(&self.get::<Vec<u8>>("hash")?)?;
        let created = self.get("created").map(Timestamp::from_micros)?;
        let mut key = VirtualKey::new(self.id, &self.get::<String>("name")?, tenant, hash, created);
        let retired = self.get::<Option<Vec<u8>>>("retired_hash")?;
        let retired = retired.map(|hash| self.hash(&hash)).transpose()?;
        key.retired =
            retired.zip(self.time("retired_until")?).map(|(hash, until)| RetiredSecret { hash, until });
        if let Some(patterns) = self.get::<Option<String>>("models")? {
            key.models = ModelScope::Only(self.list(&patterns)?);
        }
        key.limits = Limits {
            rpm: self.limit("rpm")?,
            tpm: self.limit("tpm")?,
            usd_per_minute: self.get::<Option<i64>>("usd_per_minute")?.map(NanoUsd::new),
            concurrency: self.limit("concurrency")?,
        };
        key.budgets = self.list(&self.get::<String>("budgets")?)?;
        key.ip_allow = self.list(&self.get::<String>("ip_allow")?)?;
        key.referrers = self.list(&self.get::<String>("referrers")?)?;
        key.tags = self.parse::<Tags>(&self.get::<String>("tags")?)?;
        key.require = self.parse::<Labels>(&self.get::<String>("require")?)?;
        key.loss_policy = self.named("loss_policy", LossPolicy::from_name)?;
        key.allow_store = self.get("allow_store")?;
        key.native = self.get("native")?;
        key.prompt_cache = self.named("prompt_cache", PromptCache::from_name)?;
        key.blocked = self.get("blocked")?;
        key.expires = self.time("expires")?;
        key.revoked = self.time("revoked")?;
        Ok(key)
    }

    fn corrupt(&self, what: impl ToString) -> KeyStoreError {
        KeyStoreError::Corrupt { id: self.id, what: what.to_string() }
    }

    fn get<T: FromSqlOwned>(&self, column: &str) -> Result<T, KeyStoreError> {
        self.row.try_get(column).map_err(|error| self.corrupt(error))
    }

    fn hash(&self, bytes: &[u8]) -> Result<KeyHash, KeyStoreError> {
        bytes.try_into().map(KeyHash::from_bytes).map_err(|_| self.corrupt("its hash is not 32 bytes long"))
    }

    fn time(&self, column: &str) -> Result<Option<Timestamp>, KeyStoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    fn limit(&self, column: &str) -> Result<Option<u64>, KeyStoreError> {
        let limit = self.get::<Option<i64>>(column)?.map(u64::try_from);
        limit.transpose().map_err(|_| self.corrupt(format!("{column} is negative")))
    }

    fn named<T>(&self, column: &str, read: fn(&str) -> Option<T>) -> Result<Option<T>, KeyStoreError> {
        let Some(name) = self.get::<Option<String>>(column)? else { return Ok(None) };
        read(&name).map(Some).ok_or_else(|| self.corrupt(format!("{column} `{name}` is not known")))
    }

    fn parse<T: std::str::FromStr<Err: ToString>>(&self, text: &str) -> Result<T, KeyStoreError> {
        text.parse().map_err(|error: T::Err| self.corrupt(error.to_string()))
    }

    fn list<T: std::str::FromStr<Err: ToString>>(&self, text: &str) -> Result<Vec<T>, KeyStoreError> {
        text.lines().map(|line| self.parse(line)).collect()
    }
}
