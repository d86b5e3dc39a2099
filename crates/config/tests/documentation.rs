//! `docs/configuration.md` describes every key that the parser knows, and no other.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod fixed;

use std::collections::BTreeSet;

use fixed::{Fixed, read};
use weighbridge_config::SECTIONS;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    std::fs::read_to_string(path).expect("docs/configuration.md is part of the repository")
}

/// Section and key of each row under a heading such as ``## `[server]` ``.
fn documented(page: &str) -> BTreeSet<(String, String)> {
    let mut section = None;
    let mut keys = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with('#') {
            section = line.split_once("`[").and_then(|(_, rest)| rest.split_once("]`")).map(|(name, _)| name);
        }
        if let (Some(section), Some(row)) = (section, line.strip_prefix("| `"))
            && let Some((key, _)) = row.split_once("` |")
        {
            keys.insert((section.to_owned(), key.to_owned()));
        }
    }
    keys
}

#[test]
fn every_known_key_is_documented_and_no_other() {
    let tables = SECTIONS.iter().filter(|section| !section.name.is_empty());
    let known: BTreeSet<(String, String)> = tables
        .flat_map(|section| section.keys.iter().map(|key| (section.name.to_owned(), key.name.to_owned())))
        .collect();
    assert_eq!(documented(&page()), known);
}

#[test]
fn every_section_has_its_heading() {
    let page = page();
    for key in SECTIONS[0].keys {
        let heading = [format!("## `[{}]`", key.name), format!("## `[{}.NAME]`", key.name)];
        assert!(heading.iter().any(|heading| page.contains(heading)), "{}", key.name);
    }
}

#[test]
fn the_examples_are_right() {
    let surroundings = Fixed {
        variables: &[
            ("OPENAI_API_KEY", "k"),
            ("AZURE_OPENAI_API_KEY", "k"),
            ("VERTEX_ACCESS_TOKEN", "k"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "k"),
        ],
        files: &[("/run/secrets/anthropic", "k"), ("/etc/wb/keys/openai-batch", "k")],
    };
    let page = page();
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        if let Err(error) = read(example, &surroundings) {
            panic!("{example}\n{error}");
        }
    }
}

#[test]
fn the_examples_of_credentials_are_right() {
    let surroundings = Fixed {
        variables: &[
            ("OPENAI_KEY_LARGE", "k"),
            ("OPENAI_KEY_SMALL", "k"),
            ("GEMINI_API_KEY", "k"),
            ("EXTERNAL_ID", "x"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "k"),
            ("TENANT", "t"),
            ("CLIENT", "c"),
            ("CLIENT_SECRET", "s"),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/run/token"),
        ],
        files: &[
            (
                "/run/secrets/gcp.json",
                r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#,
            ),
            (
                "/run/secrets/entra.pem",
                concat!(
                    include_str!("../../upstream/tests/loopback/credentials/keys/rsa.pem"),
                    include_str!("../../upstream/tests/loopback/credentials/keys/rsa.key")
                ),
            ),
        ],
    };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/credentials.md");
    let page = std::fs::read_to_string(path).expect("docs/credentials.md is part of the repository");
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        if let Err(error) = read(example, &surroundings) {
            panic!("{example}\n{error}");
        }
    }
}
