//! A binary for tests: it dies, panics, waits or fails where `WEIGHBRIDGE_FAILPOINT` says.
//!
//! `NAME[:NTH[+]][=ACTION]`, several of them separated by commas. `NTH` counts the times that the process comes by,
//! from 1; with `+` each later time counts too. `ACTION` is `kill` (if nothing is said), `panic`, `error` (where a
//! store could fail anyway) or `sleep:MILLISECONDS`. The names are those of [`Failpoint`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use weighbridge_units::Failpoint;
use weighbridge_units::failpoint::{Injected, set_hook};

use crate::cli::say;

const VARIABLE: &str = "WEIGHBRIDGE_FAILPOINT";

/// What happens at a place, and when.
#[derive(Debug)]
struct Armed {
    point: Failpoint,
    nth: u64,
    /// Each later time too.
    onwards: bool,
    action: Action,
    passed: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Panic,
    Error,
    Sleep(Duration),
}

/// Arms what the environment names, if it names anything.
pub(crate) fn arm() -> anyhow::Result<()> {
    let Ok(said) = std::env::var(VARIABLE) else { return Ok(()) };
    let armed = said.split(',').map(|one| parse(one.trim()).with_context(|| format!("{VARIABLE}: `{one}`")));
    let armed = armed.collect::<anyhow::Result<Vec<_>>>()?;
    set_hook(Box::new(move |point| {
        armed.iter().filter(|armed| armed.point == point).try_for_each(Armed::pass)
    }));
    Ok(())
}

fn parse(said: &str) -> anyhow::Result<Armed> {
    let (place, action) = said.split_once('=').unwrap_or((said, "kill"));
    let (name, nth) = place.split_once(':').unwrap_or((place, "1"));
    let point = Failpoint::ALL.iter().copied().find(|point| point.name() == name);
    let point = point.context("there is no failpoint of this name")?;
    let (nth, onwards) = nth.strip_suffix('+').map_or((nth, false), |nth| (nth, true));
    let action = match action.split_once(':') {
        None if action == "kill" => Action::Kill,
        None if action == "panic" => Action::Panic,
        None if action == "error" => Action::Error,
        Some(("sleep", ms)) => Action::Sleep(Duration::from_millis(ms.parse().context("milliseconds")?)),
        _ => anyhow::bail!("an action is `kill`, `panic`, `error` or `sleep:MILLISECONDS`"),
    };
    ensure!(action != Action::Error || point.may_fail(), "nothing can fail there");
    let nth = nth.parse().context("how often it is passed is a number")?;
    Ok(Armed { point, nth, onwards, action, passed: AtomicU64::new(0) })
}

impl Armed {
    fn pass(&self) -> Result<(), Injected> {
        let passed = self.passed.fetch_add(1, Ordering::Relaxed) + 1;
        if passed != self.nth && !(self.onwards && passed > self.nth) {
            return Ok(());
        }
        if passed == self.nth {
            say(format_args!("failpoint {}: {:?}", self.point.name(), self.action));
        }
        match self.action {
            Action::Kill => die(),
            #[expect(clippy::panic, reason = "that is what a test asks for")]
            Action::Panic => panic!("a test lets `{}` panic", self.point.name()),
            Action::Error => Err(Injected(self.point)),
            Action::Sleep(time) => {
                // The thread stands still, as it would for a slow disk.
                std::thread::sleep(time);
                Ok(())
            }
        }
    }
}

/// `kill -9`: no destructor runs, and no other thread goes on.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_times_and_actions_are_read() {
        let armed = parse("sqlite.committed").unwrap();
        assert_eq!((armed.point, armed.nth, armed.onwards), (Failpoint::SqliteCommitted, 1, false));
        assert_eq!(armed.action, Action::Kill);
        let armed = parse("sqlite.written:7+=sleep:250").unwrap();
        assert_eq!((armed.nth, armed.onwards), (7, true));
        assert_eq!(armed.action, Action::Sleep(Duration::from_millis(250)));
        assert_eq!(parse("pipeline.metered:2=panic").unwrap().action, Action::Panic);
        assert_eq!(parse("postgres.begun=error").unwrap().action, Action::Error);
        for wrong in ["", "sqlite", "sqlite.begun:x", "sqlite.begun=stop", "pipeline.metered=error"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_armed_happens_at_its_time() {
        let armed = parse("sqlite.begun:2=error").unwrap();
        let passed: Vec<_> = (0..4).map(|_| armed.pass().is_err()).collect();
        assert_eq!(passed, [false, true, false, false]);
        let armed = parse("sqlite.begun:3+=error").unwrap();
        let passed: Vec<_> = (0..5).map(|_| armed.pass().is_err()).collect();
        assert_eq!(passed, [false, false, true, true, true]);
    }
}
