use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan};
use weighbridge_units::Timestamp;

use crate::InvalidDefinition;

/// The time zones that the program brings along. Nothing of the machine's own is read.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone of the IANA database, by its name: `UTC`, `Europe/Berlin`.
#[derive(Clone)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
}

impl Zone {
    /// The name, spelled as the database does.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether it is UTC by that name.
    pub fn is_utc(&self) -> bool {
        &*self.name == "UTC"
    }

    /// The first instant of a date: midnight, or where the clock skips it, what it shows next.
    fn first_of(&self, date: Date) -> Option<Timestamp> {
        let first = self.rules.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?;
        Some(Timestamp::from_micros(first.as_microsecond()))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }
}

impl FromStr for Zone {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        if text.eq_ignore_ascii_case("UTC") {
            return Ok(Self::default());
        }
        let unknown = || InvalidDefinition::Zone(text.chars().take(64).collect());
        let rules = ZONES.get(text).map_err(|_| unknown())?;
        let name = rules.iana_name().ok_or_else(unknown)?.into();
        Ok(Self { name, rules })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

/// When a budget starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum BudgetPeriod {
    /// With each day.
    Day,
    /// With each week, which begins on Monday.
    Week,
    /// With each calendar month.
    #[default]
    Month,
    /// Never.
    Total,
}

impl BudgetPeriod {
    /// Every period, the shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    /// The name in configuration, admin API and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The period of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }

    /// The window that an instant lies in, by the clocks of `zone` (rule C7). Windows of one period and zone
    /// follow each other without gap or overlap, also where clocks change.
    pub fn window(self, zone: &Zone, at: Timestamp) -> Window {
        let steps = match self {
            Self::Total => return Window { start: None, end: None },
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
        };
        self.stretch(zone, bounded(at), steps).unwrap_or(Window { start: None, end: None })
    }

    /// `None` only where the calendar ends, which [`bounded`] rules out.
    fn stretch(self, zone: &Zone, at: Timestamp, step: Span) -> Option<Window> {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let date = zone.rules.to_datetime(instant).date();
        // One period early: where clocks go back over midnight, the date that they show may not be the one
        // whose first instant came last.
        let mut date = self.first_date(date).checked_sub(step).ok()?;
        let mut start = zone.first_of(date)?;
        loop {
            date = date.checked_add(step).ok()?;
            let end = zone.first_of(date)?;
            if at < end {
                return Some(Window { start: Some(start), end: Some(end) });
            }
            start = end;
        }
    }

    /// The first date of the period that a date lies in.
    fn first_date(self, date: Date) -> Date {
        match self {
            Self::Day | Self::Total => date,
            Self::Week => {
                let since_monday = i64::from(date.weekday().to_monday_zero_offset());
                date.checked_sub(since_monday.days()).unwrap_or(date)
            }
            Self::Month => date.first_of_month(),
        }
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stretch of time over which a budget counts. Without bounds it is all of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first instant.
    pub start: Option<Timestamp>,
    /// The first instant of the next window.
    pub end: Option<Timestamp>,
}

impl Window {
    /// Whether an instant lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }
}

/// An instant that calendars can say something of: of the years 1 to 9000.
fn bounded(at: Timestamp) -> Timestamp {
    const FIRST: i64 = -62_000_000_000_000_000;
    const LAST: i64 = 221_000_000_000_000_000;
    Timestamp::from_micros(at.as_micros().clamp(FIRST, LAST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn window(period: BudgetPeriod, name: &str, now: &str) -> (String, String) {
        let Window { start, end } = period.window(&zone(name), at(now));
        (start.unwrap().to_string(), end.unwrap().to_string())
    }

    fn is(start: &str, end: &str) -> (String, String) {
        (format!("{start}.000Z"), format!("{end}.000Z"))
    }

    #[test]
    fn c7_windows_of_utc_are_those_of_the_calendar() {
        let now = "2026-11-26T12:00:00Z"; // a Thursday
        let day = is("2026-11-26T00:00:00", "2026-11-27T00:00:00");
        assert_eq!(window(BudgetPeriod::Day, "UTC", now), day);
        let week = is("2026-11-23T00:00:00", "2026-11-30T00:00:00");
        assert_eq!(window(BudgetPeriod::Week, "UTC", now), week);
        let month = is("2026-11-01T00:00:00", "2026-12-01T00:00:00");
        assert_eq!(window(BudgetPeriod::Month, "UTC", now), month);
        let total = BudgetPeriod::Total.window(&zone("UTC"), at(now));
        assert_eq!(total, Window { start: None, end: None });
    }

    #[test]
    fn c7_a_day_has_23_or_25_hours_where_clocks_change() {
        let short = window(BudgetPeriod::Day, "Europe/Berlin", "2026-03-29T10:00:00Z");
        assert_eq!(short, is("2026-03-28T23:00:00", "2026-03-29T22:00:00"));
        let long = window(BudgetPeriod::Day, "Europe/Berlin", "2026-10-25T10:00:00Z");
        assert_eq!(long, is("2026-10-24T22:00:00", "2026-10-25T23:00:00"));
        let month = window(BudgetPeriod::Month, "America/New_York", "2026-03-15T00:00:00Z");
        assert_eq!(month, is("2026-03-01T05:00:00", "2026-04-01T04:00:00"));
    }

    #[test]
    fn c7_where_midnight_is_skipped_the_day_begins_behind_the_gap() {
        // Clocks went from 0:00 to 1:00 in Cairo.
        let day = window(BudgetPeriod::Day, "Africa/Cairo", "2026-04-24T10:00:00Z");
        assert_eq!(day, is("2026-04-23T22:00:00", "2026-04-24T21:00:00"));
    }

    #[test]
    fn c7_where_a_day_is_skipped_its_window_is_the_next_ones() {
        // Samoa had no 30 December 2011.
        let before = window(BudgetPeriod::Day, "Pacific/Apia", "2011-12-30T09:59:59Z");
        assert_eq!(before, is("2011-12-29T10:00:00", "2011-12-30T10:00:00"));
        let behind = window(BudgetPeriod::Day, "Pacific/Apia", "2011-12-30T10:00:00Z");
        assert_eq!(behind, is("2011-12-30T10:00:00", "2011-12-31T10:00:00"));
    }

    #[test]
    fn c7_where_clocks_go_back_over_midnight_no_window_comes_back() {
        // Newfoundland set its clocks from 0:01 back to 23:01.
        let day = |now| window(BudgetPeriod::Day, "America/St_Johns", now);
        assert_eq!(day("2006-10-29T02:30:30Z").0, "2006-10-29T02:30:00.000Z");
        assert_eq!(day("2006-10-29T03:00:00Z").0, "2006-10-29T02:30:00.000Z");
    }

    #[test]
    fn zones_have_one_spelling_or_none() {
        assert_eq!(zone("europe/berlin").as_str(), "Europe/Berlin");
        assert_eq!(zone("utc"), Zone::default());
        for wrong in ["", "Berlin", "Europe/Berlin ", "../etc/passwd", "/etc/localtime", "+01:00"] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn periods_are_read_back() {
        for period in BudgetPeriod::ALL {
            assert_eq!(BudgetPeriod::from_name(period.as_str()), Some(period));
        }
        assert_eq!(BudgetPeriod::from_name("Month"), None);
    }

    fn zones() -> impl Strategy<Value = Zone> {
        let names: Vec<String> = ZONES.available().map(|name| name.as_str().to_owned()).collect();
        proptest::sample::select(names).prop_map(|name| zone(&name))
    }

    fn periods() -> impl Strategy<Value = BudgetPeriod> {
        proptest::sample::select(&[BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month][..])
    }

    proptest! {
        /// In any zone and at any time from 1970 to 2100.
        #[test]
        fn c7_windows_follow_each_other_without_gap_or_overlap(
            zone in zones(), period in periods(), secs in 0_i64..4_102_444_800, micros in 0_i64..1_000_000
        ) {
            let now = Timestamp::from_micros(secs * 1_000_000 + micros);
            let window = period.window(&zone, now);
            let (start, end) = (window.start.unwrap(), window.end.unwrap());
            prop_assert!(window.contains(now));
            let micro = |at: Timestamp, by: i64| Timestamp::from_micros(at.as_micros() + by);
            for inside in [start, micro(end, -1)] {
                prop_assert_eq!(period.window(&zone, inside), window);
            }
            prop_assert_eq!(period.window(&zone, end).start, Some(end));
            prop_assert_eq!(period.window(&zone, micro(start, -1)).end, Some(start));
        }

        #[test]
        fn no_instant_is_out_of_the_calendar(zone in zones(), period in periods(), micros in any::<i64>()) {
            let window = period.window(&zone, Timestamp::from_micros(micros));
            prop_assert!(window.start < window.end);
        }
    }
}
