//! Who may use whom, kept by reading what cargo says about the workspace.
//!
//! The table below is the allow-list of `docs/architecture.md`. A crate uses the siblings that its
//! row names and no others; `gateway-bin` and `examples` wire and may use all. Tests may use what
//! they like: dev-dependencies are not part of the graph.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use Kind::{Moves, Pure};

/// Whether a crate decides or does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It decides: no I/O, clock, randomness or environment, however indirectly.
    Pure,
    /// It moves bytes, waits, or wires.
    Moves,
}

/// Directory under `crates/`, kind, and the siblings that it may use.
#[rustfmt::skip]
const CRATES: &[(&str, Kind, &[&str])] = &[
    ("units",        Pure,  &[]),
    ("transport",    Pure,  &["units"]),
    ("protocol",     Pure,  &["units"]),
    ("translate",    Pure,  &["units", "protocol"]),
    ("stream",       Pure,  &["units", "protocol", "translate"]),
    ("catalogue",    Pure,  &["units", "protocol"]),
    ("tokens",       Pure,  &["units"]),
    ("pricing",      Pure,  &["units"]),
    ("routing",      Pure,  &["units"]),
    ("ledger",       Pure,  &["units"]),
    ("access",       Pure,  &["units"]),
    ("cache",        Pure,  &["units", "translate", "stream"]),
    ("records",      Pure,  &["units"]),
    ("pipeline",     Moves, &["units", "transport", "protocol", "translate", "stream", "catalogue", "tokens",
                              "pricing", "routing", "ledger", "access", "cache", "records"]),
    ("upstream",     Moves, &["units", "transport", "catalogue", "access"]),
    ("config",       Moves, &["units", "access", "catalogue", "routing", "pricing", "pipeline", "protocol",
                              "transport", "upstream"]),
    ("store-sqlite", Moves, &["units", "ledger", "access", "cache", "records"]),
    ("store-postgres", Moves, &["units", "ledger", "access", "cache", "records"]),
    ("store-redis",  Moves, &["units", "ledger", "access", "cache", "records"]),
    ("telemetry",    Moves, &["units", "records"]),
    ("simulator",    Moves, &["units", "protocol", "transport"]),
    ("gateway",      Moves, &["units", "transport", "protocol", "translate", "stream", "catalogue", "tokens",
                              "pricing", "routing", "ledger", "access", "cache", "records", "pipeline", "telemetry",
                              "upstream"]),
    ("admin",        Moves, &["units", "transport", "protocol", "translate", "stream", "catalogue", "tokens",
                              "pricing", "routing", "ledger", "access", "cache", "records", "pipeline", "telemetry",
                              "upstream", "gateway", "config"]),
    ("bench",        Moves, &["simulator"]),
];

/// What a pure crate must not reach: runtimes, sockets, databases.
const IMPURE: &[&str] = &["tokio", "hyper", "mio", "rustls", "rusqlite", "redis"];

/// What must not be built at all: a second TLS provider, a second SQLite.
const BANNED: &[&str] = &["ring", "openssl-sys", "native-tls", "sqlx"];

/// Features that change how the whole build reads JSON.
const BANNED_FEATURES: &[(&str, &str)] =
    &[("serde_json", "arbitrary_precision"), ("rust_decimal", "serde-arbitrary-precision")];

const PREFIX: &str = "weighbridge-";

/// The packages of the build and who uses whom, dev-dependencies left out.
struct Graph {
    root: PathBuf,
    /// Names of packages by id.
    names: BTreeMap<String, String>,
    /// Ids of what a package uses, by its id.
    uses: BTreeMap<String, BTreeSet<String>>,
    /// Enabled features by package name.
    features: BTreeMap<String, BTreeSet<String>>,
    /// Ids of the workspace's packages, by the directory under `crates/`, if it is there.
    members: BTreeMap<String, String>,
}

impl Graph {
    fn read() -> Self {
        // Of this platform only: cargo has not fetched the packages of the others.
        let platform = host_platform();
        let filter = ["--filter-platform", platform.as_str()];
        let output = cargo(&[&["metadata", "--format-version", "1", "--offline"], &filter[..]].concat());
        let metadata: Value = serde_json::from_str(&output).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let root = PathBuf::from(text(&metadata["workspace_root"]));
        let (mut names, mut members) = (BTreeMap::new(), BTreeMap::new());
        for package in list(&metadata["packages"]) {
            names.insert(text(&package["id"]), text(&package["name"]));
            let folder = PathBuf::from(text(&package["manifest_path"])).parent().unwrap().to_owned();
            if let Ok(name) = folder.strip_prefix(root.join("crates")) {
                members.insert(name.to_str().unwrap().to_owned(), text(&package["id"]));
            }
        }
        let (mut uses, mut features) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for node in list(&metadata["resolve"]["nodes"]) {
            let is_built = |used: &&Value| list(&used["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            let used = list(&node["deps"]);
            let used = used.iter().filter(is_built).map(|used| text(&used["pkg"])).collect();
            uses.insert(text(&node["id"]), used);
            let name = names[&text(&node["id"])].clone();
            features.entry(name).or_default().extend(list(&node["features"]).iter().map(text));
        }
        Self { root, names, uses, features, members }
    }

    /// The siblings that a crate uses, by their directories.
    fn siblings(&self, id: &str) -> BTreeSet<&str> {
        self.uses[id].iter().filter_map(|used| self.names[used].strip_prefix(PREFIX)).collect()
    }

    /// Names of all packages that a crate reaches.
    fn reaches(&self, id: &str) -> BTreeSet<&str> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            for used in &self.uses[id] {
                if seen.insert(used.as_str()) {
                    open.push(used);
                }
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }

    fn pure(&self) -> impl Iterator<Item = (&'static str, &String)> {
        CRATES.iter().filter(|(_, kind, _)| *kind == Pure).map(|(name, ..)| (*name, &self.members[*name]))
    }
}

/// The target triple that tests run on, as the compiler tells it.
fn host_platform() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // A package that is nowhere in the lock file is "not found", which is as good as "not built".
    assert!(output.status.success() || said.contains("did not match any packages"), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_crate_has_a_row_and_every_row_a_crate() {
    let listed: BTreeSet<_> = CRATES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let graph = Graph::read();
    let present: BTreeSet<_> = graph.members.keys().cloned().collect();
    assert_eq!(present, listed);
    for (folder, id) in &graph.members {
        assert_eq!(graph.names[id], format!("{PREFIX}{folder}"), "the package is named after its directory");
    }
}

#[test]
fn a_crate_uses_only_the_siblings_of_its_row() {
    let graph = Graph::read();
    for (name, _, allowed) in CRATES {
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        let used = graph.siblings(&graph.members[*name]);
        let others: Vec<_> = used.difference(&allowed).collect();
        assert!(others.is_empty(), "`{name}` uses {others:?}, which its row does not allow");
    }
}

#[test]
fn a_row_allows_only_rows_above_it() {
    let mut above = BTreeSet::new();
    for (name, kind, allowed) in CRATES {
        for used in *allowed {
            assert!(above.contains(used), "`{name}` may not use `{used}`, which stands below it");
            let impure = CRATES.iter().any(|(other, other_kind, _)| other == used && *other_kind != Pure);
            assert!(*kind != Pure || !impure, "`{name}` is pure and may not use `{used}`, which is not");
        }
        above.insert(*name);
    }
}

#[test]
fn pure_crates_reach_no_runtime_no_socket_and_no_database() {
    let graph = Graph::read();
    for (name, id) in graph.pure() {
        let reached = graph.reaches(id);
        let impure: Vec<_> = IMPURE.iter().filter(|impure| reached.contains(**impure)).collect();
        assert!(impure.is_empty(), "`{name}` reaches {impure:?}: see `cargo tree -p {PREFIX}{name}`");
    }
    // The walk does find what is there.
    assert!(graph.reaches(&graph.members["gateway"]).contains("mio"));
}

#[test]
fn pure_crates_share_one_clippy_toml() {
    let graph = Graph::read();
    let read = |name: &str| {
        let path = graph.root.join("crates").join(name).join("clippy.toml");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let first = read("units");
    for (name, _) in graph.pure() {
        assert!(read(name) == first, "crates/{name}/clippy.toml differs from crates/units/clippy.toml");
    }
}

#[test]
fn banned_packages_are_not_built() {
    for banned in BANNED {
        let users = cargo(&["tree", "--workspace", "--offline", "-e", "normal,build", "-i", banned]);
        assert!(users.is_empty(), "{banned} is built:\n{users}");
    }
    assert!(!cargo(&["tree", "--workspace", "--offline", "-e", "normal,build", "-i", "rustls"]).is_empty());
}

#[test]
fn banned_features_are_off() {
    let graph = Graph::read();
    for (package, feature) in BANNED_FEATURES {
        assert!(!graph.features[*package].contains(*feature), "{package}/{feature} is on");
    }
}
