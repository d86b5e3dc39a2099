//! A connection with the statements that were prepared on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::try_join;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::DbError;

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Values of a statement's parameters.
pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Makes connections to one database.
pub(crate) struct Connector {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

impl Connector {
    /// Connects; needs the runtime of the store's thread.
    pub(crate) async fn connect(&self) -> Result<Session, DbError> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, connection) =
            within(CONNECT_WITHIN, async { Ok::<_, DbError>(connecting.await?) }).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database has ended");
            }
        });
        Ok(Session { client, statements: HashMap::new() })
    }
}

/// No answer within that time is an error.
pub(crate) async fn within<T, E: From<DbError>>(
    time: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(DbError::Silent(time.as_secs()).into()))
}

/// One connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    /// Prepares what is to be used by [`Self::prepared`].
    pub(crate) async fn prepare_all(&mut self, statements: &[&'static str]) -> Result<(), DbError> {
        let prepare = statements.iter().map(|sql| self.client.prepare(sql));
        let prepared = futures::future::try_join_all(prepare).await?;
        self.statements.extend(statements.iter().copied().zip(prepared));
        Ok(())
    }

    /// A statement that was prepared before. Using it puts it on the wire with the first poll, so that statements
    /// can follow each other without waiting for answers.
    pub(crate) fn prepared(&self, sql: &'static str) -> Result<&Statement, DbError> {
        self.statements.get(sql).ok_or_else(|| DbError::corrupt(format!("not prepared: {sql}")))
    }

    /// As [`Self::query`], without remembering a statement that was not prepared before.
    pub(crate) async fn ask(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, DbError> {
        Ok(match self.statements.get(sql) {
            Some(prepared) => self.client.query(prepared, values).await?,
            None => self.client.query(sql, values).await?,
        })
    }

    async fn statement(&mut self, sql: &'static str) -> Result<Statement, DbError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    pub(crate) async fn query(&mut self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, DbError> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    /// As [`Self::query`], in a transaction that begins as `begin` says; all of it in one round trip. After an error the
    /// connection is of no use.
    pub(crate) async fn query_within(
        &mut self,
        begin: &str,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, DbError> {
        let statement = self.statement(sql).await?;
        let query = async { Ok(self.client.query(&statement, values).await?) };
        let ((), rows, ()) = try_join!(self.run(begin), query, self.run("COMMIT"))?;
        Ok(rows)
    }

    pub(crate) async fn query_opt(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, DbError> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query_opt(&statement, values).await?)
    }

    pub(crate) async fn query_one(&mut self, sql: &'static str, values: Values<'_>) -> Result<Row, DbError> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query_one(&statement, values).await?)
    }

    pub(crate) async fn execute(&mut self, sql: &'static str, values: Values<'_>) -> Result<u64, DbError> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, values).await?)
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<(), DbError> {
        Ok(self.client.batch_execute(sql).await?)
    }
}

/// A connection that one part of a store uses, made anew where it broke.
pub(crate) struct Link {
    connector: Arc<Connector>,
    session: Mutex<Option<Session>>,
}

impl Link {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, session: Mutex::new(None) }
    }

    /// The connection, for one piece of work after another.
    pub(crate) async fn lend(&self) -> Result<Lent<'_>, DbError> {
        let mut place = self.session.lock().await;
        let session = match place.take().filter(|session| !session.client.is_closed()) {
            Some(usable) => usable,
            None => self.connector.connect().await?,
        };
        Ok(Lent { place, session })
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

/// A connection on loan. Unless it is given back it is given up: nobody comes into the middle of somebody else's
/// transaction, and what failed once is not tried again on the same connection.
pub(crate) struct Lent<'a> {
    place: MutexGuard<'a, Option<Session>>,
    pub(crate) session: Session,
}

impl Lent<'_> {
    pub(crate) fn give_back(self) {
        let Self { mut place, session } = self;
        *place = Some(session);
    }
}
