//! From a TOML file to what it means, with all mistakes at once.
//!
//! Reading goes in two stages. First what the file *says* (values with their places:
//! types, forms, references to environment and files), then what it *means*: a [`Config`] that is
//! complete and consistent, and no longer knows the file. Neither stage stops at a mistake, and what
//! the first has found wrong the second does not complain about again.
//!
//! - Every key is known ([`SECTIONS`]); any other is refused, with the key that was probably meant.
//! - `${NAME}` and `${file:PATH}` are replaced in strings that are parsed already.
//! - A [`ConfigError`] shows each mistake in its line, and never a value that may be a secret: neither
//!   one that is written in the file nor one that a reference stands for.
//! - Without a file, or with one that has no `[providers]`, providers are found from the usual
//!   variables of the environment.
//!
//! `docs/configuration.md` describes every key; a test holds it to [`SECTIONS`].
//!
//! ```
//! use std::{io, path::Path};
//! use weighbridge_config::{Source, Surroundings, load};
//!
//! struct Fixed;
//! impl Surroundings for Fixed {
//!     fn variable(&self, name: &str) -> Option<String> {
//!         (name == "KEY").then(|| "sk-very-secret".to_owned())
//!     }
//!     fn file(&self, _: &Path) -> io::Result<String> {
//!         Err(io::ErrorKind::NotFound.into())
//!     }
//! }
//!
//! let text = r#"
//!     [providers.openai]
//!     api_keys = ["${KEY}"]
//!     [models.support]
//!     targets = [{ model = "openai/gpt-4o-mini" }]
//! "#;
//! let source = Source { name: "weighbridge.toml", text, folder: Path::new(".") };
//! let config = load(Some(source), &Fixed)?;
//! assert_eq!(&*config.settings.routes[0].targets[0].model, "gpt-4o-mini");
//!
//! let wrong = Source { text: "[server]\nlisen = \"127.0.0.1:1\"\n[providers.openai]\napi_keys = [\"${KEYS}\"]", ..source };
//! let error = load(Some(wrong), &Fixed).err().expect("two mistakes");
//! assert_eq!(error.problems()[0].position, Some((2, 1)));
//! assert_eq!(error.problems()[1].message, "the environment variable KEYS is not set");
//! # Ok::<(), weighbridge_config::ConfigError>(())
//! ```

mod config;
mod connections;
mod credentials;
mod duration;
mod expand;
mod explain;
mod failover;
mod keys;
mod markup;
mod mask;
mod means;
mod prices;
mod problem;
mod providers;
mod reader;
mod redis;
mod routes;
mod rules;
mod said;
mod spoken;
mod strategies;
mod surroundings;
mod vault;

use std::path::Path;

use toml::de::DeTable;

pub use config::{
    AdminConfig, AlertsConfig, Config, Durability, KeptIn, LogConfig, LogFormat, LogLevel, MediaConfig,
    PostgresUrl, PriceRefresh, PriceUpdates, ResponsesConfig, ServerConfig, StorageConfig, TenantAdmin,
};
pub use keys::{Key, SECTIONS, Section};
pub use problem::{ConfigError, Problem};
pub use redis::RedisConfig;
pub use surroundings::{Process, Surroundings};

use crate::mask::Mask;
use crate::problem::Problems;
use crate::reader::Reader;

/// A configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name in messages.
    pub name: &'a str,
    /// What it says.
    pub text: &'a str,
    /// Its folder: where relative paths in it start.
    pub folder: &'a Path,
}

/// How many mistakes of syntax are shown: most follow from the first.
const SYNTAX_ERRORS: usize = 4;

/// What messages call the configuration where there is no file.
const NO_FILE: &str = "the environment (there is no configuration file)";

/// Reads a configuration, or what follows from the surroundings alone where there is no file.
///
/// # Errors
/// [`ConfigError`] with every mistake; where the file is not TOML, with its mistakes as such.
pub fn load(source: Option<Source<'_>>, surroundings: &dyn Surroundings) -> Result<Config, ConfigError> {
    let Source { name, text, folder } =
        source.unwrap_or(Source { name: NO_FILE, text: "", folder: Path::new("") });
    let (entries, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(not_toml(name, text, &errors));
    }
    let mut reader = Reader::new(folder, surroundings);
    let said = if source.is_some() {
        said::File::read(&mut reader, entries.get_ref())
    } else {
        said::File::absent()
    };
    let config = means::config(said, folder, surroundings, &mut reader.problems);
    match config {
        Some(config) if reader.problems.is_empty() => Ok(config),
        _ => Err(reader.problems.into_error(name, text, &reader.mask)),
    }
}

/// Reads a configuration file of the process's surroundings.
///
/// # Errors
/// As [`load`]; also where the file cannot be read.
pub fn load_file(path: &Path, surroundings: &dyn Surroundings) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    match surroundings.file(path) {
        Ok(text) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            load(Some(Source { name: &name, text: &text, folder }), surroundings)
        }
        Err(why) => {
            let mut problems = Problems::default();
            problems
                .elsewhere(format!("the configuration file cannot be read: {why}"))
                .hint("give the path of a TOML file, or none to use the environment alone");
            Err(problems.into_error(&name, "", &Mask::default()))
        }
    }
}

fn not_toml(name: &str, text: &str, errors: &[toml::de::Error]) -> ConfigError {
    let mut problems = Problems::default();
    let hint =
        "the file is TOML: key = value, strings in double quotes, [table] headers; see https://toml.io";
    for error in errors.iter().take(SYNTAX_ERRORS) {
        let message = format!("this is not TOML: {}", error.message().replace('\n', ", "));
        match error.span() {
            Some(span) => problems.at(span, message).hint(hint),
            None => problems.elsewhere(message).hint(hint),
        }
    }
    if errors.len() > SYNTAX_ERRORS {
        let more = errors.len() - SYNTAX_ERRORS;
        problems.elsewhere(format!("there are {more} more such mistakes, which may follow from these"));
    }
    problems.into_error(name, text, &Mask::unparsed(text))
}
