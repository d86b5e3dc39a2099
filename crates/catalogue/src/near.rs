/// At most this many names are suggested.
const SUGGESTIONS_MAX: usize = 3;

/// Longer names are not compared: a hint is not worth the time.
const LENGTH_MAX: usize = 128;

/// The candidates that `name` is probably a misspelling of, nearest first, at most three.
///
/// Case and separators do not count (`Claude.Haiku_4.5` is `claude-haiku-4-5`). Otherwise a name is
/// near if at most a third of its characters must be inserted, left out, replaced, or swapped with
/// their neighbour, or if it goes on where `name` ends (`gpt-4o-mini` for `gpt-4o`). A provider in
/// front of a candidate is not compared where `name` has none (`openai/gpt-4o` for `gpt-4o`).
///
/// ```
/// use weighbridge_catalogue::near;
///
/// assert_eq!(near("gtp-4o", ["gpt-4o-mini", "openai/gpt-4o", "o3"]), ["openai/gpt-4o"]);
/// assert!(near("llama-3", ["gpt-4o", "o3"]).is_empty());
/// ```
pub fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = plain(name);
    let without_provider = |candidate: &'a str| match candidate.rsplit_once('/') {
        Some((_, model)) if !name.contains('/') => model,
        _ => candidate,
    };
    if wanted.is_empty() || name.len() > LENGTH_MAX {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LENGTH_MAX)
        .filter_map(|candidate| {
            Some((distance_if_near(&wanted, &plain(without_provider(candidate)))?, candidate))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(SUGGESTIONS_MAX).map(|(_, candidate)| candidate).collect()
}

/// Lower case, without what separates the parts of a name.
fn plain(name: &str) -> Vec<char> {
    name.chars().filter(|c| c.is_alphanumeric() || *c == '/').flat_map(char::to_lowercase).collect()
}

fn distance_if_near(wanted: &[char], candidate: &[char]) -> Option<usize> {
    let distance = edits(wanted, candidate);
    let goes_on = wanted.len() >= 3 && candidate.starts_with(wanted);
    (distance * 3 <= wanted.len().max(candidate.len()) || goes_on).then_some(distance)
}

/// How many insertions, omissions, replacements and swaps of neighbours lie between two names.
fn edits(from: &[char], to: &[char]) -> usize {
    // Three rows of the table suffice: the row before the last is for swaps.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, &c) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut left = row + 1;
        let mut behind = None;
        for (column, &d) in to.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(c != d);
            left = replaced.min(left + 1).min(at(&last, column + 1) + 1);
            if previous == Some(d) && behind == Some(c) {
                left = left.min(at(&before, column - 1) + 1);
            }
            current.push(left);
            behind = Some(d);
        }
        before = std::mem::replace(&mut last, current);
        previous = Some(c);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distance(from: &str, to: &str) -> usize {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        edits(&chars(from), &chars(to))
    }

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "acb", 1),
            ("ab", "ba", 1),
            ("abcd", "badc", 2),
            ("kitten", "sitting", 3),
            ("gtp", "gpt", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn misspellings_are_recognised() {
        let known: Vec<&str> =
            crate::models("openai").chain(crate::models("anthropic")).map(|m| m.id).collect();
        for (asked, meant) in [
            ("gpt4o-mini", "gpt-4o-mini"),
            ("GPT-4O", "gpt-4o"),
            ("claude-haiku-4.5", "claude-haiku-4-5"),
            ("claude_opus_4_5", "claude-opus-4-5"),
            ("claude-sonet-4-5", "claude-sonnet-4-5"),
            ("o4mini", "o4-mini"),
        ] {
            assert_eq!(near(asked, known.iter().copied()).first(), Some(&meant), "{asked}");
        }
        assert!(near("gpt-4o-min", known.iter().copied()).len() <= SUGGESTIONS_MAX);
        for far in ["", "-", "x", "completely-different-model"] {
            assert!(near(far, known.iter().copied()).is_empty(), "{far}");
        }
        assert!(near(&"a".repeat(10_000), ["a"]).is_empty());
    }

    proptest! {
        #[test]
        fn edits_are_a_metric(a in "[ab-c]{0,8}", b in "[ab-c]{0,8}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
            prop_assert!(distance(&a, &b) >= a.len().abs_diff(b.len()));
        }

        #[test]
        fn a_name_is_nearest_to_itself(name in "[a-z0-9]{1,12}(-[a-z0-9]{1,6}){0,3}", others in prop::collection::vec("[a-z0-9-]{0,16}", 0..6)) {
            let candidates = others.iter().map(String::as_str).chain([name.as_str()]);
            let found = near(&name, candidates);
            prop_assert!(found.iter().any(|found| plain(found) == plain(&name)));
            prop_assert!(found.len() <= SUGGESTIONS_MAX);
        }

        #[test]
        fn one_slip_is_near(name in "[a-z]{3,6}-[0-9][a-z]", at in 0..6_usize) {
            let mut slipped: Vec<char> = name.chars().collect();
            let at = at % (slipped.len() - 1);
            slipped.swap(at, at + 1);
            let slipped: String = slipped.into_iter().collect();
            prop_assert_eq!(near(&slipped, [name.as_str()]), [name.as_str()]);
        }
    }
}
