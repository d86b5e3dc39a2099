//! Thousands of streams need more open files than many shells allow.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Two for each of 5,000 streams in a proxy, and some to spare.
const ENOUGH: u64 = 12_288;

/// Set in the second life of this program, so that there is no third.
const RAISED: &str = "WEIGHBRIDGE_BENCH_RAISED";

/// Runs `then` with enough open files allowed, also to the processes that it starts. Without
/// `unsafe` only a shell can raise the limit, so this program starts itself again through one.
pub(crate) fn with_enough(then: impl FnOnce() -> Result<ExitCode>) -> Result<ExitCode> {
    if allowed()? >= ENOUGH || std::env::var_os(RAISED).is_some() {
        return then();
    }
    let program = std::env::current_exe().context("where is this program?")?;
    let status = Command::new("sh")
        .args(["-c", &format!("ulimit -n {ENOUGH}; exec \"$0\" \"$@\"")])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(RAISED, "1")
        .status()
        .context("cannot start a shell")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn allowed() -> Result<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line =
        limits.lines().find(|line| line.starts_with("Max open files")).context("no limit of open files")?;
    let soft = line.split_whitespace().nth(3).context("no soft limit")?;
    Ok(soft.parse().unwrap_or(u64::MAX))
}
