//! Rows of providers' keys, sealed. They are kept by [`crate::PostgresKeyStore`], on its connection.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;
use weighbridge_access::{
    KeyOwner, KeySecret, ProviderKey, ProviderKeyError, ProviderKeyId, ProviderKeyStore, SealedSecret,
};
use weighbridge_units::Timestamp;

use crate::PostgresKeyStore;
use crate::error::DbError;
use crate::session::{Lent, Session};

const ALL: &str = "SELECT * FROM provider_key ORDER BY seq";
const FIND: &str = "SELECT * FROM provider_key WHERE id = $1 FOR UPDATE";
const ADD: &str = "INSERT INTO provider_key (id, owner, provider, label, weight, fingerprint, sealed, created, rotated, \
     revoked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
// Owner, provider and creation stay: the seal names them.
const REPLACE: &str = "UPDATE provider_key SET label = $2, weight = $3, fingerprint = $4, sealed = $5, rotated = $6, \
     revoked = $7 WHERE id = $1";
const RAISE_VERSION: &str = "UPDATE provider_key_version SET version = version + 1";
const VERSION: &str = "SELECT version FROM provider_key_version";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 6] = [ALL, FIND, ADD, REPLACE, RAISE_VERSION, VERSION];

#[async_trait]
impl ProviderKeyStore for PostgresKeyStore {
    async fn add(&self, key: ProviderKey) -> Result<(), ProviderKeyError> {
        key.check()?;
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                lent.session.run("BEGIN").await?;
                if find(&mut lent.session, key.id).await?.is_some() {
                    return Err(ProviderKeyError::Duplicate(key.id));
                }
                lent.session
                    .execute(
                        ADD,
                        &[
                            &id_column(key.id),
                            &key.owner.tenant().map(|tenant| tenant.as_str()),
                            &key.provider,
                            &key.label,
                            &i64::from(key.weight),
                            &key.fingerprint.as_str(),
                            &sealed(&key),
                            &key.created.as_micros(),
                            &key.rotated.map(Timestamp::as_micros),
                            &key.revoked().map(Timestamp::as_micros),
                        ],
                    )
                    .await?;
                raise_version_and_commit(lent).await
            })
            .await
    }

    async fn replace(&self, former: &ProviderKey, next: ProviderKey) -> Result<(), ProviderKeyError> {
        next.check()?;
        let (link, former) = (Arc::clone(&self.link), former.clone());
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                lent.session.run("BEGIN").await?;
                let present = find(&mut lent.session, former.id).await?;
                let present = present.ok_or(ProviderKeyError::NotFound(former.id))?;
                if present != former {
                    return Err(ProviderKeyError::Changed(former.id));
                }
                if !present.may_become(&next) {
                    return Err(ProviderKeyError::Another(former.id));
                }
                lent.session
                    .execute(
                        REPLACE,
                        &[
                            &id_column(next.id),
                            &next.label,
                            &i64::from(next.weight),
                            &next.fingerprint.as_str(),
                            &sealed(&next),
                            &next.rotated.map(Timestamp::as_micros),
                            &next.revoked().map(Timestamp::as_micros),
                        ],
                    )
                    .await?;
                raise_version_and_commit(lent).await
            })
            .await
    }

    async fn load(&self) -> Result<Vec<ProviderKey>, ProviderKeyError> {
        let link = Arc::clone(&self.link);
        self.database
            .run(async move {
                let mut lent = link.lend().await?;
                let rows = lent.session.query(ALL, &[]).await?;
                lent.give_back();
                rows.iter().map(read).collect()
            })
            .await
    }

    async fn version(&self) -> Result<u64, ProviderKeyError> {
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

impl From<DbError> for ProviderKeyError {
    fn from(error: DbError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

async fn raise_version_and_commit(mut lent: Lent<'_>) -> Result<(), ProviderKeyError> {
    lent.session.execute(RAISE_VERSION, &[]).await?;
    lent.session.run("COMMIT").await?;
    lent.give_back();
    Ok(())
}

/// Finds a key, and keeps others from changing it until the transaction ends.
async fn find(session: &mut Session, id: ProviderKeyId) -> Result<Option<ProviderKey>, ProviderKeyError> {
    session.query_opt(FIND, &[&id_column(id)]).await?.as_ref().map(read).transpose()
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
fn read(row: &Row) -> Result<ProviderKey, ProviderKeyError> {
    let id = ProviderKeyId::from_bits(row.try_get::<_, i64>("id").map_err(DbError::from)?.cast_unsigned());
    let corrupt = |what: String| ProviderKeyError::Corrupt { id, what };
    fn get<T: FromSqlOwned>(row: &Row, column: &str) -> Result<T, String> {
        row.try_get(column).map_err(|error| error.to_string())
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
    let weight = get::<i64>(row, "weight").map_err(corrupt)?;
    Ok(ProviderKey {
        id,
        owner,
        provider: text("provider")?,
        label: text("label")?,
        weight: u32::try_from(weight).map_err(|error| corrupt(format!("weight {weight}: {error}")))?,
        fingerprint: text("fingerprint")?.parse().map_err(|_| corrupt("its fingerprint".to_owned()))?,
        secret,
        created: Timestamp::from_micros(get(row, "created").map_err(corrupt)?),
        rotated: time("rotated")?,
    })
}
