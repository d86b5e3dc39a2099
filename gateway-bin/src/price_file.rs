//! The file of updated prices: replaced whole or not at all, with what it held before beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file that gateways and commands share. A lock beside it keeps them from changing it at once; a rename puts
/// each new text in its place, so that a reader finds the former or the next, and a crash leaves either.
pub(crate) struct PriceFile {
    path: PathBuf,
}

impl PriceFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Brings back what was kept before the last change; doing it again brings that back. `false` where there is
    /// nothing to bring back.
    pub(crate) fn revert(&self) -> io::Result<bool> {
        let _lock = self.lock()?;
        let Some(former) = read(&self.beside("previous"))? else { return Ok(false) };
        let present = read(&self.path)?.unwrap_or_default();
        self.put(&present, &former)?;
        Ok(true)
    }

    /// Keeps `next`, and `present` beside it.
    fn put(&self, present: &str, next: &str) -> io::Result<()> {
        self.write(&self.beside("previous"), present)?;
        self.write(&self.path, next)
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let temporary = self.beside("new");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
        fs::rename(&temporary, path)
    }

    /// Held until it is dropped.
    fn lock(&self) -> io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.beside("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// `weighbridge.prices.toml` → `weighbridge.prices.toml.previous`.
    fn beside(&self, what: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(what);
        name.into()
    }
}

impl PriceFile {
    /// What is kept; `None` where nothing is.
    pub(crate) fn kept(&self) -> io::Result<Option<String>> {
        // An empty file is what a revert leaves where there was none.
        Ok(read(&self.path)?.filter(|text| !text.trim().is_empty()))
    }

    /// Puts another text in the place of the kept one, if `next` makes one of it. Nobody else changes it meanwhile.
    pub(crate) fn replace(&self, next: &mut dyn FnMut(Option<&str>) -> Option<String>) -> io::Result<()> {
        let _lock = self.lock()?;
        let present = self.kept()?;
        match next(present.as_deref()) {
            Some(next) => self.put(present.as_deref().unwrap_or_default(), &next),
            None => Ok(()),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(file: &PriceFile, text: &str) {
        file.replace(&mut |_| Some(text.to_owned())).unwrap();
    }

    #[test]
    fn p2_what_is_kept_is_replaced_whole_and_can_be_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = PriceFile::new(folder.path().join("wb.prices.toml"));
        assert_eq!(file.kept().unwrap(), None);
        assert!(!file.revert().unwrap());
        set(&file, "one");
        set(&file, "two");
        file.replace(&mut |present| {
            assert_eq!(present, Some("two"));
            None
        })
        .unwrap();
        assert_eq!(file.kept().unwrap().as_deref(), Some("two"));
        assert!(file.revert().unwrap());
        assert_eq!(file.kept().unwrap().as_deref(), Some("one"));
        assert!(file.revert().unwrap());
        assert_eq!(file.kept().unwrap().as_deref(), Some("two"), "a revert can be reverted");
    }

    #[test]
    fn p2_the_first_update_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = PriceFile::new(folder.path().join("wb.prices.toml"));
        set(&file, "one");
        assert!(file.revert().unwrap());
        assert_eq!(file.kept().unwrap(), None);
    }

    #[test]
    fn p2_a_write_that_fails_keeps_what_there_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = PriceFile::new(folder.path().join("wb.prices.toml"));
        set(&file, "one");
        // The place of the temporary file is taken.
        fs::create_dir(folder.path().join("wb.prices.toml.new")).unwrap();
        assert!(file.replace(&mut |_| Some("two".to_owned())).is_err());
        assert_eq!(file.kept().unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn p2_updates_at_once_lose_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wb.prices.toml");
        std::thread::scope(|scope| {
            for letter in ["a", "b", "c", "d"] {
                let path = path.clone();
                scope.spawn(move || {
                    for _ in 0..5 {
                        let file = PriceFile::new(path.clone());
                        file.replace(&mut |kept| Some(format!("{}{letter}", kept.unwrap_or_default())))
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(PriceFile::new(path).kept().unwrap().map(|text| text.len()), Some(20));
    }
}
