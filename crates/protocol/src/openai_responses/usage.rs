//! The `usage` object, and `tool_usage` beside it.
//!
//! | field | what it includes |
//! |---|---|
//! | `input_tokens` | everything of the prompt: cached, written to a cache |
//! | `input_tokens_details.cached_tokens` | the part read from a cache |
//! | `input_tokens_details.cache_read_input_tokens` (Perplexity) | the same |
//! | `input_tokens_details.cache_write_tokens` | the part written to a cache, whatever its lifetime |
//! | `input_tokens_details.cache_write_tokens_details.ttl_12h_tokens` | the part of that which lives 12 hours; the rest lives 30 minutes |
//! | `output_tokens` | everything of the answer: reasoning, calls of tools |
//! | `output_tokens_details.reasoning_tokens` | the part spent on reasoning |
//! | `total_tokens` | `input_tokens + output_tokens` |
//! | `tool_usage.web_search.num_requests`, beside `usage` | searches, billed by call |
//! | `server_side_tool_usage_details.web_search_calls` (xAI) | the same |
//! | `tool_calls_details.search_web.invocation` (Perplexity) | the same |
//! | `tool_usage.image_gen`, beside `usage` | tokens of another model, which makes images; in none of the figures above |

use weighbridge_units::{Bucket, Usage};

use crate::json::{Fields, Object, Raw, Writer};

/// The fields that are understood; a translation reports any other as lost.
pub const FIELDS: [&str; 7] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "input_tokens_details",
    "output_tokens_details",
    "server_side_tool_usage_details",
    "tool_calls_details",
];

/// The fields that are understood inside others of them.
pub const INNER_FIELDS: [(&str, &[&str]); 4] = [
    (
        "input_tokens_details",
        &["cached_tokens", "cache_read_input_tokens", "cache_write_tokens", "cache_write_tokens_details"],
    ),
    ("output_tokens_details", &["reasoning_tokens"]),
    ("server_side_tool_usage_details", &["web_search_calls"]),
    ("tool_calls_details", &["search_web"]),
];

/// Reads a usage object, and the `tool_usage` beside it. Never fails: what is not understood is not
/// told, and figures that contradict each other are cut to their whole and flagged.
pub fn read(usage: Raw<'_>, tool_usage: Option<Raw<'_>>) -> Usage {
    let mut told = Usage::new();
    let Ok(mut fields) = Fields::read(usage) else { return told };
    let mut of_prompt: Option<Fields<'_>> = fields.offer("input_tokens_details");
    let mut of_answer: Option<Fields<'_>> = fields.offer("output_tokens_details");
    let prompt: Option<u64> = fields.offer("input_tokens");
    let mut answer: Option<u64> = fields.offer("output_tokens");
    let cached =
        detail(&mut of_prompt, "cached_tokens").or_else(|| detail(&mut of_prompt, "cache_read_input_tokens"));
    let written = detail(&mut of_prompt, "cache_write_tokens");
    let mut by_lifetime: Option<Fields<'_>> =
        of_prompt.as_mut().and_then(|details| details.offer("cache_write_tokens_details"));
    let long = detail(&mut by_lifetime, "ttl_12h_tokens");
    let short = match (written, long) {
        (Some(written), Some(long)) => Some(written.saturating_sub(long)),
        (Some(written), None) => Some(written),
        (None, _) => detail(&mut by_lifetime, "ttl_30m_tokens"),
    };
    if let (Some(written), Some(long)) = (written, long)
        && long > written
    {
        told.flag_contradiction();
    }
    let reasoning = detail(&mut of_answer, "reasoning_tokens");
    if let (Some(p), Some(a), Some(total)) = (prompt, answer, fields.offer::<u64>("total_tokens")) {
        match total.checked_sub(p.saturating_add(a)) {
            Some(0) => {}
            // As xAI counts on its Chat Completions route, and none that was recorded on this one.
            Some(beside) if reasoning == Some(beside) => answer = Some(a.saturating_add(beside)),
            Some(_) | None => told.flag_contradiction(),
        }
    }
    let prompt_parts =
        [(Bucket::CacheRead, cached), (Bucket::CacheWrite1h, long), (Bucket::CacheWrite5m, short)];
    split(&mut told, prompt, &prompt_parts, Bucket::Input);
    split(&mut told, answer, &[(Bucket::Reasoning, reasoning)], Bucket::Output);
    let of_xai = || fields.peek("server_side_tool_usage_details")?.get("web_search_calls")?.u64().ok();
    let of_perplexity =
        || fields.peek("tool_calls_details")?.get("search_web")?.get("invocation")?.u64().ok();
    if let Some(searches) = tool_usage.and_then(searches).or_else(of_xai).or_else(of_perplexity) {
        told.set(Bucket::WebSearch, searches);
    }
    told
}

/// How many searches a `tool_usage` object tells.
fn searches(tool_usage: Raw<'_>) -> Option<u64> {
    tool_usage.get("web_search")?.get("num_requests")?.u64().ok()
}

/// Whether a `tool_usage` object tells nothing but searches, so that [`read`] leaves nothing of it out.
pub fn tells_only_searches(tool_usage: Raw<'_>) -> bool {
    let is_known = |tool: &str| matches!(tool, "web_search" | "image_gen");
    let only_known =
        Fields::read(tool_usage).is_ok_and(|fields| fields.rest().iter().all(|(tool, _)| is_known(tool)));
    let images = tool_usage.get("image_gen").and_then(|images| images.get("total_tokens"));
    only_known && images.is_none_or(|total| total.text() == "0")
}

/// Tells the parts of a whole, and the rest of it.
fn split(usage: &mut Usage, whole: Option<u64>, parts: &[(Bucket, Option<u64>)], rest: Bucket) {
    let Some(mut left) = whole else { return };
    for (bucket, part) in parts {
        let Some(part) = *part else { continue };
        if part > left {
            usage.flag_contradiction();
        }
        let told = part.min(left);
        usage.set(*bucket, told);
        left -= told;
    }
    usage.set(rest, left);
}

/// A count inside a details object; an odd one is as good as absent.
fn detail(details: &mut Option<Fields<'_>>, name: &'static str) -> Option<u64> {
    details.as_mut()?.offer(name)
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

/// Writes a usage object. Together with [`write_tool_usage`], [`read`] gives the same usage back, but
/// for the buckets of [`UNTOLD`]; parts that nobody told stand as zero, since the format demands them.
pub fn write(usage: &Usage, writer: Writer<'_>) {
    let mut object = writer.object();
    object.key("input_tokens").number(usage.prompt());
    let mut details = object.key("input_tokens_details").object();
    details.key("cached_tokens").number(usage.get(Bucket::CacheRead));
    let (short, long) = (usage.get(Bucket::CacheWrite5m), usage.get(Bucket::CacheWrite1h));
    details.key("cache_write_tokens").number(short.saturating_add(long));
    if usage.told(Bucket::CacheWrite1h) {
        let mut by_lifetime = details.key("cache_write_tokens_details").object();
        by_lifetime.key("ttl_30m_tokens").number(short);
        by_lifetime.key("ttl_12h_tokens").number(long);
    }
    drop(details);
    object.key("output_tokens").number(usage.answer());
    object.key("output_tokens_details").object().key("reasoning_tokens").number(usage.get(Bucket::Reasoning));
    object.key("total_tokens").number(usage.total());
}

/// Writes `tool_usage` into an answer, where searches were counted.
pub fn write_tool_usage(usage: &Usage, answer: &mut Object<'_>) {
    if !usage.told(Bucket::WebSearch) {
        return;
    }
    let mut object = answer.key("tool_usage").object();
    // Required beside the searches by the format.
    let mut images = object.key("image_gen").object();
    images.key("input_tokens").number(0_u64);
    let mut details = images.key("input_tokens_details").object();
    details.key("image_tokens").number(0_u64);
    details.key("text_tokens").number(0_u64);
    drop(details);
    images.key("output_tokens").number(0_u64);
    images.key("total_tokens").number(0_u64);
    drop(images);
    object.key("web_search").object().key("num_requests").number(usage.get(Bucket::WebSearch));
}
