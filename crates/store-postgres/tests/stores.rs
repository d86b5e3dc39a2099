//! Keys, audit log, request log and kept answers on PostgreSQL.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

mod server;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::executor::block_on;
use weighbridge_access::testkit::{check_key_store, check_provider_key_store, full_key, full_provider_key};
use weighbridge_access::{KeyStore, KeyStoreError, ProviderKeyError, ProviderKeyStore};
use weighbridge_cache::testkit::{Subject, check_store};
use weighbridge_cache::{CacheStore, StoreLimits};
use weighbridge_records::testkit::check_alert_store;
use weighbridge_records::{
    AlertStore, AuditLog, AuditRecord, Caller, KeptAlert, MemoryRequestLog, RequestLog, RequestRecord, Scope,
    WebhookId,
};
use weighbridge_store_postgres::{
    Database, OpenError, PostgresAlertStore, PostgresAuditLog, PostgresCacheStore, PostgresKeyStore,
    PostgresPriceUpdates, PostgresRequestLog, Retention,
};
use weighbridge_units::{KeyId, Protocol, RequestId, Timestamp};

fn open(server: &server::Server) -> Database {
    Database::open(&server.url(&server.database())).unwrap()
}

#[test]
fn keys_keep_the_promises_of_a_key_store() {
    let Some(server) = server::shared() else { return };
    block_on(check_key_store(&PostgresKeyStore::open(&open(&server)))).unwrap();
}

#[test]
fn k2_another_instance_sees_a_change_by_the_version() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let [here, there] = [(); 2].map(|()| PostgresKeyStore::open(&Database::open(&url).unwrap()));
    let key = full_key(5).unwrap();
    block_on(here.create(key.clone())).unwrap();
    assert_eq!(block_on(there.load_all()).unwrap(), [key]);
    let before = block_on(KeyStore::version(&there)).unwrap();
    block_on(here.revoke(KeyId::from_bits(5), Timestamp::from_secs(1))).unwrap();
    assert_ne!(block_on(KeyStore::version(&there)).unwrap(), before);
    assert!(block_on(there.load_all()).unwrap()[0].revoked.is_some());
}

#[test]
fn a_key_that_cannot_be_read_is_an_error_and_names_the_key() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let store = PostgresKeyStore::open(&Database::open(&server.url(&name)).unwrap());
    let key = full_key(5).unwrap();
    block_on(store.create(key.clone())).unwrap();
    for damage in
        ["ip_allow = '10.0.0.0/99'", "models = '*x'", "prompt_cache = '2h'", "rpm = -1", "tenant = ''"]
    {
        server.sql(&name, &format!("UPDATE virtual_key SET {damage}"));
        let error = block_on(store.load_all()).unwrap_err();
        assert!(matches!(&error, KeyStoreError::Corrupt { id, .. } if *id == key.id), "{damage}: {error}");
    }
}

#[test]
fn provider_keys_keep_the_promises_of_their_store() {
    let Some(server) = server::shared() else { return };
    block_on(check_provider_key_store(&PostgresKeyStore::open(&open(&server)))).unwrap();
}

#[test]
fn k2_another_instance_sees_a_provider_key_by_the_version() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let [here, there] = [(); 2].map(|()| PostgresKeyStore::open(&Database::open(&url).unwrap()));
    let before = block_on(ProviderKeyStore::version(&there)).unwrap();
    let key = full_provider_key(5).unwrap();
    block_on(here.add(key.clone())).unwrap();
    assert_ne!(block_on(ProviderKeyStore::version(&there)).unwrap(), before);
    assert_eq!(block_on(there.load()).unwrap(), [key]);
}

#[test]
fn a_provider_key_that_cannot_be_read_is_an_error_and_names_the_key() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let store = PostgresKeyStore::open(&Database::open(&server.url(&name)).unwrap());
    let key = full_provider_key(5).unwrap();
    block_on(store.add(key.clone())).unwrap();
    for damage in ["weight = -1", "owner = 'a b'", "fingerprint = 'abcdefgh'"] {
        server.sql(&name, &format!("UPDATE provider_key SET {damage}"));
        let error = block_on(store.load()).unwrap_err();
        assert!(matches!(&error, ProviderKeyError::Corrupt { id, .. } if *id == key.id), "{damage}: {error}");
    }
}

#[test]
fn alerts_keep_the_promises_of_their_store() {
    let Some(server) = server::shared() else { return };
    block_on(check_alert_store(&PostgresAlertStore::open(&open(&server)))).unwrap();
}

#[test]
fn of_instances_that_raise_an_alert_at_once_one_is_first() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let stores = [(); 4].map(|()| PostgresAlertStore::open(&Database::open(&url).unwrap()));
    let webhook = WebhookId::from_bits(7);
    for number in 0..20 {
        let alert = KeptAlert {
            id: format!("alert_{number}"),
            at: Timestamp::from_secs(number),
            until: None,
            body: "{}".to_owned(),
        };
        let raised = stores.iter().map(|store| store.raise(alert.clone(), std::slice::from_ref(&webhook)));
        let raised = block_on(futures::future::join_all(raised));
        assert_eq!(raised.into_iter().filter(|is_new| *is_new.as_ref().unwrap()).count(), 1, "{number}");
    }
    let waiting = block_on(stores[0].waiting(webhook, Timestamp::from_secs(1_000), 100)).unwrap();
    assert_eq!(waiting.len(), 20);
}

#[test]
fn p2_updates_of_prices_are_replaced_whole_for_all_instances_and_can_be_brought_back() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let [here, there] = [(); 2].map(|()| PostgresPriceUpdates::open(&Database::open(&url).unwrap()));
    let kept = |updates: &PostgresPriceUpdates| block_on(updates.kept()).unwrap();
    assert_eq!((kept(&here), kept(&there)), (None, None));
    assert!(!block_on(here.revert()).unwrap(), "there is nothing to go back to");
    for text in ["one", "two"] {
        block_on(here.replace(&mut |_| Some(text.to_owned()))).unwrap();
        assert_eq!((kept(&here).as_deref(), kept(&there).as_deref()), (Some(text), Some(text)));
    }
    let mut seen = Vec::new();
    block_on(there.replace(&mut |present| {
        seen.push(present.map(str::to_owned));
        None
    }))
    .unwrap();
    assert_eq!(seen, [Some("two".to_owned())]);
    for (reverted, text) in [(true, "one"), (true, "two")] {
        assert_eq!(block_on(there.revert()).unwrap(), reverted, "a revert can be reverted");
        assert_eq!((kept(&here).as_deref(), kept(&there).as_deref()), (Some(text), Some(text)));
    }
    // What the database cannot hold changes nothing.
    assert!(block_on(here.replace(&mut |_| Some("a\0b".to_owned()))).is_err());
    assert_eq!(kept(&here).as_deref(), Some("two"));

    // The first update can be taken back, too.
    let fresh = PostgresPriceUpdates::open(&open(&server));
    block_on(fresh.replace(&mut |_| Some("one".to_owned()))).unwrap();
    assert!(block_on(fresh.revert()).unwrap());
    assert_eq!(kept(&fresh), None);
}

#[test]
fn p2_updates_of_prices_that_are_made_at_once_lose_none() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let url = &url;
    std::thread::scope(|scope| {
        for letter in ["a", "b", "c"] {
            scope.spawn(move || {
                let updates = PostgresPriceUpdates::open(&Database::open(url).unwrap());
                for _ in 0..5 {
                    let mut next = |kept: Option<&str>| Some(format!("{}{letter}", kept.unwrap_or_default()));
                    block_on(updates.replace(&mut next)).unwrap();
                }
            });
        }
    });
    let kept = block_on(PostgresPriceUpdates::open(&Database::open(url).unwrap()).kept()).unwrap().unwrap();
    let count = |letter: char| kept.chars().filter(|c| *c == letter).count();
    assert_eq!([count('a'), count('b'), count('c')], [5, 5, 5], "{kept}");
}

#[test]
fn audited_acts_come_newest_first() {
    let Some(server) = server::shared() else { return };
    let log = PostgresAuditLog::open(&open(&server));
    let act = |object: &str| AuditRecord {
        at: Timestamp::from_secs(7),
        actor: "command line".into(),
        action: "key.create".into(),
        object: object.into(),
        details: vec![("name".into(), "a b".into()), ("rpm".into(), String::new())],
    };
    block_on(log.append(act("first"))).unwrap();
    block_on(log.append(act("second"))).unwrap();
    assert_eq!(block_on(log.recent(10)).unwrap(), [act("second"), act("first")]);
    assert_eq!(block_on(log.recent(1)).unwrap().len(), 1);
}

struct Answers {
    database: Database,
    limits: StoreLimits,
    store: Option<PostgresCacheStore>,
}

impl Subject for Answers {
    fn store(&self) -> &dyn CacheStore {
        self.store.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.store = None;
        self.store = Some(PostgresCacheStore::open(&self.database, self.limits));
    }
}

#[test]
fn kept_answers_keep_the_promises_of_a_store() {
    let Some(server) = server::shared() else { return };
    for (seed, total_bytes) in [(11, u64::MAX), (12, 4_000), (13, 1_000)] {
        let limits = StoreLimits { entry_bytes: 600, total_bytes };
        let mut subject = Answers { database: open(&server), limits, store: None };
        subject.restart();
        let report = block_on(check_store(&mut subject, limits, seed, 500));
        let report = report.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.found > 10 && report.swept > 2 && report.deleted > 2, "{report:?}");
        assert!(report.items_found > 5 && report.items_missed > 5, "{report:?}");
        assert_eq!(report.made_room > 0, total_bytes < u64::MAX, "{report:?}");
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(since.as_micros() as i64)
}

fn record(number: u64, key: u64, at: Timestamp) -> Arc<RequestRecord> {
    let id = RequestId::new(&format!("req_{number}")).unwrap();
    let mut record = RequestRecord::new(id, at, Protocol::OpenAiChat);
    record.caller = Some(Caller { key: KeyId::from_bits(key), tenant: format!("t{}", key / 2).into() });
    record.total_us = key;
    Arc::new(record)
}

#[test]
fn q1_a_record_is_visible_to_the_next_read_in_its_scope_and_no_other() {
    let Some(server) = server::shared() else { return };
    let log = PostgresRequestLog::open(&open(&server), Retention::default());
    let memory = MemoryRequestLog::new(1_000);
    for number in 0..60 {
        let record = record(number % 6, number % 5, now());
        memory.append(Arc::clone(&record));
        log.append(record);
        if number % 7 > 0 {
            continue;
        }
        let keys = (0..6).map(|key| Scope::Key(KeyId::from_bits(key)));
        let tenants = (0..4).map(|tenant| Scope::Tenant(format!("t{tenant}").into()));
        for scope in keys.chain(tenants).chain([Scope::All]) {
            let id = RequestId::new(&format!("req_{}", number % 6)).unwrap();
            let found = block_on(log.get(&scope, &id)).unwrap();
            assert_eq!(found, block_on(memory.get(&scope, &id)).unwrap());
            let latest = block_on(log.recent(&scope, 7)).unwrap();
            assert_eq!(latest, block_on(memory.recent(&scope, 7)).unwrap());
        }
    }
}

#[test]
fn records_survive_a_restart_and_end_with_their_time() {
    let Some(server) = server::shared() else { return };
    let name = server.database();
    let retention = Retention { records: 20, age: Duration::from_secs(3_600) };
    {
        let log = PostgresRequestLog::open(&Database::open(&server.url(&name)).unwrap(), retention);
        log.append(record(99, 1, Timestamp::from_secs(1)));
        (0..15).for_each(|number| log.append(record(number, 1, now())));
        assert_eq!(log.dropped(), 0);
    }
    let log = PostgresRequestLog::open(&Database::open(&server.url(&name)).unwrap(), retention);
    for number in 15..40 {
        log.append(record(number, 1, now()));
        let recent = block_on(log.recent(&Scope::All, 100)).unwrap();
        assert!(recent[0].contains(&format!("req_{number}\"")), "{recent:?}");
    }
    let kept: u64 = server.sql(&name, "SELECT count(*) FROM request").parse().unwrap();
    assert!((20..=21).contains(&kept), "{kept}");
    assert_eq!(server.sql(&name, "SELECT count(*) FROM request WHERE id = 'req_99'"), "0");
}

#[test]
fn instances_that_come_up_together_migrate_once() {
    let Some(server) = server::shared() else { return };
    let url = server.url(&server.database());
    let opened: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || Database::open(&url).map(drop))
        })
        .collect();
    for opened in opened {
        opened.join().unwrap().unwrap();
    }
}

#[test]
fn what_cannot_be_opened_says_why_and_no_password() {
    let unreachable = Database::open("postgres://me:SECRET@127.0.0.1:1/books?connect_timeout=1").unwrap_err();
    assert!(matches!(&unreachable, OpenError::Unreachable(_)), "{unreachable}");
    let unknown = Database::open("postgres://me:SECRET@db/books?flavour=sweet").unwrap_err();
    assert!(matches!(&unknown, OpenError::Address(_)), "{unknown}");
    let certificates = Database::open("postgres://me:SECRET@db/books?sslrootcert=/nowhere.pem").unwrap_err();
    assert!(matches!(&certificates, OpenError::Certificates { .. }), "{certificates}");
    for error in [unreachable, unknown, certificates] {
        assert!(!format!("{error:?} {error}").contains("SECRET"), "{error}");
    }
}

#[test]
fn every_store_works_behind_a_pooler_in_session_mode_and_outlives_its_restart() {
    let Some(server) = server::shared() else { return };
    let Some(pooler) = server::Pooler::start(&server, "session") else { return };
    let name = server.database();
    let database = Database::open(&pooler.url(&name)).unwrap();
    let keys = PostgresKeyStore::open(&database);
    block_on(check_key_store(&keys)).unwrap();
    pooler.restart();
    // The connection that it kept is gone: that is noticed by the first question, if not before.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while block_on(keys.load_all()).is_err() {
        assert!(std::time::Instant::now() < deadline, "it does not come back");
        std::thread::sleep(Duration::from_millis(20));
    }
    block_on(check_provider_key_store(&keys)).unwrap();
}

#[test]
fn a_pooler_that_forgets_statements_is_refused_before_a_table_is_made() {
    let Some(server) = server::shared() else { return };
    let Some(pooler) = server::Pooler::start(&server, "transaction") else { return };
    let name = server.database();
    for _ in 0..2 {
        // The second time, something of the first is still prepared in a process of the server's.
        let error = Database::open(&pooler.url(&name)).unwrap_err();
        assert!(matches!(error, OpenError::Pooler), "{error}");
        assert!(error.to_string().contains("pool_mode = session"), "{error}");
    }
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(server.sql(&name, tables), "0");
}

#[test]
fn a_pooler_in_statement_mode_is_refused_in_its_own_words() {
    let Some(server) = server::shared() else { return };
    let Some(pooler) = server::Pooler::start(&server, "statement") else { return };
    let error = Database::open(&pooler.url(&server.database())).unwrap_err().to_string();
    assert!(error.contains("statement pooling mode"), "{error}");
}
