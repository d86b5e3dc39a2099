//! The `usage` object.
//!
//! | field | what it includes |
//! |---|---|
//! | `input_tokens` | the prompt without what was read from or written to a cache |
//! | `cache_read_input_tokens` | read from a cache; beside `input_tokens` |
//! | `cache_creation_input_tokens` | written to a cache; beside `input_tokens` |
//! | `cache_creation.ephemeral_5m_input_tokens`, `…_1h_…` | the same by lifetime of the cache |
//! | `output_tokens` | everything of the answer, reasoning included |
//! | `output_tokens_details.thinking_tokens` | the part spent on reasoning |
//! | `server_tool_use.web_search_requests` | searches, billed by call |
//! | `iterations[]` | figures of each sampling; the figures above leave some of them out, but all are billed, so their sum counts |
//!
//! In a stream `message_start` tells the prompt and a placeholder for the answer, and
//! `message_delta` tells figures that replace those of the same name: hence [`update`].

use weighbridge_units::{Bucket, Usage};

use crate::json::{Fields, Raw, Writer};

/// The fields that are understood; a translation reports any other as lost.
pub const FIELDS: [&str; 8] = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens_details",
    "server_tool_use",
    "iterations",
];

/// The fields that are understood inside others of them.
pub const INNER_FIELDS: [(&str, &[&str]); 3] = [
    ("cache_creation", &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]),
    ("output_tokens_details", &["thinking_tokens"]),
    ("server_tool_use", &["web_search_requests"]),
];

/// Reads a usage object. Never fails: what is not understood is not told, and figures that
/// contradict each other are cut to their whole and flagged.
pub fn read(raw: Raw<'_>) -> Usage {
    let mut usage = Usage::new();
    update(&mut usage, raw);
    usage
}

/// Takes over what a later usage object of the same answer tells; what it does not tell stays.
///
/// Only `message_start` splits cache writes by lifetime. A later sum without a split therefore
/// keeps the part that is known to live an hour.
pub fn update(usage: &mut Usage, raw: Raw<'_>) {
    let Ok(mut fields) = Fields::read(raw) else { return };
    let mut figures = Figures::read(&mut fields);
    if let Some(sum) = iterations(&mut fields) {
        if figures.exceeds(&sum) {
            usage.flag_contradiction();
        }
        figures = figures.with_all(&sum);
    }
    let mut tell = |bucket, count: Option<u64>| count.into_iter().for_each(|n| usage.set(bucket, n));
    tell(Bucket::Input, figures.input);
    tell(Bucket::CacheRead, figures.cache_read);
    let searches = fields.offer::<Raw<'_>>("server_tool_use").and_then(|raw| raw.get("web_search_requests"));
    tell(Bucket::WebSearch, searches.and_then(|count| count.u64().ok()));
    update_cache_writes(usage, &figures);
    update_answer(usage, &figures);
}

fn update_cache_writes(usage: &mut Usage, figures: &Figures) {
    let earlier = usage.told(Bucket::CacheWrite1h).then(|| usage.get(Bucket::CacheWrite1h));
    let (split_5m, split_1h) = (figures.write_5m, figures.write_1h.or(earlier));
    let Some(whole) =
        figures.cache_write.or_else(|| split_5m.map(|n| n.saturating_add(split_1h.unwrap_or(0))))
    else {
        return;
    };
    // Some servers tell the sum and a split of zeros: what the split leaves out is the usual kind.
    let one_hour = split_1h.unwrap_or(0).min(whole);
    if split_5m.unwrap_or(0).saturating_add(split_1h.unwrap_or(0)) > whole {
        usage.flag_contradiction();
    }
    usage.set(Bucket::CacheWrite5m, whole - one_hour);
    if split_1h.is_some() {
        usage.set(Bucket::CacheWrite1h, one_hour);
    }
}

fn update_answer(usage: &mut Usage, figures: &Figures) {
    let earlier = usage.told(Bucket::Reasoning).then(|| usage.get(Bucket::Reasoning));
    let Some(whole) = figures.output else { return };
    let thinking = figures.thinking.or(earlier);
    if thinking.unwrap_or(0) > whole {
        usage.flag_contradiction();
    }
    let reasoning = thinking.unwrap_or(0).min(whole);
    if thinking.is_some() {
        usage.set(Bucket::Reasoning, reasoning);
    }
    usage.set(Bucket::Output, whole - reasoning);
}

/// The token counts of one object, each told or not.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    write_5m: Option<u64>,
    write_1h: Option<u64>,
    thinking: Option<u64>,
}

impl Figures {
    fn read(fields: &mut Fields<'_>) -> Self {
        let split = fields.offer::<Raw<'_>>("cache_creation");
        let details = fields.offer::<Raw<'_>>("output_tokens_details");
        let inner = |raw: Option<Raw<'_>>, name| raw?.get(name)?.u64().ok();
        Self {
            input: fields.offer("input_tokens"),
            output: fields.offer("output_tokens"),
            cache_read: fields.offer("cache_read_input_tokens"),
            cache_write: fields.offer("cache_creation_input_tokens"),
            write_5m: inner(split, "ephemeral_5m_input_tokens"),
            write_1h: inner(split, "ephemeral_1h_input_tokens"),
            thinking: inner(details, "thinking_tokens"),
        }
    }

    /// Whether one of the figures is larger than the same of all iterations, of which it is a part.
    fn exceeds(&self, sum: &Self) -> bool {
        let input = (self.input, sum.input);
        let (read, write) = ((self.cache_read, sum.cache_read), (self.cache_write, sum.cache_write));
        let pairs = [input, (self.output, sum.output), read, write];
        pairs.into_iter().any(|(part, all)| all.is_some() && part > all)
    }

    /// The figures of all iterations; each as it was told, where they do not tell it or tell less.
    fn with_all(self, sum: &Self) -> Self {
        Self {
            input: self.input.max(sum.input),
            output: self.output.max(sum.output),
            cache_read: self.cache_read.max(sum.cache_read),
            cache_write: self.cache_write.max(sum.cache_write),
            write_5m: self.write_5m.max(sum.write_5m),
            write_1h: self.write_1h.max(sum.write_1h),
            thinking: self.thinking.or(sum.thinking),
        }
    }

    fn plus(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (told, None) | (None, told) => told,
        };
        Self {
            input: sum(self.input, other.input),
            output: sum(self.output, other.output),
            cache_read: sum(self.cache_read, other.cache_read),
            cache_write: sum(self.cache_write, other.cache_write),
            write_5m: sum(self.write_5m, other.write_5m),
            write_1h: sum(self.write_1h, other.write_1h),
            thinking: sum(self.thinking, other.thinking),
        }
    }
}

/// The sum of all iterations; `None` where there are none.
fn iterations(fields: &mut Fields<'_>) -> Option<Figures> {
    let list = fields.offer::<Raw<'_>>("iterations")?.items().ok()?;
    list.filter_map(|raw| Fields::read(raw).ok())
        .map(|mut iteration| Figures::read(&mut iteration))
        .reduce(Figures::plus)
}

/// What [`write()`] cannot tell apart: audio, images and the provider's tools are part of their whole.
pub const UNTOLD: [Bucket; 15] = [
    Bucket::InputAudio,
    Bucket::OutputAudio,
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

/// Writes a usage object; [`read`] gives the same usage back, but for the buckets of [`UNTOLD`].
///
/// Cache figures that nobody told are `null`, which is not zero.
pub fn write(usage: &Usage, writer: Writer<'_>) {
    write_with_tier(usage, None, writer);
}

/// As [`write()`], with the service tier that the answer was made in.
pub fn write_with_tier(usage: &Usage, tier: Option<&str>, writer: Writer<'_>) {
    let told = |bucket| usage.told(bucket).then(|| usage.get(bucket));
    let number = |writer: Writer<'_>, count: Option<u64>| match count {
        Some(count) => writer.number(count),
        None => writer.null(),
    };
    let mut object = writer.object();
    let input = [Bucket::Input, Bucket::InputAudio, Bucket::ToolPrompt, Bucket::InputImage];
    let input = input.into_iter().fold(0_u64, |sum, bucket| sum.saturating_add(usage.get(bucket)));
    object.key("input_tokens").number(input);
    let (short, long) = (told(Bucket::CacheWrite5m), told(Bucket::CacheWrite1h));
    let written = short.map(|short| short.saturating_add(long.unwrap_or(0))).or(long);
    number(object.key("cache_creation_input_tokens"), written);
    number(object.key("cache_read_input_tokens"), told(Bucket::CacheRead));
    if let Some(long) = long {
        let mut split = object.key("cache_creation").object();
        split.key("ephemeral_5m_input_tokens").number(short.unwrap_or(0));
        split.key("ephemeral_1h_input_tokens").number(long);
    }
    object.key("output_tokens").number(usage.answer());
    if let Some(thinking) = told(Bucket::Reasoning) {
        object.key("output_tokens_details").object().key("thinking_tokens").number(thinking);
    }
    if let Some(searches) = told(Bucket::WebSearch) {
        let mut server_tools = object.key("server_tool_use").object();
        server_tools.key("web_search_requests").number(searches);
        // Required beside it by the format; fetches are not billed by call.
        server_tools.key("web_fetch_requests").number(0_u64);
    }
    if let Some(tier) = tier {
        object.key("service_tier").string(tier);
    }
}
