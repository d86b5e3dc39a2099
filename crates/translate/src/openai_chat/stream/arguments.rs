/// How far the JSON text of a tool call's arguments has come.
///
/// Chat Completions does not say when a call is whole. A complete JSON value is the sign: nothing
/// sensible can follow it, so the call may be closed as soon as another part begins.
#[derive(Debug, Clone, Default)]
pub(super) struct ArgumentsProgress {
    depth: u32,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl ArgumentsProgress {
    /// Reads the next fragment; each byte is looked at once.
    pub(super) fn feed(&mut self, fragment: &str) {
        let mut rest = fragment.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if self.escaped {
                self.escaped = false;
                rest = after;
            } else if self.in_string {
                let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else { return };
                self.escaped = rest.get(at) == Some(&b'\\');
                self.in_string = self.escaped;
                rest = rest.get(at + 1..).unwrap_or_default();
            } else {
                match first {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                    b'}' | b']' => {
                        self.depth = self.depth.saturating_sub(1);
                        self.complete |= self.depth == 0;
                    }
                    _ => {}
                }
                rest = after;
            }
        }
    }

    /// Whether an object or array has been opened and closed again.
    pub(super) fn is_complete(&self) -> bool {
        self.complete && self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(fragments: &[&str]) -> bool {
        let mut progress = ArgumentsProgress::default();
        fragments.iter().for_each(|fragment| progress.feed(fragment));
        progress.is_complete()
    }

    #[test]
    fn an_object_is_complete_at_its_last_bracket() {
        assert!(after(&["{}"]));
        assert!(after(&["{\"a", "\":\"}\\", "\"}\"", "}"]));
        assert!(!after(&["{\"a\":\"}"]));
        assert!(!after(&["{\"a\":\"\\", "\"}"]));
        assert!(!after(&[]));
        assert!(!after(&["{\"a\":[{}]"]));
    }

    proptest! {
        #[test]
        fn how_it_is_cut_does_not_matter(text in r#"[\[\]{}"\\a ]{0,24}"#, cut in 0_usize..24) {
            let cut = cut.min(text.len());
            prop_assert_eq!(after(&[&text]), after(&[&text[..cut], &text[cut..]]));
        }
    }
}
