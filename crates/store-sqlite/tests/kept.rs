//! Kept answers on SQLite: against the testkit, and under kills, neighbours and tampering.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures::executor::block_on;
use futures::future::join_all;
use weighbridge_cache::testkit::{Subject, answer, check_store};
use weighbridge_cache::{
    CacheStore, EntryKey, Holding, Kept, KeptAnswer, KeptId, MasterSecret, Purpose, Sealed, StoreError,
    StoreLimits, Tenant, UnsealError, Vault,
};
use weighbridge_store_sqlite::SqliteCacheStore;
use weighbridge_units::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(100);
const LATER: Timestamp = Timestamp::from_secs(1_000);

struct Folder {
    path: PathBuf,
    folder: tempfile::TempDir,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    Folder { path: folder.path().join("kept.db"), folder }
}

fn open(path: &Path) -> SqliteCacheStore {
    SqliteCacheStore::open(path, StoreLimits::default()).unwrap()
}

fn vault() -> Vault {
    Vault::new(&MasterSecret::new([1; 32]))
}

fn an_answer(number: u64, bytes: usize) -> KeptAnswer {
    answer("acme", &format!("resp_{number}"), bytes).unwrap()
}

fn sealed(answer: &KeptAnswer, expires: Timestamp) -> Kept {
    vault().seal(Purpose::Response, answer, expires, &[5; 24]).unwrap()
}

fn key(number: u64) -> EntryKey {
    let id = KeptId::new(&format!("resp_{number}")).unwrap();
    EntryKey::new(Purpose::Response, Tenant::new("acme").unwrap(), id)
}

struct Sqlite {
    limits: StoreLimits,
    store: Option<SqliteCacheStore>,
    folder: Folder,
}

impl Subject for Sqlite {
    fn store(&self) -> &dyn CacheStore {
        self.store.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.store = None;
        self.store = Some(SqliteCacheStore::open(&self.folder.path, self.limits).unwrap());
    }
}

#[test]
fn it_keeps_the_promises_of_a_store() {
    for (seed, total_bytes) in [(11, u64::MAX), (12, 4_000), (13, 1_000)] {
        let limits = StoreLimits { entry_bytes: 600, total_bytes };
        let mut subject = Sqlite { limits, store: None, folder: folder() };
        subject.restart();
        let report = block_on(check_store(&mut subject, limits, seed, 2_000));
        let report = report.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.found > 50 && report.swept > 10 && report.deleted > 10, "{report:?}");
        assert!(report.items_found > 20 && report.items_missed > 20, "{report:?}");
        assert_eq!(report.made_room > 0, total_bytes < u64::MAX, "{report:?}");
    }
}

/// The child's part of the test that kills: it keeps answers until it dies, and tells which.
///
/// Without the variable it is no test at all.
#[test]
fn child_keeps_until_it_is_killed() {
    let Some(path) = std::env::var_os("WEIGHBRIDGE_TEST_KEPT") else { return };
    let first: u64 = std::env::var("WEIGHBRIDGE_TEST_FIRST").unwrap().parse().unwrap();
    let store = open(Path::new(&path));
    println!("ready");
    for number in first.. {
        block_on(store.put(sealed(&an_answer(number, 20_000), LATER))).unwrap();
        println!("kept {number}");
        if number % 5 == 4 {
            block_on(store.delete(&key(number), NOW)).unwrap();
            println!("gone {number}");
        }
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let folder = folder();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for cycle in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_keeps_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env("WEIGHBRIDGE_TEST_KEPT", &folder.path)
            .env("WEIGHBRIDGE_TEST_FIRST", (1_000_000 * (cycle + 1)).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.find(|line| line.as_ref().unwrap().contains("ready")).unwrap().unwrap();
        let mut told = |line: std::io::Result<String>| {
            let line = line.unwrap_or_default();
            let number = |word: &str| line.strip_prefix(word)?.parse::<u64>().ok();
            kept.extend(number("kept "));
            gone.extend(number("gone "));
        };
        lines.by_ref().take(30 + 17 * cycle as usize).for_each(&mut told);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        lines.for_each(told);
    }
    assert!(kept.len() > 90 && gone.len() > 15, "{} kept, {} gone", kept.len(), gone.len());

    let store = open(&folder.path);
    for number in &kept {
        let found = block_on(store.get(&key(*number), NOW)).unwrap();
        // The last deletion may have been done and not told.
        if gone.contains(number) || (number % 5 == 4 && found.is_none()) {
            assert_eq!(found, None);
        } else {
            assert_eq!(vault().open(&found.unwrap()).unwrap(), an_answer(*number, 20_000));
        }
    }
    let connection = rusqlite::Connection::open(&folder.path).unwrap();
    let counted = "SELECT count(*), coalesce(sum(bytes), 0) FROM kept";
    let counted: (i64, i64) =
        connection.query_row(counted, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let Holding { entries, bytes } = block_on(store.holding()).unwrap();
    assert_eq!((entries as i64, bytes as i64), counted);
}

#[test]
fn another_process_sees_what_was_kept() {
    let folder = folder();
    let (here, there) = (open(&folder.path), open(&folder.path));
    block_on(here.put(sealed(&an_answer(1, 9), LATER))).unwrap();
    assert!(block_on(there.get(&key(1), NOW)).unwrap().is_some());
    assert!(block_on(there.delete(&key(1), NOW)).unwrap());
    assert_eq!(block_on(here.get(&key(1), NOW)).unwrap(), None);
}

#[test]
fn what_is_damaged_does_not_open() {
    let folder = folder();
    let store = open(&folder.path);
    block_on(store.put(sealed(&an_answer(1, 40), LATER))).unwrap();
    block_on(store.put(sealed(&an_answer(2, 40), LATER))).unwrap();
    let other = rusqlite::Connection::open(&folder.path).unwrap();
    let found = |number| vault().open(&block_on(store.get(&key(number), NOW)).unwrap().unwrap());
    // One answer in another's place.
    other.execute("UPDATE kept SET sealed = (SELECT sealed FROM kept WHERE id = 'resp_2')", []).unwrap();
    assert_eq!(found(1), Err(UnsealError::Damaged));
    assert_eq!(found(2), Ok(an_answer(2, 40)));
    let Kept { sealed, .. } = block_on(store.get(&key(2), NOW)).unwrap().unwrap();
    let mut bytes = sealed.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    other.execute("UPDATE kept SET sealed = ?1 WHERE id = 'resp_2'", [&bytes]).unwrap();
    assert_eq!(found(2), Err(UnsealError::Damaged));
    assert_eq!(block_on(store.get(&key(2), NOW)).unwrap().unwrap().sealed, Sealed::from_bytes(bytes));
}

#[test]
fn nothing_that_was_said_is_in_the_file_and_the_file_is_its_owners() {
    let folder = folder();
    let store = open(&folder.path);
    let said = KeptAnswer { input: "CANARY".repeat(99), answer: "CANARY".repeat(99), ..an_answer(1, 0) };
    block_on(store.put(sealed(&said, LATER))).unwrap();
    for file in std::fs::read_dir(folder.folder.path()).unwrap() {
        let file = file.unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"CANARY"), "{:?}", file.path());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_lowered_limit_is_reached_with_the_next_entry() {
    let folder = folder();
    let store = open(&folder.path);
    for number in 0..20 {
        block_on(
            store.put(sealed(&an_answer(number, 1_000), LATER + std::time::Duration::from_secs(number))),
        )
        .unwrap();
    }
    drop(store);
    let limits = StoreLimits { entry_bytes: 3_000, total_bytes: 10_000 };
    let store = SqliteCacheStore::open(&folder.path, limits).unwrap();
    assert_eq!(block_on(store.put(sealed(&an_answer(20, 1_000), LATER))).unwrap(), 17);
    assert!(block_on(store.holding()).unwrap().bytes <= 10_000);
    assert!(block_on(store.get(&key(19), NOW)).unwrap().is_some());
    let large = block_on(store.put(sealed(&an_answer(21, 2_000), LATER)));
    assert!(matches!(large, Err(StoreError::TooLarge { limit: 3_000, .. })), "{large:?}");
}

#[test]
fn the_file_gives_back_what_was_swept() {
    let folder = folder();
    let store = open(&folder.path);
    for number in 0..30 {
        block_on(store.put(sealed(&an_answer(number, 50_000), NOW))).unwrap();
    }
    let pages = || {
        let connection = rusqlite::Connection::open(&folder.path).unwrap();
        connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = pages();
    assert_eq!(block_on(store.sweep(LATER, 7)).unwrap(), 7, "no more than was asked");
    while block_on(store.sweep(LATER, 7)).unwrap() == 7 {}
    assert_eq!(block_on(store.holding()).unwrap(), Holding::default());
    assert!(pages() < before / 3, "{} of {before} pages", pages());
}

#[test]
fn no_more_waits_to_be_written_than_has_room() {
    let folder = folder();
    let store = open(&folder.path);
    // Another connection holds the write lock, so that nothing can be written.
    let other = rusqlite::Connection::open(&folder.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Nobody opens it, so that it need not be sealed.
    let large =
        Kept { key: key(1), expires: LATER, sealed: Sealed::from_bytes(vec![7; 20 << 20]), items: vec![] };
    let puts = (0..5).map(|_| store.put(large.clone()));
    let all = join_all(puts);
    let free = async { other.execute_batch("ROLLBACK").unwrap() };
    let (answers, ()) = block_on(futures::future::join(all, free));
    let busy = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Busy))).count();
    assert_eq!(busy, 2, "{answers:?}");
    assert!(block_on(store.put(large)).is_ok(), "there is room again");
}
