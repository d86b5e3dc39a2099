//! Rows of tenants. They are kept by [`crate::SqliteKeyStore`], and raise the version of the keys.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use weighbridge_access::{KeyStoreError, Limits, ModelScope, OwnKeys, Tenant, TenantName};
use weighbridge_units::{ChargesError, LabelError, NanoUsd, Timestamp};

use crate::keys::{limit_column, lines, unavailable};

const COLUMNS: &str = "name, models, rpm, tpm, usd_per_minute, concurrency, budgets, credit_limit, markup, blocked, \
     created, expires, own_keys, surcharge, subscription, require";
const WRITE: &str = "INSERT OR REPLACE INTO tenant (name, models, rpm, tpm, usd_per_minute, concurrency, budgets, \
     credit_limit, markup, blocked, created, expires, own_keys, surcharge, subscription, require) \
     VALUES (:name, :models, :rpm, :tpm, :usd_per_minute, :concurrency, :budgets, :credit_limit, :markup, :blocked, \
     :created, :expires, :own_keys, :surcharge, :subscription, :require)";

/// Every tenant, by name.
pub(crate) fn load(connection: &Connection) -> Result<Vec<Tenant>, KeyStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tenant ORDER BY name");
    let mut statement = connection.prepare(&sql).map_err(unavailable)?;
    let mut rows = statement.query([]).map_err(unavailable)?;
    let mut tenants = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        tenants.push(TenantRow::of(row)?.read()?);
    }
    Ok(tenants)
}

/// The tenant of that name, if there is one.
pub(crate) fn find(connection: &Connection, name: &TenantName) -> Result<Option<Tenant>, KeyStoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tenant WHERE name = :name");
    let mut statement = connection.prepare(&sql).map_err(unavailable)?;
    let read = |row: &Row<'_>| Ok(TenantRow::of(row).and_then(|row| row.read()));
    let found = statement.query_row(named_params! { ":name": name.as_str() }, read);
    found.optional().map_err(unavailable)?.transpose()
}

/// Adds or replaces a tenant.
pub(crate) fn write(connection: &Connection, tenant: &Tenant) -> Result<(), KeyStoreError> {
    let models = match &tenant.models {
        ModelScope::All => None,
        ModelScope::Only(patterns) => Some(lines(patterns)),
    };
    let parameters = named_params! {
        ":name": tenant.name.as_str(),
        ":models": models,
        ":rpm": tenant.limits.rpm.map(limit_column),
        ":tpm": tenant.limits.tpm.map(limit_column),
        ":usd_per_minute": tenant.limits.usd_per_minute.map(NanoUsd::get),
        ":concurrency": tenant.limits.concurrency.map(limit_column),
        ":budgets": lines(&tenant.budgets),
        ":credit_limit": tenant.credit_limit.map(NanoUsd::get),
        ":markup": tenant.markup.map(|charges| charges.to_string()),
        ":blocked": tenant.blocked,
        ":created": tenant.created.as_micros(),
        ":expires": tenant.expires.map(Timestamp::as_micros),
        ":own_keys": tenant.own_keys.map(OwnKeys::as_str),
        ":surcharge": tenant.surcharge.map(|charges| charges.to_string()),
        ":subscription": tenant.subscription.map(NanoUsd::get),
        ":require": tenant.require.to_string(),
    };
    connection.execute(WRITE, parameters).map(|_| ()).map_err(unavailable)
}

/// A row of `tenant`, read column by column with errors that name the tenant.
struct TenantRow<'r> {
    name: String,
    row: &'r Row<'r>,
}

impl<'r> TenantRow<'r> {
    fn of(row: &'r Row<'r>) -> Result<Self, KeyStoreError> {
        Ok(Self { name: row.get("name").map_err(unavailable)?, row })
    }

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

    fn get<T: FromSql>(&self, column: &str) -> Result<T, KeyStoreError> {
        self.row.get(column).map_err(|error| self.corrupt(error))
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
