use std::io;
use std::path::Path;

/// What a configuration may refer to outside of its file: `${NAME}` and `${file:PATH}`.
///
/// An argument, so that reading a configuration can be tested, and embedders decide what it may see.
pub trait Surroundings {
    /// An environment variable; `None` where it is not set or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;

    /// A text file.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// The surroundings of this process: its environment and its files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}
