use std::time::Duration;

use weighbridge_units::Timestamp;

/// What the headers of a provider's answer tell of the limits of the account behind it.
///
/// OpenAI and those that took its headers over (`x-ratelimit-remaining-requests`, `-reset-requests`, …;
/// <https://platform.openai.com/docs/guides/rate-limits>), and Anthropic (`anthropic-ratelimit-requests-remaining`, …;
/// <https://docs.anthropic.com/en/api/rate-limits>). Both tell when a limit is full again, not when the next request
/// fits: they fill up all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Requests per their period.
    pub requests: Option<Limit>,
    /// Tokens per their period: of Anthropic's limits of input, of output and of both, the one that has least left.
    pub tokens: Option<Limit>,
}

/// One limit as a provider tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How much there is when it is full; `None` where it was not told.
    pub limit: Option<u64>,
    /// How much is left.
    pub remaining: u64,
    /// Until it is full again; `None` where it was not told.
    pub reset: Option<Duration>,
}

impl RateLimits {
    /// Reads the headers that `header` finds by name, in small letters; `now` is when the answer came. What is no
    /// number, or below zero as Azure writes for what it does not know, counts as not told.
    ///
    /// ```
    /// use weighbridge_routing::RateLimits;
    /// use weighbridge_units::Timestamp;
    ///
    /// let header = |name: &str| match name {
    ///     "x-ratelimit-remaining-requests" => Some("0"),
    ///     "x-ratelimit-reset-requests" => Some("6m0.5s"),
    ///     _ => None,
    /// };
    /// let limits = RateLimits::read(header, Timestamp::default());
    /// assert_eq!(limits.exhausted_for().map(|time| time.as_millis()), Some(360_500));
    /// ```
    pub fn read<'h>(header: impl Fn(&str) -> Option<&'h str>, now: Timestamp) -> Self {
        let limit = |[limit, remaining, reset]: [&str; 3]| {
            let remaining = number(header(remaining)?)?;
            let reset = header(reset).and_then(|text| until_reset(text, now));
            Some(Limit { limit: header(limit).and_then(number), remaining, reset })
        };
        let tokens = TOKENS.into_iter().filter_map(limit);
        Self {
            requests: REQUESTS.into_iter().find_map(limit),
            tokens: tokens.min_by_key(|limit| (limit.permille_left(), limit.remaining)),
        }
    }

    /// Whether a header of that name, in small letters, tells of limits: most answers have none, and looking for each
    /// by its name costs more than a look at all names.
    pub fn are_told_in(name: &str) -> bool {
        name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
    }

    /// How long nothing is left, as far as was told: until the last of the exhausted limits is full again.
    pub fn exhausted_for(&self) -> Option<Duration> {
        let exhausted =
            [self.requests, self.tokens].into_iter().flatten().filter(|limit| limit.remaining == 0);
        exhausted.filter_map(|limit| limit.reset).max().filter(|reset| !reset.is_zero())
    }

    /// What is left of the limit that has least, in thousandths of it; `None` where no limit was told.
    pub fn permille_left(&self) -> Option<u64> {
        [self.requests, self.tokens].into_iter().flatten().map(|limit| limit.permille_left()).min()
    }
}

impl Limit {
    /// What is left, in thousandths, at most 1000; without a limit, 0 where nothing is left and else 1000.
    pub fn permille_left(&self) -> u64 {
        let full = self.limit.unwrap_or(self.remaining).max(1);
        // The quotient is at most 1000.
        u64::try_from(u128::from(self.remaining.min(full)) * 1000 / u128::from(full)).unwrap_or(1000)
    }
}

const REQUESTS: [[&str; 3]; 2] = [
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
];

const TOKENS: [[&str; 3]; 4] = [
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
    [
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ],
    [
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ],
];

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A time of day as Anthropic tells it, a duration as OpenAI does, or Azure's whole seconds.
fn until_reset(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    match text.parse::<Timestamp>() {
        Ok(at) => Some(now.until(at)),
        Err(_) => number(text).map(Duration::from_secs).or_else(|| duration(text)),
    }
}

/// `1h2m3.5s`, `12ms`: numbers with units, one behind the other.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let unit = match unit {
            "d" => 86_400_000_000_000,
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        sum = sum.checked_add(times(count, unit)?)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(sum)
}

/// `count`, which may have a fraction, times `unit` nanoseconds.
fn times(count: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = count.split_once('.').unwrap_or((count, ""));
    let nanos = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    // What is below a nanosecond is nothing.
    let fraction = fraction.get(..9).unwrap_or(fraction);
    let part = match fraction {
        "" => 0,
        digits => {
            let scale = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
            u128::from(digits.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale)
        }
    };
    Some(Duration::from_nanos(nanos.checked_add(u64::try_from(part).ok()?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(headers: &[(&str, &str)]) -> RateLimits {
        let header = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        RateLimits::read(header, Timestamp::from_secs(1_755_780_060))
    }

    #[test]
    fn openais_headers_tell_durations() {
        let limits = read(&[
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-limit-tokens", "160000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "1m0s"),
        ]);
        let reset = |millis| Some(Duration::from_millis(millis));
        assert_eq!(limits.requests, Some(Limit { limit: Some(5_000), remaining: 4_999, reset: reset(12) }));
        assert_eq!((limits.exhausted_for(), limits.permille_left()), (reset(60_000), Some(0)));
    }

    #[test]
    fn anthropics_headers_tell_instants() {
        let limits = read(&[
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2025-08-21T12:41:07Z"),
            ("anthropic-ratelimit-input-tokens-limit", "80000"),
            ("anthropic-ratelimit-input-tokens-remaining", "20000"),
            ("anthropic-ratelimit-input-tokens-reset", "2025-08-21T12:41:45Z"),
            ("anthropic-ratelimit-output-tokens-limit", "16000"),
            ("anthropic-ratelimit-output-tokens-remaining", "15000"),
            ("anthropic-ratelimit-output-tokens-reset", "2025-08-21T12:40:59Z"),
        ]);
        assert_eq!(limits.exhausted_for(), Some(Duration::from_secs(7)));
        assert_eq!(limits.tokens.map(|tokens| tokens.permille_left()), Some(250));
    }

    #[test]
    fn what_is_not_told_is_not_taken_for_nothing() {
        let azure = [
            ("x-ratelimit-limit-tokens", "-1"),
            ("x-ratelimit-remaining-tokens", "-1"),
            ("x-ratelimit-reset-tokens", "0"),
        ];
        assert_eq!(read(&azure), RateLimits::default());
        assert_eq!(read(&[("x-ratelimit-remaining-requests", "0")]).exhausted_for(), None);
        assert_eq!(read(&[("x-ratelimit-remaining-requests", "soon")]), RateLimits::default());
        assert_eq!(read(&[]).permille_left(), None);
    }

    #[test]
    fn resets_are_read_in_each_form() {
        let now = Timestamp::from_secs(0);
        for (text, millis) in [
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("2m59.56s", Some(179_560)),
            ("59", Some(59_000)),
            ("1970-01-01T00:01:00Z", Some(60_000)),
            ("1969-12-31T23:59:00Z", Some(0)),
            ("", None),
            ("s", None),
            ("1", Some(1_000)),
            ("1.5", None),
            ("1y", None),
            ("-1s", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(until_reset(text, now), millis.map(Duration::from_millis), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(texts in proptest::array::uniform3("[0-9a-z.:TZ-]{0,24}")) {
            let [limit, remaining, reset] = &texts;
            let limits = read(&[
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ]);
            prop_assert!(limits.permille_left().is_none_or(|left| left <= 1_000));
            let told = |limit: Limit| Some(limit.remaining) == number(remaining);
            prop_assert!(limits.requests.is_none_or(told));
        }

        #[test]
        fn a_duration_is_the_sum_of_its_parts(hours in 0..100_u64, minutes in 0..60_u64, millis in 0..60_000_u64) {
            let text = format!("{hours}h{minutes}m{}.{:03}s", millis / 1_000, millis % 1_000);
            let sum = (hours * 60 + minutes) * 60_000 + millis;
            prop_assert_eq!(duration(&text), Some(Duration::from_millis(sum)));
        }
    }
}
