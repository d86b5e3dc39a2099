//! Where a command gets its configuration and its secrets from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::ExposeSecret;
use weighbridge_access::Pepper;
use weighbridge_config::{Config, ConfigError, Process, StorageConfig};

use crate::cli::ConfigArgs;

/// Bytes of a pepper that we make ourselves.
const PEPPER_BYTES: usize = 32;

/// Reads and checks the configuration; all mistakes are in the error.
pub(crate) fn config(args: &ConfigArgs) -> anyhow::Result<Config> {
    let config = match &args.config {
        Some(path) => weighbridge_config::load_file(path, &Process),
        None => weighbridge_config::load(None, &Process),
    };
    config.map_err(|error| shown(&error))
}

fn shown(error: &ConfigError) -> anyhow::Error {
    let colour = std::io::stderr().is_terminal();
    anyhow::anyhow!("the configuration cannot be used\n{}", error.render(colour))
}

/// The pepper of key hashes: the configured one, else one that is made once and kept beside the store.
pub(crate) fn pepper(config: &Config) -> anyhow::Result<Pepper> {
    if let Some(pepper) = &config.server.key_pepper {
        return Ok(Pepper::new(pepper.expose_secret().as_bytes())?);
    }
    match &config.storage {
        StorageConfig::Sqlite { path, .. } => kept_pepper(&beside(path, "pepper")),
        _ => Ok(Pepper::new(&random()?)?),
    }
}

/// A file beside the store's: `weighbridge.db` → `weighbridge.pepper`.
pub(crate) fn beside(store: &Path, extension: &str) -> PathBuf {
    store.with_extension(extension)
}

/// Reads the pepper, or makes it. Two processes that begin together agree: only one can create the
/// file, and the other reads what it wrote.
fn kept_pepper(path: &Path) -> anyhow::Result<Pepper> {
    let unusable = || format!("the pepper in {} cannot be used", path.display());
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let pepper = random()?;
            file.write_all(&pepper).and_then(|()| file.sync_all()).with_context(unusable)?;
            Ok(Pepper::new(&pepper)?)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mut pepper = Vec::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(1024).read_to_end(&mut pepper))
                .with_context(unusable)?;
            Pepper::new(&pepper).with_context(unusable)
        }
        Err(error) => Err(error).with_context(unusable),
    }
}

fn random() -> anyhow::Result<[u8; PEPPER_BYTES]> {
    let mut bytes = [0; PEPPER_BYTES];
    getrandom::fill(&mut bytes).context("the operating system gives no random numbers")?;
    Ok(bytes)
}

/// A seed for ids and choices; not for secrets.
pub(crate) fn seed() -> anyhow::Result<u64> {
    getrandom::u64().context("the operating system gives no random numbers")
}
