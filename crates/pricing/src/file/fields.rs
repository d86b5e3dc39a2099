use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};
use weighbridge_units::Timestamp;

use crate::error::Mistake;

/// The mistakes of one file.
pub(super) struct Notes<'f> {
    file: &'f str,
    text: &'f str,
    /// Which entry is being read: its first model.
    pub(super) entry: String,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'f> Notes<'f> {
    pub(super) fn new(file: &'f str, text: &'f str) -> Self {
        Self { file, text, entry: String::new(), mistakes: Vec::new() }
    }

    /// Notes a mistake that stands at `span`.
    pub(super) fn add(&mut self, span: Range<usize>, problem: impl Into<String>) {
        let mistake = self.mistake(span, problem.into());
        self.mistakes.push(mistake);
    }

    /// A mistake that stands at `span`.
    pub(super) fn mistake(&self, span: Range<usize>, problem: String) -> Mistake {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Mistake {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            entry: self.entry.clone(),
            problem,
        }
    }
}

/// The fields of one table: each is asked for by name, and what nobody asked for is a mistake.
pub(super) struct Fields<'t, 'i> {
    table: &'t DeTable<'i>,
    span: Range<usize>,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Fields<'t, 'i> {
    pub(super) fn of(table: &'t DeTable<'i>, span: Range<usize>) -> Self {
        Self { table, span, asked: Vec::new() }
    }

    /// Where the table stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.span.clone()
    }

    /// A field that may be missing.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    fn required(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = self.optional(key);
        if value.is_none() {
            notes.add(self.place(), format!("`{key}` is missing"));
        }
        value
    }

    /// A string that must be there and not be empty.
    pub(super) fn text(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<&'t str> {
        let value = self.required(key, notes)?;
        filled(key, value, notes)
    }

    /// A string that may be missing but not be empty.
    pub(super) fn maybe_text(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<&'t str> {
        let value = self.optional(key)?;
        filled(key, value, notes)
    }

    /// An array that may be missing.
    pub(super) fn maybe_array(
        &mut self,
        key: &'static str,
        notes: &mut Notes<'_>,
    ) -> Option<&'t DeArray<'i>> {
        let value = self.optional(key)?;
        array(key, value, notes)
    }

    /// An array that must be there.
    pub(super) fn array(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<&'t DeArray<'i>> {
        let value = self.required(key, notes)?;
        array(key, value, notes)
    }

    /// The instant that the text of a field names: a day, or a second of it.
    pub(super) fn instant(&self, key: &str, text: &str, notes: &mut Notes<'_>) -> Option<Timestamp> {
        let instant = text.parse().ok();
        if instant.is_none() {
            let span = self.table.get(key).map_or_else(|| self.place(), Spanned::span);
            notes.add(span, format!("`{text}` is not a day: write YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ"));
        }
        instant
    }

    /// The day that the text of a field names.
    pub(super) fn date(&self, key: &str, text: &str, notes: &mut Notes<'_>) -> Option<Timestamp> {
        let day = text.parse().ok().filter(|_| !text.contains('T'));
        if day.is_none() {
            let span = self.table.get(key).map_or_else(|| self.place(), Spanned::span);
            notes.add(span, format!("`{text}` is not a day: write YYYY-MM-DD"));
        }
        day
    }

    /// Notes every field that nobody asked for.
    pub(super) fn finish(self, what: &str, notes: &mut Notes<'_>) {
        for key in self.table.keys().filter(|key| !self.asked.contains(&key.get_ref().as_ref())) {
            let known = self.asked.join("`, `");
            notes.add(key.span(), format!("{what} has no field `{}`: it has `{known}`", key.get_ref()));
        }
    }
}

fn filled<'t>(key: &str, value: &'t Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<&'t str> {
    let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
    if text.is_none() {
        notes.add(value.span(), format!("`{key}` must be a string that is not empty"));
    }
    text
}

fn array<'t, 'i>(
    key: &str,
    value: &'t Spanned<DeValue<'i>>,
    notes: &mut Notes<'_>,
) -> Option<&'t DeArray<'i>> {
    let array = value.get_ref().as_array();
    if array.is_none() {
        notes.add(value.span(), format!("`{key}` must be an array"));
    }
    array
}
