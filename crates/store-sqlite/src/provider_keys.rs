//! Rows of providers' keys, sealed. They are kept by [`crate::SqliteKeyStore`], on its connection.

use async_trait::async_trait;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};
use weighbridge_access::{
    KeyOwner, KeySecret, ProviderKey, ProviderKeyError, ProviderKeyId, ProviderKeyStore, SealedSecret,
};
use weighbridge_units::Timestamp;

use crate::SqliteKeyStore;
use crate::connection::write;

const COLUMNS: &str = "id, owner, provider, label, weight, fingerprint, sealed, created, rotated, revoked";
const ADD: &str = "INSERT INTO provider_key (id, owner, provider, label, weight, fingerprint, sealed, created, rotated, \
     revoked) VALUES (:id, :owner, :provider, :label, :weight, :fingerprint, :sealed, :created, :rotated, :revoked)";
// Owner, provider and creation stay: the seal names them.
const REPLACE: &str = "UPDATE provider_key SET label = :label, weight = :weight, fingerprint = :fingerprint, \
     sealed = :sealed, rotated = :rotated, revoked = :revoked WHERE id = :id";
const RAISE_VERSION: &str = "UPDATE provider_key_version SET version = version + 1";
const VERSION: &str = "SELECT version FROM provider_key_version";

#[async_trait]
impl ProviderKeyStore for SqliteKeyStore {
    async fn add(&self, key: ProviderKey) -> Result<(), ProviderKeyError> {
        key.check()?;
        self.ask_for_provider_keys(move |connection| {
            let transaction = write(connection).map_err(unavailable)?;
            if find(&transaction, key.id)?.is_some() {
                return Err(ProviderKeyError::Duplicate(key.id));
            }
            let parameters = named_params! {
                ":id": id_column(key.id),
                ":owner": key.owner.tenant().map(|tenant| tenant.as_str()),
                ":provider": key.provider,
                ":label": key.label,
                ":weight": key.weight,
                ":fingerprint": key.fingerprint.as_str(),
                ":sealed": sealed(&key),
                ":created": key.created.as_micros(),
                ":rotated": key.rotated.map(Timestamp::as_micros),
                ":revoked": key.revoked().map(Timestamp::as_micros),
            };
            transaction.execute(ADD, parameters).map_err(unavailable)?;
            raise_version_and_commit(transaction)
        })
        .await
    }

    async fn replace(&self, former: &ProviderKey, next: ProviderKey) -> Result<(), ProviderKeyError> {
        next.check()?;
        let former = former.clone();
        self.ask_for_provider_keys(move |connection| {
            let transaction = write(connection).map_err(unavailable)?;
            let present = find(&transaction, former.id)?.ok_or(ProviderKeyError::NotFound(former.id))?;
            if present != former {
                return Err(ProviderKeyError::Changed(former.id));
            }
            if !present.may_become(&next) {
                return Err(ProviderKeyError::Another(former.id));
            }
            let parameters = named_params! {
                ":id": id_column(next.id),
                ":label": next.label,
                ":weight": next.weight,
                ":fingerprint": next.fingerprint.as_str(),
                ":sealed": sealed(&next),
                ":rotated": next.rotated.map(Timestamp::as_micros),
                ":revoked": next.revoked().map(Timestamp::as_micros),
            };
            transaction.execute(REPLACE, parameters).map_err(unavailable)?;
            raise_version_and_commit(transaction)
        })
        .await
    }

    async fn load(&self) -> Result<Vec<ProviderKey>, ProviderKeyError> {
        self.ask_for_provider_keys(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM provider_key ORDER BY seq");
            let mut statement = connection.prepare(&sql).map_err(unavailable)?;
            let mut rows = statement.query([]).map_err(unavailable)?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next().map_err(unavailable)? {
                keys.push(read(row)?);
            }
            Ok(keys)
        })
        .await
    }

    async fn version(&self) -> Result<u64, ProviderKeyError> {
        self.ask_for_provider_keys(|connection| {
            let mut statement = connection.prepare_cached(VERSION).map_err(unavailable)?;
            let version: i64 = statement.query_row([], |row| row.get(0)).map_err(unavailable)?;
            Ok(version.cast_unsigned())
        })
        .await
    }
}

impl SqliteKeyStore {
    async fn ask_for_provider_keys<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, ProviderKeyError> + Send + 'static,
    ) -> Result<T, ProviderKeyError> {
        let answer = self.worker.run(work).await;
        answer.unwrap_or_else(|| Err(unavailable("the store's thread has ended")))
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderKeyError {
    ProviderKeyError::Unavailable(error.into())
}

fn raise_version_and_commit(transaction: Transaction<'_>) -> Result<(), ProviderKeyError> {
    transaction.execute(RAISE_VERSION, []).map_err(unavailable)?;
    transaction.commit().map_err(unavailable)
}

fn find(connection: &Connection, id: ProviderKeyId) -> Result<Option<ProviderKey>, ProviderKeyError> {
    let sql = format!("SELECT {COLUMNS} FROM provider_key WHERE id = :id");
    let mut statement = connection.prepare(&sql).map_err(unavailable)?;
    let found = statement.query_row(named_params! { ":id": id_column(id) }, |row| Ok(read(row)));
    found.optional().map_err(unavailable)?.transpose()
}

/// The 60 bits of an id always fit.
fn id_column(id: ProviderKeyId) -> i64 {
    id.get().cast_signed()
}

fn sealed(key: &ProviderKey) -> Option<&[u8]> {
    match &key.secret {
        KeySecret::Sealed(sealed) => Some(sealed.as_bytes()),
        KeySecret::Revoked(_) => None,
    }
}

/// Reads a row of `provider_key`, with errors that name the key.
fn read(row: &Row<'_>) -> Result<ProviderKey, ProviderKeyError> {
    let id = ProviderKeyId::from_bits(row.get::<_, i64>("id").map_err(unavailable)?.cast_unsigned());
    let corrupt = |what: String| ProviderKeyError::Corrupt { id, what };
    fn get<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T, String> {
        row.get(column).map_err(|error| error.to_string())
    }
    let text = |column| get::<String>(row, column).map_err(corrupt);
    let time =
        |column| get::<Option<i64>>(row, column).map(|at| at.map(Timestamp::from_micros)).map_err(corrupt);
    let owner = match get::<Option<String>>(row, "owner").map_err(corrupt)? {
        None => KeyOwner::Installation,
        Some(tenant) => KeyOwner::Tenant(tenant.parse().map_err(|error| corrupt(format!("{error}")))?),
    };
    let secret = match (get::<Option<Vec<u8>>>(row, "sealed").map_err(corrupt)?, time("revoked")?) {
        (Some(sealed), None) => KeySecret::Sealed(SealedSecret::from_bytes(sealed)),
        (None, Some(at)) => KeySecret::Revoked(at),
        _ => return Err(corrupt("it is neither sealed nor revoked".to_owned())),
    };
    Ok(ProviderKey {
        id,
        owner,
        provider: text("provider")?,
        label: text("label")?,
        weight: get(row, "weight").map_err(corrupt)?,
        fingerprint: text("fingerprint")?.parse().map_err(|_| corrupt("its fingerprint".to_owned()))?,
        secret,
        created: Timestamp::from_micros(get(row, "created").map_err(corrupt)?),
        rotated: time("rotated")?,
    })
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use weighbridge_access::testkit::{check_provider_key_store, full_provider_key};

    use super::*;

    fn open(folder: &tempfile::TempDir) -> SqliteKeyStore {
        SqliteKeyStore::open(&folder.path().join("keys.db")).unwrap()
    }

    #[test]
    fn it_keeps_the_promises_of_a_store_of_provider_keys() {
        let folder = tempfile::tempdir().unwrap();
        block_on(check_provider_key_store(&open(&folder))).unwrap();
    }

    #[test]
    fn k2_another_process_sees_a_change_by_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (open(&folder), open(&folder));
        let before = block_on(ProviderKeyStore::version(&there)).unwrap();
        let key = full_provider_key(5).unwrap();
        block_on(here.add(key.clone())).unwrap();
        assert_ne!(block_on(ProviderKeyStore::version(&there)).unwrap(), before);
        assert_eq!(block_on(there.load()).unwrap(), [key]);
    }

    #[test]
    fn a_provider_key_that_cannot_be_read_is_an_error_and_names_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key) = (open(&folder), full_provider_key(5).unwrap());
        block_on(store.add(key.clone())).unwrap();
        let other = Connection::open(folder.path().join("keys.db")).unwrap();
        for damage in ["weight = -1", "owner = 'a b'", "fingerprint = 'abcdefgh'"] {
            other.execute(&format!("UPDATE provider_key SET {damage}"), []).unwrap();
            let error = block_on(store.load()).unwrap_err();
            let names = matches!(&error, ProviderKeyError::Corrupt { id, .. } if *id == key.id);
            assert!(names, "{damage}: {error}");
        }
    }
}
