//! `weighbridge ledger`: the built binary over a store of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PAID: &str = "019a0000-0000-7000-8000-000000000001";

/// Runs `weighbridge ledger` in a folder, where it keeps its data.
fn ledger(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weighbridge"));
    command.env_clear().env("OPENAI_API_KEY", "none").current_dir(folder);
    command.arg("ledger").args(arguments).output().unwrap()
}

#[track_caller]
fn written(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn l4_l6_a_wallet_is_topped_up_spent_back_and_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| ledger(folder.path(), arguments);
    let of = ["--tenant", "acme", "--reason", "invoice, no. 17"];
    let act = |act: &str, more: &[&str]| run(&[&[act][..], &of, more].concat());
    for _ in 0..2 {
        let paid = act("fund", &["--amount-usd", "25", "--id", PAID]);
        assert_eq!(
            written(&paid, 0),
            format!("top-up {PAID}: acme owes -25.000000000 USD in the platform book\n")
        );
    }
    written(&act("fund", &["--amount-usd", "26", "--id", PAID]), 1);
    written(&act("credit", &["--amount-usd", "5"]), 0);
    written(&act("adjust", &["--amount-usd", "-0.5"]), 0);
    written(&act("refund", &["--amount-usd", "20", "--of", PAID]), 0);
    let refused = act("refund", &["--amount-usd", "6", "--of", PAID]);
    written(&refused, 1);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("only 5.000000000 USD of the original are left")
    );

    let wallets: Value =
        serde_json::from_str(&written(&run(&["balance", "--tenant", "acme", "--json"]), 0)).unwrap();
    assert_eq!(wallets[0]["owed_usd"], "-9.500000000");
    assert!(written(&run(&["verify"]), 0).starts_with("sound"));

    let period = ["statement", "--tenant", "acme", "--from", "2000-01-01", "--to", "2999-01-01"];
    let text = written(&run(&period), 0);
    assert!(text.contains("owed at the end") && text.contains("-9.500000000"), "{text}");
    let csv = written(&run(&[&period[..], &["--format", "csv"]].concat()), 0);
    assert_eq!(csv.lines().count(), 1 + 2 + 4, "{csv}");
    assert!(csv.contains("top-up,\"invoice, no. 17\",019a0000"), "{csv}");
    let json: Value =
        serde_json::from_str(&written(&run(&[&period[..], &["--format", "json"]].concat()), 0)).unwrap();
    assert_eq!(json["books"][0]["closing_usd"], "-9.500000000");

    let rows = written(&run(&["export", "--format", "json"]), 0);
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let funded: Vec<_> = rows.iter().filter(|row| row["fact"] == "funded").collect();
    assert_eq!(funded.len(), 4);
    assert_eq!((&funded[3]["of"], &funded[3]["actor"]), (&PAID.into(), &"command line".into()));
    let csv = written(&run(&["export", "--format", "csv"]), 0);
    assert!(csv.lines().all(|line| line.matches(',').count() >= 23), "{csv}");
}

#[test]
fn a1_reconciling_says_by_its_exit_code_whether_it_balanced() {
    let folder = tempfile::tempdir().unwrap();
    let run = |page: &str| {
        std::fs::write(folder.path().join("export.json"), page).unwrap();
        ledger(folder.path(), &["reconcile", "--provider", "openai", "--file", "export.json"])
    };
    let page = |results: &str| {
        format!(r#"{{"data":[{{"start_time":0,"end_time":86400,"results":[{results}]}}],"has_more":false}}"#)
    };
    assert!(written(&run(&page("")), 0).starts_with("OF "));
    let unknown = r#"{"input_tokens":5,"output_tokens":1,"model":"gpt-4o-mini"}"#;
    let told = written(&run(&page(unknown)), 1);
    assert!(told.contains("1970-01-01 gpt-4o-mini") && told.contains("MISSING in the ledger"), "{told}");
    assert!(told.ends_with(
        "NOT balanced: 0 equal, 0 estimated, 0 different, 2 missing in the ledger, 0 missing in the export\n"
    ));
    written(&run("not JSON"), 1);
}
