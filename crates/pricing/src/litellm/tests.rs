use insta::assert_snapshot;
use proptest::prelude::*;
use weighbridge_units::{Bucket, Timestamp, Usage};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_226_938);

fn read(json: &str) -> Imported {
    Imported::read(json, "map 1", "2026-11-26").unwrap()
}

fn left_out(imported: &Imported) -> String {
    imported.left_out.iter().map(|left| format!("{left}\n")).collect()
}

const MAP: &str = r#"{
  "sample_spec": {"input_cost_per_token": "a number", "litellm_provider": "one of many"},
  "gpt-x": {
    "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1050000, "supports_vision": true,
    "input_cost_per_token": 2.5e-06, "output_cost_per_token": 0.000015, "cache_read_input_token_cost": 2.5E-7,
    "input_cost_per_token_above_272k_tokens": 5e-06, "output_cost_per_token_above_272k_tokens": 2.25e-05,
    "input_cost_per_token_batches": 1.25e-06, "output_cost_per_token_batches": 7.5e-06,
    "input_cost_per_token_flex": 1e-06,
    "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 1e-2},
    "fedramp_uplift_multiplier": 1.1
  },
  "vertex_ai/claude-x": {
    "litellm_provider": "vertex_ai-anthropic_models", "mode": "chat", "input_cost_per_token": 3e-06,
    "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06, "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
    "input_cost_per_token_above_200k_tokens": 6e-06
  },
  "image-x": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 5e-6, "input_cost_per_image_token": 8e-6, "output_cost_per_image_token": 3.2e-5},
  "low/1024-x-1024/image-x": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.009},
  "high/1024-x-1536/image-x": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.2, "input_cost_per_pixel": 1e-8},
  "whisper-x": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 3.083e-05, "output_cost_per_second": 0.0},
  "video-x": {"litellm_provider": "xai", "mode": "video_generation", "output_cost_per_second": 0.05, "output_cost_per_second_720p": 0.07},
  "ocr-x": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.004, "annotation_cost_per_page": 0.005},
  "odd-tier": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "input_cost_per_token_above_nightfall": 1e-6},
  "odd-tiers": {"litellm_provider": "dashscope", "tiered_pricing": [{"range": [0, 256000.0], "input_cost_per_token": 5e-08}], "output_cost_per_token": 1e-6},
  "odd-service": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "output_cost_per_token_decisions": 1e-6},
  "cheaper-when-longer": {"litellm_provider": "openai", "input_cost_per_token": 2e-6, "output_cost_per_token": 1e-6, "input_cost_per_token_above_128k_tokens": 1e-6},
  "negative": {"litellm_provider": "openai", "input_cost_per_token": -1e-6, "output_cost_per_token": 1e-6},
  "many-digits": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.000283333333333},
  "text": {"litellm_provider": "openai", "input_cost_per_token": "1e-6", "output_cost_per_token": null},
  "nobodys": {"input_cost_per_token": 1e-6},
  "free": {"litellm_provider": "groq", "input_cost_per_token": 0.0, "output_cost_per_token": 0},
  "openai/gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 9e-6, "output_cost_per_token": 9e-6}
}"#;

#[test]
fn m6_m7_what_is_not_understood_is_told_and_not_guessed() {
    assert_snapshot!(left_out(&read(MAP)), @r#"
    gpt-x, fedramp_uplift_multiplier: is a price that has no bucket here
    gpt-x: tier flex does not state all that it needs
    high/1024-x-1536/image-x, input_cost_per_pixel: is a price that has no bucket here
    ocr-x, annotation_cost_per_page: is a price that has no bucket here
    odd-tier, input_cost_per_token_above_nightfall: is a tier that is not understood; nothing of the model was taken
    odd-tiers, tiered_pricing: does not state `output`, which stands beside it; nothing of the model was taken
    odd-service, output_cost_per_token_decisions: is a tier that is not understood; nothing of the model was taken
    negative, input_cost_per_token: `-1` is negative: a rate is "0" or more
    many-digits, input_cost_per_second: `283.333333333` has more than six decimals: give dollars per million units
    text, input_cost_per_token: is not a number
    nobodys, litellm_provider: is missing; nothing of the model was taken
    openai/gpt-x: is the same model as `gpt-x` at another price; that one is taken; nothing of the model was taken
    cheaper-when-longer: `input` falls from 2 to 1 for longer prompts, so that more would cost less; nothing of the model was taken
    negative: `input` is missing; "0" is free; nothing of the model was taken
    "#);
}

#[test]
fn m1_what_is_understood_is_exact() {
    let imported = read(MAP);
    assert_snapshot!(imported.to_toml(), @r#"
    [[price]]
    provider = "groq"
    models = ["free"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", input = "0", output = "0" },
    ]

    [[price]]
    provider = "groq"
    models = ["whisper-x"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", seconds = "30.83" },
    ]

    [[price]]
    provider = "mistral"
    models = ["ocr-x"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", pages = "4000" },
    ]

    [[price]]
    provider = "openai"
    models = ["gpt-x"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", input = "2.5", output = "15", cache_read = "0.25", web_search = "10000" },
      { tier = "standard", above = 272000, input = "5", output = "22.5", cache_read = "0.25", web_search = "10000" },
      { tier = "batch", input = "1.25", output = "7.5", cache_read = "0.25", web_search = "10000" },
    ]

    [[price]]
    provider = "openai"
    models = ["image-x"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", input = "5", input_image = "8", output_image = "32" },
      { tier = "standard", variant = "1024x1024/low", images = "9000" },
      { tier = "standard", variant = "1024x1536/high", images = "200000" },
    ]

    [[price]]
    provider = "vertex"
    models = ["claude-x"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", input = "3", output = "15", cache_write_5m = "3.75", cache_write_1h = "6" },
      { tier = "standard", above = 200000, cache_write_1h = "12", input = "6", output = "15", cache_write_5m = "3.75" },
    ]

    [[price]]
    provider = "xai"
    models = ["video-x"]
    from = "start"
    source = "map 1"
    date = "2026-11-26"
    rates = [
      { tier = "standard", seconds_made = "50000" },
      { tier = "standard", variant = "720p", seconds_made = "70000" },
    ]
    "#);
    let book = PriceBook::from_toml(&[("map", &imported.to_toml())]).unwrap();
    let card = book.find("openai", "image-x", ServiceTier::Standard, NOW).unwrap();
    let image = card.variant("1024x1536/high").unwrap();
    assert_eq!(image.cost(&Usage::new().with(Bucket::Images, 3)).unwrap().posted, "0.6".parse().unwrap());
}

/// A map of one model with these fields.
fn model(fields: &str) -> String {
    format!(
        r#"{{"m": {{"litellm_provider": "p", "mode": "chat", {fields}}}, "free": {{"litellm_provider": "p", "input_cost_per_token": 0, "output_cost_per_token": 0}}}}"#
    )
}

#[test]
fn m6_ranges_hold_for_the_whole_request_from_one_token_more_than_they_begin_with() {
    // As the map of PyPI's litellm 1.110.2 has them, and one that lists them the other way round.
    let ranges = [
        r#"{"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 5e-06, "cache_read_input_token_cost": 1e-07}"#,
        r#"{"range": [32000.0, 1.28e5], "input_cost_per_token": 1.8e-06, "output_cost_per_token": 9e-06, "cache_read_input_token_cost": 1.8e-07}"#,
        r#"{"input_cost_per_token": 6e-06, "output_cost_per_token": 6e-05, "cache_read_input_token_cost": 6e-07, "range": [128000, 256000]}"#,
    ];
    for order in [[0, 1, 2], [2, 0, 1]] {
        let listed = order.map(|at| ranges[at]).join(", ");
        // What stands beside them says the same as the first, or is no token.
        let fields = format!(
            r#""tiered_pricing": [{listed}], "input_cost_per_token": 0.000001, "search_context_cost_per_query": {{"search_context_size_low": 0.01}}"#
        );
        let imported = read(&model(&fields));
        assert_eq!(left_out(&imported), "");
        let book = PriceBook::from_toml(&[("map", &imported.to_toml())]).unwrap();
        let card = book.find("p", "m", ServiceTier::Standard, NOW).unwrap();
        // A tenth of the prompt is read from the cache, and an answer has a thousand tokens.
        let cost = |prompt: u64| {
            let cached = prompt / 10;
            let usage = Usage::new()
                .with(Bucket::Input, prompt - cached)
                .with(Bucket::CacheRead, cached)
                .with(Bucket::Output, 1_000)
                .with(Bucket::WebSearch, 1);
            card.cost(&usage).unwrap().posted.get() - 10_000_000
        };
        let whole = |prompt: i64, input: i64, cached: i64, output: i64| {
            (prompt - prompt / 10) * input + prompt / 10 * cached + 1_000 * output
        };
        for prompt in [1, 31_999, 32_000] {
            assert_eq!(cost(prompt as u64), whole(prompt, 1_000, 100, 5_000), "{prompt}");
        }
        for prompt in [32_001, 128_000] {
            assert_eq!(cost(prompt as u64), whole(prompt, 1_800, 180, 9_000), "{prompt}");
        }
        // Beyond the last, the last holds.
        for prompt in [128_001, 256_000, 256_001, 1_000_000] {
            assert_eq!(cost(prompt as u64), whole(prompt, 6_000, 600, 60_000), "{prompt}");
        }
    }
}

#[test]
fn m6_ranges_that_are_not_understood_are_refused_with_the_reason() {
    let one = |from: &str, to: &str, more: &str| {
        format!(
            r#"{{"range": [{from}, {to}], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6{more}}}"#
        )
    };
    let two = |second: String| format!("[{}, {second}]", one("0", "10", ""));
    for (ranges, beside, why) in [
        ("[]".to_owned(), "", "has 0 ranges, and 1 to 64 can be read"),
        ("7".to_owned(), "", "is no list of ranges"),
        (two(one("11", "20", "")), "", "has a range from 11 to 20 where one from 10 on is expected"),
        (two(one("9", "20", "")), "", "has a range from 9 to 20 where one from 10 on is expected"),
        (two(one("10", "10", "")), "", "has a range from 10 to 10 where one from 10 on is expected"),
        (format!("[{}]", one("1", "20", "")), "", "has a range from 1 to 20 where one from 0 on is expected"),
        (two(one("10", "20.5", "")), "", "has a range from 10 to 20.5, which are no numbers of tokens"),
        (two(one("-1", "20", "")), "", "has a range from -1 to 20, which are no numbers of tokens"),
        (two(one("10", "\"20\"", "")), "", "has a range from 10 to \"20\", which are no numbers of tokens"),
        (two(one("10", "20, 30", "")), "", "has a range without two bounds"),
        (two("{}".to_owned()), "", "has a range without bounds"),
        (
            r#"[{"max_results_range": [0, 25], "input_cost_per_query": 0.005}]"#.to_owned(),
            "",
            "goes by `max_results_range`, and only lengths of prompts can be read",
        ),
        (
            two(one("10", "20", r#", "cache_read_input_token_cost": 1e-7"#)),
            "",
            "states other prices from 10 on than in the first range",
        ),
        (
            format!("[{}]", one("0", "20", r#", "surprise": 1"#)),
            "",
            "has `surprise` in a range, which is not understood there",
        ),
        (
            format!("[{}]", one("0", "20", r#", "input_cost_per_token_flex": 1e-7"#)),
            "",
            "has `input_cost_per_token_flex` in a range, which is not understood there",
        ),
        (
            format!("[{}]", one("0", "20", r#", "input_cost_per_token": 3e-6"#)),
            "",
            "has two prices of `input` in one range",
        ),
        (
            r#"[{"range": [0, 20], "input_cost_per_token": 1.0000000000000001e-07, "output_cost_per_token": 1e-6}]"#.to_owned(),
            "",
            "has `input_cost_per_token` in a range: `0.10000000000000001` has more than six decimals: give dollars per million units",
        ),
        (
            format!("[{}]", one("0", "20", "")),
            r#", "input_cost_per_token": 1.5e-6"#,
            "begins with 1 for `input`, beside which stands 1.5",
        ),
        (
            format!("[{}]", one("0", "20", "")),
            r#", "cache_read_input_token_cost": 1e-7"#,
            "does not state `cache_read`, which stands beside it",
        ),
        (
            format!("[{}]", one("0", "20", "")),
            r#", "input_cost_per_token_above_128k_tokens": 3e-6"#,
            "stands beside prices of other tiers",
        ),
        (
            format!("[{}]", one("0", "20", "")),
            r#", "input_cost_per_token_batches": 5e-7, "output_cost_per_token_batches": 1e-6"#,
            "stands beside prices of other tiers",
        ),
    ] {
        let imported = read(&model(&format!(r#""tiered_pricing": {ranges}{beside}"#)));
        assert_eq!(
            left_out(&imported),
            format!("m, tiered_pricing: {why}; nothing of the model was taken\n"),
            "{ranges}"
        );
        assert!(imported.entries.iter().all(|entry| entry.models == ["free"]));
    }
    // Where more would cost less, the loader refuses it as it refuses any other tier.
    let cheaper = r#""tiered_pricing": [{"range": [0, 9], "input_cost_per_token": 2e-6, "output_cost_per_token": 1e-6}, {"range": [9, 19], "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6}]"#;
    assert_eq!(
        left_out(&read(&model(cheaper))),
        "m: `input` falls from 2 to 1 for longer prompts, so that more would cost less; nothing of the model was taken\n"
    );
}

#[test]
fn p2_a_map_that_was_cut_gives_nothing() {
    for cut in [0, 1, 10, MAP.len() / 2, MAP.len() - 1] {
        let error = Imported::read(&MAP[..cut], "map 1", "2026-11-26").unwrap_err();
        assert!(matches!(error, MapError::Json(_)), "{cut}");
    }
    assert!(matches!(Imported::read("{}", "map 1", "2026-11-26"), Err(MapError::Empty)));
    assert!(matches!(Imported::read("[]", "map 1", "2026-11-26"), Err(MapError::Json(_))));
}

proptest! {
    /// Whatever a field is called and holds, a map is read or refused; what is taken of it makes a book.
    #[test]
    fn any_map_is_a_book_or_is_told(
        stem in 0..8_usize, rest in "(_above_[0-9]{0,3}k_tokens|_batches|_flex|_[a-z]{1,4}){0,2}",
        figure in "-?[0-9]{1,3}(\\.[0-9]{1,3})?(e-?[0-9]{1,3})?", value in "[\\[\\]{}\",:a-z0-9.]{0,12}",
    ) {
        let stems = ["input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "output_cost_per_image",
            "output_cost_per_second", "search_context_cost_per_query", "input_cost_per_second", "tiered_pricing"];
        let field = format!("{}{rest}", stems[stem]);
        let ranged = format!(r#"[{{"range": [0, {figure}], "input_cost_per_token": {figure}, "output_cost_per_token": 1e-6}}]"#);
        for value in [figure, value, ranged] {
            let json = format!(
                r#"{{"m":{{"litellm_provider":"p","input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"{field}":{value}}}}}"#
            );
            if let Ok(imported) = Imported::read(&json, "s", "2026-11-26") {
                prop_assert!(PriceBook::from_toml(&[("map", &imported.to_toml())]).is_ok());
            }
        }
    }
}
