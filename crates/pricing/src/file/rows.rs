use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;
use weighbridge_units::Bucket;

use super::fields::{Fields, Notes};
use crate::card::{Bracket, Rates, Variant};
use crate::rate::{COUNT_LIMIT, Rate};
use crate::tier::ServiceTier;

/// What may cost differently by its variant: what is made or given by the piece.
const VARIED: [Bucket; 4] = [Bucket::Images, Bucket::ImagesGiven, Bucket::Seconds, Bucket::SecondsMade];

/// Longest name of a variant.
const VARIANT_MAX: usize = 64;

/// What a row says of a bucket.
#[derive(Clone, Copy)]
enum Stated {
    Nothing,
    /// Something that is not a rate, which has been noted.
    Wrongly,
    As(Rate),
}

impl Stated {
    fn rate(self) -> Option<Rate> {
        match self {
            Self::As(rate) => Some(rate),
            Self::Nothing | Self::Wrongly => None,
        }
    }
}

/// One row of `rates`: a service tier, perhaps a context tier or a variant, and the rates that hold there.
pub(super) struct Row {
    tier: ServiceTier,
    above: u64,
    variant: Option<Arc<str>>,
    rates: [Stated; Bucket::ALL.len()],
    span: Range<usize>,
}

impl Row {
    /// Reads a row; `None` where a mistake makes it useless, which is noted.
    pub(super) fn read(mut fields: Fields<'_, '_>, notes: &mut Notes<'_>) -> Option<Self> {
        let span = fields.place();
        let tier = fields.text("tier", notes).and_then(|name| {
            let tier = ServiceTier::from_name(name);
            if tier.is_none() {
                let known = ServiceTier::ALL.map(ServiceTier::as_str).join("`, `");
                notes.add(span.clone(), format!("there is no tier `{name}`: there are `{known}`"));
            }
            tier
        });
        let above = match fields.optional("above") {
            Some(value) => threshold(value, notes),
            None => Some(0),
        };
        let variant = match fields.optional("variant") {
            Some(value) => Some(variant(value, notes)?),
            None => None,
        };
        if let Some(source) = fields.optional("source") {
            check_source(source, notes);
        }
        let rates = Bucket::ALL.map(|bucket| {
            let Some(value) = fields.optional(bucket.as_str()) else { return Stated::Nothing };
            rate(bucket, value, notes).map_or(Stated::Wrongly, Stated::As)
        });
        fields.finish("a row of `rates`", notes);
        let row = Self { tier: tier?, above: above?, variant, rates, span };
        row.check_variant(notes);
        Some(row)
    }

    /// A variant says what pieces cost, whatever the prompt's length; all else is in the tier's own rows.
    fn check_variant(&self, notes: &mut Notes<'_>) {
        let Some(variant) = &self.variant else { return };
        if self.above > 0 {
            notes.add(self.span.clone(), format!("variant `{variant}` has no `above`: leave it out"));
        }
        let mut states = false;
        for bucket in Bucket::ALL {
            let is_varied = VARIED.contains(&bucket);
            match self.rates[bucket as usize] {
                Stated::Nothing => {}
                Stated::Wrongly | Stated::As(_) if is_varied => states = true,
                Stated::Wrongly | Stated::As(_) => notes.add(
                    self.span.clone(),
                    format!(
                        "variant `{variant}` cannot state `{bucket}`: state it in a row without `variant`"
                    ),
                ),
            }
        }
        if !states {
            let known = VARIED.map(Bucket::as_str).join("`, `");
            notes.add(self.span.clone(), format!("variant `{variant}` states none of `{known}`"));
        }
    }

    fn states(&self, bucket: Bucket) -> bool {
        !matches!(self.rates[bucket as usize], Stated::Nothing)
    }
}

/// Rows put together by tier, and checked against each other.
pub(super) fn by_tier(mut rows: Vec<Row>, notes: &mut Notes<'_>) -> Vec<(ServiceTier, Arc<Rates>)> {
    rows.sort_by(|one, next| {
        let key = |row: &Row| (row.tier, row.above);
        key(one).cmp(&key(next)).then_with(|| one.variant.cmp(&next.variant))
    });
    rows.chunk_by(|one, next| one.tier == next.tier)
        .filter_map(|rows| Some((rows.first()?.tier, Arc::new(tier_rates(rows, notes)?))))
        .collect()
}

/// The rates of one tier, from its rows, lowest first.
fn tier_rates(rows: &[Row], notes: &mut Notes<'_>) -> Option<Rates> {
    let (varied, plain): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.variant.is_some());
    for pair in varied.windows(2) {
        if let [one, next] = pair
            && one.variant == next.variant
        {
            let problem = format!("tier `{}` has another row with the same `variant`: keep one", next.tier);
            notes.add(next.span.clone(), problem);
        }
    }
    let variants = varied.iter().filter_map(|row| {
        let rates = Bucket::ALL.into_iter().filter_map(|b| Some((b, row.rates[b as usize].rate()?)));
        Some(Variant { name: row.variant.clone()?, rates: rates.collect() })
    });
    let bracket = |row: &&Row| Bracket::new(row.above, &row.rates.map(Stated::rate));
    let Some((first, others)) = plain.split_first() else {
        // Nothing but variants: whatever is none of them has no price.
        let base = Bracket::new(0, &[None; Bucket::ALL.len()]);
        return Some(Rates { base, brackets: Vec::new(), variants: variants.collect() });
    };
    if first.above > 0 {
        let problem = format!("tier `{}` needs a row without `above`, for shorter prompts", first.tier);
        notes.add(first.span.clone(), problem);
    }
    check_whole(first, !varied.is_empty(), notes);
    for pair in plain.windows(2) {
        if let [lower, higher] = pair {
            check_step(lower, higher, notes);
        }
    }
    Some(Rates {
        base: bracket(first),
        brackets: others.iter().map(bracket).collect(),
        variants: variants.collect(),
    })
}

/// Checks that nothing was forgotten: tokens of a prompt have a price unless only pieces are billed, and so
/// have those of an answer unless it is made of something else. Without this a slip of the pen is a model
/// that nobody can be charged for.
fn check_whole(row: &Row, has_variants: bool, notes: &mut Notes<'_>) {
    let states = |of: &dyn Fn(Bucket) -> bool| Bucket::ALL.into_iter().any(|b| of(b) && row.states(b));
    let tokens = states(&Bucket::is_token);
    let pieces = has_variants || states(&|bucket| !bucket.is_token());
    let makes_else =
        has_variants || states(&|b| b.is_answer() || matches!(b, Bucket::Images | Bucket::SecondsMade));
    if !row.states(Bucket::Input) && (tokens || !pieces) {
        notes.add(row.span.clone(), format!("`{}` is missing; \"0\" is free", Bucket::Input));
    }
    if !makes_else && (tokens || !pieces) {
        notes.add(row.span.clone(), format!("`{}` is missing; \"0\" is free", Bucket::Output));
    }
}

/// Checks that a longer prompt has a price for whatever a shorter one has, and never a lower one:
/// with it, a cost never falls when a bucket grows (rule M6).
fn check_step(lower: &Row, higher: &Row, notes: &mut Notes<'_>) {
    if lower.above == higher.above {
        let problem = format!("tier `{}` has another row with the same `above`: keep one", higher.tier);
        notes.add(higher.span.clone(), problem);
        return;
    }
    for bucket in Bucket::ALL {
        let (shorter, longer) = (lower.rates[bucket as usize], higher.rates[bucket as usize]);
        let problem = match (shorter, longer) {
            (Stated::As(_), Stated::Nothing) => {
                format!("`{bucket}` is missing: repeat it if it stays the same")
            }
            (Stated::Nothing, Stated::As(_)) => {
                format!("`{bucket}` is missing in the row for shorter prompts")
            }
            (Stated::As(shorter), Stated::As(longer)) if longer < shorter => format!(
                "`{bucket}` falls from {shorter} to {longer} for longer prompts, so that more would cost less"
            ),
            _ => continue,
        };
        notes.add(higher.span.clone(), problem);
    }
}

fn threshold(value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<u64> {
    let number = value.get_ref().as_integer().filter(|number| number.radix() == 10);
    let threshold =
        number.and_then(|number| number.as_str().parse().ok()).filter(|n| (1..COUNT_LIMIT).contains(n));
    if threshold.is_none() {
        notes.add(value.span(), "`above` is a whole number of prompt tokens, from 1");
    }
    threshold
}

/// The name of a variant: `1024x1024/high`, `1080p`.
fn variant(value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<Arc<str>> {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'/' | b'-' | b'.' | b'_');
    let name = value
        .get_ref()
        .as_str()
        .filter(|name| (1..=VARIANT_MAX).contains(&name.len()) && name.bytes().all(plain));
    if name.is_none() {
        notes.add(value.span(), "`variant` is a size, a quality, or both: \"1024x1024/high\", \"1080p\"");
    }
    name.map(Into::into)
}

fn rate(bucket: Bucket, value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<Rate> {
    let text = match value.get_ref() {
        DeValue::Table(table) => {
            let mut fields = Fields::of(table, value.span());
            let text = fields.text("usd", notes);
            if let Some(source) = fields.optional("source") {
                check_source(source, notes);
            }
            fields.finish("a rate", notes);
            text?
        }
        DeValue::String(text) => text,
        // A TOML number would be read as a float somewhere along the way (rule M1).
        _ => {
            notes.add(value.span(), format!("`{bucket}` must be a string such as \"2.50\": money is text"));
            return None;
        }
    };
    text.parse().map_err(|error: crate::RateError| notes.add(value.span(), format!("{bucket}: {error}"))).ok()
}

fn check_source(value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) {
    if value.get_ref().as_str().is_none_or(|text| text.trim().is_empty()) {
        notes.add(value.span(), "`source` must name a package and its version");
    }
}
