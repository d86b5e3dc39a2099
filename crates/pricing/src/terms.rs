use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use weighbridge_units::{Charges, ChargesError, MoneyError, NanoUsd, Usage, Usd};

use crate::error::PriceError;
use crate::rate::COUNT_LIMIT;

/// Half a nano-dollar: the most that posting takes away from an exact cost.
const ROUNDED_OFF_MAX: Usd = Usd::new(Decimal::from_parts(5, 0, 0, false, 10));

/// What a tenant is asked for an attempt, given the provider's cost.
///
/// | | of the cost | beside it |
/// |---|---|---|
/// | [`Terms::markup`] | all of it, and the percentage (below zero: less it) | the amounts per request and for tokens |
/// | [`Terms::surcharge`] | the percentage | the same |
/// | [`Terms::NOTHING`] | nothing: a flat subscription | nothing |
///
/// The price is exact and rounded once (rule M3), never negative, and never falls when cost or tokens grow (rule M6).
///
/// ```
/// use weighbridge_pricing::Terms;
/// use weighbridge_units::{Bucket, Charges, NanoUsd, Usage};
///
/// let charges: Charges = "20% + 0.001/request + 0.5/Mprompt".parse()?;
/// let usage = Usage::new().with(Bucket::Input, 10_000).with(Bucket::Output, 500);
/// let cost = "0.03".parse()?;
/// let asked = Terms::markup(charges).price(cost, &usage)?;
/// assert_eq!(asked.posted, NanoUsd::new(42_000_000)); // 0.03 × 1.2 + 0.001 + 0.005
/// let asked = Terms::surcharge(charges).price(cost, &usage)?;
/// assert_eq!(asked.posted, NanoUsd::new(12_000_000)); // 0.03 × 0.2 + 0.001 + 0.005
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    base: Base,
    charges: Charges,
}

/// What the percentage is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Base {
    /// The cost, which the tenant pays too.
    Cost,
    /// Nothing: the tenant pays the provider itself.
    Nothing,
}

/// What a tenant is asked for an attempt: the four parts and [`Asked::rounding`] add up to what is posted (rule M3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// What the provider's cost is multiplied by.
    pub share: Decimal,
    /// The share of the provider's cost.
    pub of_cost: Usd,
    /// For the request.
    pub of_request: Usd,
    /// For the tokens of the prompt.
    pub of_prompt: Usd,
    /// For the tokens of the answer.
    pub of_answer: Usd,
    /// The sum, before rounding.
    pub exact: Usd,
    /// The sum, rounded once, half to even, to whole nano-dollars.
    pub posted: NanoUsd,
    /// `posted - exact`: within half a nano-dollar of zero.
    pub rounding: Usd,
}

impl Terms {
    /// The provider's cost and nothing else.
    pub const AT_COST: Self = Self { base: Base::Cost, charges: Charges::NONE };
    /// Nothing is asked for a request.
    pub const NOTHING: Self = Self { base: Base::Nothing, charges: Charges::NONE };

    /// The cost with a mark-up, for attempts on the installation's credentials. A percentage below zero is a discount.
    pub const fn markup(charges: Charges) -> Self {
        Self { base: Base::Cost, charges }
    }

    /// A surcharge, for attempts on a tenant's own credentials. A percentage below zero asks for nothing of the
    /// cost: nobody is paid for using the gateway.
    pub const fn surcharge(charges: Charges) -> Self {
        Self { base: Base::Nothing, charges }
    }

    /// What is added.
    pub const fn charges(self) -> Charges {
        self.charges
    }

    /// Whether the price is the cost, whatever it is.
    pub fn is_at_cost(self) -> bool {
        self == Self::AT_COST
    }

    /// What is asked for an attempt that cost the provider's `cost`, before rounding, and used `usage`.
    ///
    /// # Errors
    /// [`PriceError::TooMany`] and [`PriceError::Money`] for absurd costs and counts.
    pub fn price(self, cost: Usd, usage: &Usage) -> Result<Asked, PriceError> {
        self.asked(cost, usage.prompt(), usage.answer())
    }

    /// The most that is asked for an attempt that costs at most `worst` when posted, has at most so many tokens in its
    /// prompt, and at most so many in its answer, those of all candidates together (rule R4).
    ///
    /// # Errors
    /// As [`Self::price`].
    pub fn worst(
        self,
        worst: NanoUsd,
        prompt_tokens: u64,
        answer_tokens: u64,
    ) -> Result<NanoUsd, PriceError> {
        if self.is_at_cost() {
            return Ok(worst);
        }
        // What was rounded off the worst cost is multiplied too.
        let worst = Usd::from(worst).plus(ROUNDED_OFF_MAX)?;
        Ok(self.asked(worst, prompt_tokens, answer_tokens)?.posted)
    }

    fn asked(self, cost: Usd, prompt_tokens: u64, answer_tokens: u64) -> Result<Asked, PriceError> {
        let charges = self.charges;
        let share = self.share();
        let of_cost = times(cost, share)?;
        let of_request = Usd::from(charges.per_request());
        let of_prompt = per_million(charges.per_million_prompt(), prompt_tokens)?;
        let of_answer = per_million(charges.per_million_answer(), answer_tokens)?;
        let exact = of_cost.plus(of_request)?.plus(of_prompt)?.plus(of_answer)?;
        let posted = exact.post()?;
        let rounding = Usd::from(posted).plus(Usd::new(-exact.get()))?;
        Ok(Asked { share, of_cost, of_request, of_prompt, of_answer, exact, posted, rounding })
    }

    /// Never negative: a percentage is at least −100.
    fn share(self) -> Decimal {
        let percent = self.charges.percent().share();
        match self.base {
            Base::Cost => Decimal::ONE.saturating_add(percent),
            Base::Nothing => percent.max(Decimal::ZERO),
        }
    }
}

/// The product, if it can be held without rounding.
fn times(amount: Usd, share: Decimal) -> Result<Usd, MoneyError> {
    let (amount, share) = (amount.get().normalize(), share.normalize());
    let mantissa = amount.mantissa().checked_mul(share.mantissa()).ok_or(MoneyError::Overflow)?;
    exactly(mantissa, amount.scale().saturating_add(share.scale()))
}

/// So many tokens at an amount for a million.
fn per_million(amount: NanoUsd, tokens: u64) -> Result<Usd, PriceError> {
    if amount == NanoUsd::ZERO {
        return Ok(Usd::ZERO);
    }
    if tokens >= COUNT_LIMIT {
        return Err(MoneyError::Overflow.into());
    }
    // At most 2⁵⁴ × 2⁴⁰: nine decimals of a dollar, and six for the million.
    Ok(exactly(i128::from(amount.get()) * i128::from(tokens), 15)?)
}

/// A decimal of that mantissa and scale, or an error: `rust_decimal` itself would round.
fn exactly(mantissa: i128, scale: u32) -> Result<Usd, MoneyError> {
    Decimal::try_from_i128_with_scale(mantissa, scale).map(Usd::new).map_err(|_| MoneyError::Overflow)
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.base, self.charges.is_none()) {
            (Base::Cost, true) => f.write_str("at cost"),
            (Base::Cost, false) => write!(f, "cost + {}", self.charges),
            (Base::Nothing, true) => f.write_str("nothing"),
            (Base::Nothing, false) => write!(f, "{} of the cost", self.charges),
        }
    }
}

impl FromStr for Terms {
    type Err = ChargesError;

    /// Reads what [`Terms`] writes: records keep it.
    fn from_str(text: &str) -> Result<Self, ChargesError> {
        Ok(match text {
            "at cost" => Self::AT_COST,
            "nothing" => Self::NOTHING,
            _ => match (text.strip_prefix("cost + "), text.strip_suffix(" of the cost")) {
                (Some(charges), _) => Self::markup(charges.parse()?),
                (None, Some(charges)) => Self::surcharge(charges.parse()?),
                (None, None) => return Err(ChargesError::NotCharges(text.to_owned())),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weighbridge_units::Bucket;

    use super::*;

    /// A mark-up in whole units: ten-thousandths of a percent, and nano-dollars.
    #[derive(Debug, Clone, Copy)]
    struct Units {
        percent: i64,
        request: i64,
        prompt: i64,
        answer: i64,
    }

    impl Units {
        fn charges(self) -> Charges {
            let percent = Decimal::new(self.percent, 4).to_string().parse().unwrap();
            let charges = Charges::of_cost(percent).with_request(NanoUsd::new(self.request)).unwrap();
            let charges = charges.with_million_prompt(NanoUsd::new(self.prompt)).unwrap();
            charges.with_million_answer(NanoUsd::new(self.answer)).unwrap()
        }

        /// In 10⁻²¹ dollars: costs in 10⁻¹⁵, shares in 10⁻⁶. Shares no code with what it judges.
        fn expected(self, whole: i128, cost: i128, prompt: u64, answer: u64) -> i128 {
            let share = (whole * 1_000_000 + i128::from(self.percent)).max(0);
            let tokens =
                i128::from(self.prompt) * i128::from(prompt) + i128::from(self.answer) * i128::from(answer);
            cost * share + i128::from(self.request) * 1_000_000_000_000 + tokens * 1_000_000
        }
    }

    fn units() -> impl Strategy<Value = Units> {
        let amount = || prop_oneof![Just(0), 0..2_000_000_000_i64];
        let percent = prop_oneof![Just(0), -1_000_000..=1_000_000_i64, 0..=100_000_000_i64];
        (percent, amount(), amount(), amount()).prop_map(|(percent, request, prompt, answer)| Units {
            percent,
            request,
            prompt,
            answer,
        })
    }

    fn usage(prompt: u64, answer: u64) -> Usage {
        // In two buckets each: what counts is their sum.
        let (cached, reasoned) = (prompt / 3, answer / 2);
        Usage::new()
            .with(Bucket::Input, prompt - cached)
            .with(Bucket::CacheRead, cached)
            .with(Bucket::Output, answer - reasoned)
            .with(Bucket::Reasoning, reasoned)
    }

    fn femto(cost: i128) -> Usd {
        Usd::new(Decimal::from_i128_with_scale(cost, 15))
    }

    fn rounded_half_to_even(exact: i128) -> i128 {
        let (unit, half) = (1_000_000_000_000, 500_000_000_000);
        let (whole, rest) = (exact.div_euclid(unit), exact.rem_euclid(unit));
        whole + i128::from(rest > half || (rest == half && whole % 2 == 1))
    }

    /// Up to ten thousand dollars.
    const COST_MAX: i128 = 10_000 * 1_000_000_000_000_000;

    proptest! {
        #[test]
        fn m3_a_price_is_exact_and_rounded_once(
            units in units(), cost in 0..COST_MAX, prompt in 0..3_000_000_u64, answer in 0..3_000_000_u64,
            own in any::<bool>(),
        ) {
            let terms = if own { Terms::surcharge(units.charges()) } else { Terms::markup(units.charges()) };
            let asked = terms.price(femto(cost), &usage(prompt, answer)).unwrap();
            let expected = units.expected(i128::from(!own), cost, prompt, answer);
            prop_assert_eq!(asked.exact.get(), Decimal::from_i128_with_scale(expected, 21));
            prop_assert_eq!(i128::from(asked.posted.get()), rounded_half_to_even(expected));
            let parts = [asked.of_request, asked.of_prompt, asked.of_answer, asked.rounding];
            let sum = parts.into_iter().fold(asked.of_cost, |sum, part| sum.plus(part).unwrap());
            prop_assert_eq!(sum, Usd::from(asked.posted));
            prop_assert!(!asked.posted.is_negative());
        }

        #[test]
        fn m6_a_price_never_falls_when_cost_or_tokens_grow(
            units in units(), cost in 0..COST_MAX, prompt in 0..3_000_000_u64, answer in 0..3_000_000_u64,
            more in (0..COST_MAX, 0..1_000_000_u64, 0..1_000_000_u64), own in any::<bool>(),
        ) {
            let terms = if own { Terms::surcharge(units.charges()) } else { Terms::markup(units.charges()) };
            let less = terms.price(femto(cost), &usage(prompt, answer)).unwrap();
            let (dearer, prompt_more, answer_more) = more;
            let more = terms.price(femto(cost + dearer), &usage(prompt + prompt_more, answer + answer_more)).unwrap();
            prop_assert!(less.posted <= more.posted && less.exact <= more.exact);
        }

        #[test]
        fn r4_the_worst_price_covers_every_price_within_its_bounds(
            units in units(), worst in 0..COST_MAX, share in 0..=1_000_i128,
            bounds in (0..3_000_000_u64, 0..3_000_000_u64), own in any::<bool>(),
        ) {
            let terms = if own { Terms::surcharge(units.charges()) } else { Terms::markup(units.charges()) };
            let (prompt, answer) = bounds;
            let reserved = terms.worst(femto(worst).post().unwrap(), prompt, answer).unwrap();
            let part = |of: u64| of * u64::try_from(share).unwrap() / 1_000;
            let asked = terms.price(femto(worst * share / 1_000), &usage(part(prompt), part(answer))).unwrap();
            prop_assert!(asked.posted <= reserved, "{asked:?} {reserved}");
        }

        #[test]
        fn without_charges_a_price_is_the_cost_or_nothing(cost in 0..COST_MAX, prompt in any::<u64>()) {
            let usage = Usage::new().with(Bucket::Input, prompt);
            let at_cost = Terms::AT_COST.price(femto(cost), &usage).unwrap();
            prop_assert_eq!(at_cost.posted, femto(cost).post().unwrap());
            prop_assert_eq!(Terms::AT_COST.worst(at_cost.posted, prompt, 0).unwrap(), at_cost.posted);
            prop_assert_eq!(Terms::NOTHING.price(femto(cost), &usage).unwrap().posted, NanoUsd::ZERO);
        }
    }

    #[test]
    fn m4_what_does_not_fit_is_refused_and_nothing_is_rounded_silently() {
        let charges: Charges = "10000% + 10000000/Mprompt".parse().unwrap();
        let terms = Terms::markup(charges);
        let overflow = PriceError::Money(MoneyError::Overflow);
        assert_eq!(terms.price(Usd::new(Decimal::MAX), &Usage::new()), Err(overflow.clone()));
        let all_digits = Usd::new(Decimal::from_i128_with_scale(79_228_162_514_264_337_593_543_950_335, 28));
        let third: Charges = "33.3333%".parse().unwrap();
        assert_eq!(Terms::markup(third).price(all_digits, &Usage::new()), Err(overflow.clone()));
        let absurd = Usage::new().with(Bucket::Input, u64::MAX);
        assert_eq!(terms.price(Usd::ZERO, &absurd), Err(overflow.clone()));
        assert_eq!(terms.worst(NanoUsd::MAX, 0, 0), Err(overflow));
        // The largest counts at the largest amount are exact, though too much to be posted.
        assert_eq!(per_million(Charges::AMOUNT_MAX, COUNT_LIMIT - 1).unwrap().get().scale(), 15);
    }

    #[test]
    fn a_discount_ends_at_free_and_a_surcharge_pays_nobody() {
        let free = Terms::markup("-100%".parse().unwrap());
        let cost = "3.5".parse().unwrap();
        assert_eq!(free.price(cost, &Usage::new()).unwrap().posted, NanoUsd::ZERO);
        let below = Terms::surcharge("-5%".parse().unwrap());
        assert_eq!(below.price(cost, &Usage::new()).unwrap().posted, NanoUsd::ZERO);
    }

    #[test]
    fn terms_say_what_they_are() {
        let charges = "20% + 0.5/request".parse().unwrap();
        let texts = [Terms::AT_COST, Terms::markup(charges), Terms::NOTHING, Terms::surcharge(charges)];
        let expected = ["at cost", "cost + 20% + 0.5/request", "nothing", "20% + 0.5/request of the cost"];
        assert_eq!(texts.map(|terms| terms.to_string()), expected);
        assert_eq!(expected.map(|text| text.parse::<Terms>().unwrap()), texts);
        assert!("20%".parse::<Terms>().is_err() && "cost + x".parse::<Terms>().is_err());
    }
}
