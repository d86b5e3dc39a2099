//! The `usage` object.
//!
//! | field | what it includes |
//! |---|---|
//! | `inputTokens` | the prompt without what was read from or written to a cache |
//! | `cacheReadInputTokens` | read from a cache; beside `inputTokens` |
//! | `cacheWriteInputTokens` | written to a cache; beside `inputTokens` |
//! | `cacheDetails[]` | what was written, by lifetime of the cache: `ttl` is `5m` or `1h` |
//! | `outputTokens` | everything of the answer, reasoning included |
//! | `totalTokens` | all four: `inputTokens + cacheReadInputTokens + cacheWriteInputTokens + outputTokens` |
//! | `cacheReadInputTokenCount`, `cacheWriteInputTokenCount` | the same as the fields of nearly the same names, which are older |
//!
//! In a stream it comes once, in the last frame.

use weighbridge_units::{Bucket, Usage};

use crate::json::{Fields, Object, Raw};

/// The fields that are understood; a translation reports any other as lost.
pub const FIELDS: [&str; 6] = [
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheDetails",
];

/// Fields that repeat what others of [`FIELDS`] say.
pub const REPEATED: [&str; 2] = ["cacheReadInputTokenCount", "cacheWriteInputTokenCount"];

/// Reads a usage object. Never fails: what is not understood is not told, and figures that
/// contradict each other are cut to their whole and flagged.
pub fn read(raw: Raw<'_>) -> Usage {
    let mut usage = Usage::new();
    let Ok(mut fields) = Fields::read(raw) else { return usage };
    let mut count = |names: [&'static str; 2]| names.into_iter().find_map(|name| fields.offer::<u64>(name));
    let cache_read = count(["cacheReadInputTokens", REPEATED[0]]);
    let cache_write = count(["cacheWriteInputTokens", REPEATED[1]]);
    for (bucket, count) in [
        (Bucket::Input, fields.offer("inputTokens")),
        (Bucket::CacheRead, cache_read),
        (Bucket::Output, fields.offer("outputTokens")),
    ] {
        if let Some(count) = count {
            usage.set(bucket, count);
        }
    }
    cache_writes(&mut usage, cache_write, fields.offer("cacheDetails"));
    if fields.offer::<u64>("totalTokens").is_some_and(|total| total != usage.total()) {
        usage.flag_contradiction();
    }
    usage
}

/// Splits what was written to caches by their lifetime. What the details leave out is the usual kind.
fn cache_writes(usage: &mut Usage, whole: Option<u64>, details: Option<Raw<'_>>) {
    let (mut short, mut long) = (None, None);
    for detail in details.and_then(|details| details.items().ok()).into_iter().flatten() {
        let Some(count) = detail.get("inputTokens").and_then(|count| count.u64().ok()) else { continue };
        let is_long = detail.get("ttl").is_some_and(|ttl| ttl.text() == "\"1h\"");
        let sum = if is_long { &mut long } else { &mut short };
        *sum = Some(sum.unwrap_or(0_u64).saturating_add(count));
    }
    let detailed = short.unwrap_or(0).saturating_add(long.unwrap_or(0));
    let Some(whole) = whole.or((short.is_some() || long.is_some()).then_some(detailed)) else { return };
    if detailed > whole {
        usage.flag_contradiction();
    }
    let one_hour = long.unwrap_or(0).min(whole);
    usage.set(Bucket::CacheWrite5m, whole - one_hour);
    if long.is_some() {
        usage.set(Bucket::CacheWrite1h, one_hour);
    }
}

/// What [`write()`] cannot tell apart or at all: audio, images, reasoning and the provider's tools are
/// part of their whole, and searches are not counted.
pub const UNTOLD: [Bucket; 17] = [
    Bucket::InputAudio,
    Bucket::Reasoning,
    Bucket::OutputAudio,
    Bucket::WebSearch,
    Bucket::ToolPrompt,
    Bucket::OutputImage,
    Bucket::InputImage,
    Bucket::Images,
    Bucket::ImagesGiven,
    Bucket::Characters,
    Bucket::Seconds,
    Bucket::SecondsMade,
    Bucket::Pages,
    Bucket::Calls,
    Bucket::FileSearch,
    Bucket::MapSearch,
    Bucket::CodeSessions,
];

/// Writes the fields of a usage object; [`read`] gives the same usage back, but for the buckets of
/// [`UNTOLD`].
pub fn write(usage: &Usage, object: &mut Object<'_>) {
    let told = |bucket| usage.told(bucket).then(|| usage.get(bucket));
    let input = [Bucket::Input, Bucket::InputAudio, Bucket::ToolPrompt, Bucket::InputImage];
    let input = input.into_iter().fold(0_u64, |sum, bucket| sum.saturating_add(usage.get(bucket)));
    object.key("inputTokens").number(input);
    object.key("outputTokens").number(usage.answer());
    object.key("totalTokens").number(usage.total());
    if let Some(read) = told(Bucket::CacheRead) {
        object.key("cacheReadInputTokens").number(read);
    }
    let (short, long) = (told(Bucket::CacheWrite5m), told(Bucket::CacheWrite1h));
    if let Some(written) = short.map(|short| short.saturating_add(long.unwrap_or(0))).or(long) {
        object.key("cacheWriteInputTokens").number(written);
    }
    // The longer lifetime comes first.
    let details = [("1h", long), ("5m", short.filter(|_| long.is_some()))];
    if long.is_some() {
        let mut list = object.key("cacheDetails").array();
        for (ttl, count) in details.into_iter().filter_map(|(ttl, count)| Some((ttl, count?))) {
            let mut detail = list.item().object();
            detail.key("ttl").string(ttl);
            detail.key("inputTokens").number(count);
        }
    }
}
