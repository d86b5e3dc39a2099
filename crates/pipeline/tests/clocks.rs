//! The wall clock jumps while requests run: no reservation expires of it, none comes back, no window begins
//! anew, and a request belongs to the window that it reserved in (rule C7).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;
use weighbridge_access::Limits;
use weighbridge_ledger::{AccountKind, AttemptEntry, Extent, LedgerStore, Recovery};
use weighbridge_pipeline::{Env, SystemEnv};
use weighbridge_units::{AttemptOutcome, Monotonic, Timestamp};
use world::{Answer, CHAT, World, post, read};

const HOUR: i64 = 3_600;

/// A wall clock that somebody sets, beside a monotonic one that nobody can.
struct Jumping {
    clocks: SystemEnv,
    ahead_secs: AtomicI64,
}

impl Jumping {
    fn new() -> Arc<Self> {
        let clocks = SystemEnv::repeatable(1, world::start() + Duration::from_secs(12 * 3_600));
        Arc::new(Self { clocks, ahead_secs: AtomicI64::new(0) })
    }

    /// From now on the wall clock is so many hours off.
    fn set(&self, hours: i64) {
        self.ahead_secs.store(hours * HOUR, Ordering::Relaxed);
    }
}

impl Env for Jumping {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_secs.load(Ordering::Relaxed) * 1_000_000;
        Timestamp::from_micros(self.clocks.now().as_micros() + ahead)
    }

    fn monotonic(&self) -> Monotonic {
        self.clocks.monotonic()
    }

    fn random(&self) -> u64 {
        self.clocks.random()
    }
}

fn world(clock: &Arc<Jumping>) -> World {
    World::timed(Arc::clone(clock) as Arc<dyn Env>, |_| {}, None)
}

fn body(text: &str, stream: bool) -> serde_json::Value {
    let messages = json!([{ "role": "user", "content": text }]);
    let mut body = json!({ "model": "only-gpt", "max_tokens": 50, "messages": messages });
    if stream {
        body["stream"] = true.into();
    }
    body
}

async fn ask(world: &World, key: &str) -> Answer {
    world.send(post(CHAT, key, &body("echo:Hi", false))).await
}

/// What every budget's windows have counted and reserved, the smallest first.
async fn windows(world: &World) -> Vec<(i64, i64)> {
    let balances = world.store.balances().await.unwrap();
    let budgets = balances.into_iter().filter(|(account, _)| account.kind() == AccountKind::Budget);
    let mut windows: Vec<_> =
        budgets.map(|(_, balance)| (balance.posted.get(), balance.pending.get())).collect();
    windows.sort_unstable();
    windows
}

async fn assert_sound(world: &World) {
    let found = world.store.verify(Extent::All).await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!(world.pipeline.ledger().outstanding(), 0);
}

#[tokio::test(start_paused = true)]
async fn c7_a_jump_neither_expires_a_running_attempt_nor_brings_it_back() {
    for hours in [25, -25, 24 * 400, -24 * 400] {
        let clock = Jumping::new();
        let world = world(&clock);
        let asked = post(CHAT, &world.key, &body("pace:50 words:40", true));
        let mut answer = world.open(asked).await.into_body();
        assert!(answer.frame().await.is_some());
        let open = world.store.open_attempts().await.unwrap();
        assert_eq!(open.len(), 1);

        clock.set(hours);
        let recovery = world.store.recover(clock.now()).await.unwrap();
        assert_eq!(recovery, Recovery::default(), "{hours} h: what runs is not over");
        assert_eq!(world.store.open_attempts().await.unwrap(), open);
        let rest = answer.collect().await.unwrap().to_bytes();
        assert!(
            String::from_utf8_lossy(&rest).ends_with("data: [DONE]\n\n"),
            "{hours} h: no time-out either"
        );

        world.pipeline.ledger().flush();
        let Some(AttemptEntry::Ended(ended)) = world.store.attempt(open[0].0).await.unwrap() else {
            panic!("{hours} h: it has ended")
        };
        assert_eq!(ended.settlement.outcome, AttemptOutcome::Success);
        assert_eq!(ended.settlement.charged.get(), world.openai.invoice()[0].nano_usd);
        // Back again, and over its time: an attempt that has ended stays so.
        clock.set(0);
        assert_eq!(world.store.recover(clock.now()).await.unwrap(), Recovery::default());
        assert_eq!(world.store.open_attempts().await.unwrap(), []);
        assert_sound(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c7_a_request_belongs_to_the_window_that_it_reserved_in() {
    for hours in [25, -25] {
        let clock = Jumping::new();
        let mut world = world(&clock);
        let key = world.add_key(|key| key.budgets = vec!["usd=1 period=day".parse().unwrap()]);
        let mut answer = world.open(post(CHAT, &key, &body("pace:50 words:40", true))).await.into_body();
        assert!(answer.frame().await.is_some());
        clock.set(hours);
        // Another one, in the window of the other day, while the first runs.
        let other = read(world.open(post(CHAT, &key, &body("echo:Hi", false))).await).await;
        assert_eq!(other.status, 200);
        answer.collect().await.unwrap();
        world.pipeline.ledger().flush();
        let mut invoiced: Vec<_> = world.openai.invoice().iter().map(|line| (line.nano_usd, 0)).collect();
        invoiced.sort_unstable();
        assert_eq!(
            windows(&world).await,
            invoiced,
            "{hours} h: each in a window of its own, to the nano-dollar"
        );
        assert_sound(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c7_a_clock_that_goes_to_and_fro_gives_no_budget_twice() {
    let clock = Jumping::new();
    let mut world = world(&clock);
    // Room for one request, as in `budgets.rs`.
    let key = world.add_key(|key| key.budgets = vec!["usd=0.000044 period=day".parse().unwrap()]);
    let mut served = 0;
    for _ in 0..3 {
        for hours in [0, 25, -25, 0, 25] {
            clock.set(hours);
            served += usize::from(ask(&world, &key).await.status == 200);
        }
    }
    world.pipeline.ledger().flush();
    assert_eq!(served, 3, "three days were seen, each of them several times");
    assert_eq!(windows(&world).await.len(), 3);
    assert!(windows(&world).await.iter().all(|(posted, pending)| *posted > 0 && *pending == 0));
    assert_sound(&world).await;
}

#[tokio::test(start_paused = true)]
async fn c7_limits_per_minute_go_by_the_clock_that_never_jumps() {
    let clock = Jumping::new();
    let mut world = world(&clock);
    let key = world.add_key(|key| key.limits = Limits { rpm: Some(1), ..Limits::NONE });
    assert_eq!(ask(&world, &key).await.status, 200);
    for hours in [25, -25, 0] {
        clock.set(hours);
        assert_eq!(ask(&world, &key).await.status, 429, "{hours} h: no minute has passed");
    }
    clock.set(-25);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(ask(&world, &key).await.status, 200, "and now one has");
}

#[tokio::test(start_paused = true)]
async fn c7_rows_that_are_older_than_the_row_before_them_keep_the_journal_sound() {
    let clock = Jumping::new();
    let world = world(&clock);
    for hours in [0, 25, -25, 3, -400, 400] {
        clock.set(hours);
        assert_eq!(ask(&world, &world.key).await.status, 200);
        world.store.seal(clock.now()).await.unwrap();
    }
    world.pipeline.ledger().flush();
    let rows = world.store.journal(0, 1_000).await.unwrap();
    let goes_back = rows.windows(2).filter(|two| two[1].entry.at < two[0].entry.at).count();
    assert!(goes_back >= 2 && rows.windows(2).all(|two| two[0].seq < two[1].seq), "{goes_back}");
    assert_sound(&world).await;
}
