use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A wall-clock instant: microseconds since the Unix epoch, UTC.
///
/// For records, price dates and budget windows. Durations are measured with [`Monotonic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Midnight UTC at the start of a date of the proleptic Gregorian calendar.
    ///
    /// `month` is 1 to 12 and `day` 1 to 31; `None` where the date does not exist.
    pub fn from_date(year: i32, month: u32, day: u32) -> Option<Self> {
        let days = days_from_civil(i64::from(year), i64::from(month), i64::from(day));
        let at = Self::from_secs(days.checked_mul(86_400)?);
        ((1..=12).contains(&month) && at.date() == (year, month, day)).then_some(at)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole hours since the Unix epoch, rounded down: the grain of usage roll-ups.
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000_000)
    }

    /// Year, month (1–12) and day (1–31) in UTC.
    pub fn date(self) -> (i32, u32, u32) {
        civil_from_days(self.0.div_euclid(86_400_000_000))
    }

    /// The calendar month in UTC that this instant lies in, as months since January of year 0.
    pub fn month(self) -> i32 {
        let (year, month, _) = self.date();
        year * 12 + (month as i32 - 1)
    }

    /// The first instant of a month that [`Self::month`] numbers.
    pub fn start_of_month(month: i32) -> Self {
        let days = days_from_civil(i64::from(month.div_euclid(12)), i64::from(month.rem_euclid(12)) + 1, 1);
        Self::from_secs(days * 86_400)
    }

    /// How long until `later`; zero if it has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// The text is no instant in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an instant: write 2026-11-26, or 2026-11-26T09:30:00Z")]
pub struct NotATimestamp(String);

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads `YYYY-MM-DD` (midnight), or `YYYY-MM-DDTHH:MM:SSZ` with up to six decimals of a second; in UTC.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        read_instant(text).ok_or_else(|| NotATimestamp(text.to_owned()))
    }
}

fn read_instant(text: &str) -> Option<Timestamp> {
    let number = |part: &str, length: usize| {
        let plain = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok())?
    };
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = i32::try_from(number(parts.next()?, 4)?).ok()?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let midnight =
        if parts.next().is_none() { Timestamp::from_date(year, month, day)? } else { return None };
    let Some(time) = time else { return Some(midnight) };
    let time = time.strip_suffix('Z')?;
    let (time, micros) = match time.split_once('.') {
        Some((time, fraction)) if (1..=6).contains(&fraction.len()) => {
            let places = 6 - u32::try_from(fraction.len()).ok()?;
            (time, number(fraction, fraction.len())? * 10_u32.pow(places))
        }
        Some(_) => return None,
        None => (time, 0),
    };
    let mut parts = time.split(':');
    let mut seconds = 0;
    for (unit, most) in [(3_600, 23), (60, 59), (1, 59)] {
        seconds += number(parts.next()?, 2).filter(|count| *count <= most)? * unit;
    }
    let since = Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into());
    parts.next().is_none().then_some(midnight + since)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-11-21T02:08:58.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let micros = self.0.rem_euclid(86_400_000_000);
        let (secs, millis) = (micros / 1_000_000, micros / 1_000 % 1_000);
        let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
        if !(0..10_000).contains(&year) {
            return write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
        }
        // Every line of the access log has one: by hand it costs a tenth of seven formatted numbers.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let year = i64::from(year);
        let places = [
            (year / 100, 0),
            (year % 100, 2),
            (i64::from(month), 5),
            (i64::from(day), 8),
            (hour, 11),
            (minute, 14),
            (second, 17),
            (millis / 10, 20),
        ];
        for (number, at) in places {
            text[at] += (number / 10) as u8;
            text[at + 1] += (number % 10) as u8;
        }
        text[22] += (millis % 10) as u8;
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// An instant of a clock that never jumps: microseconds since an arbitrary start.
///
/// Only differences mean anything. The zero is whatever the caller's clock began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Monotonic(u64);

impl Monotonic {
    /// From microseconds since the clock's start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time gone by since `earlier`; zero if `earlier` lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Monotonic {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Days since 1970-01-01 of a civil date, by counting years from March so that the leap day is last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(Timestamp::from_micros(1_795_226_938_123_456).to_string(), "2026-11-21T02:08:58.123Z");
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        assert_eq!("2026-11-21T02:08:58.5Z".parse(), Ok(Timestamp::from_micros(1_795_226_938_500_000)));
        for wrong in [
            "",
            "2026",
            "2026-11",
            "2026-02-30",
            "2026-11-21T",
            "2026-11-21T24:00:00Z",
            "2026-11-21T02:08Z",
            "2026-11-21T02:08:58",
            "2026-11-21T02:08:58.Z",
            "2026-11-21T02:08:58.1234567Z",
            "2026-11-21-01",
            "+026-11-21",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        assert!(Timestamp::from_date(2026, 2, 29).is_none());
        assert!(Timestamp::from_date(2028, 2, 29).is_some());
        assert!(Timestamp::from_date(2026, 13, 1).is_none());
        assert!(Timestamp::from_date(2026, 0, 1).is_none());
    }

    proptest! {
        #[test]
        fn a_month_contains_its_instants(micros in -4_000_000_000_000_000_i64..8_000_000_000_000_000) {
            let at = Timestamp::from_micros(micros);
            let month = at.month();
            prop_assert!(Timestamp::start_of_month(month) <= at);
            prop_assert!(at < Timestamp::start_of_month(month + 1));
        }

        #[test]
        fn a_time_is_written_as_formatting_writes_it(micros in -80_000_000_000_000_000_i64..300_000_000_000_000_000) {
            let at = Timestamp::from_micros(micros);
            let (year, month, day) = at.date();
            let millis = micros.rem_euclid(86_400_000_000) / 1_000;
            let (secs, millis) = (millis / 1_000, millis % 1_000);
            let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
            prop_assert_eq!(
                at.to_string(),
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
            );
        }

        #[test]
        fn dates_round_trip(days in -100_000_i64..200_000) {
            let at = Timestamp::from_secs(days * 86_400);
            let (year, month, day) = at.date();
            prop_assert_eq!(Timestamp::from_date(year, month, day), Some(at));
        }
    }
}
