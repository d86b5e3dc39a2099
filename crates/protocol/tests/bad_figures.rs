//! Usage with figures that are none: whatever stands where a count should, nothing panics, and it counts as if nobody
//! had told it (rules M5 and M7).

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use proptest::prelude::*;
use weighbridge_protocol::json::{Raw, ScanLimits};
use weighbridge_protocol::{anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses};
use weighbridge_units::{Bucket, Usage};

/// What may stand in the place of a count, and is none.
const NO_COUNTS: [&str; 18] = [
    "null",
    "true",
    "false",
    "-1",
    "-0",
    "-9223372036854775808",
    "1.5",
    "7.0",
    "1e3",
    "1E400",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999999999",
    "\"7\"",
    "\"NaN\"",
    "\"\"",
    "[7]",
    "{}",
    "{\"tokens\":7}",
];

/// Where a format has a count: an object inside of the usage, if it is in one, the field, and what stands there around
/// the count (`#`).
struct Place {
    inside: Option<&'static str>,
    field: &'static str,
    form: &'static str,
}

const fn top(field: &'static str) -> Place {
    Place { inside: None, field, form: "#" }
}

const fn of(inside: &'static str, field: &'static str) -> Place {
    Place { inside: Some(inside), field, form: "#" }
}

const fn list(field: &'static str, form: &'static str) -> Place {
    Place { inside: None, field, form }
}

/// A format, its reader for an answer that runs on or has ended, and where its counts stand.
struct Format {
    name: &'static str,
    read: fn(Raw<'_>) -> Usage,
    places: &'static [Place],
}

const FORMATS: [Format; 5] = [
    Format {
        name: "chat",
        read: openai_chat::usage::read,
        places: &[
            top("prompt_tokens"),
            top("completion_tokens"),
            top("total_tokens"),
            top("prompt_cache_hit_tokens"),
            of("prompt_tokens_details", "cached_tokens"),
            of("prompt_tokens_details", "cache_write_tokens"),
            of("prompt_tokens_details", "audio_tokens"),
            of("completion_tokens_details", "reasoning_tokens"),
            of("completion_tokens_details", "audio_tokens"),
            of("completion_tokens_details", "image_tokens"),
        ],
    },
    Format {
        name: "responses",
        read: |raw| openai_responses::usage::read(raw, Some(raw)),
        places: &[
            top("input_tokens"),
            top("output_tokens"),
            top("total_tokens"),
            of("input_tokens_details", "cached_tokens"),
            of("input_tokens_details", "cache_read_input_tokens"),
            of("input_tokens_details", "cache_write_tokens"),
            of("output_tokens_details", "reasoning_tokens"),
            of("server_side_tool_usage_details", "web_search_calls"),
            // Stands beside the usage; the test puts both into one object.
            of("web_search", "num_requests"),
        ],
    },
    Format {
        name: "messages",
        read: anthropic_messages::usage::read,
        places: &[
            top("input_tokens"),
            top("output_tokens"),
            top("cache_read_input_tokens"),
            top("cache_creation_input_tokens"),
            of("cache_creation", "ephemeral_5m_input_tokens"),
            of("cache_creation", "ephemeral_1h_input_tokens"),
            of("output_tokens_details", "thinking_tokens"),
            of("server_tool_use", "web_search_requests"),
            list("iterations", r#"[{"type":"message","input_tokens":#}]"#),
        ],
    },
    Format {
        name: "converse",
        read: bedrock_converse::usage::read,
        places: &[
            top("inputTokens"),
            top("outputTokens"),
            top("totalTokens"),
            top("cacheReadInputTokens"),
            top("cacheWriteInputTokens"),
            list("cacheDetails", r#"[{"ttl":"1h","inputTokens":#}]"#),
        ],
    },
    Format {
        name: "gemini",
        read: |raw| {
            let mut usage = Usage::new();
            gemini::usage::update(&mut usage, raw);
            usage
        },
        places: &[
            top("promptTokenCount"),
            top("candidatesTokenCount"),
            top("totalTokenCount"),
            top("thoughtsTokenCount"),
            top("toolUsePromptTokenCount"),
            top("cachedContentTokenCount"),
            list("promptTokensDetails", r#"[{"modality":"AUDIO","tokenCount":#}]"#),
            list("cacheTokensDetails", r#"[{"modality":"AUDIO","tokenCount":#}]"#),
            list("candidatesTokensDetails", r#"[{"modality":"IMAGE","tokenCount":#}]"#),
        ],
    },
];

const MOST_PLACES: usize = 10;

/// What stands in a place.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Missing,
    Count(u64),
    NoCount(&'static str),
}

impl Figure {
    fn text(self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::Count(count) => Some(count.to_string()),
            Self::NoCount(text) => Some(text.to_owned()),
        }
    }

    /// The same, where what is no count is not there.
    fn proper(self) -> Self {
        if let Self::NoCount(_) = self { Self::Missing } else { self }
    }
}

fn figure() -> impl Strategy<Value = Figure> {
    prop_oneof![
        Just(Figure::Missing),
        (0_u64..100).prop_map(Figure::Count),
        any::<u64>().prop_map(Figure::Count),
        prop::sample::select(NO_COUNTS.to_vec()).prop_map(Figure::NoCount),
        prop::sample::select(NO_COUNTS.to_vec()).prop_map(Figure::NoCount),
    ]
}

/// One figure for each place, and perhaps something that is no object where one should be.
fn figures() -> impl Strategy<Value = (Vec<Figure>, Vec<Option<&'static str>>)> {
    let no_object = prop::option::weighted(0.1, prop::sample::select(NO_COUNTS.to_vec()));
    (prop::collection::vec(figure(), MOST_PLACES), prop::collection::vec(no_object, MOST_PLACES))
}

/// A usage object. Objects inside of it are spoilt where `spoilt` has something for the first of their places.
fn written(places: &[Place], figures: &[Figure], spoilt: &[Option<&str>]) -> String {
    let mut members: Vec<String> = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let Some(name) = place.inside else {
            let text = figures[at].text().map(|text| place.form.replace('#', &text));
            members.extend(text.map(|text| format!("\"{}\":{text}", place.field)));
            continue;
        };
        if places[..at].iter().any(|earlier| earlier.inside == Some(name)) {
            continue;
        }
        let same = places.iter().zip(figures).filter(|(other, _)| other.inside == Some(name));
        let inner: Vec<String> = same
            .filter_map(|(other, figure)| Some(format!("\"{}\":{}", other.field, figure.text()?)))
            .collect();
        let object = spoilt[at].map_or_else(|| format!("{{{}}}", inner.join(",")), str::to_owned);
        members.push(format!("\"{name}\":{object}"));
    }
    format!("{{{}}}", members.join(","))
}

/// The figures that are counts and stand where they can be found.
fn proper(places: &[Place], figures: &[Figure], spoilt: &[Option<&str>]) -> Vec<Figure> {
    let is_found = |place: &Place| {
        let first = places.iter().position(|other| other.inside.is_some() && other.inside == place.inside);
        first.is_none_or(|first| spoilt[first].is_none())
    };
    let found = places.iter().zip(figures);
    found.map(|(it, figure)| if is_found(it) { figure.proper() } else { Figure::Missing }).collect()
}

fn read(format: &Format, text: &str) -> Usage {
    (format.read)(Raw::parse(text, &ScanLimits::default()).unwrap())
}

proptest! {
    #[test]
    fn m7_what_is_no_count_is_as_if_nobody_had_told_it((figures, spoilt) in figures()) {
        for format in &FORMATS {
            let text = written(format.places, &figures, &spoilt);
            let told = proper(format.places, &figures, &spoilt);
            let without = written(format.places, &told, &[None; MOST_PLACES]);
            let usage = read(format, &text);
            prop_assert_eq!(usage, read(format, &without), "{}: {} and {}", format.name, &text, &without);
            if told.iter().all(|figure| matches!(figure, Figure::Missing)) {
                prop_assert!(usage.is_untold(), "{}: {:?} of {}", format.name, usage, &text);
            }
        }
    }

    #[test]
    fn m5_no_bucket_holds_more_than_was_told((figures, spoilt) in figures()) {
        for format in &FORMATS {
            let text = written(format.places, &figures, &spoilt);
            let sum = proper(format.places, &figures, &spoilt).iter().fold(0_u64, |sum, figure| match figure {
                Figure::Count(count) => sum.saturating_add(*count),
                _ => sum,
            });
            for (bucket, count) in read(format, &text).iter() {
                prop_assert!(count <= sum, "{}: {} {} of {}", format.name, count, bucket, &text);
            }
        }
    }

    /// Gemini leaves out what is zero, so that at the end of an answer nothing says zero. Something that is no count
    /// does not.
    #[test]
    fn m7_at_the_end_of_geminis_answers_only_what_is_missing_is_zero((figures, _) in figures()) {
        let places = FORMATS[4].places;
        let text = written(places, &figures, &[None; MOST_PLACES]);
        let usage = gemini::usage::read(Raw::parse(&text, &ScanLimits::default()).unwrap());
        for (figure, bucket) in figures.iter().zip([Bucket::Input, Bucket::Output]) {
            match figure {
                Figure::Count(_) => prop_assert!(usage.told(bucket), "{:?} of {}", usage, &text),
                Figure::NoCount("null") | Figure::Missing => prop_assert_eq!(usage.get(bucket), 0),
                Figure::NoCount(_) => prop_assert!(!usage.told(bucket), "{:?} of {}", usage, &text),
            }
        }
        let told = proper(places, &figures, &[None; MOST_PLACES]);
        if told[..3].iter().all(|figure| matches!(figure, Figure::Missing)) {
            prop_assert!(!usage.told(Bucket::Input) && !usage.told(Bucket::Output), "{:?} of {}", usage, &text);
        }
    }
}

fn gemini(text: &str) -> Usage {
    gemini::usage::read(Raw::parse(text, &ScanLimits::default()).unwrap())
}

#[test]
fn m7_a_prompt_that_gemini_leaves_out_is_zero_only_where_the_total_leaves_it_no_room() {
    let answer = Usage::new().with(Bucket::Output, 23).with(Bucket::Reasoning, 67);
    // As it was recorded: a picture that was never counted.
    let told = r#""candidatesTokenCount":23,"thoughtsTokenCount":67"#;
    assert_eq!(gemini(&format!("{{{told}}}")), answer);
    assert_eq!(gemini(&format!(r#"{{{told},"totalTokenCount":500}}"#)), answer);
    assert_eq!(gemini(&format!(r#"{{{told},"totalTokenCount":90}}"#)), answer.with(Bucket::Input, 0));
}

fn messages(text: &str) -> Usage {
    anthropic_messages::usage::read(Raw::parse(text, &ScanLimits::default()).unwrap())
}

#[test]
fn m5_iterations_that_tell_less_than_the_figures_above_are_flagged() {
    let above = r#""input_tokens":682,"output_tokens":1320"#;
    let cut = messages(&format!(r#"{{{above},"iterations":[{{"input_tokens":80,"output_tokens":"592"}}]}}"#));
    assert_eq!((cut.get(Bucket::Input), cut.get(Bucket::Output)), (682, 1320));
    assert!(cut.is_contradictory());
    let odd = messages(&format!(r#"{{{above},"iterations":[{{}},7]}}"#));
    assert_eq!(odd, Usage::new().with(Bucket::Input, 682).with(Bucket::Output, 1320));
}
