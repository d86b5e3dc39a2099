//! A private server for tests: in a temporary folder, on a socket of its own, gone with its last user.
//!
//! Where PostgreSQL is not installed, tests skip and say so. With `WEIGHBRIDGE_REQUIRE_POSTGRES=1` that is a failure.

#![allow(dead_code, reason = "every test binary uses another part")]

mod pooler;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

#[allow(unused_imports, reason = "every user uses another part")]
pub(crate) use pooler::Pooler;

/// A server that runs.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// The user that it runs as, where we are root, as which it refuses to run.
    user: Option<String>,
    /// Where it listens on loopback, for encrypted connections only; without it, on its socket alone.
    port: Option<u16>,
    process: Mutex<Option<Child>>,
    databases: AtomicU32,
}

/// The server that the tests of one binary share, and its tests hold on to.
pub(crate) fn shared() -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = own()?;
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// A server of one's own, to be stopped and started.
pub(crate) fn own() -> Option<Arc<Server>> {
    let server = made(None)?;
    server.start();
    Some(Arc::new(server))
}

/// A server of one's own that shows this certificate, which is PEM as its key is, to whoever comes over TCP.
pub(crate) fn encrypted(certificate: &str, key: &str) -> Option<Arc<Server>> {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = made(Some(free))?;
    server.write("server.crt", certificate);
    server.write("server.key", key);
    server.write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
    server.start();
    Some(Arc::new(server))
}

/// One that does not run yet.
fn made(port: Option<u16>) -> Option<Server> {
    let Some(programs) = programs() else {
        let required = std::env::var_os("WEIGHBRIDGE_REQUIRE_POSTGRES").is_some_and(|value| value == "1");
        assert!(!required, "PostgreSQL is required and not installed: `apt-get install postgresql`");
        // Past the harness, which shows what tests print only where they fail.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: PostgreSQL is not installed (Debian: `apt-get install postgresql`)")
            .unwrap();
        return None;
    };
    let folder = tempfile::Builder::new().prefix("weighbridge-postgres-").tempdir().unwrap();
    // Made by us and used by somebody else, where we are root.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let user = (folder.path().metadata().unwrap().uid() == 0).then(|| "postgres".to_owned());
    let (process, databases) = (Mutex::new(None), AtomicU32::new(0));
    let server = Server { folder, programs, user, port, process, databases };
    let data = server.data();
    let mut make = server.program("initdb");
    make.args(["--no-sync", "--no-instructions", "--auth=trust", "--username=weighbridge"]);
    make.args(["--encoding=UTF8", "--locale=C", "-D"]).arg(&data);
    let made = make.stdout(Stdio::null()).status().unwrap();
    assert!(made.success(), "initdb has failed");
    Some(server)
}

fn programs() -> Option<PathBuf> {
    let mut versions: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|it| it.path()).collect();
    versions.sort();
    versions.into_iter().rev().map(|version| version.join("bin")).find(|bin| bin.join("initdb").exists())
}

impl Server {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file in its own folder, which belongs to it alone.
    fn write(&self, name: &str, text: &str) {
        let (path, owner) = (self.data().join(name), self.data().metadata().unwrap());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// Where it listens for encrypted connections.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap()
    }

    /// The folder of the socket.
    pub(crate) fn sockets(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str) -> Command {
        self.run(&self.programs.join(name))
    }

    fn run(&self, program: &Path) -> Command {
        // A server must not outlive the tests, however these end.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if let Some(user) = &self.user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.arg(program).current_dir(self.folder.path());
        command
    }

    pub(crate) fn start(&self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.sockets());
        match self.port {
            Some(port) => {
                command.args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-p", &port.to_string()])
            }
            None => command.args(["-c", "listen_addresses="]),
        };
        command.args(["-c", "fsync=off", "-c", "max_connections=200"]);
        command.args(["-c", "autovacuum=off", "-c", "log_min_messages=fatal"]);
        *self.process.lock().unwrap() = Some(spawned(command));
        let begun = Instant::now();
        while self.try_sql("postgres", "SELECT 1").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not answer");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it at once, as a crash does.
    pub(crate) fn stop(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            let id = process.id().to_string();
            // SIGQUIT: an immediate shutdown, that does without a checkpoint.
            assert!(Command::new("kill").args(["-QUIT", &id]).status().unwrap().success());
            process.wait().unwrap();
        }
    }

    /// Carries SQL out as an onlooker, and gives the rows as text.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|| panic!("cannot carry out: {sql}"))
    }

    fn try_sql(&self, database: &str, sql: &str) -> Option<String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "weighbridge", "-h"]);
        let port = self.port.map_or("5432".to_owned(), |port| port.to_string());
        command.arg(self.sockets()).args(["-p", &port, "-d", database, "-c", sql]);
        let output = command.stderr(Stdio::null()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// A fresh database's name.
    pub(crate) fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// A database's address.
    pub(crate) fn url(&self, database: &str) -> String {
        url(self.sockets(), database)
    }
}

/// A process that is started quietly by a thread that lives on: the signal comes when the thread ends that started it,
/// and a test's thread ends with the test.
fn spawned(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        tell.send(command.spawn().unwrap()).unwrap();
        loop {
            thread::park();
        }
    });
    told.recv().unwrap()
}

fn url(sockets: &Path, database: &str) -> String {
    let sockets = sockets.to_str().unwrap().replace('/', "%2F");
    format!("postgres://weighbridge@{sockets}/{database}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if self.user.is_some() {
            // What belongs to the server's user is root's to delete.
            let _ = fs::remove_dir_all(self.data());
        }
    }
}

/// Between a store and the server: passes everything on, until it is to cut the connection at the moment when the
/// server's word of a commit comes by.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    cuts: Arc<AtomicBool>,
    is_down: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let target = server.sockets().join(".s.PGSQL.5432");
        let (cuts, is_down) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (cut, down) = (Arc::clone(&cuts), Arc::clone(&is_down));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if down.load(Ordering::Acquire) {
                    continue;
                }
                let Ok(server) = UnixStream::connect(&target) else { continue };
                pass_on(client.try_clone().unwrap(), server.try_clone().unwrap(), None, &down);
                pass_on(server, client, Some(Arc::clone(&cut)), &down);
            }
        });
        Self { folder, cuts, is_down }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        url(self.folder.path(), database)
    }

    /// The next commit takes place, and nobody hears of it.
    pub(crate) fn cut_next_commit(&self) {
        self.cuts.store(true, Ordering::Release);
    }

    /// Whether it has cut since it was told to.
    pub(crate) fn has_cut(&self) -> bool {
        !self.cuts.load(Ordering::Acquire)
    }

    /// Nothing passes any more, or again.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Release);
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, cut: Option<Arc<AtomicBool>>, down: &Arc<AtomicBool>) {
    let down = Arc::clone(down);
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut bytes).unwrap_or(0);
            let passed = &bytes[..count];
            let commits = passed.windows(7).any(|word| word == b"COMMIT\0");
            let cuts = commits && cut.as_ref().is_some_and(|cut| cut.swap(false, Ordering::AcqRel));
            if count == 0 || cuts || down.load(Ordering::Acquire) || to.write_all(passed).is_err() {
                let _ = from.shutdown(std::net::Shutdown::Both);
                let _ = to.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    });
}
