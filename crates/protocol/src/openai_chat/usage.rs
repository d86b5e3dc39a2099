//! The `usage` object.
//!
//! | field | what it includes |
//! |---|---|
//! | `prompt_tokens` | everything of the prompt: cached, written to a cache, audio |
//! | `prompt_tokens_details.cached_tokens` | the part read from a cache |
//! | `prompt_tokens_details.cache_write_tokens` | the part written to a cache |
//! | `prompt_tokens_details.audio_tokens` | the part that is audio |
//! | `prompt_tokens_details.text_tokens` | the part that is text: what the others leave |
//! | `completion_tokens` | everything of the answer: reasoning, audio, tool calls |
//! | `completion_tokens_details.reasoning_tokens` | the part spent on reasoning |
//! | `completion_tokens_details.audio_tokens` | the part that is audio |
//! | `completion_tokens_details.image_tokens` | the part that is images (OpenRouter) |
//! | `total_tokens` | `prompt_tokens + completion_tokens` |
//!
//! Dialects are told by the total, or by a part that is larger than its whole:
//!
//! | dialect | what stands beside `completion_tokens` or `prompt_tokens` | how it is known |
//! |---|---|---|
//! | xAI | `reasoning_tokens` | the total counts it too |
//! | Gemini's compatible route | reasoning that no field names | the rest of the total |
//! | Vercel's gateway to Gemini | `reasoning_tokens` | more than `completion_tokens`; not in the total, so flagged |
//! | Grok on Azure | `cached_tokens` | more than `prompt_tokens`; not in the total, so flagged |
//! | Mistral | the prompt's `audio_tokens` | the total counts it too |
//! | DeepSeek | nothing; the cached part is called `prompt_cache_hit_tokens` | |
//! | Groq | nothing; in a stream the object may stand in `x_groq` | |
//! | Databricks, Perplexity | nothing; running figures on many chunks, of which the last counts | |

use weighbridge_units::{Bucket, Usage};

use crate::json::{Object, Raw, Writer};

/// The fields that are understood; a translation reports any other as lost.
pub const FIELDS: [&str; 7] = [
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
];

/// The fields that are understood inside others of them.
pub const INNER_FIELDS: [(&str, &[&str]); 2] = [
    ("prompt_tokens_details", &["cached_tokens", "cache_write_tokens", "audio_tokens", "text_tokens"]),
    ("completion_tokens_details", &["reasoning_tokens", "audio_tokens", "image_tokens", "text_tokens"]),
];

/// Reads a usage object. Never fails: what is not understood is not told, and figures that
/// contradict each other are cut to their whole and flagged.
pub fn read(raw: Raw<'_>) -> Usage {
    let mut usage = Usage::new();
    update(&mut usage, raw);
    usage
}

/// The figures of a usage object as they stand in it; an odd one is as good as absent.
#[derive(Default)]
struct Told {
    prompt: Option<u64>,
    answer: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cache_hits: Option<u64>,
    written: Option<u64>,
    audio: Option<u64>,
    reasoning: Option<u64>,
    answer_audio: Option<u64>,
    images: Option<u64>,
}

impl Told {
    /// One pass over the object: a stream may tell its usage with every chunk.
    fn read(raw: Raw<'_>) -> Self {
        let mut told = Self::default();
        let (mut of_prompt, mut of_answer) = (None, None);
        for (name, value) in raw.members() {
            match &*name {
                "prompt_tokens" => told.prompt = value.u64().ok(),
                "completion_tokens" => told.answer = value.u64().ok(),
                "total_tokens" => told.total = value.u64().ok(),
                "prompt_cache_hit_tokens" => told.cache_hits = value.u64().ok(),
                "prompt_tokens_details" => of_prompt = Some(value),
                "completion_tokens_details" => of_answer = Some(value),
                _ => {}
            }
        }
        if let Some(details) = of_prompt {
            told.of_prompt(details);
        }
        if let Some(details) = of_answer {
            told.of_answer(details);
        }
        told
    }

    fn of_prompt(&mut self, details: Raw<'_>) {
        for (name, value) in details.members() {
            match &*name {
                "cached_tokens" => self.cached = value.u64().ok(),
                "cache_write_tokens" => self.written = value.u64().ok(),
                "audio_tokens" => self.audio = value.u64().ok(),
                _ => {}
            }
        }
    }

    fn of_answer(&mut self, details: Raw<'_>) {
        for (name, value) in details.members() {
            match &*name {
                "reasoning_tokens" => self.reasoning = value.u64().ok(),
                "audio_tokens" => self.answer_audio = value.u64().ok(),
                "image_tokens" => self.images = value.u64().ok(),
                _ => {}
            }
        }
    }
}

/// Takes over what a later usage object of the same answer tells; what it does not tell stays.
pub fn update(usage: &mut Usage, raw: Raw<'_>) {
    let Told {
        prompt,
        answer,
        total,
        cached,
        cache_hits,
        written,
        audio,
        answer_audio,
        images,
        mut reasoning,
    } = Told::read(raw);
    let cached = cached.or(cache_hits);

    // What the total holds beyond the two figures that normally make it up tells the dialect.
    let mut prompt_whole = prompt;
    let mut answer_whole = answer;
    if let (Some(p), Some(a), Some(total)) = (prompt, answer, total) {
        match total.checked_sub(p.saturating_add(a)) {
            Some(0) => {}
            Some(beside) if reasoning == Some(beside) => answer_whole = Some(a.saturating_add(beside)),
            Some(beside) if audio == Some(beside) => prompt_whole = Some(p.saturating_add(beside)),
            Some(beside) if reasoning.unwrap_or(0) == 0 => {
                reasoning = Some(beside);
                answer_whole = Some(a.saturating_add(beside));
            }
            Some(_) | None => usage.flag_contradiction(),
        }
    }
    // A part that is larger than its whole stands beside it. It is billed, so it counts.
    if let (Some(whole), Some(part)) = (prompt_whole, cached)
        && part > whole
    {
        usage.flag_contradiction();
        prompt_whole = Some(whole.saturating_add(part));
    }
    if let (Some(whole), Some(part)) = (answer_whole, reasoning)
        && part > whole
    {
        usage.flag_contradiction();
        answer_whole = Some(whole.saturating_add(part));
    }
    let prompt_parts =
        [(Bucket::CacheRead, cached), (Bucket::CacheWrite5m, written), (Bucket::InputAudio, audio)];
    split(usage, prompt_whole, &prompt_parts, Bucket::Input);
    let answer_parts =
        [(Bucket::Reasoning, reasoning), (Bucket::OutputAudio, answer_audio), (Bucket::OutputImage, images)];
    split(usage, answer_whole, &answer_parts, Bucket::Output);
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

/// What [`write()`] cannot tell apart or at all: caches are not told apart by their lifetime, the
/// provider's tools are part of their whole, and searches are not counted.
pub const UNTOLD: [Bucket; 14] = [
    Bucket::CacheWrite1h,
    Bucket::WebSearch,
    Bucket::ToolPrompt,
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
pub fn write(usage: &Usage, writer: Writer<'_>) {
    let mut object = writer.object();
    object.key("prompt_tokens").number(usage.prompt());
    object.key("completion_tokens").number(usage.answer());
    object.key("total_tokens").number(usage.total());
    let any = |buckets: &[Bucket]| buckets.iter().any(|bucket| usage.told(*bucket));
    if any(&[Bucket::CacheRead, Bucket::CacheWrite5m, Bucket::CacheWrite1h, Bucket::InputAudio]) {
        let mut details = object.key("prompt_tokens_details").object();
        count(&mut details, "cached_tokens", usage, &[Bucket::CacheRead]);
        count(&mut details, "cache_write_tokens", usage, &[Bucket::CacheWrite5m, Bucket::CacheWrite1h]);
        count(&mut details, "audio_tokens", usage, &[Bucket::InputAudio]);
    }
    if any(&[Bucket::Reasoning, Bucket::OutputAudio, Bucket::OutputImage]) {
        let mut details = object.key("completion_tokens_details").object();
        count(&mut details, "reasoning_tokens", usage, &[Bucket::Reasoning]);
        count(&mut details, "audio_tokens", usage, &[Bucket::OutputAudio]);
        count(&mut details, "image_tokens", usage, &[Bucket::OutputImage]);
    }
}

/// Writes the sum of some buckets, if any of them was told.
fn count(object: &mut Object<'_>, name: &str, usage: &Usage, buckets: &[Bucket]) {
    if buckets.iter().any(|bucket| usage.told(*bucket)) {
        let sum = buckets.iter().fold(0_u64, |sum, bucket| sum.saturating_add(usage.get(*bucket)));
        object.key(name).number(sum);
    }
}
