//! Rows of tenants. They are kept by [`crate::PostgresKeyStore`], and raise the version of the keys.

use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;
use weighbridge_access::{KeyStoreError, Limits, ModelScope, OwnKeys, Tenant, TenantName};
use weighbridge_units::{ChargesError, LabelError, NanoUsd, Timestamp};

use crate::error::DbError;
use crate::keys::{limit_column, lines};
use crate::session::Session;

const ALL: &str = "SELECT * FROM tenant ORDER BY name";
const FIND: &str = "SELECT * FROM tenant WHERE name = $1";
const WRITE: &str = "INSERT INTO tenant (name, models, rpm, tpm, usd_per_minute, concurrency, budgets, blocked, created, \
     expires, credit_limit, markup, own_keys, surcharge, subscription, require) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
     ON CONFLICT (name) DO UPDATE SET models = $2, rpm = $3, tpm = $4, usd_per_minute = $5, concurrency = $6, \
     budgets = $7, blocked = $8, created = $9, expires = $10, credit_limit = $11, markup = $12, own_keys = $13, \
     surcharge = $14, subscription = $15, require = $16";

#[cfg(test)]
pub(crate) const STATEMENTS: [&str; 3] = [ALL, FIND, WRITE];

/// Every tenant, by name.
pub(crate) async fn load(session: &mut Session) -> Result<Vec<Tenant>, KeyStoreError> {
    session.query(ALL, &[]).await?.iter().map(read_tenant).collect()
}

/// The tenant of that name, if there is one.
pub(crate) async fn find(session: &mut Session, name: &TenantName) -> Result<Option<Tenant>, KeyStoreError> {
    session.query_opt(FIND, &[&name.as_str()]).await?.as_ref().map(read_tenant).transpose()
}

/// Adds or replaces a tenant.
pub(crate) async fn write(session: &mut Session, tenant: &Tenant) -> Result<u64, DbError> {
    let models = match &tenant.models {
        ModelScope::All => None,
        ModelScope::Only(patterns) => Some(lines(patterns)),
    };
    session
        .execute(
            WRITE,
            &[
                &tenant.name.as_str(),
                &models,
                &tenant.limits.rpm.map(limit_column),
                &tenant.limits.tpm.map(limit_column),
                &tenant.limits.usd_per_minute.map(NanoUsd::get),
                &tenant.limits.concurrency.map(limit_column),
                &lines(&tenant.budgets),
                &tenant.blocked,
                &tenant.created.as_micros(),
                &tenant.expires.map(Timestamp::as_micros),
                &tenant.credit_limit.map(NanoUsd::get),
                &tenant.markup.map(|charges| charges.to_string()),
                &tenant.own_keys.map(OwnKeys::as_str),
                &tenant.surcharge.map(|charges| charges.to_string()),
                &tenant.subscription.map(NanoUsd::get),
                &tenant.require.to_string(),
            ],
        )
        .await
}

fn read_tenant(row: &Row) -> Result<Tenant, KeyStoreError> {
    TenantRow { name: row.try_get("name").map_err(DbError::from)?, row }.read()
}

/// A row of `tenant`, read column by column with errors that name the tenant.
struct TenantRow<'r> {
    name: String,
    row: &'r Row,
}

impl TenantRow<'_> {
    fn read(&self) -> Result<Tenant, KeyStoreError> {
        let name = self.name.parse().map_err(|error| self.corrupt(error))?;
        let mut tenant = Tenant::new(name, Timestamp::from_micros(self.get("created")?));
        if let Some(patterns) = self.get::<Option<String>>("models")? {
            tenant.models = ModelScope::Only(self.list(&patterns)?);
        }
        tenant.limits = Limits {
            rpm: self.limit("rpm")?,
            tpm: self.limit("tpm")?,
            usd_per_minute: self.get::<Option<i64>>("usd_per_minute")?.map(NanoUsd::new),
            concurrency: self.limit("concurrency")?,
        };
        tenant.budgets = self.list(&self.get::<String>("budgets")?)?;
        tenant.credit_limit = self.get::<Option<i64>>("credit_limit")?.map(NanoUsd::new);
        let markup = self.get::<Option<String>>("markup")?;
        let read = |text: String| text.parse().map_err(|error: ChargesError| self.corrupt(error));
        tenant.markup = markup.map(read).transpose()?;
        tenant.surcharge = self.get::<Option<String>>("surcharge")?.map(read).transpose()?;
        tenant.subscription = self.get::<Option<i64>>("subscription")?.map(NanoUsd::new);
        let require = self.get::<String>("require")?.parse();
        tenant.require = require.map_err(|error: LabelError| self.corrupt(error))?;
        tenant.blocked = self.get("blocked")?;
        tenant.expires = self.get::<Option<i64>>("expires")?.map(Timestamp::from_micros);
        if let Some(name) = self.get::<Option<String>>("own_keys")? {
            let policy = OwnKeys::from_name(&name);
            tenant.own_keys =
                Some(policy.ok_or_else(|| self.corrupt(format!("own_keys `{name}` is not known")))?);
        }
        Ok(tenant)
    }

    fn corrupt(&self, what: impl ToString) -> KeyStoreError {
        KeyStoreError::CorruptTenant { name: self.name.clone(), what: what.to_string() }
    }

    fn get<T: FromSqlOwned>(&self, column: &str) -> Result<T, KeyStoreError> {
        self.row.try_get(column).map_err(|error| self.corrupt(error))
    }

    fn limit(&self, column: &str) -> Result<Option<u64>, KeyStoreError> {
        let limit = self.get::<Option<i64>>(column)?.map(u64::try_from);
        limit.transpose().map_err(|_| self.corrupt(format!("{column} is negative")))
    }

    fn list<T: std::str::FromStr<Err: ToString>>(&self, text: &str) -> Result<Vec<T>, KeyStoreError> {
        text.lines()
            .map(|line| line.parse().map_err(|error: T::Err| self.corrupt(error.to_string())))
            .collect()
    }
}
