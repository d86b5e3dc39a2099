//! What the pages about translation say of the code is so.

use std::path::{Path, PathBuf};

const ADDING: &str = include_str!("../../../../docs/adding-a-protocol.md");
const TRANSLATION: &str = include_str!("../../../../docs/translation.md");
const ADAPTER: &str = include_str!("../../src/adapter.rs");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands between backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "pages are files")]
fn every_path_on_the_pages_is_there() {
    let mut seen = 0;
    for page in [ADDING, TRANSLATION] {
        let paths =
            quoted(page).filter(|text| ["crates/", "fuzz/", "docs/"].iter().any(|at| text.starts_with(at)));
        // The protocol made up for the page is not.
        for path in paths.filter(|path| !path.ends_with("/parrot")) {
            let path = path.strip_suffix("/<feature>").unwrap_or(path);
            assert!(root().join(path).exists(), "{path} is not there");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} paths");
    for page in [ADDING, TRANSLATION] {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (page, place) = link.split_once('#').unwrap_or((link, ""));
            let path = root().join("docs").join(page);
            assert!(path.exists(), "{link} is not there");
            let text = std::fs::read_to_string(path).unwrap();
            let headings = text.lines().filter(|line| line.starts_with('#'));
            let mut places =
                headings.map(|line| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-"));
            assert!(place.is_empty() || places.any(|known| known == place), "{link} is not there");
        }
    }
}

#[test]
fn the_page_names_all_that_an_adapter_does() {
    let of_trait = ADAPTER.split("pub trait Adapter").nth(1).unwrap().split("\n}\n").next().unwrap();
    let methods: Vec<&str> =
        of_trait.split("\n    fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap()).collect();
    assert!(methods.len() > 10);
    let table = ADDING.split("| method | what it must do |").nth(1).unwrap().split("\n\n").next().unwrap();
    let told: Vec<&str> = table.lines().filter_map(|line| line.split('|').nth(1)).flat_map(quoted).collect();
    let untold: Vec<&&str> = methods.iter().filter(|method| !told.contains(method)).collect();
    assert!(untold.is_empty(), "the page does not name {untold:?}");
}
