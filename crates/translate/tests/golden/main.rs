//! One small case per feature, in every protocol that can say it, as every other protocol gets it.
//!
//! `requests/<feature>/<protocol>.json` and `answers/<feature>/<protocol>.json` are the cases. Beside each
//! lies its golden file, with what came of it for each target, and what was lost. From the same cases
//! `docs/compatibility.md` is made. After a change that is meant,
//!
//! ```console
//! $ WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-translate --test golden
//! ```
//!
//! writes all of them anew; what changed is for the reviewer to judge.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod cases;
mod features;
mod goldens;
mod mappings;
mod pages;
mod pretty;
mod table;

use std::path::Path;

/// How the files are written anew.
const COMMAND: &str = "WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-translate --test golden";

/// Compares a file with what it should be, or writes it where that was asked for.
#[expect(clippy::disallowed_methods, reason = "golden files are files")]
fn hold(path: &Path, expected: &str) -> Result<(), String> {
    if std::env::var_os("WEIGHBRIDGE_REWRITE").is_some() {
        std::fs::write(path, expected).unwrap();
        return Ok(());
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    let (mut found, mut expected) = (found.lines(), expected.lines());
    let mut line = 1;
    loop {
        match (found.next(), expected.next()) {
            (Some(a), Some(b)) if a == b => line += 1,
            (a, b) => {
                let (a, b) = (a.unwrap_or("(the end)"), b.unwrap_or("(the end)"));
                return Err(format!("{}:{line}\n  is        {a}\n  should be {b}", path.display()));
            }
        }
    }
}

#[track_caller]
fn assert_held(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{}\n\n{} file(s) differ. If the change is meant: {COMMAND}",
        faults.join("\n"),
        faults.len()
    );
}
