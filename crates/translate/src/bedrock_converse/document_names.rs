//! Names of documents, as AWS demands them:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>.

use std::collections::BTreeSet;

/// The most characters of a name.
const LENGTH_MAX: usize = 200;

/// Gives each document of a request a name that is accepted and that no other has: a request with the
/// same name twice is refused.
#[derive(Debug, Default)]
pub(super) struct DocumentNames {
    given: BTreeSet<String>,
}

impl DocumentNames {
    /// The name for a document of that title. One without a title, or with nothing usable in it, is
    /// called `Document`.
    pub(super) fn name(&mut self, title: Option<&str>) -> String {
        let mut base = title.map(usable).unwrap_or_default();
        if base.is_empty() {
            base = "Document".to_owned();
        }
        let mut name = base.clone();
        let mut number = 2_u32;
        // The service does not say whether it looks at the case.
        while !self.given.insert(name.to_ascii_lowercase()) {
            let suffix = format!(" {number}");
            let kept: String = base.chars().take(LENGTH_MAX - suffix.len()).collect();
            name = kept.trim_end().to_owned() + &suffix;
            number = number.saturating_add(1);
        }
        name
    }
}

/// What of a title a name may have: letters and digits of ASCII, hyphens, parentheses, square brackets,
/// and single spaces.
fn usable(title: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']');
    let pieces = title.split(|c| !is_kept(c)).filter(|piece| !piece.is_empty());
    let name: String = pieces.collect::<Vec<_>>().join(" ").chars().take(LENGTH_MAX).collect();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn trap_names_of_documents_are_usable_and_unique() {
        let mut names = DocumentNames::default();
        for (title, name) in [
            (Some("report_v1.final.pdf"), "report v1 final pdf"),
            (Some("Report  v1 final pdf"), "Report v1 final pdf 2"),
            (Some("分期.pdf"), "pdf"),
            (Some("分期"), "Document"),
            (None, "Document 2"),
            (Some(""), "Document 3"),
            (Some("Q3 (draft) [a-b]"), "Q3 (draft) [a-b]"),
        ] {
            assert_eq!(names.name(title), name, "{title:?}");
        }
    }

    proptest! {
        #[test]
        fn every_title_gives_a_name_that_is_accepted(titles in prop::collection::vec("\\PC{0,5}|a{190,260}", 1..8)) {
            let mut names = DocumentNames::default();
            let mut seen = Vec::new();
            for title in &titles {
                let name = names.name(Some(title));
                prop_assert!((1..=LENGTH_MAX).contains(&name.len()));
                let is_legal = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
                prop_assert!(name.chars().all(is_legal) && !name.contains("  "));
                prop_assert!(!seen.contains(&name));
                // A name that is accepted stays, unless another document has it.
                let mut again = DocumentNames::default();
                prop_assert_eq!(&again.name(Some(&name)), &name);
                seen.push(name);
            }
        }
    }
}
