//! Processes that are measured, and what the kernel knows about them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cores::LISTENING;

/// The unit of CPU times in `/proc/<pid>/stat`: USER_HZ, which is 100 on every Linux that matters
/// (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
const TICKS_PER_SECOND: u32 = 100;

/// How long a process may take to end by itself.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`; what it says goes where `command` sends it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child })
    }

    /// Starts this program in another role, and waits until it listens.
    pub(crate) fn start_role<A: AsRef<OsStr>>(role: &[A]) -> Result<(Self, SocketAddr)> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut process = Self::start(Command::new(program).arg("role").args(role).stdout(Stdio::piped()))?;
        let output = process.child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix(LISTENING) else {
            bail!("{:?} did not say where it listens", role.first().map(AsRef::as_ref));
        };
        Ok((process, address.parse()?))
    }

    /// Processor time that it took so far, user and system together.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold spaces and brackets: fields are counted after its last bracket.
        let (_, fields) = stat.rsplit_once(')').context("stat without a name")?;
        let ticks =
            fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
        Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
    }

    /// Memory that it occupies now, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is asked to end before it is made to: a build that counts what it executes writes its counts then.
        let asked = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let until = Instant::now() + END_WITHIN;
        while asked.is_ok() && Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            eprintln!(
                "a process did not end when it was asked to: what it would have written at its end is missing"
            );
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
