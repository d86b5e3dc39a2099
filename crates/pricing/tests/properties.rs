//! Costs of random price files and usages, against a reference that counts in integers and shares
//! no code with the crate: amounts are i128 pico-dollars (10⁻¹² USD), rates are micro-dollars per
//! million units, which is the same as pico-dollars per unit.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test calls may fail it")]

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use weighbridge_pricing::{COUNT_LIMIT, PriceBook, PriceCard, PriceError, ServiceTier};
use weighbridge_units::{Bucket, Timestamp, Usage, Usd};

const NOW: Timestamp = Timestamp::from_secs(1_795_226_938);
const BUCKETS: usize = Bucket::ALL.len();

/// The rates of one context tier; `None` is a bucket that the file leaves out.
#[derive(Debug, Clone)]
struct Bracket {
    above: u64,
    micros: [Option<u64>; BUCKETS],
}

impl Bracket {
    /// Pico-dollars per unit, with the fallbacks that the documentation states.
    fn pico(&self, bucket: Bucket) -> Option<i128> {
        let at = |bucket: Bucket| self.micros[bucket as usize].map(i128::from);
        let fallback = match bucket {
            Bucket::Reasoning => at(Bucket::Output),
            Bucket::CacheRead | Bucket::CacheWrite5m | Bucket::ToolPrompt | Bucket::InputImage => {
                at(Bucket::Input)
            }
            Bucket::CacheWrite1h if at(Bucket::CacheWrite5m).is_none() => at(Bucket::Input),
            _ => None,
        };
        at(bucket).or(fallback)
    }
}

fn toml(brackets: &[Bracket]) -> String {
    let mut text = String::from(
        "provider = \"p\"\n[[price]]\nmodels = [\"m\"]\nfrom = \"start\"\nsource = \"s 1\"\ndate = \"2026-11-21\"\nrates = [\n",
    );
    for bracket in brackets {
        write!(text, "{{ tier = \"standard\"").unwrap();
        if bracket.above > 0 {
            write!(text, ", above = {}", bracket.above).unwrap();
        }
        for bucket in Bucket::ALL {
            if let Some(micros) = bracket.micros[bucket as usize] {
                write!(text, ", {bucket} = \"{}.{:06}\"", micros / 1_000_000, micros % 1_000_000).unwrap();
            }
        }
        text.push_str(" },\n");
    }
    text + "]\n"
}

fn card(brackets: &[Bracket]) -> Arc<PriceCard> {
    let text = toml(brackets);
    let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    book.find("p", "m", ServiceTier::Standard, NOW).unwrap()
}

/// Pico-dollars of a usage; `None` where a bucket that was used has no price.
fn reference(brackets: &[Bracket], usage: &Usage) -> Option<i128> {
    let prompt: u64 = PROMPT.into_iter().map(|bucket| usage.get(bucket)).sum();
    let bracket = brackets.iter().rev().find(|bracket| prompt > bracket.above || bracket.above == 0).unwrap();
    let mut pico = 0;
    for (bucket, count) in usage.iter().filter(|(_, count)| *count > 0) {
        pico += bracket.pico(bucket)? * i128::from(count);
    }
    Some(pico)
}

/// Pico-dollars per unit of a bucket, in the context tier of a usage.
fn brackets_rate(brackets: &[Bracket], usage: &Usage, bucket: Bucket) -> i128 {
    let prompt: u64 = PROMPT.into_iter().map(|bucket| usage.get(bucket)).sum();
    let bracket = brackets.iter().rev().find(|bracket| prompt > bracket.above || bracket.above == 0).unwrap();
    bracket.pico(bucket).unwrap()
}

/// Half to even, from pico- to nano-dollars.
fn nanos(pico: i128) -> i128 {
    let (whole, rest) = (pico.div_euclid(1_000), pico.rem_euclid(1_000));
    match rest.cmp(&500) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole.rem_euclid(2),
    }
}

/// Up to four context tiers whose rates never fall, as the loader demands.
fn brackets() -> impl Strategy<Value = Vec<Bracket>> {
    let rate = || prop_oneof![Just(0), 1..2_000_000_u64, 1..10_000_000_000_u64];
    let base = prop::collection::vec(prop::option::of(rate()), BUCKETS);
    let steps = prop::collection::vec((1..400_000_u64, prop::collection::vec(rate(), BUCKETS)), 0..4);
    (rate(), rate(), base, steps).prop_map(|(input, output, base, steps)| {
        let mut micros = [None; BUCKETS];
        micros.copy_from_slice(&base);
        micros[Bucket::Input as usize] = Some(input);
        micros[Bucket::Output as usize] = Some(output);
        let mut brackets = vec![Bracket { above: 0, micros }];
        for (step, rises) in steps {
            let mut next = brackets.last().unwrap().clone();
            next.above += step;
            for (rate, rise) in next.micros.iter_mut().zip(rises) {
                *rate = rate.map(|micros| micros + rise);
            }
            brackets.push(next);
        }
        brackets
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![3 => Just(0), 3 => 0..1_000_u64, 3 => 0..500_000_u64, 1 => 0..10_000_000_u64];
    prop::collection::vec(prop::option::of(count()), BUCKETS).prop_map(|counts| {
        let mut usage = Usage::new();
        for (bucket, count) in Bucket::ALL.into_iter().zip(counts) {
            if let Some(count) = count {
                usage.set(bucket, count);
            }
        }
        usage
    })
}

/// Counts up to a total, cut at random: usages within a bound.
fn shares(total: u64, cuts: &[u64]) -> Vec<u64> {
    let mut left = total;
    cuts.iter()
        .map(|cut| {
            let share = if left == 0 { 0 } else { cut % (left + 1) };
            left -= share;
            share
        })
        .collect()
}

const PROMPT: [Bucket; 7] = [
    Bucket::Input,
    Bucket::CacheRead,
    Bucket::CacheWrite5m,
    Bucket::CacheWrite1h,
    Bucket::InputAudio,
    Bucket::ToolPrompt,
    Bucket::InputImage,
];
const ANSWER: [Bucket; 4] = [Bucket::Output, Bucket::Reasoning, Bucket::OutputAudio, Bucket::OutputImage];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    /// M2, M3: the cost is what integer arithmetic says, to the last digit.
    #[test]
    fn m2_m3_the_cost_is_exact_and_rounded_once(brackets in brackets(), usage in usage()) {
        let card = card(&brackets);
        if usage.is_untold() {
            prop_assert_eq!(card.cost(&usage), Err(PriceError::Untold));
            return Ok(());
        }
        let Some(pico) = reference(&brackets, &usage) else {
            let unpriced = matches!(card.cost(&usage), Err(PriceError::Unpriced { .. }));
            prop_assert!(unpriced);
            return Ok(());
        };
        let cost = card.cost(&usage).unwrap();
        prop_assert_eq!(cost.exact.get(), rust_decimal::Decimal::from_i128_with_scale(pico, 12));
        prop_assert_eq!(i128::from(cost.posted.get()), nanos(pico));
    }

    /// M3: items and the rounding item add up to what is posted.
    #[test]
    fn m3_items_and_rounding_equal_the_total(brackets in brackets(), usage in usage()) {
        let Ok(cost) = card(&brackets).cost(&usage) else { return Ok(()) };
        let mut sum = cost.rounding;
        for item in &cost.items {
            prop_assert_eq!(item.count, usage.get(item.bucket));
            prop_assert_eq!(item.rate.times(item.count).unwrap(), item.amount);
            sum = sum.plus(item.amount).unwrap();
        }
        prop_assert_eq!(sum, Usd::from(cost.posted));
    }

    /// M6: more of a bucket never costs less, also where it crosses thresholds.
    #[test]
    fn m6_a_cost_never_falls(
        brackets in brackets(), usage in usage(), bucket in 0..BUCKETS, more in 1..1_000_000_u64,
    ) {
        let card = card(&brackets);
        let bucket = Bucket::ALL[bucket];
        let larger = usage.with(bucket, usage.get(bucket) + more);
        if let (Ok(cost), Ok(larger)) = (card.cost(&usage), card.cost(&larger)) {
            prop_assert!(cost.exact <= larger.exact);
        }
    }

    /// M6: at every threshold, the shorter prompt's rate holds; one token further, the longer one's.
    #[test]
    fn m6_tiers_are_right_around_every_threshold(
        brackets in brackets(), cuts in prop::collection::vec(any::<u64>(), 4), answer in 0..100_000_u64,
    ) {
        let card = card(&brackets);
        for (index, bracket) in brackets.iter().enumerate().skip(1) {
            for prompt in [bracket.above - 1, bracket.above, bracket.above + 1] {
                // However the prompt is divided among cached and other tokens.
                let mut usage = Usage::new().with(Bucket::Output, answer);
                let mut left = prompt;
                for (bucket, share) in PROMPT.into_iter().skip(1).zip(shares(prompt, &cuts)) {
                    if bracket.pico(bucket).is_some() {
                        usage.set(bucket, share);
                        left -= share;
                    }
                }
                usage.set(Bucket::Input, left);
                let cost = card.cost(&usage).unwrap();
                let expected = reference(&brackets, &usage).unwrap();
                prop_assert_eq!(cost.exact.get(), rust_decimal::Decimal::from_i128_with_scale(expected, 12));
                // The step before may lie closer than a token: only the side of this one is told.
                let above_this = cost.context_above >= bracket.above;
                prop_assert_eq!(above_this, prompt > bracket.above, "prompt {}, tier {}", prompt, index);
            }
        }
    }

    /// R4: no usage within the bounds costs more than the worst.
    #[test]
    fn r4_nothing_within_the_bounds_costs_more_than_the_worst(
        brackets in brackets(),
        prompt_bound in 0..2_000_000_u64, output_cap in 0..200_000_u64, candidates in 1..9_u64,
        pieces in usage(),
        prompt in any::<prop::sample::Index>(), cuts in prop::collection::vec(any::<u64>(), 7),
        answer_cuts in prop::collection::vec(any::<u64>(), 4),
    ) {
        let card = card(&brackets);
        // The prompt's length is anything up to the bound, often close to a threshold.
        let mut lengths = vec![0, prompt_bound / 2, prompt_bound];
        for bracket in &brackets {
            lengths.extend([bracket.above.saturating_sub(1), bracket.above, bracket.above + 1]);
        }
        lengths.retain(|length| *length <= prompt_bound);
        let mut usage = Usage::new();
        for (bucket, count) in pieces.iter().filter(|(bucket, _)| !bucket.is_token()) {
            usage.set(bucket, count);
        }
        let pieces = usage;
        for (bucket, count) in PROMPT.into_iter().zip(shares(*prompt.get(&lengths), &cuts)) {
            usage.set(bucket, count);
        }
        for (bucket, count) in ANSWER.into_iter().zip(shares(output_cap * candidates, &answer_cuts)) {
            usage.set(bucket, count);
        }
        if let Ok(cost) = card.cost(&usage) {
            let worst = card.worst_with(prompt_bound, output_cap, candidates, &pieces).unwrap();
            prop_assert!(cost.posted <= worst, "{} > {worst}\n{cost}", cost.posted);
        }
    }

    /// R4: the bound is reached, so it reserves no more than it must.
    #[test]
    fn r4_the_worst_is_reached(brackets in brackets(), prompt in 0..2_000_000_u64, answer in 0..200_000_u64) {
        let card = card(&brackets);
        let worst = card.worst(prompt, answer, 1).unwrap();
        let reached = PROMPT.iter().flat_map(|p| ANSWER.map(|a| (*p, a))).any(|(p, a)| {
            let called = if brackets[0].micros[Bucket::Calls as usize].is_some() { 1 } else { 0 };
            let usage = Usage::new().with(p, prompt).with(a, answer).with(Bucket::Calls, called);
            card.cost(&usage).is_ok_and(|cost| cost.posted == worst)
        });
        prop_assert!(reached);
    }

    /// M2, M4, M5: absurd counts are refused by name, never wrapped.
    #[test]
    fn m2_absurd_counts_are_refused(
        brackets in brackets(), bucket in 0..BUCKETS, count in COUNT_LIMIT..=u64::MAX,
    ) {
        let card = card(&brackets);
        let bucket = Bucket::ALL[bucket];
        let refused = PriceError::TooMany { bucket, count };
        prop_assert_eq!(card.cost(&Usage::new().with(bucket, count)), Err(refused));
        prop_assert!(card.worst_with(1, 1, 1, &Usage::new().with(bucket, count)).is_err() || bucket.is_token());
        prop_assert!(card.worst(count, 1, 1).is_err());
        prop_assert!(card.worst(1, count, 1).is_err());
        prop_assert!(card.worst(1, 2, count).is_err());
    }

    /// M2, M4: the largest rates and counts together give an exact sum or an error.
    #[test]
    fn m4_the_largest_amounts_fit_or_are_refused(counts in prop::collection::vec(0..COUNT_LIMIT, BUCKETS)) {
        let dearest = Bracket { above: 0, micros: [Some(10_000_000_000_000_000); BUCKETS] };
        let mut usage = Usage::new();
        for (bucket, count) in Bucket::ALL.into_iter().zip(counts) {
            usage.set(bucket, count);
        }
        match card(std::slice::from_ref(&dearest)).cost(&usage) {
            Ok(cost) => {
                let pico = reference(&[dearest], &usage).unwrap();
                prop_assert_eq!(i128::from(cost.posted.get()), nanos(pico));
            }
            Err(error) => prop_assert!(matches!(error, PriceError::Money(_))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(2), ..ProptestConfig::default() })]

    /// M2, M6, R4: each variant has its own rate for what it varies and the tier's for all else, and the worst
    /// is that of the dearest.
    #[test]
    fn m2_r4_a_variant_changes_the_price_of_its_pieces_alone(
        brackets in brackets(), usage in usage(), micros in prop::collection::vec(0..1_000_000_u64, 1..5),
    ) {
        let mut text = toml(&brackets);
        let end = text.rfind(']').unwrap();
        let rows = micros.iter().enumerate().map(|(index, micros)| {
            format!(
                "{{ tier = \"standard\", variant = \"{index}x1/high\", images = \"{}.{:06}\" }},\n",
                micros / 1_000_000, micros % 1_000_000,
            )
        });
        text.insert_str(end, &rows.collect::<String>());
        let book = PriceBook::from_toml(&[("p.toml", &text)]).unwrap();
        let card = book.find("p", "m", ServiceTier::Standard, NOW).unwrap();
        prop_assert_eq!(card.variants().count(), micros.len());
        for (index, micros) in micros.iter().enumerate() {
            let variant = card.variant(&format!("{index}x1/high")).unwrap();
            let mut varied = brackets.clone();
            for bracket in &mut varied {
                bracket.micros[Bucket::Images as usize] = Some(*micros);
            }
            match reference(&varied, &usage) {
                Some(pico) if !usage.is_untold() => {
                    let cost = variant.cost(&usage).unwrap();
                    prop_assert_eq!(cost.exact.get(), rust_decimal::Decimal::from_i128_with_scale(pico, 12));
                    let prompt = usage.prompt();
                    if let Ok(worst) = card.worst_with(prompt, usage.answer(), 1, &usage) {
                        prop_assert!(cost.posted <= worst);
                    }
                }
                _ => prop_assert!(variant.cost(&usage).is_err()),
            }
        }
        prop_assert!(card.variant("9x9/low").is_none());
        // Which image it was has to be said, unless there is a rate for any (rule M7).
        let any = brackets[0].micros[Bucket::Images as usize].is_some();
        prop_assert_eq!(card.cost(&Usage::new().with(Bucket::Images, 1)).is_ok(), any);
    }

    /// M2, M3, M6: a region's factor is folded into the rates at load, exactly, in every context tier; what the
    /// region does not name costs there what it costs elsewhere.
    #[test]
    fn m2_a_regional_factor_is_folded_in_exactly(
        brackets in brackets(), usage in usage(), hundredths in 1..400_u64,
    ) {
        let factor = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let entry = toml(&brackets);
        let other = entry.split_once("[[price]]").unwrap().1.replace("\"m\"", "\"other\"");
        let text = format!(
            "{entry}[[price]]{other}[[region]]\nname = \"eu\"\nfactor = \"{factor}\"\nmodels = [\"m\"]\n\
             source = \"s 2\"\ndate = \"2026-11-21\"\n"
        );
        let Ok(book) = PriceBook::from_toml(&[("p.toml", &text)]) else {
            // Only a factor that a rate cannot bear exactly.
            let most = brackets.iter().flat_map(|b| b.micros).flatten().max().unwrap_or_default();
            prop_assert!(most > 10_000_000_000, "{text}");
            return Ok(());
        };
        let find = |provider, model| book.find(provider, model, ServiceTier::Standard, NOW).unwrap();
        let (here, folded) = (find("p", "m"), find("p@eu", "m"));
        let other = find("p@eu", "other");
        prop_assert_eq!(other.provider(), "p");
        prop_assert!(book.find("p@us", "m", ServiceTier::Standard, NOW).is_none());
        if let (Ok(here), Ok(there)) = (here.cost(&usage), folded.cost(&usage)) {
            // Pico-dollars times hundredths, for tokens.
            let scaled = here.items.iter().map(|item| {
                let pico = brackets_rate(&brackets, &usage, item.bucket) * i128::from(item.count);
                pico * if item.bucket.is_token() { i128::from(hundredths) } else { 100 }
            });
            let expected = rust_decimal::Decimal::from_i128_with_scale(scaled.sum(), 14);
            prop_assert_eq!(expected, there.exact.get());
            let worst = folded.worst_with(usage.prompt(), usage.answer(), 1, &usage).unwrap();
            prop_assert!(there.posted <= worst);
        }
    }
}
