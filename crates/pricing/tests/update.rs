//! From one book to the next (rules P1, P2).

#![expect(clippy::unwrap_used, reason = "what a test calls may fail it")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;
use weighbridge_pricing::{Approval, Factor, PriceBook, PriceSources, PriceText, ServiceTier, Update};
use weighbridge_units::{Bucket, Timestamp, Usage};

const NOW: Timestamp = Timestamp::from_micros(1_795_226_938_123_456);
/// The last second by the former book, and the first by the next.
const JUST_BEFORE: Timestamp = Timestamp::from_secs(1_795_226_953);
const LATER: Timestamp = Timestamp::from_secs(1_795_226_954);

fn file(entries: &[(&str, &str)]) -> String {
    let mut text = String::from("provider = \"p\"\n");
    for (model, rows) in entries {
        write!(
            text,
            "[[price]]\nmodels = [\"{model}\"]\nfrom = \"start\"\nsource = \"s 1\"\ndate = \"2026-11-21\"\nrates = [{rows}]\n"
        )
        .unwrap();
    }
    text
}

fn sources(text: &str) -> PriceSources {
    PriceSources { files: vec![PriceText::new("p.toml", text)], ..PriceSources::default() }
}

fn plan(old: &str, new: &str) -> (PriceSources, Update) {
    let sources = sources(old);
    let newer = PriceBook::from_toml(&[("new.toml", new)]).unwrap();
    let update = Update::plan(&sources.book().unwrap(), &newer, NOW, Factor::TWO);
    (sources, update)
}

fn told(update: &Update) -> String {
    let mut text = String::new();
    for change in &update.changes {
        writeln!(text, "{}{}", change.name(), if change.is_new { " (new)" } else { "" }).unwrap();
        change.steps.iter().for_each(|step| writeln!(text, "  {step}").unwrap());
        change.held.iter().for_each(|held| writeln!(text, "  held: {held}").unwrap());
    }
    for (provider, model) in &update.missing {
        writeln!(text, "{provider}/{model} is missing").unwrap();
    }
    text
}

const OLD: &[(&str, &str)] = &[
    ("same", "{ tier = \"standard\", input = \"1\", output = \"2\" }"),
    (
        "dearer",
        "{ tier = \"standard\", input = \"1\", output = \"2\", web_search = \"5\" }, { tier = \"batch\", input = \"0.5\", output = \"1\" }",
    ),
    ("jumps", "{ tier = \"standard\", input = \"1\", output = \"2\" }"),
    ("falls", "{ tier = \"standard\", input = \"4\", output = \"4\" }"),
    ("frees", "{ tier = \"standard\", input = \"1\", output = \"2\" }"),
    (
        "long",
        "{ tier = \"standard\", input = \"1\", output = \"2\" }, { tier = \"standard\", above = 200, input = \"2\", output = \"3\" }",
    ),
    ("gone", "{ tier = \"standard\", input = \"1\", output = \"2\" }"),
    (
        "image",
        "{ tier = \"standard\", variant = \"big\", images = \"5\" }, { tier = \"standard\", variant = \"small\", images = \"2\" }",
    ),
];
const NEW: &[(&str, &str)] = &[
    ("same", "{ tier = \"standard\", input = \"1.0\", output = \"2\" }"),
    ("dearer", "{ tier = \"standard\", input = \"2\", output = \"2\" }"),
    ("jumps", "{ tier = \"standard\", input = \"1\", output = \"4.000001\" }"),
    ("falls", "{ tier = \"standard\", input = \"1.999999\", output = \"2\" }"),
    ("frees", "{ tier = \"standard\", input = \"0\", output = \"2\" }"),
    ("long", "{ tier = \"standard\", input = \"1\", output = \"2\" }"),
    (
        "image",
        "{ tier = \"standard\", variant = \"big\", images = \"6\" }, { tier = \"standard\", variant = \"huge\", images = \"9\" }",
    ),
    ("new", "{ tier = \"standard\", input = \"100\", output = \"100\" }"),
    ("free", "{ tier = \"standard\", input = \"0\", output = \"0\" }"),
];

#[test]
fn p2_jumps_are_held_for_approval() {
    let (_, update) = plan(&file(OLD), &file(NEW));
    assert_snapshot!(told(&update), @r#"
    p/dearer
      standard input 1 → 2
    p/falls
      standard input 4 → 1.999999
      standard output 4 → 2
      held: standard input 4 → 1.999999 is a jump
    p/free (new)
      standard input 0
      standard output 0
      held: it becomes free of charge
    p/frees
      standard input 1 → 0
      held: standard input 1 → 0 is a jump
      held: it becomes free of charge
    p/image
      standard big images 5 → 6
      standard huge images 9
    p/jumps
      standard output 2 → 4.000001
      held: standard output 2 → 4.000001 is a jump
    p/long
      standard above 200 input 2 → 1
      standard above 200 output 3 → 2
      held: prompts of more than 200 tokens would cost what shorter ones do
    p/new (new)
      standard input 100
      standard output 100
    p/gone is missing
    "#);
}

#[test]
fn p2_what_is_taken_over_takes_nothing_away_and_begins_a_moment_later() {
    let (sources, update) = plan(&file(OLD), &file(NEW));
    let apply = |approval: &Approval| {
        let text = update.entries(approval).unwrap();
        sources.with_updates(Some(PriceText::new("updates", text))).book().unwrap()
    };
    let input = |book: &PriceBook, model: &str, bucket, tier, at| {
        book.find("p", model, tier, at).and_then(|card| card.rate(bucket, 1)).map(|rate| rate.to_string())
    };
    use ServiceTier::{Batch, Standard};
    let book = apply(&Approval::Nothing);
    assert_eq!(input(&book, "dearer", Bucket::Input, Standard, NOW).as_deref(), Some("1"), "P1");
    assert_eq!(input(&book, "dearer", Bucket::Input, Standard, LATER).as_deref(), Some("2"));
    assert_eq!(input(&book, "dearer", Bucket::WebSearch, Standard, LATER).as_deref(), Some("5"));
    assert_eq!(input(&book, "dearer", Bucket::Input, Batch, LATER).as_deref(), Some("0.5"));
    assert_eq!(input(&book, "new", Bucket::Input, Standard, LATER).as_deref(), Some("100"));
    assert_eq!(input(&book, "jumps", Bucket::Output, Standard, LATER).as_deref(), Some("2"), "held");
    assert_eq!(input(&book, "free", Bucket::Output, Standard, LATER), None, "held");
    let image = book.find("p", "image", Standard, LATER).unwrap();
    assert_eq!(image.variants().collect::<Vec<_>>(), ["big", "huge", "small"]);

    let approved = Approval::Models(BTreeSet::from(["p/jumps".to_owned()]));
    assert_eq!(update.held(&approved).count(), update.held(&Approval::Nothing).count() - 1);
    let book = apply(&approved);
    assert_eq!(input(&book, "jumps", Bucket::Output, Standard, LATER).as_deref(), Some("4.000001"));
    assert_eq!(input(&book, "falls", Bucket::Input, Standard, LATER).as_deref(), Some("4"), "held");
    let book = apply(&Approval::All);
    assert_eq!(input(&book, "frees", Bucket::Input, Standard, LATER).as_deref(), Some("0"));
    assert_eq!(update.held(&Approval::All).count(), 0);
}

fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..100_u64, 1..1_000_000_u64]
}

/// Models of two tiers with some rates; none rises with the prompt.
fn models() -> impl Strategy<Value = String> {
    let row = |tier: &'static str| {
        (rate(), rate(), prop::option::of(rate()), prop::option::of(rate())).prop_map(
            move |(i, o, read, search)| {
                let money = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                let mut text =
                    format!("{{ tier = \"{tier}\", input = \"{}\", output = \"{}\"", money(i), money(o));
                if let Some(read) = read {
                    write!(text, ", cache_read = \"{}\"", money(read)).unwrap();
                }
                if let Some(search) = search {
                    write!(text, ", web_search = \"{}\"", money(search)).unwrap();
                }
                text + " }, "
            },
        )
    };
    let model =
        (row("standard"), prop::option::of(row("batch"))).prop_map(|(s, b)| s + &b.unwrap_or_default());
    prop::collection::btree_map("[a-c]", model, 1..4).prop_map(|models| {
        let entries: Vec<(&str, &str)> = models.iter().map(|(name, rows)| (&**name, &**rows)).collect();
        file(&entries)
    })
}

proptest! {
    /// P1, P2: an update makes a book; what was dispatched until then costs in it what it did; from then on what was
    /// accepted costs what the newer book says, what is held what it did, and nothing has lost its price. A second
    /// update by the same book changes nothing.
    #[test]
    fn p1_p2_an_update_is_whole_and_changes_no_past(old in models(), new in models(), approve in any::<bool>()) {
        let (sources, update) = plan(&old, &new);
        let before = sources.book().unwrap();
        let newer = PriceBook::from_toml(&[("new", &new)]).unwrap();
        let approval = if approve { Approval::All } else { Approval::Nothing };
        let text = update.entries(&approval).map(|text| PriceText::new("updates", text));
        let after = sources.with_updates(text).book().unwrap();
        for (provider, model) in before.models().into_iter().chain(newer.models()) {
            let is_held = update.held(&approval).any(|change| *change.model == *model);
            for tier in [ServiceTier::Standard, ServiceTier::Batch] {
                for bucket in [Bucket::Input, Bucket::Output, Bucket::CacheRead, Bucket::WebSearch] {
                    let usage = Usage::new().with(bucket, 1_000);
                    let cost = |book: &PriceBook, at| {
                        book.find(provider, model, tier, at).and_then(|card| card.cost(&usage).ok()).map(|c| c.exact)
                    };
                    for at in [NOW, JUST_BEFORE] {
                        prop_assert_eq!(cost(&after, at), cost(&before, at), "the past");
                    }
                    let stated = |book: &PriceBook| {
                        let card = book.find(provider, model, tier, LATER)?;
                        let (_, rates) = card.stated().next()?;
                        rates.iter().find(|(of, _)| *of == bucket).map(|(_, rate)| *rate)
                    };
                    let expected = match stated(&newer) {
                        Some(rate) if !is_held => Some(rate),
                        _ => stated(&before),
                    };
                    prop_assert_eq!(stated(&after), expected, "{}/{} {} {}", provider, model, tier, bucket);
                }
            }
        }
        let again = Update::plan(&after, &newer, LATER, Factor::TWO);
        prop_assert_eq!(again.accepted(&approval).count(), 0);
    }
}
