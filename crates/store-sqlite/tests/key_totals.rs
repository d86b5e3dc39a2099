//! Usage of a period where a file was begun by an earlier release, or is shared with one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use refinery::Target;
use rusqlite::Connection;
use weighbridge_ledger::{LedgerStore, RollupQuery, UsageBy, UsageQuery, add_up};
use weighbridge_store_sqlite::SqliteLedger;
use weighbridge_units::KeyId;

mod migrations {
    refinery::embed_migrations!("migrations");
    pub(super) use migrations::runner;
}

/// The last migration before there were totals.
const FORMER: i32 = 13;
const FIRST_HOUR: i64 = 498_264;
const HOURS: i64 = 100;

/// A file as an earlier release has left it, with roll-ups of a hundred hours in no order.
fn former(path: &Path, keys: i64) -> Connection {
    let mut db = Connection::open(path).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    migrations::runner().set_target(Target::Version(FORMER)).run(&mut db).unwrap();
    add(&db, keys);
    db
}

/// Adds to some roll-ups as any release does, each hour and key with other figures.
fn add(db: &Connection, keys: i64) {
    let add = "WITH RECURSIVE n (at) AS (VALUES (0) UNION ALL SELECT at + 1 FROM n WHERE at + 1 < ?3 * ?2 * 2), \
         picked (key, hour, model, at) AS (SELECT 1 + at * 7 % ?3, ?1 + at * 37 % ?2, 1 + at % 3, at FROM n WHERE at % 5 < 3) \
         INSERT INTO rollup (key, hour, provider, model, attempts, succeeded, estimated, cost, charged, input, \
         cache_read, cache_write_5m, cache_write_1h, input_audio, output, reasoning, output_audio, web_search) \
         SELECT key, hour, 9, model, 1, 1, 0, 1000 + at % 89, 2000 + at % 97, at % 11, 0, 0, 0, 0, at % 13, 0, 0, 0 \
         FROM picked WHERE true \
         ON CONFLICT (key, hour, provider, model) DO UPDATE SET attempts = attempts + 1, cost = cost + 17, \
         charged = charged - 3, code_sessions = code_sessions + 1";
    assert!(db.execute(add, [FIRST_HOUR, HOURS, keys]).unwrap() > 100);
}

/// What is told by totals is what the roll-ups add up to.
fn assert_right(ledger: &SqliteLedger) {
    let (first, end) = (FIRST_HOUR, FIRST_HOUR + HOURS);
    let periods =
        [(i64::MIN, i64::MAX), (first, end), (first + 1, end - 7), (first + 30, first + 31), (end, first)];
    for (from_hour, until_hour) in periods {
        for key in [None, Some(KeyId::from_bits(3)), Some(KeyId::from_bits(999_999))] {
            for by in [UsageBy::Key, UsageBy::Day] {
                let of = RollupQuery { key, from_hour, until_hour };
                let right = add_up(block_on(ledger.rollups(of)).unwrap(), by);
                assert_eq!(block_on(ledger.usage(UsageQuery { of, by })).unwrap(), right, "{of:?} by {by:?}");
            }
        }
    }
}

#[test]
fn l5_what_an_earlier_release_has_written_and_goes_on_writing_is_in_the_totals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let former = former(&path, 9);
    let ledger = SqliteLedger::open(&path).unwrap();
    assert_right(&ledger);
    let all = UsageQuery { of: RollupQuery::ALL, by: UsageBy::Key };
    let before = block_on(ledger.usage(all)).unwrap();
    add(&former, 12);
    assert_right(&ledger);
    assert!(block_on(ledger.usage(all)).unwrap().len() > before.len());
}

/// The child's part of the test that kills: it brings a file up to date. Without the variable it is no test at all.
#[test]
fn child_opens_until_it_is_killed() {
    let Some(path) = std::env::var_os("WEIGHBRIDGE_TEST_FORMER") else { return };
    drop(SqliteLedger::open(Path::new(&path)).unwrap());
    println!("opened");
}

#[test]
fn c1_l5_whoever_is_killed_while_totals_are_made_leaves_none_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    drop(former(&path, 200));
    let mut killed = 0;
    for wait in 0.. {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_opens_until_it_is_killed", "--exact", "--test-threads=1"])
            .env("WEIGHBRIDGE_TEST_FORMER", &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(2 + wait * 9));
        child.kill().unwrap(); // SIGKILL
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
        let db = Connection::open(&path).unwrap();
        let made = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name IN ('key_total', 'rollup_came', 'rollup_changed')), \
             (SELECT count(*) FROM refinery_schema_history WHERE version = 14)";
        let made: (i64, i64) = db.query_row(made, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert!(made == (0, 0) || made == (3, 1), "{made:?}");
    }
    assert!(killed > 2, "killed {killed} times only");
    assert_right(&SqliteLedger::open(&path).unwrap());
}
