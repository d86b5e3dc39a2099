//! One database, and the thread that talks with it.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::DbError;
use crate::session::{Connector, within};

mod migrations {
    refinery::embed_migrations!("migrations");
    pub(super) use migrations::runner;
}

/// How long migrating may take, waiting for another instance that does the same included.
const MIGRATE_WITHIN: Duration = Duration::from_secs(600);
/// Who migrates holds this lock; the number is "weighbri" in ASCII.
const MIGRATING: &str = "BEGIN; SELECT pg_advisory_xact_lock(8603398556015030889)";
/// How long an answer may take that no request waits for.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// From when on a connection counts as broken whose other end says nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// Why a database cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address cannot be read. It may hold a password, so it is not repeated.
    #[error("the address of the database cannot be read: {0}")]
    Address(String),
    /// The certificates that the server's is checked against cannot be read.
    #[error(
        "the certificates of `sslrootcert` ({path}) cannot be read: {reason}; give a file of certificates in PEM"
    )]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server cannot be reached, or does not let us in.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// Between here and the database stands a pooler that gives each transaction to another process of the server's, and
    /// does not know what was prepared: statements would be unknown there, or somebody else's.
    #[error(
        "a pooler in transaction mode stands before the database, and forgets prepared statements: set `pool_mode = session` for this database there (PgBouncer), or use PgBouncer 1.21 or later with `max_prepared_statements` above zero"
    )]
    Pooler,
    /// The tables cannot be made, or are a later release's.
    #[error("the database's tables cannot be brought up to date: {0}")]
    Migration(String),
    /// There is no thread.
    #[error("the store's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// A database that is migrated and can be used. Cheap to clone; the last clone ends its thread.
#[derive(Clone)]
pub struct Database {
    connector: Arc<Connector>,
    thread: Arc<Thread>,
}

/// The thread that all connections live on.
struct Thread {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Database {
    /// Connects, and brings the tables up to date; of several instances that come up together one does so, and the
    /// others wait.
    ///
    /// `url` is `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…` with the parameters of libpq, of which `sslmode`
    /// (`disable`, `prefer`, `require`, `verify-ca`, `verify-full`; a server's certificate is always checked, with its
    /// name), `sslrootcert`, `options`,
    /// `application_name`, `connect_timeout`, `target_session_attrs` and those of keep-alives are known.
    ///
    /// # Errors
    /// [`OpenError`] says which part is not as it must be.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        let connector = Arc::new(connector(url)?);
        let database = Self { connector: Arc::clone(&connector), thread: Arc::new(Thread::start()?) };
        let (answer, answered) = mpsc::channel();
        database.thread.runtime.spawn(async move {
            // Nobody listens any more only where the caller's thread has died.
            let _ = answer.send(migrate(&connector).await);
        });
        answered.recv().map_err(|_| OpenError::Unreachable(DbError::Ended.to_string()))??;
        Ok(database)
    }

    pub(crate) fn connector(&self) -> Arc<Connector> {
        Arc::clone(&self.connector)
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.thread.runtime
    }

    /// Works on the store's thread, also where the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static, E: From<DbError> + Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        self.run_within(ANSWER_WITHIN, work).await
    }

    /// As [`Self::run`], for what may take long.
    pub(crate) async fn run_within<T: Send + 'static, E: From<DbError> + Send + 'static>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        self.thread.runtime.spawn(within(time, work)).await.unwrap_or_else(|_| Err(DbError::Ended.into()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Thread {
    fn start() -> Result<Self, OpenError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(OpenError::Thread)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let live = move || {
            // Told to stop, or forgotten: the end either way.
            let _ = runtime.block_on(stopped);
        };
        let thread = thread::Builder::new().name("weighbridge-postgres".to_owned());
        let thread = thread.spawn(live).map_err(OpenError::Thread)?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn migrate(connector: &Connector) -> Result<(), OpenError> {
    let unreachable = |error: DbError| OpenError::Unreachable(error.to_string());
    // The lock is a transaction's, on a connection of its own: that works behind a pooler, too.
    let lock = connector.connect().await.map_err(unreachable)?;
    let mut session = connector.connect().await.map_err(unreachable)?;
    let forgotten = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];
    let refused = |error: tokio_postgres::Error| match error.code() {
        Some(state) if forgotten.contains(state) => OpenError::Pooler,
        _ => unreachable(error.into()),
    };
    let prepared = session.client.prepare("SELECT 1").await.map_err(refused)?;
    within(MIGRATE_WITHIN, lock.run(MIGRATING)).await.map_err(unreachable)?;
    // A pooler in transaction mode has given the lock's transaction the process that this was prepared in: the one that
    // was used last. So another one is asked now.
    session.client.query(&prepared, &[]).await.map_err(refused)?;
    // Else the note that a migration was made is a transaction of its own: who dies between the two leaves a database on
    // which the same migration fails for ever.
    let migrations = migrations::runner().set_grouped(true);
    let mut migrated = migrations.run_async(&mut session.client).await;
    if migrated.is_err() {
        // Who held the lock and was killed may have committed all of this a moment ago.
        migrated = migrations.run_async(&mut session.client).await;
    }
    migrated.map_err(|error| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        OpenError::Migration(text)
    })?;
    lock.run("COMMIT").await.map_err(unreachable)
}

fn connector(url: &str) -> Result<Connector, OpenError> {
    let (url, certificates) = split(url);
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        OpenError::Address(why)
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(OpenError::Address("it names no host".to_owned()));
    }
    if config.get_application_name().is_none() {
        config.application_name("weighbridge");
    }
    // A server that vanished without a word must not be waited for as long as systems do on their own.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    config.keepalives_idle(SILENCE);
    let remote = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
    let encrypts = config.get_ssl_mode() != SslMode::Disable && remote;
    Ok(Connector { tls: MakeRustlsConnect::new(tls(encrypts, certificates)?), config })
}

/// Takes out what libpq knows and [`Config`] does not: the certificate file, and names for checking what is always
/// checked here.
fn split(url: &str) -> (String, Option<PathBuf>) {
    let Some((address, parameters)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mut certificates = None;
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            // What libpq calls the roots that are used anyhow.
            Some(("sslrootcert", "system")) => certificates = None,
            Some(("sslrootcert", path)) => certificates = Some(decoded(path)),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            _ => kept.push(parameter),
        }
    }
    (format!("{address}?{}", kept.join("&")), certificates)
}

/// A path as an address has it: `%20` is a space.
fn decoded(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| byte == b'%');
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escaped =
            digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    String::from_utf8(bytes).map_or_else(|_| PathBuf::from(text), PathBuf::from)
}

/// With the given certificates, else with the system's and those that come with the program.
fn tls(encrypts: bool, certificates: Option<PathBuf>) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    match certificates {
        Some(path) => {
            let unreadable = |reason: &dyn ToString| OpenError::Certificates {
                path: path.clone(),
                reason: reason.to_string(),
            };
            let read = CertificateDer::pem_file_iter(&path).map_err(|error| unreadable(&error))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
            if roots.is_empty() {
                return Err(unreadable(&"there is no certificate in PEM in it"));
            }
        }
        None if encrypts => {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        None => {}
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| OpenError::Unreachable(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
