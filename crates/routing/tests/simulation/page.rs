//! The tables of `docs/routing.md` that are made by tests, each between two comments.

use std::path::Path;
use std::sync::Mutex;

/// Tests run side by side, and the page is one.
static PAGE: Mutex<()> = Mutex::new(());

/// Compares a table with the one of the page, or writes it there where that was asked for.
#[expect(clippy::disallowed_methods, reason = "the page is a file")]
pub(crate) fn hold(name: &str, table: &str) {
    let _page = PAGE.lock().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/routing.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}: written by a test -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = page.split_once(&begin).unwrap();
    let (held, behind) = rest.split_once(&end).unwrap();
    if std::env::var_os("WEIGHBRIDGE_REWRITE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{behind}")).unwrap();
        return;
    }
    assert!(
        held == table,
        "docs/routing.md says\n{held}and must say\n{table}If the change is meant: WEIGHBRIDGE_REWRITE=1 writes it anew"
    );
}
