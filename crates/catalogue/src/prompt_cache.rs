//! What is known of models that cache a prompt only up to a mark: Anthropic's, and Amazon's Nova.

/// How a model caches prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PromptCacheInfo {
    /// The fewest tokens that it caches: a mark behind fewer is ignored.
    pub minimum_tokens: u64,
    /// Whether it takes a mark behind the tools.
    pub marks_tools: bool,
    /// Whether a mark may ask for a life of an hour, where the platform offers that; else all live five minutes.
    pub offers_hour: bool,
}

/// Families of Claude that are known, and the fewest tokens that each caches, on every platform.
///
/// <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>, as of October 2026, which agrees
/// with `prompt_cache_min_tokens` of the PyPI package litellm 1.109.1 but for `claude-mythos-preview` (512
/// there); Claude 3.5 and 3.7 as of August 2025. Amazon Bedrock's pages ask for more in one case (Opus 4.7:
/// 4,096): the smaller figure is the one that loses no cache.
static CLAUDE: &[(&str, u64)] = &[
    ("haiku-5-5", 512),
    ("opus-5-5", 512),
    ("sonnet-5-5", 512),
    ("fable-5-1", 512),
    ("mythos-5-1", 512),
    ("fable-5", 512),
    ("mythos-5", 512),
    ("opus-5", 512),
    ("sonnet-5", 1_024),
    ("mythos-preview", 2_048),
    ("opus-4-8", 1_024),
    ("opus-4-7", 2_048),
    ("opus-4-6", 4_096),
    ("sonnet-4-6", 1_024),
    ("haiku-4-5", 4_096),
    ("opus-4-5", 4_096),
    ("sonnet-4-5", 1_024),
    ("opus-4-1", 1_024),
    ("opus-4", 1_024),
    ("opus-4-0", 1_024),
    ("sonnet-4", 1_024),
    ("sonnet-4-0", 1_024),
    ("3-7-sonnet", 1_024),
    ("3-5-haiku", 2_048),
];

/// Older ones, which not every platform that serves them lets cache.
static CLAUDE_WITHOUT: &[&str] = &["3", "2", "v1", "v2", "instant"];

/// What a Claude that is not known is taken for: the least of all. A mark that comes too early costs nothing.
const CLAUDE_LEAST: u64 = 512;

/// Amazon's models that cache text, behind instructions and messages only.
///
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html> and the models' cards there, as
/// of October 2026: "1K" tokens, five minutes.
static NOVA: &[&str] = &["nova-micro", "nova-lite", "nova-pro", "nova-premier", "nova-2-lite"];
const NOVA_LEAST: u64 = 1_024;

/// How a model caches prompts, by its name at whoever serves it; `None` where it needs no marks, or takes
/// none.
///
/// ```
/// use weighbridge_catalogue::prompt_cache;
///
/// let least = |model| prompt_cache(model).map(|info| info.minimum_tokens);
/// assert_eq!(least("us.anthropic.claude-opus-4-6-v1"), Some(4_096));
/// assert_eq!(least("claude-sonnet-4-5@20250929"), Some(1_024));
/// assert_eq!(least("gpt-4o-mini"), None);
/// ```
pub fn prompt_cache(model: &str) -> Option<PromptCacheInfo> {
    if let Some((_, name)) = model.split_once("claude-") {
        let words: Vec<&str> = name.split(['-', '.', '@', ':', '/']).collect();
        let is = |family: &str| is_of(&words, family);
        let known = CLAUDE.iter().find(|(family, _)| is(family)).map(|(_, least)| *least);
        let is_without = known.is_none() && CLAUDE_WITHOUT.iter().any(|first| words.first() == Some(first));
        let minimum_tokens = known.unwrap_or(CLAUDE_LEAST);
        return (!is_without).then_some(PromptCacheInfo {
            minimum_tokens,
            marks_tools: true,
            offers_hour: true,
        });
    }
    let (_, name) = model.split_once("amazon.")?;
    let words: Vec<&str> = name.split(['-', ':']).collect();
    let is_known = NOVA.iter().any(|family| is_of(&words, family));
    is_known.then_some(PromptCacheInfo { minimum_tokens: NOVA_LEAST, marks_tools: false, offers_hour: false })
}

/// Whether a name begins with that of a family, and does not go on with a part of a longer version: what
/// follows `opus-4` may be a date, but not `5`.
pub(crate) fn is_of(words: &[&str], family: &str) -> bool {
    let mut rest = words.iter();
    let begins = family.split('-').all(|word| rest.next() == Some(&word));
    let is_version =
        |word: &&str| (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    begins && !rest.next().is_some_and(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    fn least(model: &str) -> Option<u64> {
        prompt_cache(model).map(|info| info.minimum_tokens)
    }

    #[test]
    fn models_are_known_wherever_they_are_served() {
        for (model, expected) in [
            ("claude-haiku-4-5", 4_096),
            ("claude-haiku-4-5-20251001", 4_096),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 4_096),
            ("arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-opus-4-8", 1_024),
            ("claude-opus-4-7@default", 2_048),
            ("anthropic/claude-opus-4.5", 4_096),
            ("claude-opus-4-20250514", 1_024),
            ("claude-opus-4-1-20250805", 1_024),
            ("claude-3-7-sonnet-latest", 1_024),
            ("anthropic.claude-3-5-haiku-20241022-v1:0", 2_048),
            ("claude-sonnet-5", 1_024),
            ("claude-sonnet-5-5", 512),
            // Not known.
            ("claude-sonnet-6", 512),
            ("claude-opus-4-9", 512),
            ("claude-next", 512),
        ] {
            assert_eq!(least(model), Some(expected), "{model}");
            let info = prompt_cache(model).unwrap();
            assert!(info.marks_tools && info.offers_hour);
        }
        for nova in ["amazon.nova-lite-v1:0", "eu.amazon.nova-2-lite-v1:0"] {
            let info = prompt_cache(nova).unwrap();
            assert_eq!((info.minimum_tokens, info.marks_tools, info.offers_hour), (1_024, false, false));
        }
    }

    #[test]
    fn others_have_no_marks() {
        for model in [
            "claude-3-haiku-20240307",
            "claude-3-5-sonnet-20241022",
            "anthropic.claude-v2:1",
            "claude-instant-1.2",
            "claude",
            "amazon.nova-canvas-v1:0",
            "amazon.nova-2-pro-preview-20251202-v1:0",
            "deepseek-chat",
            "gemini-2.5-pro",
        ] {
            assert_eq!(prompt_cache(model), None, "{model}");
        }
    }

    #[test]
    fn every_current_claude_of_the_catalogue_is_known_by_name() {
        let listed = ["anthropic", "vertex", "bedrock"].into_iter().flat_map(models);
        for model in listed.filter(|model| model.id.contains("claude-")) {
            let (_, name) = model.id.split_once("claude-").unwrap();
            let words: Vec<&str> = name.split(['-', '.', '@', ':', '/']).collect();
            let is_known = CLAUDE.iter().any(|(family, _)| is_of(&words, family));
            assert_eq!(is_known, prompt_cache(model.id).is_some(), "{}", model.id);
            assert!((512..=4_096).contains(&least(model.id).unwrap_or(512)));
        }
    }
}
