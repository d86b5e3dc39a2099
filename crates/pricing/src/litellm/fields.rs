use std::borrow::Cow;

use weighbridge_units::Bucket;

use super::object::Object;
use crate::tier::ServiceTier;

/// What a field of a model says.
pub(super) enum Meaning {
    /// Nothing about prices.
    Nothing,
    /// A price.
    Price(Place),
    /// A price that has no place here, and why.
    Unknown(&'static str),
    /// A price in a tier that is not understood.
    UnknownTier,
    /// Prices by ranges of the prompt's length.
    Ranges,
}

/// Where a price belongs.
pub(super) struct Place {
    pub(super) bucket: Bucket,
    pub(super) tier: ServiceTier,
    pub(super) above: u64,
    pub(super) variant: Option<String>,
    /// The figure is for ten to this many units.
    pub(super) per: u32,
}

/// Prices by the stem of their field's name. Longer stems stand before those that they begin with.
const STEMS: &[(&str, Bucket, u32)] = &[
    ("input_cost_per_token", Bucket::Input, 0),
    ("output_cost_per_token", Bucket::Output, 0),
    ("output_cost_per_reasoning_token", Bucket::Reasoning, 0),
    ("cache_read_input_token_cost", Bucket::CacheRead, 0),
    ("cache_creation_input_token_cost_above_1hr", Bucket::CacheWrite1h, 0),
    ("cache_creation_input_token_cost_above_12hr", Bucket::CacheWrite1h, 0),
    ("cache_creation_input_token_cost", Bucket::CacheWrite5m, 0),
    ("input_cost_per_audio_token", Bucket::InputAudio, 0),
    ("output_cost_per_audio_token", Bucket::OutputAudio, 0),
    ("input_cost_per_image_token", Bucket::InputImage, 0),
    ("output_cost_per_image_token", Bucket::OutputImage, 0),
    ("input_cost_per_character", Bucket::Characters, 0),
    ("ocr_cost_per_page", Bucket::Pages, 0),
    ("input_cost_per_query", Bucket::Calls, 0),
    ("input_cost_per_request", Bucket::Calls, 0),
    ("search_context_cost_per_query", Bucket::WebSearch, 0),
    ("google_maps_grounding_cost_per_query", Bucket::MapSearch, 0),
    ("file_search_cost_per_1k_calls", Bucket::FileSearch, 3),
    ("code_interpreter_cost_per_session", Bucket::CodeSessions, 0),
    ("output_cost_per_video_per_second", Bucket::SecondsMade, 0),
];

/// What a field says of a model of a `mode`, beside its other `fields`.
pub(super) fn meaning(field: &str, mode: &str, fields: &Object<'_>) -> Meaning {
    if let Some(found) = by_the_piece(field, mode, fields) {
        return found;
    }
    if field == "tiered_pricing" {
        return Meaning::Ranges;
    }
    let stem = STEMS.iter().find_map(|(stem, bucket, per)| Some((field.strip_prefix(stem)?, *bucket, *per)));
    let Some((rest, bucket, per)) = stem else {
        let is_price = ["cost", "price", "pricing", "multiplier"].iter().any(|word| field.contains(word));
        return if is_price {
            Meaning::Unknown("is a price that has no bucket here")
        } else {
            Meaning::Nothing
        };
    };
    match tiers(rest) {
        Some((above, tier)) => Meaning::Price(Place { bucket, tier, above, variant: None, per }),
        None => Meaning::UnknownTier,
    }
}

/// The context tier and the service tier that the rest of a name stands for: `_above_272k_tokens_priority`.
fn tiers(rest: &str) -> Option<(u64, ServiceTier)> {
    let (rest, tier) = [
        ("_batches", ServiceTier::Batch),
        ("_flex", ServiceTier::Flex),
        ("_priority", ServiceTier::Priority),
        ("_ultrafast", ServiceTier::Fast),
    ]
    .iter()
    .find_map(|(suffix, tier)| Some((rest.strip_suffix(suffix)?, *tier)))
    .unwrap_or((rest, ServiceTier::Standard));
    if rest.is_empty() {
        return Some((0, tier));
    }
    let thousands = rest.strip_prefix("_above_")?.strip_suffix("k_tokens")?;
    let plain = (1..=9).contains(&thousands.len()) && thousands.bytes().all(|b| b.is_ascii_digit());
    let above: u64 = plain.then(|| thousands.parse().ok())??;
    (above > 0).then_some((above * 1_000, tier))
}

/// Images and seconds, whose fields mean one thing or another by the mode of the model.
fn by_the_piece(field: &str, mode: &str, fields: &Object<'_>) -> Option<Meaning> {
    let price = |bucket, variant: Option<&str>| {
        let variant = variant.map(str::to_ascii_lowercase);
        Some(Meaning::Price(Place { bucket, tier: ServiceTier::Standard, above: 0, variant, per: 0 }))
    };
    let has = |name: &str| fields.get(name).is_some();
    let other_way = || Some(Meaning::Unknown("is another way to bill what is billed by the token"));
    match (field, mode) {
        // What an image model's `input` costs is the image that it makes, unless that is stated too.
        ("input_cost_per_image", "image_generation" | "image_edit") if !makes_images(fields) => {
            price(Bucket::Images, None)
        }
        ("input_cost_per_image", _) => price(Bucket::ImagesGiven, None),
        (_, _)
            if field.starts_with("output_cost_per_image")
                && !field.starts_with("output_cost_per_image_token") =>
        {
            if has("output_cost_per_image_token") {
                return other_way();
            }
            match field.strip_prefix("output_cost_per_image") {
                Some("") => price(Bucket::Images, None),
                Some(size) if is_size(size.trim_start_matches('_')) => {
                    price(Bucket::Images, Some(size.trim_start_matches('_')))
                }
                _ => Some(Meaning::UnknownTier),
            }
        }
        ("input_cost_per_second", _) if has("input_cost_per_token") || has("input_cost_per_audio_token") => {
            other_way()
        }
        ("input_cost_per_second", _) => price(Bucket::Seconds, None),
        // Text has no seconds: it stands there beside the seconds of the sound.
        ("output_cost_per_second", "audio_transcription") => Some(Meaning::Nothing),
        ("output_cost_per_second", _) if has("output_cost_per_audio_token") => other_way(),
        ("output_cost_per_second", _) => price(Bucket::SecondsMade, None),
        (_, _) if field.starts_with("output_cost_per_second_") => {
            match field.strip_prefix("output_cost_per_second_") {
                Some(size) if is_size(size) => price(Bucket::SecondsMade, Some(size)),
                _ => Some(Meaning::UnknownTier),
            }
        }
        _ => None,
    }
}

fn makes_images(fields: &Object<'_>) -> bool {
    fields.iter().any(|(field, _)| field.starts_with("output_cost_per_image"))
}

/// `1080p`, `4k`, `1K`, `0.5K`, `1024`.
fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(['p', 'k', 'K']);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Whose prices these are, in our price files.
pub(super) fn provider_of(litellm: &str) -> &str {
    match litellm {
        _ if litellm.starts_with("vertex_ai") => "vertex",
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        "dashscope" => "qwen",
        "zai" => "zhipu",
        "together_ai" => "together",
        _ if litellm.starts_with("fireworks_ai") => "fireworks",
        other => other,
    }
}

/// What a key of the map names.
pub(super) struct Name<'k> {
    pub(super) model: Cow<'k, str>,
    /// The size and quality of an image: `low/1024-x-1024/gpt-image-1.5` is `gpt-image-1.5` at `1024x1024/low`.
    pub(super) variant: Option<String>,
}

impl<'k> Name<'k> {
    pub(super) fn of(key: &'k str, litellm: &str) -> Self {
        let prefix = match litellm {
            _ if litellm.starts_with("vertex_ai") => "vertex_ai",
            _ if litellm.starts_with("fireworks_ai") => "fireworks_ai",
            "bedrock_converse" => "bedrock",
            "cohere_chat" => "cohere",
            other => other,
        };
        let name = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
        Self::sized(name).unwrap_or(Self { model: Cow::Borrowed(name), variant: None })
    }

    fn sized(name: &'k str) -> Option<Self> {
        let size_of = |part: &str| {
            let (width, height) = part.split_once("-x-")?;
            let side = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            (side(width) && side(height)).then(|| format!("{width}x{height}"))
        };
        let mut parts = name.splitn(3, '/');
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
        if let Some(size) = size_of(first) {
            return match third {
                // `1024-x-1024/50-steps/model`
                Some(model) => Some(Self { model: model.into(), variant: Some(format!("{size}/{second}")) }),
                None => Some(Self { model: second.into(), variant: Some(size) }),
            };
        }
        let size = size_of(second)?;
        Some(Self { model: third?.into(), variant: Some(format!("{size}/{first}")) })
    }
}
