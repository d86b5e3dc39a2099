use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use weighbridge_units::{NanoUsd, Timestamp};

use crate::{BudgetPeriod, InvalidDefinition, ModelPattern, Tags, Window, Zone};

/// How much may be used per period, and what happens beyond. A limit of 0 blocks (rule M7).
///
/// Stores, command line, admin API and configuration write it as one line of `name=value`:
///
/// ```
/// use weighbridge_access::Budget;
///
/// let budget: Budget = "usd=25.00 period=day zone=Europe/Berlin thresholds=50,80".parse()?;
/// assert_eq!(budget.to_string().parse(), Ok(budget));
/// for other in [
///     "usd=1000",                                   // per calendar month in UTC, hard
///     "tokens=1000000 period=week for=user",        // for each end user
///     "requests=100 period=total for=tag:env=test", // for good
///     "usd=5 period=day for=model:openai/o3* on_exceed=downgrade:openai/gpt-4o-mini",
/// ] {
///     other.parse::<Budget>()?;
/// }
/// # Ok::<(), weighbridge_access::InvalidDefinition>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The most that may be used in a period.
    pub limit: BudgetLimit,
    /// When the use is counted from zero again.
    pub period: BudgetPeriod,
    /// Whose days, weeks and months these are.
    pub zone: Zone,
    /// Which requests of its owner it counts.
    pub counts: Counted,
    /// What happens to a request that it has no room for.
    pub on_exceed: OnExceed,
    /// Percents of the limit: once in each window, an alert when one is reached. Ascending.
    pub thresholds: Vec<u16>,
}

/// An amount, and what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetLimit {
    /// Money.
    Usd(NanoUsd),
    /// Tokens, of prompt and answer.
    Tokens(u64),
    /// Requests that reach a provider.
    Requests(u64),
}

impl BudgetLimit {
    /// The largest number of tokens or requests.
    pub const MOST: u64 = 1 << 53;

    /// What is counted: `usd`, `tokens` or `requests`.
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Usd(_) => "usd",
            Self::Tokens(_) => "tokens",
            Self::Requests(_) => "requests",
        }
    }

    /// The number of whole units, or of nano-dollars.
    pub fn amount(&self) -> i64 {
        match self {
            Self::Usd(limit) => limit.get(),
            Self::Tokens(limit) | Self::Requests(limit) => i64::try_from(*limit).unwrap_or(i64::MAX),
        }
    }

    /// Whether both count the same, and this one allows no more than the other.
    pub fn is_within(&self, other: &Self) -> Option<bool> {
        (self.unit() == other.unit()).then(|| self.amount() <= other.amount())
    }
}

/// Which requests of its owner a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Counted {
    /// All of them.
    #[default]
    All,
    /// Those of each end user for itself. Requests that name none are one user.
    EachUser,
    /// Those for a model, by the name that clients send.
    Model(ModelPattern),
    /// Those that bear a tag.
    Tag(Arc<str>, Arc<str>),
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::EachUser => f.write_str("user"),
            Self::Model(pattern) => write!(f, "model:{pattern}"),
            Self::Tag(name, value) => write!(f, "tag:{name}={value}"),
        }
    }
}

impl FromStr for Counted {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let wrong = || {
            InvalidDefinition::budget(format!("`for={text}` is not all, user, model:NAME or tag:NAME=VALUE"))
        };
        match (text, text.split_once(':')) {
            ("all", _) => Ok(Self::All),
            ("user", _) => Ok(Self::EachUser),
            (_, Some(("model", pattern))) => Ok(Self::Model(pattern.parse()?)),
            (_, Some(("tag", tag))) => {
                let mut tags = tag.parse::<Tags>()?.into_pairs().into_iter();
                match (tags.next(), tags.next()) {
                    (Some((name, value)), None) => Ok(Self::Tag(name, value)),
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }
}

/// What happens to a request that a budget has no room for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnExceed {
    /// It is refused: no sum of requests, however they overlap, goes beyond the limit.
    #[default]
    Block,
    /// It is served and counted; an alert is raised once in the window.
    Alert,
    /// As [`OnExceed::Alert`]; requests behind it get this model, whichever they ask for.
    Downgrade(Arc<str>),
}

impl fmt::Display for OnExceed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block => f.write_str("block"),
            Self::Alert => f.write_str("alert"),
            Self::Downgrade(model) => write!(f, "downgrade:{model}"),
        }
    }
}

impl FromStr for OnExceed {
    type Err = InvalidDefinition;
    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let named = |model: &str| {
            !model.is_empty() && model.len() <= 256 && model.chars().all(|c| c.is_ascii_graphic())
        };
        match (text, text.strip_prefix("downgrade:")) {
            ("block", _) => Ok(Self::Block),
            ("alert", _) => Ok(Self::Alert),
            (_, Some(model)) if named(model) => Ok(Self::Downgrade(model.into())),
            _ => Err(InvalidDefinition::budget(format!(
                "`on_exceed={text}` is not block, alert or downgrade:MODEL"
            ))),
        }
    }
}

impl Budget {
    /// The most budgets that a key, a team, an organisation or the installation may have. Together with the
    /// two of a provider and of a model they are as many as a reservation has room for.
    pub const MOST: usize = 3;
    /// The most thresholds of a budget.
    pub const MOST_THRESHOLDS: usize = 8;

    /// A hard budget of money for all requests, per calendar month in UTC.
    pub fn per_month(limit: NanoUsd) -> Self {
        Self::new(BudgetLimit::Usd(limit), BudgetPeriod::Month)
    }

    /// A hard budget for all requests, by the calendar of UTC.
    pub fn new(limit: BudgetLimit, period: BudgetPeriod) -> Self {
        Self {
            limit,
            period,
            zone: Zone::default(),
            counts: Counted::All,
            on_exceed: OnExceed::Block,
            thresholds: Vec::new(),
        }
    }

    /// Whether what does not fit is refused.
    pub const fn is_hard(&self) -> bool {
        matches!(self.on_exceed, OnExceed::Block)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`InvalidDefinition::Budget`] says what is wrong.
    pub fn check(&self) -> Result<(), InvalidDefinition> {
        let wrong = |why: &str| Err(InvalidDefinition::budget(why));
        match self.limit {
            BudgetLimit::Usd(limit) if limit.is_negative() => {
                return wrong("it cannot be negative: leave it out for no budget");
            }
            BudgetLimit::Tokens(limit) | BudgetLimit::Requests(limit) if limit > BudgetLimit::MOST => {
                return wrong("its limit is too large: leave it out for no budget");
            }
            _ => {}
        }
        let percents = &self.thresholds;
        let ascend = percents.iter().zip(percents.iter().skip(1)).all(|(a, b)| a < b);
        let sensible = percents.iter().all(|percent| (1..=1_000).contains(percent));
        if percents.len() > Self::MOST_THRESHOLDS || !ascend || !sensible {
            return wrong("its thresholds are up to 8 ascending percents from 1 to 1000");
        }
        Ok(())
    }

    /// Checks budgets of one owner: each of them, their number, and that no two count the same.
    ///
    /// # Errors
    /// [`InvalidDefinition::Budget`] says what is wrong.
    pub fn check_all(budgets: &[Self], most: usize) -> Result<(), InvalidDefinition> {
        if budgets.len() > most {
            return Err(InvalidDefinition::budget(format!("there are more than {most} in one place")));
        }
        for (at, budget) in budgets.iter().enumerate() {
            budget.check()?;
            if budgets.iter().skip(at + 1).any(|other| other.counts_as(budget)) {
                return Err(InvalidDefinition::budget(format!(
                    "there are two in {} per {} for {}: one of them says nothing",
                    budget.limit.unit(),
                    budget.period,
                    budget.counts
                )));
            }
        }
        Ok(())
    }

    /// Whether two budgets of one owner would be one account. Zones whose midnights coincide make no difference.
    fn counts_as(&self, other: &Self) -> bool {
        self.period == other.period && self.counts == other.counts && self.limit.unit() == other.limit.unit()
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            BudgetLimit::Usd(limit) => write!(f, "usd={limit}")?,
            BudgetLimit::Tokens(limit) => write!(f, "tokens={limit}")?,
            BudgetLimit::Requests(limit) => write!(f, "requests={limit}")?,
        }
        write!(f, " period={}", self.period)?;
        if !self.zone.is_utc() {
            write!(f, " zone={}", self.zone)?;
        }
        if self.counts != Counted::All {
            write!(f, " for={}", self.counts)?;
        }
        if self.on_exceed != OnExceed::Block {
            write!(f, " on_exceed={}", self.on_exceed)?;
        }
        if !self.thresholds.is_empty() {
            let percents: Vec<String> = self.thresholds.iter().map(u16::to_string).collect();
            write!(f, " thresholds={}", percents.join(","))?;
        }
        Ok(())
    }
}

impl FromStr for Budget {
    type Err = InvalidDefinition;

    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let wrong = |why: String| InvalidDefinition::budget(why);
        let mut limit = None;
        let mut budget = Self::per_month(NanoUsd::ZERO);
        let mut seen: Vec<&str> = Vec::new();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| {
                wrong(format!("`{word}` is not name=value: write it like `usd=25.00 period=day`"))
            })?;
            if seen.contains(&name) {
                return Err(wrong(format!("`{name}` is said twice")));
            }
            seen.push(name);
            let whole = || value.parse().map_err(|_| wrong(format!("`{word}` is no whole number")));
            let found = match name {
                "usd" => {
                    Some(BudgetLimit::Usd(value.parse().map_err(|why| wrong(format!("`{word}`: {why}")))?))
                }
                "tokens" => Some(BudgetLimit::Tokens(whole()?)),
                "requests" => Some(BudgetLimit::Requests(whole()?)),
                _ => None,
            };
            if found.is_some() && limit.is_some() {
                return Err(wrong("it has one of usd, tokens and requests".to_owned()));
            }
            limit = limit.or(found);
            match name {
                "usd" | "tokens" | "requests" => {}
                "period" => {
                    budget.period = BudgetPeriod::from_name(value)
                        .ok_or_else(|| wrong(format!("`{word}` is not day, week, month or total")))?;
                }
                "zone" => budget.zone = value.parse()?,
                "for" => budget.counts = value.parse()?,
                "on_exceed" => budget.on_exceed = value.parse()?,
                "thresholds" => {
                    let percents = value.split(',').map(|percent| percent.trim_end_matches('%').parse());
                    budget.thresholds = percents
                        .collect::<Result<_, _>>()
                        .map_err(|_| wrong(format!("`{word}` is not a list of percents such as 50,80")))?;
                }
                _ => return Err(wrong(format!("`{name}` is not a part of a budget"))),
            }
        }
        budget.limit = limit.ok_or_else(|| wrong("it needs usd=, tokens= or requests=".to_owned()))?;
        budget.check()?;
        Ok(budget)
    }
}

/// A budget as the request path uses it. It remembers the window that it was asked about last, and a number
/// that somebody else gives that window: the ledger's account of it, which is a hash and not worth
/// calculating for each request.
#[derive(Debug)]
pub struct BudgetMeter {
    budget: Budget,
    current: ArcSwapOption<(Window, u64)>,
}

impl BudgetMeter {
    /// A meter that remembers nothing yet.
    pub fn new(budget: Budget) -> Self {
        Self { budget, current: ArcSwapOption::empty() }
    }

    /// Meters of several budgets.
    pub fn all(budgets: &[Budget]) -> Arc<[Self]> {
        budgets.iter().cloned().map(Self::new).collect()
    }

    /// The budget's definition.
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The window that `at` lies in and its number, made by `number` where it is another than the last time.
    /// The same window must always be given the same number.
    pub fn window(&self, at: Timestamp, number: impl FnOnce(Window) -> u64) -> (Window, u64) {
        if let Some(current) = &*self.current.load()
            && current.0.contains(at)
        {
            return **current;
        }
        let window = self.budget.period.window(&self.budget.zone, at);
        let found = (window, number(window));
        // A clock out of the calendar has a window that does not contain it: not worth remembering.
        if window.contains(at) {
            self.current.store(Some(Arc::new(found)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Budget {
        text.parse().unwrap()
    }

    #[test]
    fn every_part_is_read() {
        let text = "tokens=5 period=week zone=Asia/Tokyo for=tag:env=prod on_exceed=downgrade:small thresholds=50,80%";
        let budget = read(text);
        assert_eq!(budget.limit, BudgetLimit::Tokens(5));
        assert_eq!((budget.period, budget.zone.as_str()), (BudgetPeriod::Week, "Asia/Tokyo"));
        assert_eq!(budget.counts, Counted::Tag("env".into(), "prod".into()));
        assert_eq!(budget.on_exceed, OnExceed::Downgrade("small".into()));
        assert_eq!(budget.thresholds, [50, 80]);
        assert_eq!(budget.to_string(), text.replace('%', ""));
        assert_eq!(read("usd=25.5"), Budget::per_month(NanoUsd::new(25_500_000_000)));
        assert_eq!(read("requests=0 period=total for=model:openai/*").limit, BudgetLimit::Requests(0));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for wrong in [
            "",
            "period=day",
            "usd=-1",
            "usd=1e3",
            "usd=1 tokens=1",
            "usd=1 usd=2",
            "tokens=-1",
            "tokens=1.5",
            "tokens=99999999999999999",
            "requests=99999999999999999999999",
            "usd=1 period=year",
            "usd=1 zone=Berlin",
            "usd=1 for=key",
            "usd=1 for=tag:a",
            "usd=1 for=tag:a=1,b=2",
            "usd=1 for=model:*x",
            "usd=1 on_exceed=downgrade:",
            "usd=1 on_exceed=explode",
            "usd=1 thresholds=80,50",
            "usd=1 thresholds=0",
            "usd=1 thresholds=NaN",
            "usd=1 color=red",
            "25.00",
        ] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn budgets_of_one_owner_count_different_things() {
        let all = |texts: &[&str]| Budget::check_all(&texts.iter().map(|t| read(t)).collect::<Vec<_>>(), 3);
        assert_eq!(all(&["usd=1", "usd=1 period=day", "tokens=1"]), Ok(()));
        assert_eq!(all(&["usd=1", "usd=1 for=user", "usd=1 for=model:a"]), Ok(()));
        assert!(all(&["usd=1", "usd=2"]).is_err());
        assert!(all(&["usd=1 period=day", "usd=2 period=day zone=Asia/Tokyo"]).is_err());
        assert!(all(&["usd=1", "tokens=1", "requests=1", "usd=1 period=day"]).is_err());
    }

    #[test]
    fn a_window_is_numbered_once() {
        let meter = BudgetMeter::new(read("usd=1 period=day"));
        let noon = Timestamp::from_secs(43_200);
        let (today, number) = meter.window(noon, |_| 7);
        assert_eq!((today.start, number), (Some(Timestamp::from_secs(0)), 7));
        assert_eq!(meter.window(Timestamp::from_secs(0), |_| unreachable!()), (today, 7));
        let (tomorrow, number) = meter.window(Timestamp::from_secs(86_400), |_| 8);
        assert_eq!((tomorrow.start, number), (today.end, 8));
        // C7: the window that a request arrived in is found again, whatever came in between.
        assert_eq!(meter.window(noon, |_| 7), (today, 7));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,60}") {
            if let Ok(budget) = text.parse::<Budget>() {
                prop_assert_eq!(budget.to_string().parse(), Ok(budget));
            }
        }
    }
}
