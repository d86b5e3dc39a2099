use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use weighbridge_units::{AttemptId, Timestamp, Usd};

use super::{Figure, Figures, Subject, family};
use crate::new_key::instant;

/// Whose export it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Pages of `GET /v1/organization/usage/completions` and `…/costs`.
    OpenAi,
    /// Pages of `GET /v1/organizations/usage_report/messages` and `…/cost_report`.
    Anthropic,
}

/// Why an export cannot be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It is no JSON, or not of this shape.
    #[error("value {number} of the file: {source}")]
    Json {
        /// Which of the file's JSON values, from 1 on.
        number: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// There is nothing in it.
    #[error("there is no page in it")]
    Empty,
    /// An amount that is none.
    #[error("`{0}` is no amount of money")]
    Amount(String),
    /// Another currency than dollars.
    #[error("amounts are in `{0}`: only USD can be compared")]
    Currency(String),
    /// A time that cannot be read.
    #[error("`{0}` is no time such as 2026-11-01T00:00:00Z")]
    Time(String),
    /// A bucket that covers more than a day.
    #[error("a bucket covers more than one day (UTC): export with a width of 1d, 1h or 1m")]
    Width,
    /// A request's line names an attempt that is none.
    #[error("`{0}` is no attempt's id")]
    Attempt(String),
    /// Sums that do not fit.
    #[error("its figures are too large to be added up")]
    TooLarge,
}

/// What a provider says, read.
#[derive(Debug, Default)]
pub(crate) struct Export {
    usage: Part,
    costs: Part,
    requests: Part,
    /// Days of buckets without results: of whatever the file is about.
    empty: BTreeSet<i64>,
    pub(crate) complete: bool,
}

/// Which of them a [`Part`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PartKind {
    #[default]
    Usage,
    Costs,
    Requests,
}

/// What is of one kind, by subject.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) kind: PartKind,
    pub(crate) said: BTreeMap<Subject, Figures>,
    /// The days that it covers, those without any usage included.
    pub(crate) days: BTreeSet<i64>,
    /// Days on which a result names no model: they are compared as a whole.
    whole_days: BTreeSet<i64>,
}

impl Part {
    fn of(kind: PartKind) -> Self {
        Self { kind, ..Self::default() }
    }

    pub(crate) fn is_whole_day(&self, day: i64) -> bool {
        self.whole_days.contains(&day)
    }

    /// What it tells anywhere; `None` is cost. Who tells nothing at all says that no token was used.
    pub(crate) fn figures(&self) -> BTreeSet<Option<Figure>> {
        if self.said.is_empty() {
            return BTreeSet::from([Some(Figure::Prompt), Some(Figure::Answer)]);
        }
        let of = |said: &Figures| {
            let counts = said.counts.keys().map(|figure| Some(*figure));
            counts.chain(said.cost.map(|_| None)).collect::<Vec<_>>()
        };
        self.said.values().flat_map(of).collect()
    }

    fn add(&mut self, day: i64, model: Option<&str>, figures: &Figures) -> Result<(), ExportError> {
        let model = model.map(|name| family(name).to_owned());
        if model.is_none() {
            self.whole_days.insert(day);
        }
        self.said.entry(Subject::Day(day, model)).or_default().add(figures)
    }

    /// Brings the models of whole days together.
    fn close(&mut self) -> Result<(), ExportError> {
        for (subject, figures) in std::mem::take(&mut self.said) {
            let subject = match subject {
                Subject::Day(day, _) if self.is_whole_day(day) => Subject::Day(day, None),
                subject => subject,
            };
            self.said.entry(subject).or_default().add(&figures)?;
        }
        Ok(())
    }
}

impl Export {
    /// Reads a file: a page, several one after another or in an array, or lines of single requests.
    pub(crate) fn read(format: ExportFormat, text: &str) -> Result<Self, ExportError> {
        let mut export = Self {
            usage: Part::of(PartKind::Usage),
            costs: Part::of(PartKind::Costs),
            requests: Part::of(PartKind::Requests),
            empty: BTreeSet::new(),
            complete: true,
        };
        let mut values = 0;
        for (value, number) in serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>().zip(1..)
        {
            let json = |source| ExportError::Json { number, source };
            let value = value.map_err(json)?;
            let pages: Vec<Box<RawValue>> = match value.get().starts_with('[') {
                true => serde_json::from_str(value.get()).map_err(json)?,
                false => vec![value],
            };
            for page in &pages {
                values += 1;
                export.page(format, page.get(), number)?;
            }
        }
        if values == 0 {
            return Err(ExportError::Empty);
        }
        if export.usage.days.is_empty() && export.costs.days.is_empty() {
            export.usage.days = export.empty.clone();
        }
        for part in [&mut export.usage, &mut export.costs] {
            if !part.days.is_empty() {
                part.days.extend(&export.empty);
            }
            part.close()?;
        }
        Ok(export)
    }

    /// The parts that there are.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        let parts = [&self.usage, &self.costs, &self.requests].map(Clone::clone);
        parts.into_iter().filter(|part| !part.said.is_empty() || !part.days.is_empty())
    }

    fn page(&mut self, format: ExportFormat, text: &str, number: usize) -> Result<(), ExportError> {
        let json = |source| ExportError::Json { number, source };
        if let Ok(Kind { attempt: Some(_) }) = serde_json::from_str(text) {
            return self.request(&serde_json::from_str(text).map_err(json)?);
        }
        match format {
            ExportFormat::OpenAi => {
                let page: Page<OpenAiBucket> = serde_json::from_str(text).map_err(json)?;
                self.complete = !page.has_more;
                page.data.iter().try_for_each(|bucket| self.openai(bucket))
            }
            ExportFormat::Anthropic => {
                let page: Page<AnthropicBucket> = serde_json::from_str(text).map_err(json)?;
                self.complete = !page.has_more;
                page.data.iter().try_for_each(|bucket| self.anthropic(bucket))
            }
        }
    }

    /// OpenAI's input tokens include those of its caches. A bucket without results may be of either kind.
    fn openai(&mut self, bucket: &OpenAiBucket) -> Result<(), ExportError> {
        let day = one_day(Timestamp::from_secs(bucket.start_time), Timestamp::from_secs(bucket.end_time))?;
        for result in &bucket.results {
            let mut figures = Figures::default();
            if let Some(amount) = &result.amount {
                figures.cost = Some(dollars(&amount.value, &amount.currency, 0)?);
                self.costs.days.insert(day);
                // Line items are no models.
                self.costs.add(day, None, &figures)?;
                continue;
            }
            let told = [
                (Figure::Prompt, result.input_tokens),
                (Figure::CacheRead, result.input_cached_tokens),
                (Figure::CacheWrite, result.input_cache_write_tokens),
                (Figure::Answer, result.output_tokens),
            ];
            figures.counts = told.into_iter().filter_map(|(figure, count)| Some((figure, count?))).collect();
            self.usage.days.insert(day);
            self.usage.add(day, result.model.as_deref(), &figures)?;
        }
        if bucket.results.is_empty() {
            self.empty.insert(day);
        }
        Ok(())
    }

    fn anthropic(&mut self, bucket: &AnthropicBucket) -> Result<(), ExportError> {
        let time = |text: &str| instant(text).ok_or_else(|| ExportError::Time(text.to_owned()));
        let day = one_day(time(&bucket.starting_at)?, time(&bucket.ending_at)?)?;
        for result in &bucket.results {
            let mut figures = Figures::default();
            if let Some(amount) = &result.amount {
                // In cents.
                figures.cost = Some(dollars(amount, result.currency.as_deref().unwrap_or("USD"), 2)?);
                self.costs.days.insert(day);
                self.costs.add(day, result.model.as_deref(), &figures)?;
                continue;
            }
            let writes = result.cache_creation.as_ref();
            let told = [
                (Figure::UncachedInput, result.uncached_input_tokens),
                (Figure::CacheRead, result.cache_read_input_tokens),
                (Figure::CacheWrite5m, writes.map(|writes| writes.ephemeral_5m_input_tokens)),
                (Figure::CacheWrite1h, writes.map(|writes| writes.ephemeral_1h_input_tokens)),
                (Figure::Answer, result.output_tokens),
                (Figure::WebSearch, result.server_tool_use.as_ref().map(|tools| tools.web_search_requests)),
            ];
            figures.counts = told.into_iter().filter_map(|(figure, count)| Some((figure, count?))).collect();
            self.usage.days.insert(day);
            self.usage.add(day, result.model.as_deref(), &figures)?;
        }
        if bucket.results.is_empty() {
            self.empty.insert(day);
        }
        Ok(())
    }

    fn request(&mut self, line: &RequestLine) -> Result<(), ExportError> {
        let attempt: AttemptId =
            line.attempt.parse().map_err(|_| ExportError::Attempt(line.attempt.clone()))?;
        let told = [(Figure::Prompt, line.input_tokens), (Figure::Answer, line.output_tokens)];
        let counts = told.into_iter().filter_map(|(figure, count)| Some((figure, count?))).collect();
        let cost = line.cost_usd.as_ref().map(|cost| dollars(cost, "USD", 0)).transpose()?;
        let said = self.requests.said.entry(Subject::Attempt(attempt)).or_default();
        said.add(&Figures { counts, cost })
    }
}

/// The day that a bucket lies in.
fn one_day(start: Timestamp, end: Timestamp) -> Result<i64, ExportError> {
    let (first, last) =
        (start.as_secs().div_euclid(86_400), end.as_secs().saturating_sub(1).div_euclid(86_400));
    if first == last { Ok(first) } else { Err(ExportError::Width) }
}

/// An amount as a JSON number or as text, exactly as it is written, `shift` places smaller.
fn dollars(value: &RawValue, currency: &str, shift: i64) -> Result<Usd, ExportError> {
    if !currency.eq_ignore_ascii_case("usd") {
        return Err(ExportError::Currency(currency.to_owned()));
    }
    let text = value.get().trim_matches('"');
    let plain = shifted(text, shift).and_then(|plain| plain.parse().ok());
    plain.ok_or_else(|| ExportError::Amount(text.to_owned()))
}

/// A decimal such as `-1.25e-5` without its exponent, and with its point `shift` places further left.
fn shifted(text: &str, shift: i64) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_sub(shift)?;
    // Nothing that is money is this small or large.
    if !(-60..=60).contains(&point) {
        return None;
    }
    let length = i64::try_from(all.len()).ok()?;
    let number = match point {
        ..=0 => format!("0.{}{all}", "0".repeat(usize::try_from(-point).ok()?)),
        point if point >= length => format!("{all}{}", "0".repeat(usize::try_from(point - length).ok()?)),
        point => {
            let (whole, fraction) = all.split_at(usize::try_from(point).ok()?);
            format!("{whole}.{fraction}")
        }
    };
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    Some(format!("{sign}{number}"))
}

/// What tells a request's line from a page.
#[derive(Deserialize)]
struct Kind {
    attempt: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Page<B> {
    data: Vec<B>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct OpenAiBucket {
    start_time: i64,
    end_time: i64,
    results: Vec<OpenAiResult>,
}

#[derive(Deserialize)]
struct OpenAiResult {
    amount: Option<OpenAiAmount>,
    input_tokens: Option<u64>,
    input_cached_tokens: Option<u64>,
    input_cache_write_tokens: Option<u64>,
    output_tokens: Option<u64>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct OpenAiAmount {
    value: Box<RawValue>,
    currency: String,
}

#[derive(Deserialize)]
struct AnthropicBucket {
    starting_at: String,
    ending_at: String,
    results: Vec<AnthropicResult>,
}

#[derive(Deserialize)]
struct AnthropicResult {
    amount: Option<Box<RawValue>>,
    currency: Option<String>,
    uncached_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<AnthropicWrites>,
    output_tokens: Option<u64>,
    server_tool_use: Option<AnthropicTools>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct AnthropicWrites {
    #[serde(default)]
    ephemeral_5m_input_tokens: u64,
    #[serde(default)]
    ephemeral_1h_input_tokens: u64,
}

#[derive(Deserialize)]
struct AnthropicTools {
    #[serde(default)]
    web_search_requests: u64,
}

/// One request. The attempt's id is what the provider was sent as `x-client-request-id`.
#[derive(Deserialize)]
struct RequestLine {
    attempt: String,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_usd: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m1_amounts_are_read_as_they_are_written() {
        for (text, shift, read) in [
            ("0.06", 0, "0.06"),
            ("1.2e-05", 0, "0.000012"),
            ("-12E1", 0, "-120"),
            ("0.13080438340307526", 0, "0.13080438340307526"),
            ("123.45", 2, "1.2345"),
            ("7", 2, "0.07"),
            ("0", 2, "0.0"),
        ] {
            let read: Usd = read.parse().unwrap();
            assert_eq!(shifted(text, shift).unwrap().parse(), Ok(read), "{text}");
        }
        for wrong in ["", "-", "NaN", "1e", "1e999999999999999999999", "1e99", ".5", "1.2.3", "inf", "0x1"] {
            assert_eq!(shifted(wrong, 0).and_then(|text| text.parse::<Usd>().ok()), None, "{wrong}");
        }
    }
}
