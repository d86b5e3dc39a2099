//! A prompt with marks up to which it is to be cached, as Anthropic's models have them.

use crate::ask::Prompt;
use crate::prefix_cache::PrefixCache;
use crate::scatter::fnv1a;

/// Counts a prompt, block by block.
pub(crate) struct MarkedPrompt {
    tokens: u64,
    /// Everything so far, as text.
    seen: String,
    marks: Vec<Mark>,
}

/// A place up to which the prompt is to be cached.
struct Mark {
    /// Prompt tokens up to here.
    tokens: u64,
    /// Of everything up to here.
    hash: u64,
    one_hour: bool,
}

impl MarkedPrompt {
    /// The beginning of a prompt for that model.
    pub(crate) fn new(model: &str) -> Self {
        Self { tokens: 0, seen: model.to_owned(), marks: Vec::new() }
    }

    /// A block of so many tokens.
    pub(crate) fn add(&mut self, text: &str, tokens: u64) {
        self.tokens += tokens;
        self.seen.push_str(text);
    }

    /// Everything so far is to be cached.
    pub(crate) fn mark(&mut self, one_hour: bool) {
        self.marks.push(Mark { tokens: self.tokens, hash: fnv1a(self.seen.as_bytes()), one_hour });
    }

    /// What lies before the last mark that an earlier request left is read from the cache; what lies
    /// between it and the last mark is written, each stretch for its mark's lifetime. (The real APIs
    /// have a smallest size for this; here there is none.)
    pub(crate) fn finish(self, cache: &PrefixCache) -> Prompt {
        let known = self.marks.iter().rposition(|mark| cache.has(mark.hash));
        let mut prompt = Prompt::default();
        let mut reached = 0;
        for (place, mark) in self.marks.iter().enumerate() {
            let stretch = mark.tokens - reached;
            match known {
                Some(known) if place <= known => prompt.cache_read += stretch,
                _ if mark.one_hour => prompt.cache_write_1h += stretch,
                _ => prompt.cache_write_5m += stretch,
            }
            reached = mark.tokens;
            cache.keep(mark.hash);
        }
        prompt.input = self.tokens - reached;
        prompt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_marked_is_written_once_and_read_afterwards() {
        let cache = PrefixCache::default();
        let count = || {
            let mut prompt = MarkedPrompt::new("m");
            prompt.add("system", 4);
            prompt.mark(true);
            prompt.add("question", 6);
            prompt.mark(false);
            prompt.add("more", 1);
            prompt.finish(&cache)
        };
        assert_eq!(count(), Prompt { input: 1, cache_read: 0, cache_write_5m: 6, cache_write_1h: 4 });
        assert_eq!(count(), Prompt { input: 1, cache_read: 10, ..Prompt::default() });
    }
}
