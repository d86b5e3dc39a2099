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
    odd-tiers, tiered_pricing: is a tier that is not understood; nothing of the model was taken
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
        for value in [figure, value] {
            let json = format!(
                r#"{{"m":{{"litellm_provider":"p","input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"{field}":{value}}}}}"#
            );
            if let Ok(imported) = Imported::read(&json, "s", "2026-11-26") {
                prop_assert!(PriceBook::from_toml(&[("map", &imported.to_toml())]).is_ok());
            }
        }
    }
}
