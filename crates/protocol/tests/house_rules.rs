//! Wire objects are read by `Fields`, never by a derive that forgets what it does not know.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::Path;

#[test]
fn no_wire_object_is_derived() {
    for folder in ["src", "../translate/src"] {
        search(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    }
}

#[expect(clippy::disallowed_methods, reason = "the sources are what this test is about")]
fn search(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for banned in ["flatten]", "flatten)", "untagged", "Deserialize", "serde_json::Value"] {
            let found = text.lines().find(|line| line.contains(banned) && !line.contains(".flatten()"));
            assert!(found.is_none(), "{}: {}", path.display(), found.unwrap_or_default());
        }
    }
}
