use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use weighbridge_catalogue::near;

use crate::Surroundings;
use crate::duration;
use crate::expand::{ExpandError, expand};
use crate::keys::{Key, SECTIONS, Section};
use crate::mask::{Mask, is_harmless};
use crate::problem::Problems;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// What a file says under a key. [`Given::Wrong`] was reported already, so that nothing else about it
/// needs to be.
#[derive(Debug, Clone, Default)]
pub(crate) enum Given<T> {
    #[default]
    Absent,
    Wrong,
    Said(Said<T>),
}

impl<T> Given<T> {
    pub(crate) fn said(&self) -> Option<&Said<T>> {
        match self {
            Self::Said(said) => Some(said),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(crate) fn into_said(self) -> Option<Said<T>> {
        match self {
            Self::Said(said) => Some(said),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub(crate) fn value(self) -> Option<T> {
        self.into_said().map(|said| said.value)
    }

    /// The same, of something else.
    pub(crate) fn map<U>(self, make: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Wrong => Given::Wrong,
            Self::Said(Said { value, span }) => Given::Said(Said { value: make(value), span }),
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether something is said that cannot be meant, and has been explained.
    pub(crate) fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }
}

/// Why a string is not what its key needs.
pub(crate) struct Mismatch {
    /// Completes the sentence "… is not".
    pub(crate) expected: String,
    /// What to write instead, if that can be told better than by an example.
    pub(crate) hint: Option<String>,
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A table of the file whose keys are known to be allowed.
pub(crate) struct Table<'t> {
    section: &'static Section,
    /// How messages name it: `server`, `providers.openai`.
    path: String,
    entries: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    fn get(&self, name: &str) -> Option<(&'static Key, &'t Spanned<DeValue<'t>>)> {
        self.section.key(name).zip(self.entries.get(name))
    }

    /// Whether the file says anything under a key.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether what is under a key is a table.
    pub(crate) fn holds_table(&self, name: &str) -> bool {
        self.get(name).is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::Table(_)))
    }

    /// Where what is under a key stands.
    pub(crate) fn span_of(&self, name: &str) -> Option<Range<usize>> {
        self.get(name).map(|(_, value)| value.span())
    }

    pub(crate) fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Reads values of a parsed file by their keys: types, forms and references. What the values mean
/// together is none of its business.
pub(crate) struct Reader<'a> {
    pub(crate) problems: Problems,
    pub(crate) mask: Mask,
    folder: &'a Path,
    surroundings: &'a dyn Surroundings,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(folder: &'a Path, surroundings: &'a dyn Surroundings) -> Self {
        Self { problems: Problems::default(), mask: Mask::default(), folder, surroundings }
    }

    /// Takes a table for a section: refuses keys that it must not have, and hides its secrets.
    pub(crate) fn open<'t>(
        &mut self,
        section: &'static Section,
        path: String,
        entries: &'t DeTable<'t>,
    ) -> Table<'t> {
        for (name, value) in entries {
            match section.key(name.get_ref()) {
                Some(key) if key.secret => self.mask.hide_value(value),
                Some(_) => {}
                None => {
                    if !is_harmless(name.get_ref()) {
                        // It may well be a misspelt secret.
                        self.mask.hide_value(value);
                    }
                    let place = if path.is_empty() { "the file".to_owned() } else { format!("[{path}]") };
                    let message = format!("`{}` is not a key of {place}", name.get_ref());
                    self.problems.at(name.span(), message).hint(unknown_key_hint(section, name.get_ref()));
                }
            }
        }
        Table { section, path, entries }
    }

    /// A table below a key.
    pub(crate) fn table<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
        section: &'static Section,
    ) -> Option<Table<'t>> {
        let (key, value) = table.get(name)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(self.open(section, table.name_of(name), entries)),
            other => {
                self.wrong_type(table, key, value.span(), other, "a table");
                None
            }
        }
    }

    /// The tables that a file names itself, below a key: `[providers.NAME]`, in the order of the file.
    pub(crate) fn named_tables<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
        section: &'static Section,
    ) -> Vec<(Said<String>, Table<'t>)> {
        let Some((key, value)) = table.get(name) else { return Vec::new() };
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(table, key, value.span(), value.get_ref(), "a table of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in entries {
            let path = format!("{}.{}", key.name, name.get_ref());
            if let DeValue::Table(entries) = value.get_ref() {
                let name = Said { value: name.get_ref().to_string(), span: name.span() };
                tables.push((name, self.open(section, path, entries)));
            } else {
                self.mask.hide(value.span());
                let message = format!("`{path}` is {}, but must be a table", kind(value.get_ref()));
                self.problems.at(name.span(), message).hint(format!("begin it with [{path}]"));
            }
        }
        tables.sort_by_key(|(name, _)| name.span.start);
        tables
    }

    /// A string, references followed, that `parse` accepts.
    pub(crate) fn parsed<T>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Mismatch>,
    ) -> Given<T> {
        let Some((key, value)) = table.get(name) else { return Given::Absent };
        self.parse_string(table, key, value, &parse)
    }

    /// A string, references followed.
    pub(crate) fn text(&mut self, table: &Table<'_>, name: &str) -> Given<String> {
        self.parsed(table, name, |text| Ok(text.to_owned()))
    }

    /// An array of such strings.
    pub(crate) fn list<T>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Mismatch>,
    ) -> Given<Vec<Said<T>>> {
        let Some((key, value)) = table.get(name) else { return Given::Absent };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(table, key, value.span(), value.get_ref(), "an array of strings");
            return Given::Wrong;
        };
        let read: Vec<Given<T>> =
            items.iter().map(|item| self.parse_string(table, key, item, &parse)).collect();
        let count = read.len();
        let said: Vec<Said<T>> = read.into_iter().filter_map(Given::into_said).collect();
        if said.len() < count { Given::Wrong } else { Given::Said(Said { value: said, span: value.span() }) }
    }

    /// One of several names.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        choices: &[(&str, T)],
    ) -> Given<T> {
        self.parsed(table, name, |text| chosen(text, choices))
    }

    /// One of several names, or an array of some of them.
    pub(crate) fn choices<T: Copy>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        choices: &[(&str, T)],
    ) -> Given<Vec<Said<T>>> {
        let is_array = |(_, value): (_, &Spanned<DeValue<'_>>)| matches!(value.get_ref(), DeValue::Array(_));
        if table.get(name).is_some_and(is_array) {
            return self.list(table, name, |text| chosen(text, choices));
        }
        match self.choice(table, name, choices) {
            Given::Absent => Given::Absent,
            Given::Wrong => Given::Wrong,
            Given::Said(said) => Given::Said(Said { span: said.span.clone(), value: vec![said] }),
        }
    }

    /// A duration such as `30s`.
    pub(crate) fn duration(&mut self, table: &Table<'_>, name: &str) -> Given<Duration> {
        let longest = duration::display(duration::LONGEST);
        let why = format!("a duration such as 250ms, 30s or 1m30s, above zero and at most {longest}");
        let parse = |text: &str| duration::parse(text, duration::LONGEST);
        self.parsed(table, name, |text| parse(text).ok_or_else(|| Mismatch::new(&why)))
    }

    /// A whole number.
    pub(crate) fn integer(
        &mut self,
        table: &Table<'_>,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Given<u64> {
        let Some((key, value)) = table.get(name) else { return Given::Absent };
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(table, key, value.span(), value.get_ref(), "an integer");
            return Given::Wrong;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
        {
            Some(number) => Given::Said(Said { value: number, span: value.span() }),
            None => {
                let name = table.name_of(name);
                let message = format!("`{name}` must be from {} to {}", range.start(), range.end());
                self.problems.at(value.span(), message).hint(write_hint(key));
                Given::Wrong
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, table: &Table<'_>, name: &str) -> Given<bool> {
        let Some((key, value)) = table.get(name) else { return Given::Absent };
        match value.get_ref() {
            DeValue::Boolean(flag) => Given::Said(Said { value: *flag, span: value.span() }),
            other => {
                self.wrong_type(table, key, value.span(), other, "true or false");
                Given::Wrong
            }
        }
    }

    /// A table of strings whose names the file chooses, references followed.
    pub(crate) fn pairs(
        &mut self,
        table: &Table<'_>,
        name: &str,
    ) -> Given<Vec<(Said<String>, Said<String>)>> {
        let Some((key, value)) = table.get(name) else { return Given::Absent };
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(table, key, value.span(), value.get_ref(), "a table of strings");
            return Given::Wrong;
        };
        let mut pairs = Vec::new();
        let mut wrong = false;
        for (name, value) in entries {
            let name = Said { value: name.get_ref().to_string(), span: name.span() };
            match self.parse_string(table, key, value, &|text: &str| Ok(text.to_owned())) {
                Given::Said(said) => pairs.push((name, said)),
                Given::Absent | Given::Wrong => wrong = true,
            }
        }
        pairs.sort_by_key(|(name, _)| name.span.start);
        if wrong { Given::Wrong } else { Given::Said(Said { value: pairs, span: value.span() }) }
    }

    /// The items of an array that may hold strings or tables: the shorthand, or a table of a section.
    pub(crate) fn items<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
        section: &'static Section,
    ) -> Given<RightItems<'t>> {
        match self.right_items(table, name, section) {
            Given::Said(said) if said.value.1 => Given::Wrong,
            given => given.map(|(items, _)| items),
        }
    }

    /// Those items that are right in themselves, and whether others were not.
    pub(crate) fn right_items<'t>(
        &mut self,
        table: &Table<'t>,
        name: &str,
        section: &'static Section,
    ) -> Given<(RightItems<'t>, bool)> {
        let Some((key, value)) = table.get(name) else { return Given::Absent };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(table, key, value.span(), value.get_ref(), "an array");
            return Given::Wrong;
        };
        let mut read = Vec::new();
        let mut wrong = false;
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(entries) => {
                    read.push((item.span(), Item::Table(self.open(section, table.name_of(name), entries))));
                }
                _ => match self.parse_string(table, key, item, &|text: &str| Ok(text.to_owned())) {
                    Given::Said(said) => read.push((item.span(), Item::Text(said))),
                    Given::Absent | Given::Wrong => wrong = true,
                },
            }
        }
        Given::Said(Said { value: (read, wrong), span: value.span() })
    }

    fn parse_string<T>(
        &mut self,
        table: &Table<'_>,
        key: &'static Key,
        value: &Spanned<DeValue<'_>>,
        parse: &dyn Fn(&str) -> Result<T, Mismatch>,
    ) -> Given<T> {
        let DeValue::String(written) = value.get_ref() else {
            self.wrong_type(table, key, value.span(), value.get_ref(), "a string");
            return Given::Wrong;
        };
        // A user name and a password may stand before a host.
        let with_password = written.contains('@') && written.contains(':');
        if with_password {
            self.mask.hide(value.span());
        }
        let (text, inserted) = match expand(written, self.folder, self.surroundings) {
            Ok(expanded) => expanded,
            Err(error) => {
                self.bad_reference(value.span(), error);
                return Given::Wrong;
            }
        };
        match parse(&text) {
            Ok(parsed) => Given::Said(Said { value: parsed, span: value.span() }),
            Err(Mismatch { expected, hint }) => {
                // What was inserted may be a secret in the wrong place: only what was written is shown.
                let shown = match (key.secret || with_password, inserted) {
                    (true, _) => "its value".to_owned(),
                    (false, true) => format!("what `{written}` stands for"),
                    (false, false) => format!("`{written}`"),
                };
                let message = format!("`{}`: {shown} is not {expected}", table.name_of(key.name));
                self.problems.at(value.span(), message).hint(hint.unwrap_or_else(|| write_hint(key)));
                Given::Wrong
            }
        }
    }

    fn bad_reference(&mut self, span: Range<usize>, error: ExpandError) {
        let (message, hint) = match error {
            ExpandError::Unclosed => {
                ("`${` has no closing `}`".to_owned(), "to say `${` itself, write `$${`".to_owned())
            }
            ExpandError::NotAReference(what) => (
                // `what` is part of the file, and might be part of a secret.
                format!("this `${{…}}` of {} characters is not a reference", what.chars().count()),
                "write ${NAME} for an environment variable, ${file:PATH} for a file, $${ for `${` itself"
                    .to_owned(),
            ),
            ExpandError::Unset(name) => (
                format!("the environment variable {name} is not set"),
                format!("set it, for instance by: export {name}=…"),
            ),
            ExpandError::Unreadable { path, why } => (
                format!("the file {path} cannot be read: {why}"),
                "relative paths start at the folder of this file".to_owned(),
            ),
        };
        self.problems.at(span, message).hint(hint);
    }

    fn wrong_type(
        &mut self,
        table: &Table<'_>,
        key: &Key,
        span: Range<usize>,
        found: &DeValue<'_>,
        expected: &str,
    ) {
        let message = format!("`{}` is {}, but must be {expected}", table.name_of(key.name), kind(found));
        self.problems.at(span, message).hint(write_hint(key));
    }
}

/// Items, and where they stand.
type RightItems<'t> = Vec<(Range<usize>, Item<'t>)>;

/// An item of an array of targets.
pub(crate) enum Item<'t> {
    Text(Said<String>),
    Table(Table<'t>),
}

fn chosen<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Mismatch> {
    let found = choices.iter().find(|(known, _)| *known == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<String> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
        let mismatch = match known.as_slice() {
            [only] => Mismatch::new(format!("{only}, which is all that there is")),
            _ => Mismatch::new(format!("one of {}", known.join(", "))),
        };
        match near(text, choices.iter().map(|(known, _)| *known)).first() {
            Some(meant) => mismatch.with_hint(format!("did you mean `{meant}`?")),
            None => mismatch,
        }
    })
}

fn write_hint(key: &Key) -> String {
    if key.example.starts_with('[') && !key.example.contains('"') {
        format!("write it as a table: {}", key.example)
    } else {
        format!("write it like this: {} = {}", key.name, key.example)
    }
}

fn unknown_key_hint(section: &Section, name: &str) -> String {
    if let Some(meant) = near(name, section.keys.iter().map(|key| key.name)).first() {
        return format!("did you mean `{meant}`?");
    }
    if let Some(home) = SECTIONS.iter().find(|other| !other.name.is_empty() && other.key(name).is_some()) {
        return format!("`{name}` belongs into [{}]", home.name);
    }
    let others = SECTIONS.iter().filter(|other| !other.name.is_empty());
    let all = others.flat_map(|other| other.keys.iter().map(move |key| (other.name, key.name)));
    if let Some(meant) = near(name, all.clone().map(|(_, key)| key)).first()
        && let Some((home, _)) = all.clone().find(|(_, key)| key == meant)
    {
        return format!("did you mean `{meant}` in [{home}]?");
    }
    let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
    format!("known here: {}", known.join(", "))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
