//! `docs/rules.md`: which test proves which rule. The page is made from the names of the tests, so that it cannot
//! promise a test that is gone. After a change that is meant,
//! `WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-bench --test rules` writes it anew.
//!
//! A test is named after what it proves: `r3_…`, `c1_c2_…`. Those that are named otherwise stand in the table here, and
//! each of them must be there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may, as tests may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Rule, what must hold in short, and tests that are not named after it.
const RULES: &[(&str, &str, &[&str])] = &[
    ("M1", "No float touches money; numbers are read as exact decimal text", &[]),
    ("M2", "A rate times a count is exact, within checked bounds", &[]),
    ("M3", "A cost is rounded once, half to even; items and rounding add up", &[]),
    ("M4", "Nano-dollars never wrap: what would overflow is refused", &[]),
    ("M5", "Usage is in disjoint buckets that add up; contradictions are flagged", &[]),
    ("M6", "Cost never falls when a bucket grows; tiers are right at their thresholds", &[]),
    ("M7", "Missing is not zero", &["an_unpriced_model_is_refused_before_dispatch"]),
    (
        "L1",
        "Each book adds up to zero, posted and pending",
        &["l_and_r_rules_hold_on_sqlite", "l_and_r_rules_hold_on_postgres"],
    ),
    ("L2", "No transfer joins two books; each has chains of its own", &[]),
    ("L3", "A balance is the fold of an append-only log", &[]),
    ("L4", "The same id and payload take effect once; another payload is a conflict", &[]),
    ("L5", "Used, reserved and available add up to the limit; roll-ups to their rows", &[]),
    ("L6", "Refunds name their original and never exceed it", &[]),
    (
        "R1",
        "Whatever is sent has an earlier committed reservation",
        &["test_c4_a_disk_that_cannot_be_written_and_then_can"],
    ),
    (
        "R2",
        "A reservation ends exactly once, and never under a running attempt",
        &["c2_an_attempt_whose_process_lives_is_never_recovered"],
    ),
    ("R3", "Posted and pending stay within each limit, under any concurrency", &["test_a_budget_holds"]),
    ("R4", "The reservation covers the worst that an attempt can cost", &[]),
    ("R5", "What was used beyond the reservation is posted in full", &[]),
    ("R6", "With no request in flight, nothing is pending", &[]),
    (
        "R7",
        "Usage after a crash entry replaces it, once",
        &["c6_a_writer_that_was_declared_dead_is_told_once_and_its_ends_come_late"],
    ),
    ("R8", "Limits are taken once and released once on every path", &[]),
    ("R9", "Each further target is checked again; budgets and guards never trigger failover", &[]),
    (
        "A1",
        "Ledger = invoice",
        &[
            "test_under_load_with_faults_and_clients_that_leave",
            "test_ledger_and_invoice_agree_over_all_vendors",
            "every_pair_answers_and_is_billed_as_invoiced",
        ],
    ),
    (
        "A2",
        "The charge is a function of the outcome",
        &["a_broken_stream_never_ends_well_and_is_settled_with_what_was_metered"],
    ),
    ("A3", "A hit of the gateway's cache makes no attempt and costs nothing", &[]),
    ("A4", "The surcharge is due where an attempt succeeded or the client left", &[]),
    (
        "A5",
        "A stream costs what the same answer costs unstreamed",
        &["missing_usage_is_estimated_and_running_usage_counts_once"],
    ),
    ("C1", "After `kill -9` anywhere and a restart, all of this holds", &[]),
    ("C2", "Recovery is idempotent, survives being killed, and is quick", &[]),
    ("C3", "Nothing leaves a queue before its commit is confirmed", &[]),
    ("C4", "A store that cannot be written stops new dispatches and nothing else", &[]),
    ("C5", "Redis is never the record of money", &[]),
    ("C6", "Instances share budgets; the dead are found, and the stale commit nothing", &[]),
    ("C7", "Jumps of the wall clock move no money and no window", &[]),
    (
        "C8",
        "SIGTERM: streams drain, everything is committed, exit 0",
        &["test_sigterm_lets_streams_finish_and_settles", "test_sigterm_waits_for_drained_answers"],
    ),
    (
        "P1",
        "An attempt is priced by the book pinned at its dispatch",
        &["test_an_update_is_in_force_at_once_and_changes_no_past"],
    ),
    ("P2", "A price update is whole, checked, and revertible", &[]),
    ("K1", "Rotating a key disturbs no running request", &[]),
    (
        "K2",
        "Revoking and lowering bind everywhere within a second",
        &["test_a_revoked_key_is_refused_within_a_second"],
    ),
    ("K3", "Rotation changes no upstream body and no scope", &[]),
    ("Q1", "Usage is answered quickly, and a settled request is visible", &[]),
];

const HEAD: &str = "# Which test proves which rule\n\n\
    Made by `crates/bench/tests/rules.rs` from the tests' names; do not edit. A test may prove several rules. Tests in `e2e` run the \
    built binary against the simulated providers; those whose file ends in `faults.rs` kill processes and servers. \
    Where a rule has no test, the page says so.\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder with this ending.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            true if name != "target" && !name.starts_with('.') => files(&path, ending, found),
            false if name.ends_with(ending) => found.push(path),
            _ => {}
        }
    }
}

/// The name of the function that a line begins, if it begins one.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    let rest = line.strip_prefix("fn ").or_else(|| line.strip_prefix("def "))?;
    rest.split(['(', '<', ' ']).next()
}

/// The rules that a name begins with.
fn rules(name: &str) -> impl Iterator<Item = String> {
    let name = name.strip_prefix("test_").unwrap_or(name);
    name.split('_').map_while(|part| {
        let part = part.to_ascii_uppercase();
        RULES.iter().any(|(rule, ..)| *rule == part).then_some(part)
    })
}

/// All functions by name, with the files that they are in.
fn functions() -> BTreeMap<String, BTreeSet<String>> {
    let (root, mut found) = (root(), Vec::new());
    for (folder, ending) in [("crates", ".rs"), ("gateway-bin", ".rs"), ("e2e", ".py")] {
        files(&root.join(folder), ending, &mut found);
    }
    let mut functions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in found {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        for name in fs::read_to_string(&path).unwrap().lines().filter_map(function) {
            functions.entry(name.to_owned()).or_default().insert(file.clone());
        }
    }
    functions
}

fn page() -> String {
    let functions = functions();
    let mut page = HEAD.to_owned();
    let mut without = Vec::new();
    for (rule, what, others) in RULES {
        // By file: a name may be a test of several.
        let mut tests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, places) in &functions {
            if rules(name).any(|named| named == *rule) || others.contains(&name.as_str()) {
                places.iter().for_each(|file| {
                    tests.entry(file).or_default().insert(name);
                });
            }
        }
        for other in *others {
            assert!(functions.contains_key(*other), "{rule}: there is no test `{other}`");
        }
        write!(page, "\n**{rule}** {what}.\n\n").unwrap();
        if tests.is_empty() {
            without.push(*rule);
            page.push_str("- no test\n");
        }
        for (file, names) in tests {
            let names: Vec<_> = names.into_iter().collect();
            writeln!(page, "- `{file}`: {}", names.join(", ")).unwrap();
        }
    }
    let without = if without.is_empty() { "none".to_owned() } else { without.join(", ") };
    write!(page, "\nRules without a test: {without}.\n").unwrap();
    page
}

#[test]
fn the_page_of_rules_is_what_the_tests_are() {
    let path = root().join("docs/rules.md");
    let page = page();
    if std::env::var_os("WEIGHBRIDGE_REWRITE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    if let Some((was, is)) = written.lines().zip(page.lines()).find(|(was, is)| was != is) {
        panic!("docs/rules.md says `{was}`, and must say `{is}`: WEIGHBRIDGE_REWRITE=1 writes it anew");
    }
    assert!(written == page, "docs/rules.md has other lines: WEIGHBRIDGE_REWRITE=1 writes it anew");
}

#[test]
fn names_are_read_as_they_are_meant() {
    let of = |name: &str| rules(name).collect::<Vec<_>>();
    assert_eq!(of("test_c1_c2_killed_there"), ["C1", "C2"]);
    assert_eq!(of("m2_r4_a_variant"), ["M2", "R4"]);
    assert_eq!(of("a_price_m1"), [""; 0]);
    assert_eq!(of("x9_strange"), [""; 0]);
    assert_eq!(function("    async fn r8_x("), Some("r8_x"));
    assert_eq!(function("def test_c4_y(gateway: Gateway) -> None:"), Some("test_c4_y"));
    assert_eq!(function("let fn_x = 1;"), None);
}

/// Every failpoint is reached somewhere in the way of money, and nowhere else than where it says.
#[test]
fn every_failpoint_is_reached() {
    let root = root();
    let declared = fs::read_to_string(root.join("crates/units/src/failpoint.rs")).unwrap();
    let variants = declared.lines().filter_map(|line| {
        let (variant, name) = line.trim().split_once(" = \"")?;
        Some((variant, name.strip_suffix("\",")?.split_once('.')?.0))
    });
    let mut seen = 0;
    for (variant, whose) in variants {
        let folder = match whose {
            "sqlite" => "crates/store-sqlite/src",
            "postgres" => "crates/store-postgres/src",
            _ => "crates/pipeline/src",
        };
        let mut found = Vec::new();
        files(&root.join(folder), ".rs", &mut found);
        let reached = found.iter().any(|path| {
            let text = fs::read_to_string(path).unwrap();
            ["pass(Failpoint::", "reach(Failpoint::"]
                .iter()
                .any(|at| text.contains(&format!("{at}{variant})")))
        });
        assert!(reached, "{variant} is never reached in {folder}");
        seen += 1;
    }
    assert!(seen > 20, "{seen} failpoints");
}
