//! Who answers: the provider itself, the forwarder before it, or a gateway before it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::child::Process;
use crate::load;
use crate::requests::Ask;
use crate::wire::{self, AnswerReader};

/// A credential of the simulated provider, which accepts any.
const PROVIDER_KEY: &str = "sk-bench";
/// Longer than any start or answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
const ADMIN_TOKEN: &str = "bench-admin-token-0123456789abcdef";

/// The ledger of a gateway under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ledger {
    /// In memory.
    Memory,
    /// SQLite, durable to a crash of the process.
    Sqlite,
}

impl Ledger {
    /// What the table calls a gateway with it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "M (memory)",
            Self::Sqlite => "S (SQLite)",
        }
    }
}

/// Who answers, and where.
pub(crate) struct Subject {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// The virtual key, where it is a gateway.
    key: Option<String>,
    /// From the start of the process to its first right answer.
    pub(crate) start: Duration,
    /// Holds the configuration and the store.
    _folder: Option<TempDir>,
}

impl Subject {
    /// The provider itself.
    pub(crate) fn provider() -> Result<Self> {
        Self::role(&["provider".to_owned()])
    }

    /// The forwarder before the provider at `upstream`.
    pub(crate) fn forwarder(upstream: SocketAddr) -> Result<Self> {
        Self::role(&["forwarder".to_owned(), upstream.to_string()])
    }

    fn role(role: &[String]) -> Result<Self> {
        let began = Instant::now();
        let (process, address) = Process::start_role(role)?;
        let start = load::first_answer(address, &Ask::WHOLE.to_provider(PROVIDER_KEY), began)?;
        Ok(Self { address, process, key: None, start, _folder: None })
    }

    /// The gateway `binary` before the provider at `upstream`.
    pub(crate) fn gateway(binary: &Path, ledger: Ledger, upstream: SocketAddr) -> Result<Self> {
        let folder = TempDir::new()?;
        let (listen, admin) = (free_address()?, free_address()?);
        let config = folder.path().join("weighbridge.toml");
        std::fs::write(&config, configuration(ledger, folder.path(), listen, admin, upstream))?;
        let key = match ledger {
            // What one process creates in memory, another one never sees.
            Ledger::Memory => None,
            Ledger::Sqlite => Some(create_key(binary, &config)?),
        };
        let began = Instant::now();
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(&config).current_dir(folder.path());
        command.stderr(std::fs::File::create(folder.path().join("stderr.log"))?);
        // The access log. In a pipe that nobody reads it would get stuck, and the process with it when it is to end.
        command.stdout(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let mut until_it_listens = |address| {
            let waited = wait_until_it_listens(&mut process, address, folder.path());
            waited.with_context(|| format!("{} with {ledger:?}", binary.display()))
        };
        until_it_listens(listen)?;
        let key = match key {
            Some(key) => key,
            None => {
                until_it_listens(admin)?;
                create_key_by_api(admin)?
            }
        };
        let start = load::first_answer(listen, &Ask::WHOLE.to_gateway(&key), began)?;
        Ok(Self { address: listen, process, key: Some(key), start, _folder: Some(folder) })
    }

    /// The bytes of a request, as this subject wants them.
    pub(crate) fn request(&self, ask: Ask) -> Vec<u8> {
        match &self.key {
            Some(key) => ask.to_gateway(key),
            None => ask.to_provider(PROVIDER_KEY),
        }
    }
}

/// Where cargo puts the gateway when it builds this program: beside it.
pub(crate) fn default_binary() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    Ok(here.parent().context("no folder")?.join("weighbridge"))
}

fn configuration(
    ledger: Ledger,
    folder: &Path,
    listen: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
) -> String {
    let store = match ledger {
        Ledger::Memory => "memory:".to_owned(),
        Ledger::Sqlite => format!("sqlite:{}", folder.join("weighbridge.db").display()),
    };
    format!(
        r#"[server]
listen = "{listen}"
admin_listen = "{admin}"
admin_token = "{ADMIN_TOKEN}"

[storage]
url = "{store}"

[providers.openai]
base_url = "http://{upstream}/v1"
api_keys = ["{PROVIDER_KEY}"]

[providers.anthropic]
base_url = "http://{upstream}"
api_keys = ["{PROVIDER_KEY}"]
"#
    )
}

/// A key as people have them, with limits and a budget, which every request then passes.
const KEY_BY_COMMAND: [&str; 8] =
    ["--name", "bench", "--rpm", "100000000", "--tpm", "1000000000", "--budget-usd-per-month", "1000000"];

/// The same.
const KEY_BY_API: &str =
    r#"{"name":"bench","tenant":"default","rpm":100000000,"tpm":1000000000,"budget_usd":"1000000"}"#;

fn create_key(binary: &Path, config: &Path) -> Result<String> {
    let mut command = Command::new(binary);
    command.args(["keys", "create", "--config"]).arg(config).args(KEY_BY_COMMAND);
    let output = command.output().with_context(|| format!("cannot run {}", binary.display()))?;
    if !output.status.success() {
        bail!("`keys create` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    key_in(&String::from_utf8_lossy(&output.stdout))
}

fn create_key_by_api(admin: SocketAddr) -> Result<String> {
    let request = wire::post("/admin/v1/keys", ADMIN_TOKEN, KEY_BY_API);
    let (status, body) = exchange(admin, &request).context("the admin API")?;
    if status != 201 {
        bail!("the admin API answered {status}: {body}");
    }
    key_in(&body)
}

/// One request on a connection of its own: status and body of the answer.
fn exchange(address: SocketAddr, request: &[u8]) -> Result<(u16, String)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(request)?;
    let (mut reader, mut body, mut buffer) = (AnswerReader::default(), Vec::new(), [0; 4096]);
    loop {
        let count = socket.read(&mut buffer)?;
        if count == 0 {
            bail!("closed in the middle of an answer");
        }
        if reader.feed(&buffer[..count], |data| body.extend_from_slice(data))? {
            return Ok((reader.status, String::from_utf8(body)?));
        }
    }
}

/// The virtual key in what a command or an API printed.
fn key_in(text: &str) -> Result<String> {
    let word = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let key = word.into_iter().find(|word| word.starts_with("wb-"));
    key.map(str::to_owned).with_context(|| format!("no virtual key in: {text}"))
}

fn wait_until_it_listens(process: &mut Process, address: SocketAddr, folder: &Path) -> Result<()> {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if process.has_ended()? || began.elapsed() > PATIENCE {
            let said = std::fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
            bail!("it does not listen; it said: {said}");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
