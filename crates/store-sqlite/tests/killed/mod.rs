//! A test's own program as a child that is killed in the middle of its work, again and again and a little later each time.

use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// How often it is to be killed at least.
const KILLS: u32 = 4;

/// Runs the test `child` of this very program, which finds what to work on in the variable `name`: once on a value of
/// `fresh` to see how long it takes, as that is a matter of the machine; then on another one, killed each time after a
/// sixteenth more of that, until it is done before. Where it was done too soon, once more with another value and half
/// the patience. Calls `after` of each kill. Gives what was worked on at last.
pub(crate) fn until_done(
    child: &str,
    name: &str,
    mut fresh: impl FnMut() -> OsString,
    mut after: impl FnMut(&OsString),
) -> OsString {
    let start = |value: &OsString| -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([child, "--exact", "--test-threads=1"]).env(name, value).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let began = Instant::now();
    assert!(start(&fresh()).wait().unwrap().success(), "it works where nobody kills it");
    let mut patience = began.elapsed() / 16;
    loop {
        let value = fresh();
        let mut killed = 0;
        loop {
            let mut running = start(&value);
            thread::sleep(patience * killed);
            running.kill().unwrap(); // SIGKILL
            match running.wait().unwrap().code() {
                Some(0) => break,
                Some(code) => panic!("it ends with {code} after {killed} kills"),
                None => after(&value),
            }
            killed += 1;
        }
        if killed >= KILLS {
            return value;
        }
        patience /= 2;
    }
}
