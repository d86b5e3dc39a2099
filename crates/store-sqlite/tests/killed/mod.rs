//! A test's own program as a child that is killed again and again, a little later each time, until it is done before.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Runs the test `child` of this very program, which finds `value` in the variable `name`; kills it after `first`, then
/// `later` than that each time, and calls `after` of each kill. Gives the number of kills.
pub(crate) fn until_done(
    child: &str,
    (name, value): (&str, &OsStr),
    (first, later): (Duration, Duration),
    mut after: impl FnMut(),
) -> u32 {
    for killed in 0.. {
        let mut running = Command::new(std::env::current_exe().unwrap())
            .args([child, "--exact", "--test-threads=1"])
            .env(name, value)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(first + later * killed);
        running.kill().unwrap(); // SIGKILL
        if running.wait().unwrap().success() {
            return killed;
        }
        after();
    }
    unreachable!("it is done at some time")
}
