//! Virtual keys and tenants in the same file as the ledger, over a connection and a thread of their own.
//!
//! Keys are read at start and when they change, never on the way of a request. So they are written
//! plainly: one row each, every change one transaction that also raises `virtual_key_version`, which
//! other processes ask for several times a second.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use weighbridge_access::{
    KeyHash, KeyStore, KeyStoreError, Limits, LossPolicy, ModelScope, PromptCache, RetiredSecret, Tags,
    Tenant, TenantName, VirtualKey,
};
use weighbridge_units::{KeyId, Labels, NanoUsd, Timestamp};

use crate::connection::{open_migrated, write};
use crate::worker::Worker;
use crate::{Durability, OpenError, SqliteAlertStore, SqliteAuditLog, tenants};

/// The columns that [`read_key`] reads.
const COLUMNS: &str = "id, name, tenant, hash, retired_hash, retired_until, models, rpm, tpm, usd_per_minute, \
     concurrency, budgets, ip_allow, referrers, tags, require, loss_policy, allow_store, native, prompt_cache, blocked, \
     created, expires, revoked";

const WRITE: &str = "INSERT INTO virtual_key (id, name, tenant, hash, retired_hash, retired_until, models, \
     rpm, tpm, usd_per_minute, concurrency, budgets, ip_allow, referrers, tags, require, loss_policy, allow_store, \
     native, prompt_cache, blocked, created, expires, revoked) \
     VALUES (:id, :name, :tenant, :hash, :retired_hash, :retired_until, :models, :rpm, :tpm, :usd_per_minute, \
     :concurrency, :budgets, :ip_allow, :referrers, :tags, :require, :loss_policy, :allow_store, :native, \
     :prompt_cache, :blocked, :created, :expires, :revoked) \
     ON CONFLICT (id) DO UPDATE SET name = :name, tenant = :tenant, models = :models, rpm = :rpm, tpm = :tpm, \
     usd_per_minute = :usd_per_minute, concurrency = :concurrency, budgets = :budgets, ip_allow = :ip_allow, \
     referrers = :referrers, tags = :tags, require = :require, loss_policy = :loss_policy, allow_store = :allow_store, \
     native = :native, prompt_cache = :prompt_cache, blocked = :blocked, expires = :expires";
const REVOKE: &str = "UPDATE virtual_key SET revoked = coalesce(revoked, :at) WHERE id = :id";
const ROTATE: &str = "UPDATE virtual_key SET retired_hash = hash, retired_until = :until, hash = :hash \
     WHERE id = :id";
const RAISE_VERSION: &str = "UPDATE virtual_key_version SET version = version + 1";
const VERSION: &str = "SELECT version FROM virtual_key_version";

/// A [`KeyStore`] in an SQLite file, and a [`ProviderKeyStore`](weighbridge_access::ProviderKeyStore). Dropping it waits for the calls under way.
#[derive(Debug)]
pub struct SqliteKeyStore {
    pub(crate) worker: Arc<Worker>,
}

impl SqliteKeyStore {
    /// Opens the file, creating and migrating it where needed.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened or migrated.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // Changes are rare, and a revocation should survive a power cut.
        let connection = open_migrated(path, Durability::Fsync)?;
        Ok(Self { worker: Arc::new(Worker::start("weighbridge-keys", connection)?) })
    }

    /// The audit log of the same file, on the same connection and thread: each one more costs memory, and neither has
    /// much to do.
    pub fn audit_log(&self) -> SqliteAuditLog {
        SqliteAuditLog::on(Arc::clone(&self.worker))
    }

    /// The alerts of the same file, likewise.
    pub fn alert_store(&self) -> SqliteAlertStore {
        SqliteAlertStore::on(Arc::clone(&self.worker))
    }

    /// Runs a piece of work on the store's thread: callers may be on a runtime that must not block.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, KeyStoreError> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        let answer = self.worker.run(work).await;
        answer.unwrap_or_else(|| Err(unavailable("the store's thread has ended")))
    }

    /// Changes one key and raises the version, in one transaction; gives the key as it then is.
    async fn change(
        &self,
        id: KeyId,
        change: impl FnOnce(&Transaction<'_>, &VirtualKey) -> Result<(), KeyStoreError> + Send + 'static,
    ) -> Result<VirtualKey, KeyStoreError> {
        self.ask(move |connection| {
            let transaction = write(connection).map_err(unavailable)?;
            change(&transaction, &find(&transaction, id)?)?;
            let changed = find(&transaction, id)?;
            raise_version_and_commit(transaction)?;
            Ok(changed)
        })
        .await
    }
}

#[async_trait]
impl KeyStore for SqliteKeyStore {
    async fn create(&self, key: VirtualKey) -> Result<(), KeyStoreError> {
        key.check()?;
        self.ask(move |connection| {
            let transaction = write(connection).map_err(unavailable)?;
            match find(&transaction, key.id) {
                Err(KeyStoreError::NotFound(_)) => {}
                Ok(_) => return Err(KeyStoreError::Duplicate(key.id)),
                Err(error) => return Err(error),
            }
            write_key(&transaction, &key)?;
            raise_version_and_commit(transaction)
        })
        .await
    }

    async fn load_all(&self) -> Result<Vec<VirtualKey>, KeyStoreError> {
        self.ask(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM virtual_key ORDER BY seq");
            let mut statement = connection.prepare(&sql).map_err(unavailable)?;
            let mut rows = statement.query([]).map_err(unavailable)?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next().map_err(unavailable)? {
                keys.push(read_key(row)?);
            }
            Ok(keys)
        })
        .await
    }

    async fn revoke(&self, id: KeyId, at: Timestamp) -> Result<VirtualKey, KeyStoreError> {
        self.change(id, move |transaction, _| {
            let parameters = named_params! { ":id": id_column(id), ":at": at.as_micros() };
            transaction.execute(REVOKE, parameters).map(|_| ()).map_err(unavailable)
        })
        .await
    }

    async fn rotate(
        &self,
        id: KeyId,
        hash: KeyHash,
        grace_until: Timestamp,
    ) -> Result<VirtualKey, KeyStoreError> {
        self.change(id, move |transaction, key| {
            if key.revoked.is_some() {
                return Err(KeyStoreError::Revoked(id));
            }
            let parameters = named_params! {
                ":id": id_column(id), ":hash": hash.as_bytes(), ":until": grace_until.as_micros()
            };
            transaction.execute(ROTATE, parameters).map(|_| ()).map_err(unavailable)
        })
        .await
    }

    async fn update(&self, former: &VirtualKey, key: VirtualKey) -> Result<VirtualKey, KeyStoreError> {
        key.check()?;
        let former = former.clone();
        self.change(former.id, move |transaction, present| {
            if present.revoked.is_some() {
                return Err(KeyStoreError::Revoked(present.id));
            }
            if *present != former {
                return Err(KeyStoreError::Changed(format!("the key {}", present.id)));
            }
            write_key(transaction, &key.with_life_of(present))
        })
        .await
    }

    async fn put_tenant(&self, former: Option<&Tenant>, tenant: Tenant) -> Result<(), KeyStoreError> {
        tenant.check()?;
        let former = former.cloned();
        self.ask(move |connection| {
            let transaction = write(connection).map_err(unavailable)?;
            if tenants::find(&transaction, &tenant.name)? != former {
                return Err(KeyStoreError::Changed(format!("the tenant {}", tenant.name)));
            }
            tenants::write(&transaction, &tenant)?;
            raise_version_and_commit(transaction)
        })
        .await
    }

    async fn load_tenants(&self) -> Result<Vec<Tenant>, KeyStoreError> {
        self.ask(|connection| tenants::load(connection)).await
    }

    async fn version(&self) -> Result<u64, KeyStoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(VERSION).map_err(unavailable)?;
            let version: i64 = statement.query_row([], |row| row.get(0)).map_err(unavailable)?;
            Ok(version.cast_unsigned())
        })
        .await
    }
}

pub(crate) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> KeyStoreError {
    KeyStoreError::Unavailable(error.into())
}

fn raise_version_and_commit(transaction: Transaction<'_>) -> Result<(), KeyStoreError> {
    transaction.execute(RAISE_VERSION, []).map_err(unavailable)?;
    transaction.commit().map_err(unavailable)
}

fn find(connection: &Connection, id: KeyId) -> Result<VirtualKey, KeyStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM virtual_key WHERE id = :id");
    let mut statement = connection.prepare(&sql).map_err(unavailable)?;
    let found = statement.query_row(named_params! { ":id": id_column(id) }, |row| Ok(read_key(row)));
    found.optional().map_err(unavailable)?.unwrap_or(Err(KeyStoreError::NotFound(id)))
}

/// Writes a key, or what an update may change of one that is there.
fn write_key(connection: &Connection, key: &VirtualKey) -> Result<(), KeyStoreError> {
    let models = match &key.models {
        ModelScope::All => None,
        ModelScope::Only(patterns) => Some(lines(patterns)),
    };
    let parameters = named_params! {
        ":id": id_column(key.id),
        ":name": key.name,
        ":tenant": key.tenant.as_str(),
        ":hash": key.hash.as_bytes(),
        ":retired_hash": key.retired.as_ref().map(|retired| *retired.hash.as_bytes()),
        ":retired_until": key.retired.map(|retired| retired.until.as_micros()),
        ":models": models,
        ":rpm": key.limits.rpm.map(limit_column),
        ":tpm": key.limits.tpm.map(limit_column),
        ":usd_per_minute": key.limits.usd_per_minute.map(NanoUsd::get),
        ":concurrency": key.limits.concurrency.map(limit_column),
        ":budgets": lines(&key.budgets),
        ":ip_allow": lines(&key.ip_allow),
        ":referrers": lines(&key.referrers),
        ":tags": key.tags.to_string(),
        ":require": key.require.to_string(),
        ":loss_policy": key.loss_policy.map(LossPolicy::as_str),
        ":allow_store": key.allow_store,
        ":native": key.native,
        ":prompt_cache": key.prompt_cache.map(PromptCache::as_str),
        ":blocked": key.blocked,
        ":created": key.created.as_micros(),
        ":expires": key.expires.map(Timestamp::as_micros),
        ":revoked": key.revoked.map(Timestamp::as_micros),
    };
    connection.execute(WRITE, parameters).map(|_| ()).map_err(unavailable)
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

fn read_key(row: &Row<'_>) -> Result<VirtualKey, KeyStoreError> {
    let id = KeyId::from_bits(row.get::<_, i64>("id").map_err(unavailable)?.cast_unsigned());
    KeyRow { id, row }.read()
}

/// A row of `virtual_key`, read column by column with errors that name the key.
struct KeyRow<'r> {
    id: KeyId,
    row: &'r Row<'r>,
}

impl KeyRow<'_> {
    fn read(&self) -> Result<VirtualKey, KeyStoreError> {
        let tenant: TenantName = self.parse(&self.get::<String>("tenant")?)?;
        let hash = KeyHash::from_bytes(self.get("hash")?);
        let created = self.get("created").map(Timestamp::from_micros)?;
        let mut key = VirtualKey::new(self.id, &self.get::<String>("name")?, tenant, hash, created);
        key.retired = self
            .get::<Option<[u8; 32]>>("retired_hash")?
            .zip(self.time("retired_until")?)
            .map(|(hash, until)| RetiredSecret { hash: KeyHash::from_bytes(hash), until });
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

    fn get<T: rusqlite::types::FromSql>(&self, column: &str) -> Result<T, KeyStoreError> {
        self.row.get(column).map_err(|error| self.corrupt(error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::open_as_of;
    use futures::executor::block_on;
    use weighbridge_access::Budget;
    use weighbridge_access::testkit::{check_key_store, full_key, full_tenant};

    fn open(folder: &tempfile::TempDir) -> SqliteKeyStore {
        SqliteKeyStore::open(&folder.path().join("keys.db")).unwrap()
    }

    #[test]
    fn it_keeps_the_promises_of_a_key_store() {
        let folder = tempfile::tempdir().unwrap();
        block_on(check_key_store(&open(&folder))).unwrap();
    }

    #[test]
    fn keys_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let key = full_key(5).unwrap();
        block_on(open(&folder).create(key.clone())).unwrap();
        assert_eq!(block_on(open(&folder).load_all()).unwrap(), [key]);
    }

    #[test]
    fn a_key_of_an_earlier_release_is_read_as_it_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let key = full_key(5).unwrap();
        let retired = key.retired.unwrap();
        let ModelScope::Only(models) = &key.models else { panic!("{key:?}") };
        // One budget, of money and a month; no tenants, no further limits, no policies.
        let earlier = open_as_of(&folder.path().join("keys.db"), 5).unwrap();
        let insert = "INSERT INTO virtual_key (id, name, tenant, hash, retired_hash, retired_until, models, rpm, tpm, \
             budget, budget_period, ip_allow, referrers, tags, loss_policy, created, expires) \
             VALUES (:id, :name, :tenant, :hash, :retired_hash, :retired_until, :models, :rpm, :tpm, \
             25000000001, 'month', :ip_allow, :referrers, :tags, 'reject', :created, :expires)";
        let columns = named_params! {
            ":id": id_column(key.id),
            ":name": key.name,
            ":tenant": key.tenant.as_str(),
            ":hash": key.hash.as_bytes(),
            ":retired_hash": retired.hash.as_bytes(),
            ":retired_until": retired.until.as_micros(),
            ":models": lines(models),
            ":rpm": key.limits.rpm.map(limit_column),
            ":tpm": key.limits.tpm.map(limit_column),
            ":ip_allow": lines(&key.ip_allow),
            ":referrers": lines(&key.referrers),
            ":tags": key.tags.to_string(),
            ":created": key.created.as_micros(),
            ":expires": key.expires.map(Timestamp::as_micros),
        };
        earlier.execute(insert, columns).unwrap();
        drop(earlier);
        let mut former =
            VirtualKey { allow_store: true, native: false, prompt_cache: None, blocked: false, ..key };
        former.require = Labels::default();
        former.budgets = vec![Budget::per_month(NanoUsd::new(25_000_000_001))];
        former.limits = Limits { rpm: former.limits.rpm, tpm: former.limits.tpm, ..Limits::NONE };
        assert_eq!(block_on(open(&folder).load_all()).unwrap(), [former]);
    }

    #[test]
    fn k2_another_process_sees_a_change_by_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (open(&folder), open(&folder));
        block_on(here.create(full_key(5).unwrap())).unwrap();
        let before = block_on(there.version()).unwrap();
        block_on(here.revoke(KeyId::from_bits(5), Timestamp::from_secs(1))).unwrap();
        assert_ne!(block_on(there.version()).unwrap(), before);
        assert!(block_on(there.load_all()).unwrap()[0].revoked.is_some());
    }

    #[test]
    fn k2_another_process_sees_a_change_of_a_tenant_by_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (open(&folder), open(&folder));
        let before = block_on(there.version()).unwrap();
        block_on(here.put_tenant(None, full_tenant("acme/search").unwrap())).unwrap();
        assert_ne!(block_on(there.version()).unwrap(), before);
        assert_eq!(block_on(there.load_tenants()).unwrap(), [full_tenant("acme/search").unwrap()]);
    }

    #[test]
    fn a_tenant_that_cannot_be_read_is_an_error_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        block_on(store.put_tenant(None, full_tenant("acme").unwrap())).unwrap();
        let other = Connection::open(folder.path().join("keys.db")).unwrap();
        for damage in ["models = '*x'", "budgets = 'usd=-1'", "rpm = -1", "name = 'a b'"] {
            other.execute(&format!("UPDATE tenant SET {damage}"), []).unwrap();
            let error = block_on(store.load_tenants()).unwrap_err();
            assert!(matches!(&error, KeyStoreError::CorruptTenant { .. }), "{damage}: {error}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_an_error_and_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let key = full_key(5).unwrap();
        block_on(store.create(key.clone())).unwrap();
        let other = Connection::open(folder.path().join("keys.db")).unwrap();
        for damage in [
            "ip_allow = '10.0.0.0/99'",
            "models = '*x'",
            "loss_policy = 'maybe'",
            "prompt_cache = '2h'",
            "rpm = -1",
            "budgets = 'usd=1 usd=2'",
            "tenant = ''",
            "tags = 'x'",
        ] {
            other.execute(&format!("UPDATE virtual_key SET {damage}"), []).unwrap();
            let error = block_on(store.load_all()).unwrap_err();
            assert!(
                matches!(&error, KeyStoreError::Corrupt { id, .. } if id.get() == key.id.get()),
                "{damage}: {error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys.db"), "not a database, but long enough to be looked at")
            .unwrap();
        let error = SqliteKeyStore::open(&folder.path().join("keys.db")).unwrap_err();
        assert!(matches!(error, OpenError::Sqlite { .. }), "{error}");
    }

    #[test]
    fn no_secret_reaches_the_file() {
        use weighbridge_access::{Pepper, mint_key};
        let folder = tempfile::tempdir().unwrap();
        let minted = mint_key(&[0x5a; 40], &Pepper::new(&[1; 32]).unwrap());
        let key = VirtualKey { id: minted.id, hash: minted.hash, ..full_key(5).unwrap() };
        block_on(open(&folder).create(key)).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for secret in [minted.expose().as_bytes()[16..].to_vec(), vec![0x5a; 32]] {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret));
            }
        }
    }
}
