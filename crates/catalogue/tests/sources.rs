//! The tables of limits and of what models take are what their sources say, each figure and each letter.
//!
//! `data/sources.tsv` has what each package says; `data/sources.py` says how it is written. The rules are these:
//!
//! - A largest answer is litellm's, else that of LangChain's profile. A context window is the largest figure of all,
//!   and has room for that answer.
//! - A model has what one source says and none denies, and lacks what one denies and none says.
//! - A model retires when litellm says.
//!
//! What was settled by hand instead is listed here, with the reason.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

use std::collections::HashSet;

use weighbridge_catalogue::{model, models, presets, traits};
use weighbridge_units::{Feature, Features, Timestamp};

const SOURCES: &str = include_str!("../data/sources.tsv");

const ANTHROPICS: &str =
    "Anthropic no longer serves it; litellm states its largest answer for other platforms only";
const WITH_ANSWER: &str =
    "litellm's figure leaves out the room for the answer, as for all of this generation";

const WHOLE_WINDOW: &str = "litellm says 4,096, LangChain's profile of `gpt-4` 8,192, which is the model of both names: \
     what is reserved for an answer without a cap must not be less than it can come to (rule R4)";

/// Limits that are not by the rule.
const LIMITS_BY_HAND: [(&str, &str, &str); 20] = [
    ("openai", "gpt-4", WHOLE_WINDOW),
    ("openai", "gpt-4-0613", WHOLE_WINDOW),
    ("openai", "gpt-5.6-cyber", WITH_ANSWER),
    ("openai", "daybreak-red-latest", WITH_ANSWER),
    ("anthropic", "claude-opus-4-1", ANTHROPICS),
    ("anthropic", "claude-opus-4", ANTHROPICS),
    ("anthropic", "claude-opus-4-0", ANTHROPICS),
    ("anthropic", "claude-sonnet-4", ANTHROPICS),
    ("anthropic", "claude-sonnet-4-0", ANTHROPICS),
    ("anthropic", "claude-3-7-sonnet", ANTHROPICS),
    ("anthropic", "claude-3-7-sonnet-latest", ANTHROPICS),
    ("anthropic", "claude-3-5-haiku", ANTHROPICS),
    ("anthropic", "claude-3-5-haiku-latest", ANTHROPICS),
    ("anthropic", "claude-3-5-sonnet", ANTHROPICS),
    ("anthropic", "claude-3-5-sonnet-latest", ANTHROPICS),
    ("anthropic", "claude-3-haiku", ANTHROPICS),
    ("anthropic", "claude-3-opus", ANTHROPICS),
    ("anthropic", "claude-3-opus-latest", ANTHROPICS),
    ("anthropic", "claude-3-sonnet", ANTHROPICS),
    (
        "gemini",
        "gemini-3-pro-preview",
        "the Gemini API no longer serves it; litellm states figures for Vertex AI",
    ),
];

/// Models that take text only, as their makers' pages say.
const TEXT_ONLY: [(&str, &str); 11] = [
    ("openai", "gpt-4"),
    ("openai", "gpt-4-0613"),
    ("openai", "gpt-4-1106-preview"),
    ("openai", "gpt-3.5-turbo"),
    ("openai", "gpt-3.5-turbo-0125"),
    ("openai", "gpt-3.5-turbo-1106"),
    ("openai", "gpt-3.5-turbo-16k"),
    ("bedrock", "amazon.nova-micro-v1:0"),
    ("bedrock", "us.amazon.nova-micro-v1:0"),
    ("bedrock", "apac.amazon.nova-micro-v1:0"),
    ("bedrock", "eu.amazon.nova-micro-v1:0"),
];

/// Models that take tools, whatever the sources say: a request with tools was recorded that they answered.
const TAKE_TOOLS: [(&str, &str); 1] = [("deepseek", "deepseek-reasoner")];

/// What the sources say of one model.
struct Said {
    provider: &'static str,
    model: &'static str,
    window: Option<u64>,
    output: Option<u64>,
    has: Features,
    lacks: Features,
    retires: Option<Timestamp>,
}

fn said() -> impl Iterator<Item = Said> {
    SOURCES.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: [&str; 10] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let [
            provider,
            model,
            litellm_window,
            litellm_output,
            litellm,
            retires,
            genai_window,
            window,
            output,
            langchain,
        ] = columns;
        let figure = |text: &'static str| (text != ".").then(|| text.parse::<u64>().unwrap());
        let (has, denied) = features(litellm);
        let (has_too, denied_too) = features(langchain);
        let (has, denied) = (has.or(has_too), denied.or(denied_too));
        Said {
            provider,
            model,
            window: [litellm_window, genai_window, window, litellm_output]
                .into_iter()
                .filter_map(figure)
                .max(),
            output: figure(litellm_output).or_else(|| figure(output)),
            has: without(has, denied),
            lacks: without(denied, has),
            retires: figure(retires).and_then(|day| {
                let part = |by: u64, most: u64| u32::try_from(day / by % most).unwrap();
                Timestamp::from_date(i32::try_from(day / 10_000).unwrap(), part(100, 100), part(1, 100))
            }),
        }
    })
}

/// `+TI-A` as what is there and what is not.
fn features(text: &str) -> (Features, Features) {
    let (has, lacks) = text.split_once('-').unwrap_or((text, ""));
    let set = |letters: &str| {
        letters.chars().fold(Features::NONE, |set, letter| match letter {
            'T' => set.with(Feature::Tools, true),
            'I' => set.with(Feature::Images, true),
            'A' => set.with(Feature::Audio, true),
            'D' => set.with(Feature::Documents, true),
            'S' => set.with(Feature::JsonSchema, true),
            other => panic!("{other}"),
        })
    };
    (set(has.trim_start_matches(['+', '.'])), set(lacks))
}

fn without(set: Features, others: Features) -> Features {
    set.iter().filter(|feature| !others.has(*feature)).fold(Features::NONE, |set, one| set.with(one, true))
}

#[test]
fn limits_are_what_the_sources_say() {
    for said in said() {
        let name = format!("{}/{}", said.provider, said.model);
        let info = model(said.provider, said.model).unwrap();
        assert_eq!(info.id, said.model, "{name} has no limits of its own");
        let told = (said.window, said.output);
        let kept = (Some(info.context_window), Some(info.max_output));
        let by_hand =
            LIMITS_BY_HAND.iter().any(|(provider, id, _)| (*provider, *id) == (said.provider, said.model));
        // What is by hand and agrees with the rule need not be by hand.
        assert_eq!(kept != told, by_hand, "{name}: {kept:?}, and by the sources {told:?}");
    }
}

#[test]
fn what_models_take_is_what_the_sources_say() {
    let text_only = Features::of(&[Feature::Images, Feature::Audio, Feature::Documents]);
    let mut lacking = 0;
    for said in said() {
        let name = format!("{}/{}", said.provider, said.model);
        let (mut has, mut lacks) = (said.has, said.lacks);
        if TEXT_ONLY.contains(&(said.provider, said.model)) {
            (has, lacks) = (without(has, text_only), lacks.or(text_only));
        }
        if TAKE_TOOLS.contains(&(said.provider, said.model)) {
            let tools = Features::of(&[Feature::Tools]);
            (has, lacks) = (has.or(tools), without(lacks, tools));
        }
        let known = traits(said.provider, said.model);
        assert_eq!(known.has.to_string(), has.to_string(), "{name}");
        assert_eq!(known.lacks.to_string(), lacks.to_string(), "{name}");
        assert_eq!(known.retires, said.retires, "{name}");
        lacking += usize::from(!lacks.is_empty());
    }
    assert!(lacking > 200, "{lacking}");
}

#[test]
fn no_model_is_without_a_source() {
    let written: HashSet<_> = said().map(|said| (said.provider, said.model)).collect();
    let known: HashSet<_> = presets()
        .iter()
        .flat_map(|preset| models(preset.name).map(|model| (model.provider, model.id)))
        .collect();
    assert_eq!(written.symmetric_difference(&known).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
    assert_eq!(said().count(), written.len());
}
