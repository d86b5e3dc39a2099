//! Loading price files: every mistake is found, named and placed; nothing of a wrong book is taken.

#![expect(clippy::panic, reason = "what a test calls may fail it")]

use insta::assert_snapshot;
use proptest::prelude::*;
use weighbridge_pricing::{PriceBook, PriceError, ServiceTier};
use weighbridge_units::{Bucket, NanoUsd, Timestamp, Usage};

fn mistakes(files: &[(&str, &str)]) -> String {
    match PriceBook::from_toml(files) {
        Err(PriceError::Load(mistakes)) => mistakes.to_string(),
        other => panic!("expected mistakes, got {other:?}"),
    }
}

/// A file with one entry, `rates` being the rows.
fn entry(rates: &str) -> String {
    format!(
        "provider = \"p\"\n[[price]]\nmodels = [\"m\"]\nfrom = \"start\"\nsource = \"s 1\"\ndate = \"2026-11-21\"\nrates = [\n{rates}\n]\n"
    )
}

#[test]
fn p2_all_mistakes_are_told_at_once() {
    let one = r#"
provider = "p"
curency = "usd"

[[price]]
models = ["a", "a", " b", 7]
from = "2026-02-30"
source = ""
rates = [
  { tier = "standard", input = 2.5, output = "-1" },
  { tier = "turbo", input = "1", output = "1" },
  { tier = "batch", input = "1", cached = "1", output = "0.1234567" },
]

[[price]]
models = []
from = "start"
source = "s 1"
date = "yesterday"
rates = []
"#;
    let two = "[[price]]\nmodels = [\"c\"]\nmodels = [\"d\"]\n";
    assert_snapshot!(mistakes(&[("one.toml", one), ("two.toml", two), ("three.toml", "")]), @r#"
    one.toml:3:1: a price file has no field `curency`: it has `provider`, `price`, `region`
    one.toml:5:1: a: `date` is missing
    one.toml:6:16: `a` is named twice: once is enough
    one.toml:6:21: a model's name is a string without spaces around it
    one.toml:6:27: a model's name is a string without spaces around it
    one.toml:7:8: a: `2026-02-30` is not a day: write YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ
    one.toml:8:10: a: `source` must be a string that is not empty
    one.toml:10:32: a: `input` must be a string such as "2.50": money is text
    one.toml:10:46: a: output: `-1` is negative: a rate is "0" or more
    one.toml:11:3: a: there is no tier `turbo`: there are `standard`, `batch`, `flex`, `priority`, `fast`
    one.toml:12:34: a: a row of `rates` has no field `cached`: it has `tier`, `above`, `variant`, `source`, `input`, `cache_read`, `cache_write_5m`, `cache_write_1h`, `input_audio`, `output`, `reasoning`, `output_audio`, `web_search`, `tool_prompt`, `output_image`, `input_image`, `images`, `images_given`, `characters`, `seconds`, `seconds_made`, `pages`, `calls`, `file_search`, `map_search`, `code_sessions`
    one.toml:12:57: a: output: `0.1234567` has more than six decimals: give dollars per million units
    one.toml:15:1: `models` is empty: name at least one
    one.toml:15:1: `rates` is empty: add a row for tier "standard"
    one.toml:19:8: `yesterday` is not a day: write YYYY-MM-DD
    two.toml:3:1: duplicate key
    three.toml:1:1: `price` is missing
    "#);
}

#[test]
fn m1_money_is_never_a_number() {
    let text = entry("{ tier = \"standard\", input = 1, output = { usd = 2.0, sauce = \"s 2\" } }");
    assert_snapshot!(mistakes(&[("p.toml", &text)]), @r#"
    p.toml:8:30: m: `input` must be a string such as "2.50": money is text
    p.toml:8:50: m: `usd` must be a string that is not empty
    p.toml:8:55: m: a rate has no field `sauce`: it has `usd`, `source`
    "#);
}

#[test]
fn m2_limits_hold_at_load() {
    let text = entry("{ tier = \"standard\", input = \"10000000001\", output = \"0.0000001\" }");
    assert_snapshot!(mistakes(&[("p.toml", &text)]), @r#"
    p.toml:8:30: m: input: `10000000001` is too large to multiply exactly: a rate is at most 10000000000 dollars per million units
    p.toml:8:54: m: output: `0.0000001` has more than six decimals: give dollars per million units
    "#);
}

#[test]
fn m6_a_tier_field_that_is_not_understood_is_an_error() {
    let text = entry(
        "{ tier = \"standard\", input = \"1\", output = \"1\" },
         { tier = \"standard\", beyond = 10, input = \"1\", output = \"1\" },
         { tier = \"standard\", above = \"10\", input = \"1\", output = \"1\" },
         { tier = \"standard\", above = 0, input = \"1\", output = \"1\" },
         { tier = \"standard\", above = 1099511627776, input = \"1\", output = \"1\" }",
    );
    assert_snapshot!(mistakes(&[("p.toml", &text)]), @r#"
    p.toml:9:10: m: tier `standard` has another row with the same `above`: keep one
    p.toml:9:31: m: a row of `rates` has no field `beyond`: it has `tier`, `above`, `variant`, `source`, `input`, `cache_read`, `cache_write_5m`, `cache_write_1h`, `input_audio`, `output`, `reasoning`, `output_audio`, `web_search`, `tool_prompt`, `output_image`, `input_image`, `images`, `images_given`, `characters`, `seconds`, `seconds_made`, `pages`, `calls`, `file_search`, `map_search`, `code_sessions`
    p.toml:10:39: m: `above` is a whole number of prompt tokens, from 1
    p.toml:11:39: m: `above` is a whole number of prompt tokens, from 1
    p.toml:12:39: m: `above` is a whole number of prompt tokens, from 1
    "#);
}

#[test]
fn m6_a_longer_prompt_is_never_cheaper() {
    let text = entry(
        "{ tier = \"standard\", input = \"1\", cache_read = \"0.5\", output = \"1\" },
         { tier = \"standard\", above = 10, input = \"0.9\", reasoning = \"3\", output = \"1\" },
         { tier = \"standard\", above = 10, input = \"1\", cache_read = \"0.5\", output = \"1\" },
         { tier = \"flex\", above = 10, input = \"1\", output = \"1\" }",
    );
    assert_snapshot!(mistakes(&[("p.toml", &text)]), @r#"
    p.toml:9:10: m: `input` falls from 1 to 0.9 for longer prompts, so that more would cost less
    p.toml:9:10: m: `cache_read` is missing: repeat it if it stays the same
    p.toml:9:10: m: `reasoning` is missing in the row for shorter prompts
    p.toml:10:10: m: tier `standard` has another row with the same `above`: keep one
    p.toml:11:10: m: tier `flex` needs a row without `above`, for shorter prompts
    "#);
}

#[test]
fn m7_input_and_output_must_have_a_price() {
    let text = entry("{ tier = \"standard\", cache_read = \"1\" }");
    assert_snapshot!(mistakes(&[("p.toml", &text)]), @r#"
    p.toml:8:1: m: `input` is missing; "0" is free
    p.toml:8:1: m: `output` is missing; "0" is free
    "#);
}

#[test]
fn duplicates_are_found_across_files() {
    let text = entry("{ tier = \"standard\", input = \"1\", output = \"1\" }");
    assert_snapshot!(mistakes(&[("one.toml", &text), ("two.toml", &text)]), @"two.toml:3:11: m: `m` has another entry with the same `from`: keep one");
}

#[test]
fn m7_free_is_not_without_a_price() {
    let text = entry("{ tier = \"standard\", input = \"0\", output = \"0\" }");
    let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap();
    let now = Timestamp::from_secs(0);
    let card = book.find("p", "m", ServiceTier::Standard, now).unwrap();
    assert_eq!(card.cost(&Usage::new().with(Bucket::Input, 5)).unwrap().posted, NanoUsd::ZERO);
    assert_eq!(card.worst(1_000, 1_000, 1), Ok(NanoUsd::ZERO));
    assert_eq!(card.cost(&Usage::new()), Err(PriceError::Untold));
    let searched = card.cost(&Usage::new().with(Bucket::WebSearch, 1)).unwrap_err();
    assert_snapshot!(searched, @"p/m has no price for web_search: add `web_search` to its entry in a price file");
    assert!(card.cost(&Usage::new().with(Bucket::WebSearch, 0)).is_ok(), "nothing needs no price");
    assert!(card.worst_with_searches(1, 1, 1, 1).is_err());
    assert!(book.find("p", "m", ServiceTier::Batch, now).is_none());
    assert!(book.find("p", "m", ServiceTier::Unknown, now).is_none());
    assert!(book.find("p", "n", ServiceTier::Standard, now).is_none());
    assert!(book.find("q", "m", ServiceTier::Standard, now).is_none());
}

#[test]
fn p1_a_correction_is_a_new_entry() {
    let rates =
        "source = \"s 1\"\ndate = \"2026-11-21\"\nrates = [{ tier = \"standard\", output = \"9\", input =";
    let text = format!(
        "provider = \"p\"
         [[price]]\nmodels = [\"m\"]\nfrom = \"2026-03-01\"\n{rates} \"2\" }}]
         [[price]]\nmodels = [\"m\"]\nfrom = \"2026-01-31\"\n{rates} \"1\" }}]
         [[price]]\nmodels = [\"m\", \"late\"]\nfrom = \"2026-07-01\"\n{rates} \"3\" }}]"
    );
    let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap();
    let input = |model: &str, micros: i64| {
        let card = book.find("p", model, ServiceTier::Standard, Timestamp::from_micros(micros))?;
        Some(card.rate(Bucket::Input, 0).unwrap().to_string())
    };
    let day = |month, day| Timestamp::from_date(2026, month, day).unwrap().as_micros();
    assert_eq!(input("m", day(1, 31) - 1), None, "no price is known before the first entry");
    assert_eq!(input("m", day(1, 31)).as_deref(), Some("1"));
    assert_eq!(input("m", day(3, 1) - 1).as_deref(), Some("1"));
    assert_eq!(input("m", day(3, 1)).as_deref(), Some("2"));
    assert_eq!(input("m", day(7, 1) - 1).as_deref(), Some("2"));
    assert_eq!(input("m", i64::MAX).as_deref(), Some("3"));
    assert_eq!(input("late", day(6, 30)), None);
}

#[test]
fn p1_the_version_names_the_content() {
    let text = entry("{ tier = \"standard\", input = \"1\", output = \"1\" }");
    let other = entry("{ tier = \"standard\", input = \"1\", output = \"2\" }");
    let version = |files: &[(&str, &str)]| PriceBook::from_toml(files).unwrap().version().to_string();
    assert_eq!(version(&[("p.toml", &text)]), version(&[("p.toml", &text)]));
    assert_ne!(version(&[("p.toml", &text)]), version(&[("p.toml", &other)]));
    assert_eq!(version(&[("p.toml", &text)]).len(), 16);
    let (longer, shorter) = (format!("#\n{text}"), format!("\n{text}"));
    assert_ne!(version(&[("p.toml", &longer)]), version(&[("p.toml#", &shorter)]), "a name is no text");
}

#[test]
fn dated_names_never_mix_models_up() {
    let rates = "from = \"start\"\nsource = \"s 1\"\ndate = \"2026-11-21\"\nrates = [{ tier = \"standard\", output = \"9\", input =";
    let text = format!(
        "provider = \"p\"
         [[price]]\nmodels = [\"gpt-4o\"]\n{rates} \"1\" }}]
         [[price]]\nmodels = [\"gpt-4o-mini\"]\n{rates} \"2\" }}]
         [[price]]\nmodels = [\"gpt-4o-2024-05-13\"]\n{rates} \"3\" }}]"
    );
    let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap();
    let model = |name: &str| {
        let card = book.find("p", name, ServiceTier::Standard, Timestamp::from_secs(0))?;
        Some(card.model().to_owned())
    };
    assert_eq!(model("gpt-4o-2024-08-06").as_deref(), Some("gpt-4o"));
    assert_eq!(model("gpt-4o-20240806").as_deref(), Some("gpt-4o"));
    assert_eq!(model("gpt-4o-2024-05-13").as_deref(), Some("gpt-4o-2024-05-13"), "its own entry wins");
    assert_eq!(model("gpt-4o-mini-2024-07-18").as_deref(), Some("gpt-4o-mini"));
    for unknown in [
        "gpt-4o-audio-preview",
        "gpt-4o-audio-preview-2024-12-17",
        "gpt-4",
        "gpt-4-2024-08-06",
        "gpt-4o-2024-08",
        "gpt-4o-2024-08-06-2024-08-06",
        "gpt-4o-mini-2024-07-18-ft",
        "GPT-4o",
        "gpt-4o ",
        "2024-08-06",
        "-2024-08-06",
    ] {
        assert_eq!(model(unknown), None, "{unknown}");
    }
}

#[test]
fn m7_what_is_billed_by_the_piece_needs_no_tokens_and_has_none() {
    let text = entry(
        "{ tier = \"standard\", variant = \"1024x1024/high\", images = \"40000\" },
         { tier = \"standard\", variant = \"1024x1024/low\", images = \"11000\" }",
    );
    let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap();
    let card = book.find("p", "m", ServiceTier::Standard, Timestamp::from_secs(0)).unwrap();
    let image = Usage::new().with(Bucket::Images, 2);
    let high = card.variant("1024x1024/high").unwrap();
    assert_eq!(high.cost(&image).unwrap().posted, "0.08".parse().unwrap());
    assert_eq!(high.chosen(), Some("1024x1024/high"));
    assert!(card.cost(&image).is_err(), "which size it was has to be said");
    assert_eq!(card.worst_with(0, 0, 1, &image), Ok("0.08".parse().unwrap()), "the dearest is reserved");
    let unpriced = card.worst(1, 0, 1).unwrap_err();
    assert_snapshot!(unpriced, @"p/m has no price for input: add `input` to its entry in a price file");
}

#[test]
fn m7_a_call_that_costs_something_is_reserved() {
    let text = entry("{ tier = \"standard\", input = \"1\", output = \"1\", calls = \"5000\" }");
    let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap();
    let card = book.find("p", "m", ServiceTier::Standard, Timestamp::from_secs(0)).unwrap();
    assert_eq!(card.worst(0, 0, 1), Ok("0.005".parse().unwrap()));
}

#[test]
fn m6_variants_are_understood_or_refused() {
    let text = entry(
        "{ tier = \"standard\", variant = \"Big\", images = \"1\" },
         { tier = \"standard\", variant = \"big\", above = 5, images = \"1\", input = \"1\" },
         { tier = \"standard\", variant = \"small\" },
         { tier = \"standard\", variant = \"big\", images = \"2\" },
         { tier = \"batch\", input = \"1\", web_search = \"1\" },
         { tier = \"flex\", images = \"1\", input_audio = \"1\" }",
    );
    assert_snapshot!(mistakes(&[("p.toml", &text)]), @r#"
    p.toml:8:32: m: `variant` is a size, a quality, or both: "1024x1024/high", "1080p"
    p.toml:9:10: m: variant `big` has no `above`: leave it out
    p.toml:9:10: m: variant `big` cannot state `input`: state it in a row without `variant`
    p.toml:10:10: m: variant `small` states none of `images`, `images_given`, `seconds`, `seconds_made`
    p.toml:12:10: m: `output` is missing; "0" is free
    p.toml:13:10: m: `input` is missing; "0" is free
    "#);
}

#[test]
fn m2_regions_are_folded_at_load_or_refused() {
    let text = entry("{ tier = \"standard\", input = \"0.000001\", output = \"9999999999.999999\" }");
    let region =
        |fields: &str| format!("{text}[[region]]\nsource = \"s 2\"\ndate = \"2026-11-21\"\n{fields}");
    let wrong = region("name = \"eu\"\nfactor = \"1.0001\"\nmodels = [\"m\", \"n\"]");
    assert_snapshot!(mistakes(&[("p.toml", &wrong)]), @r#"
    p.toml:10:1: the region `eu`, `m`: 0.000001 × 1.0001 has too many digits to multiply exactly: give the rate itself
    p.toml:10:1: the region `eu` names `n`, which has no entry
    "#);
    let wrong = region("name = \"E U\"\nfactor = 1.1\nmodels = [\"m\"]\nmodel = \"m\"");
    assert_snapshot!(mistakes(&[("p.toml", &wrong)]), @r#"
    p.toml:10:1: a region's `name` has lower-case letters, digits and `-`
    p.toml:14:10: `factor` must be a string that is not empty
    p.toml:16:1: a region has no field `model`: it has `name`, `factor`, `source`, `date`, `models`
    "#);
}

#[test]
fn p1_an_override_takes_the_place_of_its_tiers_from_its_instant_on() {
    let row =
        |tier: &str, input: &str| format!("{{ tier = \"{tier}\", input = \"{input}\", output = \"1\" }},");
    let base = entry(&format!("{}{}", row("standard", "1"), row("batch", "0.5")));
    let later = base.replace("from = \"start\"", "from = \"2026-12-01\"").replace("\"1\"", "\"9\"");
    let region = "[[region]]\nname = \"eu\"\nfactor = \"1.1\"\nmodels = [\"m\"]\nsource = \"s 2\"\ndate = \"2026-11-21\"\n";
    let override_of = |provider: &str, from: &str, input: &str| {
        let text = entry(&row("standard", input)).replace("\"p\"", &format!("\"{provider}\""));
        text.replace("from = \"start\"", &format!("from = \"{from}\""))
    };
    let at = |text: &str| {
        let day = Timestamp::from_date(2026, 11, 21).unwrap();
        if text == "later" { Timestamp::from_date(2026, 12, 2).unwrap() } else { day }
    };
    let base = format!("{base}{region}");
    let files = [("base.toml", base.as_str()), ("later.toml", later.as_str())];
    let plain = PriceBook::from_toml(&files).unwrap();
    let input = |book: &PriceBook, provider: &str, tier, when| {
        book.find(provider, "m", tier, at(when)).unwrap().rate(Bucket::Input, 1).unwrap().to_string()
    };
    assert_eq!(input(&plain, "p", ServiceTier::Standard, "later"), "9");

    let own = override_of("p", "start", "0.8");
    let book = PriceBook::with_overrides(&files, &[("own", &own)]).unwrap();
    assert_ne!(book.version(), plain.version());
    assert_eq!(input(&book, "p", ServiceTier::Standard, "now"), "0.8");
    assert_eq!(input(&book, "p", ServiceTier::Standard, "later"), "0.8");
    assert_eq!(input(&book, "p", ServiceTier::Batch, "now"), "0.5", "the other tiers stay");
    assert_eq!(input(&book, "p@eu", ServiceTier::Standard, "now"), "0.88", "and it holds in the regions");

    let own = override_of("p", "2026-11-21T00:00:01Z", "0.8");
    let book = PriceBook::with_overrides(&files, &[("own", &own)]).unwrap();
    assert_eq!(input(&book, "p", ServiceTier::Standard, "now"), "1", "a second before it began");
    assert_eq!(input(&book, "p", ServiceTier::Standard, "later"), "0.8");

    let here = override_of("p@eu", "start", "3");
    let book = PriceBook::with_overrides(&files, &[("own", &here)]).unwrap();
    assert_eq!(
        input(&book, "p@eu", ServiceTier::Standard, "now"),
        "3",
        "a region can be overridden by itself"
    );
    assert_eq!(input(&book, "p", ServiceTier::Standard, "now"), "1");
}

#[test]
fn a_day_or_a_second_of_it_begins_a_price() {
    let from = |from: &str| {
        let text = entry("{ tier = \"standard\", input = \"1\", output = \"1\" }");
        PriceBook::from_toml(&[("p.toml", &text.replace("start", from))])
    };
    for right in ["2026-11-21", "2026-11-21T23:59:59Z"] {
        assert!(from(right).is_ok(), "{right}");
    }
    for wrong in ["2026-11-21T24:00:00Z", "2026-11-21T1:00:00Z", "2026-11-21T10:00:00", "2026-11-21T10:00Z"] {
        assert!(from(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    /// Whatever a file holds, loading ends with a book or with mistakes that have a place.
    #[test]
    fn any_text_is_a_book_or_has_mistakes(text in "([a-z\\[\\]{}=\".,# \n0-9-]{0,6}|provider|price|rates|tier|\\[\\[price\\]\\]\n){0,40}") {
        if let Err(PriceError::Load(mistakes)) = PriceBook::from_toml(&[("x.toml", &text)]) {
            prop_assert!(mistakes.iter().count() > 0);
            for mistake in mistakes.iter() {
                prop_assert!(mistake.line >= 1 && mistake.column >= 1);
            }
        }
    }
}

#[test]
fn p1_what_priced_an_attempt_is_found_again_also_where_it_was_the_default() {
    let default = entry("{ tier = \"standard\", input = \"9\", output = \"9\" }")
        .replace("provider = \"p\"", "provider = \"*\"")
        .replace("models = [\"m\"]", "models = [\"*\"]");
    let own = entry("{ tier = \"batch\", input = \"1\", output = \"2\" }");
    let both = PriceBook::from_toml(&[("own.toml", &own), ("default.toml", &default)]).unwrap();
    let at = Timestamp::from_secs(1_800_000_000);
    let input = |card: Option<std::sync::Arc<weighbridge_pricing::PriceCard>>| {
        card.map(|card| card.rate(Bucket::Input, 0).unwrap().to_string())
    };
    assert_eq!(input(both.find_default(at)).as_deref(), Some("9"));
    // The default has one price, whichever tier was asked for.
    assert_eq!(input(both.find_as_priced("*", "*", ServiceTier::Batch, at)).as_deref(), Some("9"));
    assert_eq!(input(both.find_as_priced("p", "m", ServiceTier::Batch, at)).as_deref(), Some("1"));
    assert_eq!(input(both.find_as_priced("p", "m", ServiceTier::Standard, at)), None);
    assert!(both.knows("p") && both.knows("*") && !both.knows("p@eu") && !both.knows("q"));
    let none = PriceBook::from_toml(&[("own.toml", &own)]).unwrap();
    assert_eq!(input(none.find_default(at)), None, "what nobody agreed on has no price");
    assert_eq!(format!("{none:?}"), format!("PriceBook({}, 1 models)", none.version()));
    let card = none.find("p", "m", ServiceTier::Batch, at).unwrap();
    assert_eq!(format!("{card:?}"), format!("PriceCard(p/m, batch, {})", none.version()));
}

#[test]
fn m7_a_longer_cache_life_without_a_price_is_not_charged_as_the_shorter_one() {
    let of = |rates: &str| {
        let book = PriceBook::from_toml(&[("p.toml", &entry(rates))]).unwrap();
        book.find("p", "m", ServiceTier::Standard, Timestamp::from_secs(1_800_000_000)).unwrap()
    };
    let hour = Usage::new().with(Bucket::CacheWrite1h, 1_000_000).with(Bucket::Output, 0);
    let free = of("{ tier = \"standard\", input = \"3\", output = \"9\" }");
    assert_eq!(free.cost(&hour).unwrap().posted, NanoUsd::new(3_000_000_000), "writing costs nothing extra");
    let paid = of("{ tier = \"standard\", input = \"3\", cache_write_5m = \"4\", output = \"9\" }");
    assert!(matches!(paid.cost(&hour), Err(PriceError::Unpriced { bucket: Bucket::CacheWrite1h, .. })));
}
