//! The scripts against the cells of `weighbridge-access`, step by step under a clock that the test moves.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use redis::{Connection, Script, cmd};
use weighbridge_access::{RateCell, Take};
use weighbridge_units::Monotonic;

use crate::keys;
use crate::server;

const WINDOW: u64 = 60_000_000_000;
const CELL: &str = "{weighbridge}:rates:key:a";

/// The scripts as they are, but for the clock.
struct Bench {
    connection: Connection,
    take: Script,
    settle: Script,
    now: u64,
}

impl Bench {
    fn new(mut connection: Connection) -> Self {
        let clock = "{redis.call('GET', 'seconds'), redis.call('GET', 'micros')}";
        let text = include_str!("lua/cells.lua");
        let cells = text.replace("redis.call('TIME')", clock);
        assert_ne!(cells, text);
        let script = |body: &str| Script::new(&format!("{cells}\n{body}"));
        cmd("FLUSHALL").exec(&mut connection).unwrap();
        cmd("HSET").arg(keys::STATE).arg("era").arg(7).exec(&mut connection).unwrap();
        cmd("ZADD").arg(keys::LIVING).arg(0).arg(9).exec(&mut connection).unwrap();
        let (take, settle) = (script(include_str!("lua/take.lua")), script(include_str!("lua/settle.lua")));
        let mut bench = Self { connection, take, settle, now: 1_790_000_000_000_000 };
        bench.pass(0);
        bench
    }

    fn pass(&mut self, micros: u64) {
        self.now += micros;
        for (key, value) in [("seconds", self.now / 1_000_000), ("micros", self.now % 1_000_000)] {
            cmd("SET").arg(key).arg(value).exec(&mut self.connection).unwrap();
        }
    }

    fn now(&self) -> Monotonic {
        Monotonic::from_micros(self.now)
    }

    /// Takes an interval: when it ends, in nanoseconds, or what is ahead.
    fn take(&mut self, length: u64) -> Result<u64, u64> {
        let mut script = self.take.prepare_invoke();
        script.key(keys::STATE).key(keys::LIVING).key(CELL);
        let answer: Vec<u64> =
            script.arg(7).arg(9).arg(3).arg("r").arg(length).arg("").invoke(&mut self.connection).unwrap();
        match answer[..] {
            [1, now, _, ahead] => Ok(now * 1_000 + ahead),
            [0, _, _, 0, ahead] => Err(ahead),
            _ => panic!("{answer:?}"),
        }
    }

    fn settle(&mut self, what: &str, length: u64, until: u64) -> u64 {
        let mut script = self.settle.prepare_invoke();
        script.key(keys::STATE).key(CELL).arg(7).arg(2).arg(what).arg("r").arg(length);
        let answer: Vec<u64> =
            script.arg(until / 1_000).arg(until % 1_000).invoke(&mut self.connection).unwrap();
        answer[2]
    }
}

fn bench() -> Option<&'static Mutex<(Bench, server::Server)>> {
    static BENCH: std::sync::OnceLock<Option<Mutex<(Bench, server::Server)>>> = std::sync::OnceLock::new();
    BENCH
        .get_or_init(|| {
            let server = server::own()?;
            Some(Mutex::new((Bench::new(server.connection().unwrap()), server)))
        })
        .as_ref()
}

/// What a step does.
#[derive(Debug, Clone)]
enum Step {
    Take(u64),
    GiveBack(usize),
    Correct(usize, u64),
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let what = prop_oneof![
        3 => (0_u64..400).prop_map(Step::Take),
        1 => any::<usize>().prop_map(Step::GiveBack),
        2 => (any::<usize>(), 0_u64..900).prop_map(|(which, units)| Step::Correct(which, units)),
    ];
    (prop_oneof![Just(0), 0_u64..2_000_000, 0_u64..70_000_000], what)
}

proptest! {
    /// The scripts admit what a cell admits, and have as much ahead after each step, to the nanosecond.
    #[test]
    fn r8_scripts_count_as_cells_do(
        limit in prop_oneof![1_u64..1_000, 1_000_u64..10_000_000],
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let Some(bench) = bench() else { return Ok(()) };
        let mut guard = bench.lock().unwrap_or_else(PoisonError::into_inner);
        let bench = &mut guard.0;
        cmd("DEL").arg(CELL).exec(&mut bench.connection).unwrap();
        let cell = RateCell::new(limit);
        let length = |units: u64| u64::try_from(u128::from(units) * u128::from(WINDOW) / u128::from(limit)).unwrap();
        let mut held: Vec<(Take, u64, u64)> = Vec::new();
        for (pause, step) in steps {
            bench.pass(pause);
            let now = bench.now();
            let mut pick = |which: usize| {
                (!held.is_empty()).then(|| { let at = which % held.len(); held.swap_remove(at) })
            };
            match step {
                Step::Take(units) => match (bench.take(length(units)), cell.take(units, now)) {
                    (Ok(until), Ok(take)) => {
                        prop_assert_eq!(until - bench.now * 1_000, cell.own_ahead(now));
                        held.push((take, units, until));
                    }
                    (Err(ahead), Err(wait)) => {
                        prop_assert_eq!(ahead, cell.own_ahead(now));
                        let length = length(units);
                        let expected = if length > WINDOW { ahead } else { ahead + length - WINDOW };
                        prop_assert_eq!(wait, Duration::from_nanos(expected));
                    }
                    (script, cell) => prop_assert!(false, "the script says {:?}, the cell {:?}", script, cell),
                },
                Step::GiveBack(which) => {
                    let Some((take, units, until)) = pick(which) else { continue };
                    let ahead = bench.settle("u", length(units), until);
                    cell.give_back(take, now);
                    prop_assert_eq!(ahead, cell.own_ahead(now));
                }
                Step::Correct(which, truth) => {
                    let Some((take, units, until)) = pick(which) else { continue };
                    let (taken, used) = (length(units), length(truth));
                    let ahead = match used.checked_sub(taken) {
                        None => bench.settle("u", taken - used, until),
                        Some(more) => bench.settle("o", more, 0),
                    };
                    cell.correct(take, truth, now);
                    prop_assert_eq!(ahead, cell.own_ahead(now));
                }
            }
        }
    }
}

#[test]
fn c7_a_clock_that_is_set_back_neither_refills_nor_stops_a_cell() {
    let Some(server) = server::own() else { return };
    let mut bench = Bench::new(server.connection().unwrap());
    assert!(bench.take(WINDOW).is_ok());
    bench.now -= 25 * 3_600 * 1_000_000;
    bench.pass(0);
    assert_eq!(bench.take(1), Err(WINDOW), "nothing is refilled");
    bench.pass(30_000_000);
    assert_eq!(bench.take(WINDOW), Err(WINDOW / 2), "and it drains on");
    assert!(bench.take(WINDOW / 2).is_ok());
}
