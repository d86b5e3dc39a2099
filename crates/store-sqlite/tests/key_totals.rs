//! Usage of a period where a file was begun by an earlier release, or is shared with one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

mod killed;

use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use refinery::Target;
use rusqlite::Connection;
use weighbridge_ledger::testkit::check_totals;
use weighbridge_ledger::{LedgerStore, RollupQuery, UsageBy, UsageQuery};
use weighbridge_store_sqlite::SqliteLedger;

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
    let checked = block_on(check_totals(ledger, FIRST_HOUR..FIRST_HOUR + HOURS));
    let sums = checked.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(sums > 50, "{sums} sums only");
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
    let patience = (Duration::from_millis(2), Duration::from_millis(9));
    let former = ("WEIGHBRIDGE_TEST_FORMER", path.as_os_str());
    let killed = killed::until_done("child_opens_until_it_is_killed", former, patience, || {
        let db = Connection::open(&path).unwrap();
        let made = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name IN ('key_total', 'rollup_came', 'rollup_changed')), \
             (SELECT count(*) FROM refinery_schema_history WHERE version = 14)";
        let made: (i64, i64) = db.query_row(made, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert!(made == (0, 0) || made == (3, 1), "{made:?}");
    });
    assert!(killed > 2, "killed {killed} times only");
    assert_right(&SqliteLedger::open(&path).unwrap());
}
