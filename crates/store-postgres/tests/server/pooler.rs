//! A private PgBouncer in front of a private server.
//!
//! Where it is not installed, tests skip and say so. With `WEIGHBRIDGE_REQUIRE_PGBOUNCER=1` that is a failure.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Server, spawned};

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// The number in its socket's name.
const PORT: u16 = 6432;

/// A pooler that runs.
pub(crate) struct Pooler {
    folder: tempfile::TempDir,
    server: Arc<Server>,
    process: Mutex<Option<Child>>,
}

impl Pooler {
    /// One in `mode`: `session`, `transaction` or `statement`.
    pub(crate) fn start(server: &Arc<Server>, mode: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            let required =
                std::env::var_os("WEIGHBRIDGE_REQUIRE_PGBOUNCER").is_some_and(|value| value == "1");
            assert!(!required, "PgBouncer is required and not installed: `apt-get install pgbouncer`");
            // Past the harness, which shows what tests print only where they fail.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "skipped: PgBouncer is not installed (Debian: `apt-get install pgbouncer`)")
                .unwrap();
            return None;
        }
        let folder = tempfile::Builder::new().prefix("weighbridge-pooler-").tempdir().unwrap();
        // Made by us and used by somebody else, where we are root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let settings = format!(
            "[databases]\n* = host={} user=weighbridge\n[pgbouncer]\nlisten_port = {PORT}\nunix_socket_dir = {}\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = 40\n",
            server.sockets().display(),
            folder.path().display()
        );
        fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        let pooler = Self { folder, server: Arc::clone(server), process: Mutex::new(None) };
        pooler.run();
        Some(pooler)
    }

    /// Ends it, with all connections through it, and starts it again.
    pub(crate) fn restart(&self) {
        self.kill();
        self.run();
    }

    /// A database's address by way of it.
    pub(crate) fn url(&self, database: &str) -> String {
        let sockets = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://weighbridge@{sockets}:{PORT}/{database}")
    }

    fn run(&self) {
        let mut command = self.server.run(Path::new(PROGRAM));
        command.arg(self.folder.path().join("pgbouncer.ini"));
        *self.process.lock().unwrap() = Some(spawned(command));
        let begun = Instant::now();
        while !self.answers() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the pooler does not answer");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let mut command = Command::new(self.server.programs.join("psql"));
        command
            .args(["-X", "-q", "-U", "weighbridge", "-p", &PORT.to_string(), "-h"])
            .arg(self.folder.path());
        let output = command.args(["-d", "postgres", "-c", "SELECT 1"]).output().unwrap();
        output.status.success()
    }

    fn kill(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
    }
}
