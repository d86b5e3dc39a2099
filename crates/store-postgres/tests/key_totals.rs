//! Databases that were begun by an earlier release: they are brought up to date wholly or not at all, and what they tell
//! of usage then is right, also where that release goes on writing.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may, as tests may")]

#[path = "../../store-sqlite/tests/killed/mod.rs"]
mod killed;
mod server;

use futures::executor::block_on;
use refinery::Target;
use tokio_postgres::NoTls;
use weighbridge_ledger::testkit::check_totals;
use weighbridge_ledger::{LedgerStore, RollupQuery, UsageBy, UsageQuery};
use weighbridge_store_postgres::{Database, PostgresLedger};

mod migrations {
    refinery::embed_migrations!("migrations");
    pub(super) use migrations::runner;
}

/// The last migration before there were totals.
const FORMER: i32 = 9;
const FIRST_HOUR: i64 = 498_264;
const HOURS: i64 = 100;

/// A database as an earlier release has left it.
fn former(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        migrations::runner().set_target(Target::Version(FORMER)).run_async(&mut client).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

/// Adds to some roll-ups as any release does, each hour and key with other figures. `counts` are those of a release
/// that knows so many buckets.
fn add(server: &server::Server, name: &str, keys: i64, buckets: i64) {
    let add = format!(
        "WITH picked AS (SELECT 1 + at * 7 % {keys} AS key, {FIRST_HOUR} + at * 37 % {HOURS} AS hour, 1 + at % 3 AS model, \
         at, row_number() OVER (PARTITION BY at * 7 % {keys}, at * 37 % {HOURS}, at % 3) AS nth \
         FROM generate_series(0, {keys} * {HOURS} * 2 - 1) AS at WHERE at % 5 < 3) \
         INSERT INTO rollup (key, hour, provider, model, attempts, succeeded, estimated, cost, charged, counts) \
         SELECT key, hour, 9, model, 1, 1, 0, 1000 + at % 89, 2000 + at % 97, \
         ARRAY(SELECT (at * bucket) % 7 FROM generate_series(1, {buckets}) AS bucket) FROM picked WHERE nth = 1 \
         ON CONFLICT (key, hour, provider, model) DO UPDATE SET attempts = rollup.attempts + 1, \
         cost = rollup.cost + 17, charged = rollup.charged - 3, counts[1] = rollup.counts[1] + 5"
    );
    server.sql(name, &add);
}

/// What a database is made of, and the migrations that it says were made.
fn shape(server: &server::Server, name: &str) -> String {
    let shape = "SELECT concat_ws(' ', table_name, column_name, data_type, column_default) FROM information_schema.columns \
         WHERE table_schema = 'public' UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' \
         UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal \
         UNION ALL SELECT version::text FROM refinery_schema_history ORDER BY 1";
    server.sql(name, shape)
}

/// What is told by totals is what the roll-ups add up to.
fn assert_right(ledger: &PostgresLedger) {
    let checked = block_on(check_totals(ledger, FIRST_HOUR..FIRST_HOUR + HOURS));
    let sums = checked.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(sums > 50, "{sums} sums only");
}

fn ledger(url: &str) -> PostgresLedger {
    PostgresLedger::open(&Database::open(url).unwrap())
}

#[test]
fn l5_what_an_earlier_release_has_written_and_goes_on_writing_is_in_the_totals() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let url = server.url(&name);
    former(&url);
    add(&server, &name, 9, 20);
    let ledger = ledger(&url);
    assert_right(&ledger);
    let all = UsageQuery { of: RollupQuery::ALL, by: UsageBy::Key };
    let before = block_on(ledger.usage(all)).unwrap();
    assert!(!before.is_empty());
    add(&server, &name, 12, 22);
    assert_right(&ledger);
    assert!(block_on(ledger.usage(all)).unwrap().len() > before.len());
}

const CHILD: &str = "child_opens_until_it_is_killed";

/// The child's part of the test that kills: it brings a database up to date. Without the variable it is no test at all.
#[test]
fn child_opens_until_it_is_killed() {
    let Some(url) = std::env::var_os("WEIGHBRIDGE_TEST_FORMER") else { return };
    drop(Database::open(url.to_str().unwrap()).unwrap());
}

#[test]
fn c1_l5_whoever_is_killed_while_a_database_is_brought_up_to_date_leaves_no_half_of_it() {
    let Some(server) = server::shared() else { return };
    let fresh = || {
        let name = server.database();
        let url = server.url(&name);
        former(&url);
        add(&server, &name, 200, 22);
        url.into()
    };
    let (before, after) = (server.database(), server.database());
    former(&server.url(&before));
    drop(ledger(&server.url(&after)));
    let whole = [shape(&server, &before), shape(&server, &after)];
    let url = killed::until_done(CHILD, "WEIGHBRIDGE_TEST_FORMER", fresh, |url| {
        let made = shape(&server, url.to_str().unwrap()); // psql takes an address for a database's name
        assert!(whole.contains(&made), "{made}");
    });
    assert_right(&ledger(url.to_str().unwrap()));
}

#[test]
fn c1_where_one_migration_fails_none_is_made() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let url = server.url(&name);
    former(&url);
    // Of the newest that changes a table that was there.
    server.sql(&name, "ALTER TABLE tenant ADD COLUMN require text");
    let before = shape(&server, &name);
    let failed = Database::open(&url).err().unwrap().to_string();
    assert!(failed.contains("require"), "{failed}");
    assert_eq!(shape(&server, &name), before);
    server.sql(&name, "ALTER TABLE tenant DROP COLUMN require");
    add(&server, &name, 200, 22);
    assert_right(&ledger(&url));
}
