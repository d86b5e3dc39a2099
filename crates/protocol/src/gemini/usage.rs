//! The `usageMetadata` object: <https://ai.google.dev/api/generate-content#UsageMetadata>.
//!
//! | field | what it includes |
//! |---|---|
//! | `promptTokenCount` | everything that the client sent: cached, audio; nothing that Google's tools added |
//! | `cachedContentTokenCount` | the part read from a cache |
//! | `promptTokensDetails[]` | the same by modality; `AUDIO` is the part that is sound, cached or not |
//! | `cacheTokensDetails[]` | the cached part by modality |
//! | `toolUsePromptTokenCount` | what Google's tools added to the prompt; beside `promptTokenCount` |
//! | `candidatesTokenCount` | the visible answers: calls, audio, images; no thoughts |
//! | `candidatesTokensDetails[]` | the same by modality |
//! | `thoughtsTokenCount` | thoughts; beside `candidatesTokenCount` |
//! | `totalTokenCount` | the sum of prompt, tools, candidates and thoughts |
//!
//! A count of zero is left out, so what is missing in a whole answer is zero ([`update_at_end`]). In a stream every
//! chunk tells the figures so far: what is missing there may only not be known yet ([`update`]).
//!
//! What it costs to write to a cache is no part of an answer: caches are made by a call of their own.
//! Searches are billed by call, and are counted where their words stand ([`searches`]).

use std::borrow::Cow;

use weighbridge_units::{Bucket, Usage};

use crate::json::{Fields, Object, Raw, Writer};

/// The fields that are understood; a translation reports any other as lost.
pub const FIELDS: [&str; 11] = [
    "promptTokenCount",
    "cachedContentTokenCount",
    "promptTokensDetails",
    "cacheTokensDetails",
    "toolUsePromptTokenCount",
    "toolUsePromptTokensDetails",
    "candidatesTokenCount",
    "candidatesTokensDetails",
    "thoughtsTokenCount",
    "totalTokenCount",
    "serviceTier",
];

/// Reads the usage of a whole answer, or of the last chunk of a stream, as [`update_at_end`]. Never
/// fails: what is not understood is not told, and figures that contradict each other are cut to their
/// whole and flagged.
pub fn read(raw: Raw<'_>) -> Usage {
    let mut usage = Usage::new();
    update_at_end(&mut usage, raw);
    usage
}

/// As [`update`], where the answer is complete: what is missing is zero, but for a prompt that the total leaves room
/// for. What stands there and is no number is not told.
pub fn update_at_end(usage: &mut Usage, raw: Raw<'_>) {
    update(usage, raw);
    let figure = |name| raw.get(name).filter(|figure| !figure.is_null());
    let count = |name| figure(name).and_then(|figure| figure.u64().ok());
    let total = count("totalTokenCount");
    // Vertex AI's first chunks name the kind of traffic, and no figure.
    if total.or_else(|| count("promptTokenCount")).or_else(|| count("candidatesTokenCount")).is_none() {
        return;
    }
    if figure("candidatesTokenCount").is_none() && !usage.told(Bucket::Output) {
        usage.set(Bucket::Output, 0);
    }
    // No prompt is empty: where its count is missing, some servers have just not counted it.
    let is_all_told = total.is_some_and(|total| total <= usage.total());
    if figure("promptTokenCount").is_none() && !usage.told(Bucket::Input) && is_all_told {
        usage.set(Bucket::Input, 0);
    }
}

/// Takes over what a later usage object of the same stream tells; what it does not tell stays.
pub fn update(usage: &mut Usage, raw: Raw<'_>) {
    let Ok(mut fields) = Fields::read(raw) else { return };
    let mut tell = |bucket, count: Option<u64>| count.into_iter().for_each(|n| usage.set(bucket, n));
    tell(Bucket::Reasoning, fields.offer("thoughtsTokenCount"));
    tell(Bucket::ToolPrompt, fields.offer("toolUsePromptTokenCount"));

    let cached = fields.offer("cachedContentTokenCount").or_else(|| earlier(usage, Bucket::CacheRead));
    let audio = modality(&mut fields, "promptTokensDetails", "AUDIO");
    let cached_audio = modality(&mut fields, "cacheTokensDetails", "AUDIO").unwrap_or(0);
    let audio =
        audio.map(|audio| audio.saturating_sub(cached_audio)).or_else(|| earlier(usage, Bucket::InputAudio));
    let prompt_parts = [(Bucket::CacheRead, cached), (Bucket::InputAudio, audio)];
    split(usage, fields.offer("promptTokenCount"), &prompt_parts, Bucket::Input);

    let audio = modality(&mut fields, "candidatesTokensDetails", "AUDIO");
    let image = modality(&mut fields, "candidatesTokensDetails", "IMAGE");
    let answer_parts = [
        (Bucket::OutputAudio, audio.or_else(|| earlier(usage, Bucket::OutputAudio))),
        (Bucket::OutputImage, image.or_else(|| earlier(usage, Bucket::OutputImage))),
    ];
    split(usage, fields.offer("candidatesTokenCount"), &answer_parts, Bucket::Output);
}

fn earlier(usage: &Usage, bucket: Bucket) -> Option<u64> {
    usage.told(bucket).then(|| usage.get(bucket))
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

/// The count of a modality in one of the lists by modality.
fn modality(fields: &mut Fields<'_>, list: &str, name: &str) -> Option<u64> {
    let of_name =
        |item: &Raw<'_>| item.get("modality").is_some_and(|raw| raw.str().is_ok_and(|is| is == name));
    fields.peek(list)?.items().ok()?.find(of_name)?.get("tokenCount")?.u64().ok()
}

/// How many searches of the web a candidate's `groundingMetadata` tells of.
///
/// From Gemini 3 on each is billed; before, an answer with any is billed once.
/// <https://ai.google.dev/gemini-api/docs/google-search#pricing>
pub fn searches(grounding: Raw<'_>) -> u64 {
    let queries = grounding.get("webSearchQueries").and_then(|list| list.items().ok());
    let queries = queries.map_or(0, |items| items.count() as u64);
    // What Google shows of a search stands there also where its words do not.
    queries.max(u64::from(grounding.get("searchEntryPoint").is_some()))
}

/// The service tier that an answer was made in; Vertex AI names it as a kind of traffic.
pub fn service_tier(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    if let Some(tier) = raw.get("serviceTier") {
        return tier.str().ok().filter(|tier| !tier.is_empty());
    }
    match raw.get("trafficType")?.str().ok()?.as_ref() {
        "ON_DEMAND_PRIORITY" => Some(Cow::Borrowed("priority")),
        "ON_DEMAND_FLEX" => Some(Cow::Borrowed("flex")),
        _ => None,
    }
}

/// What [`write()`] cannot tell apart or at all: writing to a cache is part of the prompt, and searches
/// are told elsewhere.
pub const UNTOLD: [Bucket; 14] = [
    Bucket::CacheWrite5m,
    Bucket::CacheWrite1h,
    Bucket::WebSearch,
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

/// Writes a usage object; [`read`] gives the same usage back, but for the buckets of [`UNTOLD`] and for
/// those of zero.
pub fn write(usage: &Usage, writer: Writer<'_>) {
    write_with_traffic(usage, None, writer);
}

/// The `trafficType` that stands for a service tier, as another protocol names it. Google's SDKs know no
/// other field for it. `None` for the usual tier, and where there is none of the kind.
pub fn traffic(tier: &str) -> Option<&'static str> {
    match tier {
        "priority" => Some("ON_DEMAND_PRIORITY"),
        "flex" => Some("ON_DEMAND_FLEX"),
        _ => None,
    }
}

/// Whether a service tier is the usual one, under any of its names.
pub fn is_usual_tier(tier: &str) -> bool {
    matches!(tier, "default" | "standard")
}

/// As [`write()`], with the [`traffic`] that the answer belonged to.
pub fn write_with_traffic(usage: &Usage, traffic: Option<&str>, writer: Writer<'_>) {
    let mut object = writer.object();
    let prompt = usage.prompt().saturating_sub(usage.get(Bucket::ToolPrompt));
    let answer = usage.answer().saturating_sub(usage.get(Bucket::Reasoning));
    object.key("promptTokenCount").number(prompt);
    count(&mut object, "candidatesTokenCount", answer);
    object.key("totalTokenCount").number(usage.total());
    count(&mut object, "cachedContentTokenCount", usage.get(Bucket::CacheRead));
    let audio = usage.get(Bucket::InputAudio);
    details(&mut object, "promptTokensDetails", prompt, &[("AUDIO", audio)]);
    let (audio, image) = (usage.get(Bucket::OutputAudio), usage.get(Bucket::OutputImage));
    details(&mut object, "candidatesTokensDetails", answer, &[("AUDIO", audio), ("IMAGE", image)]);
    count(&mut object, "thoughtsTokenCount", usage.get(Bucket::Reasoning));
    count(&mut object, "toolUsePromptTokenCount", usage.get(Bucket::ToolPrompt));
    if let Some(traffic) = traffic {
        object.key("trafficType").string(traffic);
    }
}

/// A count of zero is left out.
fn count(object: &mut Object<'_>, name: &str, count: u64) {
    if count > 0 {
        object.key(name).number(count);
    }
}

/// Writes a list by modality where there is more than text.
fn details(object: &mut Object<'_>, name: &str, whole: u64, parts: &[(&str, u64)]) {
    if parts.iter().all(|(_, count)| *count == 0) {
        return;
    }
    let others = parts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let mut list = object.key(name).array();
    for (modality, count) in [("TEXT", whole.saturating_sub(others))].iter().chain(parts) {
        if *count > 0 {
            let mut item = list.item().object();
            item.key("modality").string(modality);
            item.key("tokenCount").number(*count);
        }
    }
}
