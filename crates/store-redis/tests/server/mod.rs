//! A private server for tests: on a socket in a temporary folder, gone with its last user.
//!
//! Where Redis is not installed, tests skip and say so. With `WEIGHBRIDGE_REQUIRE_REDIS=1` that is a failure.

#![allow(dead_code, reason = "every user uses another part")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// A server that runs.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    /// Without it, it listens on its socket alone.
    encrypted: Option<Encrypted>,
    process: Mutex<Option<Child>>,
}

/// Where a server listens for encrypted connections, and whether clients have to show a certificate.
struct Encrypted {
    port: u16,
    wants_one: bool,
}

/// A server of one's own; `None` where Redis is not installed.
pub(crate) fn own() -> Option<Server> {
    let server = made(None)?;
    server.start();
    Some(server)
}

/// One that shows this certificate, which is PEM as its key is, to whoever comes over TCP, and may want one in return.
pub(crate) fn encrypted(certificate: &str, key: &str, wants_one: bool) -> Option<Server> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = made(Some(Encrypted { port, wants_one }))?;
    fs::write(server.file("server.crt"), certificate).unwrap();
    fs::write(server.file("server.key"), key).unwrap();
    server.start();
    Some(server)
}

/// One that does not run yet.
fn made(encrypted: Option<Encrypted>) -> Option<Server> {
    let there = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    if there.is_err() {
        let required = std::env::var_os("WEIGHBRIDGE_REQUIRE_REDIS").is_some_and(|value| value == "1");
        assert!(!required, "Redis is required and not installed: `apt-get install redis-server`");
        // Past the harness, which shows what tests print only where they fail.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: Redis is not installed (Debian: `apt-get install redis-server`)").unwrap();
        return None;
    }
    let folder = tempfile::Builder::new().prefix("weighbridge-redis-").tempdir().unwrap();
    Some(Server { folder, encrypted, process: Mutex::new(None) })
}

impl Server {
    /// A file in its folder.
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn socket(&self) -> String {
        self.file("redis.sock")
    }

    /// Where it listens for encrypted connections.
    pub(crate) fn port(&self) -> u16 {
        self.encrypted.as_ref().unwrap().port
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket())
    }

    pub(crate) fn start(&self) {
        // A server must not outlive the tests, however these end.
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "redis-server",
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        if let Some(Encrypted { port, wants_one }) = &self.encrypted {
            command.args(["--bind", "127.0.0.1", "--tls-port", &port.to_string()]);
            command.args(["--tls-auth-clients", if *wants_one { "yes" } else { "no" }]);
            let certificate = self.file("server.crt");
            command.args(["--tls-cert-file", &certificate, "--tls-ca-cert-file", &certificate]);
            command.args(["--tls-key-file", &self.file("server.key")]);
        }
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(self.folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // The signal comes when the thread ends that started it, and a test's thread ends with the test.
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            tell.send(command.spawn().unwrap()).unwrap();
            loop {
                thread::park();
            }
        });
        *self.process.lock().unwrap() = Some(told.recv().unwrap());
        let begun = Instant::now();
        while self.connection().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not answer");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A connection of an onlooker's.
    pub(crate) fn connection(&self) -> Option<redis::Connection> {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().ok()?;
        redis::cmd("PING").query::<String>(&mut connection).ok()?;
        Some(connection)
    }

    /// Carries a command out as an onlooker.
    pub(crate) fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut self.connection().unwrap()).unwrap()
    }

    /// Ends it at once; what it had is gone.
    pub(crate) fn kill(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// It keeps its connections and answers nobody.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.lock().unwrap().as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
