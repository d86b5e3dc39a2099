//! `weighbridge translate`: the built binary between pipes, and what it rests on over all recordings.

#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test may fail anywhere")]

mod cases;
mod documents;
mod recordings;
mod streams;
mod usage;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use weighbridge_units::Protocol;

/// Runs `weighbridge translate` with these arguments, in a folder of its own.
fn translate(arguments: &[&str], input: &[u8]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_weighbridge"))
        .arg("translate")
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it left something behind");
    output
}

fn between(from: Protocol, to: Protocol, more: &[&str], input: &[u8]) -> Output {
    let pair = ["--from", from.as_str(), "--to", to.as_str()];
    translate(&[&pair, more].concat(), input)
}

fn pairs() -> impl Iterator<Item = (Protocol, Protocol)> {
    Protocol::ALL.into_iter().flat_map(|from| Protocol::ALL.into_iter().map(move |to| (from, to)))
}

/// What was said on standard error, line by line.
fn said(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

fn written(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}
