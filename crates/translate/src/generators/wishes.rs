//! Generators of how the next message is to be made.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weighbridge_protocol::json::Bag;

use super::parts::{mark, rarely};
use super::{bag, placed, raw, text};
use crate::conversation::{
    AllowedMode, AudioWish, CustomFormat, Effort, Format, ReasoningExtent, ReasoningWish, Sampling,
    ServiceTier, Shown, Tool, ToolChoice, ToolKind,
};
use crate::{Conversation, Place, Placed};

const SCHEMA: &str = r#"{"type":"object","properties":{"z":{"type":"number","minimum":1.50},"a":{}}}"#;

fn name() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![9 => "[a-z]{1,6}", 1 => "[a-z]{1,3}\\.[a-z]{1,3}"].prop_map(Cow::Owned)
}

pub(super) fn tool() -> impl Strategy<Value = Tool<'static>> {
    let function = (name(), option::of(text()), option::of(Just(SCHEMA)), option::of(any::<bool>()))
        .prop_map(|(name, description, schema, strict)| ToolKind::Function {
            name,
            description,
            parameters: schema.map(|text| raw(text).into()),
            strict,
        });
    let format = prop_oneof![
        Just(CustomFormat::Text),
        Just(CustomFormat::Grammar { syntax: "lark".into(), definition: "start: \"a\"".into() }),
    ];
    let custom = ("[a-z]{1,6}", option::of(text()), option::of(format))
        .prop_map(|(name, description, format)| ToolKind::Custom { name: name.into(), description, format });
    (prop_oneof![12 => function, 1 => custom], mark()).prop_map(|(kind, cache)| Tool {
        place: Place::NOWHERE,
        kind,
        cache,
        bag: Bag::EMPTY,
    })
}

fn choice() -> impl Strategy<Value = ToolChoice<'static>> {
    let mode = prop_oneof![Just(AllowedMode::Auto), Just(AllowedMode::Required)];
    prop_oneof![
        3 => Just(ToolChoice::Auto),
        3 => Just(ToolChoice::None),
        3 => Just(ToolChoice::Required),
        3 => "[a-z]{1,4}".prop_map(|name| ToolChoice::Named(name.into())),
        1 => (mode, vec(name(), 1..3)).prop_map(|(mode, names)| ToolChoice::Allowed { mode, names }),
    ]
}

fn format() -> impl Strategy<Value = Format<'static>> {
    let schema = (option::of(name()), option::weighted(0.3, text()), option::of(any::<bool>())).prop_map(
        |(name, description, strict)| Format::JsonSchema {
            name,
            description,
            schema: raw(SCHEMA).into(),
            strict,
        },
    );
    prop_oneof![1 => Just(Format::Text), 1 => Just(Format::JsonObject), 4 => schema]
}

fn reasoning() -> impl Strategy<Value = ReasoningWish<'static>> {
    let extent = prop_oneof![
        Just(ReasoningExtent::Off),
        Just(ReasoningExtent::Dynamic),
        (1_u64..100_000).prop_map(ReasoningExtent::Budget),
    ];
    let shown = prop::sample::select(vec![Shown::Hidden, Shown::Auto, Shown::Concise, Shown::Detailed]);
    (rarely(extent), rarely(prop::sample::select(Effort::ALL.to_vec())), rarely(shown)).prop_map(
        |(extent, effort, shown)| ReasoningWish {
            extent: extent.map(Placed::nowhere),
            effort: effort.map(Placed::nowhere),
            shown: shown.map(Placed::nowhere),
        },
    )
}

fn sampling() -> impl Strategy<Value = Sampling<'static>> {
    let number = || prop::sample::select(vec!["0", "0.70", "1", "1.0", "1e-1", "1.5"]).prop_map(raw);
    let whole = || prop::sample::select(vec!["0", "7", "64"]).prop_map(raw);
    (
        option::of(number()),
        option::of(number()),
        rarely(whole()),
        rarely(whole()),
        rarely(number()),
        rarely(number()),
    )
        .prop_map(|(temperature, top_p, top_k, seed, frequency_penalty, presence_penalty)| Sampling {
            temperature,
            top_p,
            top_k,
            seed,
            frequency_penalty,
            presence_penalty,
        })
}

fn tier() -> impl Strategy<Value = ServiceTier<'static>> {
    prop::sample::select(vec![
        ServiceTier::Auto,
        ServiceTier::Standard,
        ServiceTier::Flex,
        ServiceTier::Priority,
    ])
}

fn audio() -> impl Strategy<Value = AudioWish<'static>> {
    (any::<bool>(), option::of(Just("ash")), option::of(Just("mp3"))).prop_map(
        |(with_text, voice, format)| AudioWish {
            with_text,
            voice: voice.map(Cow::Borrowed),
            format: format.map(Cow::Borrowed),
        },
    )
}

/// A request without messages.
pub(super) fn wishes() -> impl Strategy<Value = Conversation<'static>> {
    let tools = (vec(tool(), 0..3), option::of(choice()), placed(any::<bool>()));
    let output = (
        vec(text().prop_map(Placed::nowhere), 0..6),
        option::weighted(0.8, (0_u64..100_000).prop_map(Placed::nowhere)),
        rarely((1_u64..4).prop_map(Placed::nowhere)),
        rarely(format().prop_map(Placed::nowhere)),
        rarely(prop::sample::select(vec!["low", "medium", "high"])),
        rarely(audio().prop_map(Placed::nowhere)),
        rarely((0_u64..21).prop_map(Placed::nowhere)),
    );
    let about = (
        rarely(tier().prop_map(Placed::nowhere)),
        placed(text()),
        rarely(Just(r#"{"team":"a"}"#).prop_map(raw)),
        rarely(any::<bool>().prop_map(Placed::nowhere)),
        rarely(text().prop_map(Placed::nowhere)),
        any::<bool>(),
        bag(),
    );
    (super::protocol(), tools, sampling(), output, reasoning(), about).prop_map(
        |(source, tools, sampling, output, reasoning, about)| {
            let (tools, tool_choice, parallel_tool_calls) = tools;
            let (stop, max_output, candidates, format, verbosity, audio, logprobs) = output;
            let (service_tier, end_user, metadata, store, cache_key, stream, bag) = about;
            Conversation {
                model: "m".into(),
                tools,
                tool_choice: tool_choice.map(Placed::nowhere),
                parallel_tool_calls,
                sampling,
                stop,
                max_output,
                candidates,
                format,
                verbosity: verbosity.map(|word| Placed::nowhere(Cow::Borrowed(word))),
                audio,
                logprobs,
                reasoning,
                service_tier,
                end_user,
                metadata,
                store,
                cache_key,
                stream,
                bag,
                ..Conversation::new(source)
            }
        },
    )
}
