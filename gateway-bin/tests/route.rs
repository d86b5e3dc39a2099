//! `weighbridge route explain`: the built binary, a file and a request, and nothing is sent.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const FILE: &str = r#"
[storage]
url = "memory:"
[providers.openai]
api_keys = []
labels = { region = "us" }
[providers.claude]
preset = "anthropic"
api_keys = []
labels = { region = "eu" }
[models.assistant]
targets = ["openai/gpt-5"]
fallbacks = ["claude/claude-haiku-4-5"]
aliases = ["helper"]
rules = [
  { name = "pictures", when = { images = true }, refuse = "No pictures here." },
  { name = "easy", when = { difficulty_below = 400 }, use = "small" },
]
[models.small]
targets = ["openai/gpt-4o-mini"]
"#;

fn explain(folder: &Path, arguments: &[&str], body: &Value) -> Output {
    let file = folder.join("weighbridge.toml");
    std::fs::write(&file, FILE).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weighbridge"));
    command.env_clear().current_dir(folder).args(["route", "explain", "--config"]).arg(&file).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn asked(text: &str) -> Value {
    json!({"model": "helper", "messages": [{"role": "user", "content": text}]})
}

fn read(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn it_tells_the_rule_the_guess_the_order_and_who_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let easy = explain(folder.path(), &["--json"], &asked("What is the capital of Peru?"));
    let told = read(&easy);
    assert_eq!(easy.status.code(), Some(0));
    assert_eq!(
        [&told["model"], &told["served_as"], &told["rules"][0]["rule"]],
        ["assistant", "small", "easy"]
    );
    assert_eq!(told["order"], json!([{"target": "openai/gpt-4o-mini", "fallback": false}]));

    let hard = asked("Prove that every bounded sequence has a convergent subsequence.");
    let told = read(&explain(folder.path(), &["--json"], &hard));
    assert_eq!((&told["served_as"], told["order"].as_array().map(Vec::len)), (&json!("assistant"), Some(2)));
    assert!(told["rules"][0]["difficulty"].as_u64().unwrap() >= 400);

    let bound = explain(folder.path(), &["-H", "x-gateway-require: region=eu"], &hard);
    let text = String::from_utf8(bound.stdout).unwrap();
    assert!(text.contains("left out     openai/gpt-5: residency"), "{text}");
    assert!(text.contains("1          claude/claude-haiku-4-5, a fallback"), "{text}");
    assert!(text.contains("none of assistant matches (difficulty"), "{text}");
}

#[test]
fn what_would_be_refused_or_cannot_be_read_has_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let picture = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
    let body = json!({"model": "helper", "messages": [{"role": "user", "content": picture}]});
    let refused = explain(folder.path(), &["--json"], &body);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(read(&refused)["refused"], json!({"status": 403, "message": "No pictures here."}));
    assert_eq!(read(&refused)["needs"], json!(["images"]));

    let nowhere = explain(folder.path(), &["-H", "x-gateway-require: region=mars"], &asked("hi"));
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&nowhere.stdout).contains("refused      403:"));

    for (arguments, body) in
        [(&[][..], json!({"messages": []})), (&["-H", "x-gateway-require: eu"], asked("hi"))]
    {
        assert_eq!(explain(folder.path(), arguments, &body).status.code(), Some(1));
    }
}
