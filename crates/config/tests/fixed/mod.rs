//! Surroundings that a test writes down.

use std::io;
use std::path::Path;

use weighbridge_config::{Config, ConfigError, Source, Surroundings, load};

/// Variables and files, by name.
pub(crate) struct Fixed {
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) files: &'static [(&'static str, &'static str)],
}

impl Surroundings for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let found = self.files.iter().find(|(known, _)| Path::new(known) == path);
        found
            .map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

/// Nothing around.
#[allow(dead_code, reason = "each test file uses its part")]
pub(crate) const NOTHING: Fixed = Fixed { variables: &[], files: &[] };

/// Reads a file that lies in `/etc/wb`.
pub(crate) fn read(text: &str, surroundings: &Fixed) -> Result<Config, ConfigError> {
    load(Some(Source { name: "wb.toml", text, folder: Path::new("/etc/wb") }), surroundings)
}
