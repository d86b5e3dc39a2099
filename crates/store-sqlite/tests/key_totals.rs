//! Files that were begun by an earlier release: they are brought up to date wholly or not at all, and what they tell of
//! usage then is right, also where that release goes on writing.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

mod killed;

use std::path::Path;

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

/// What a file is made of, and the migrations that it says were made.
fn shape(db: &Connection) -> (Vec<String>, Vec<i64>) {
    let mut objects = db.prepare("SELECT ifnull(sql, name) FROM sqlite_schema ORDER BY name").unwrap();
    let objects = objects.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let mut made = db.prepare("SELECT version FROM refinery_schema_history ORDER BY version").unwrap();
    (objects, made.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap())
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

const CHILD: &str = "child_opens_until_it_is_killed";

/// The child's part of the test that kills: it brings a file up to date. Without the variable it is no test at all.
#[test]
fn child_opens_until_it_is_killed() {
    let Some(path) = std::env::var_os("WEIGHBRIDGE_TEST_FORMER") else { return };
    drop(SqliteLedger::open(Path::new(&path)).unwrap());
    println!("opened");
}

#[test]
fn c1_l5_whoever_is_killed_while_a_file_is_brought_up_to_date_leaves_no_half_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = 0;
    let fresh = || {
        files += 1;
        let path = folder.path().join(format!("ledger-{files}.db"));
        drop(former(&path, 200));
        path.into_os_string()
    };
    let [before, after] = ["before.db", "after.db"].map(|name| folder.path().join(name));
    drop(SqliteLedger::open(&after).unwrap());
    let whole = [shape(&former(&before, 1)), shape(&Connection::open(&after).unwrap())];
    let path = killed::until_done(CHILD, "WEIGHBRIDGE_TEST_FORMER", fresh, |path| {
        let made = shape(&Connection::open(path).unwrap());
        assert!(whole.contains(&made), "{made:?}");
    });
    assert_right(&SqliteLedger::open(Path::new(&path)).unwrap());
}

#[test]
fn c1_where_one_migration_fails_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let former = former(&path, 9);
    // Of the newest that changes a table that was there.
    former.execute_batch("ALTER TABLE tenant ADD COLUMN require TEXT").unwrap();
    let before = shape(&former);
    let failed = SqliteLedger::open(&path).err().unwrap().to_string();
    assert!(failed.contains("ledger.db"), "{failed}");
    assert_eq!(shape(&former), before);
    former.execute_batch("ALTER TABLE tenant DROP COLUMN require").unwrap();
    assert_right(&SqliteLedger::open(&path).unwrap());
}
