use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::mask::Mask;

/// One mistake, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to write instead, or where to look.
    pub hint: Option<String>,
    /// Where in the file: line and column from 1, the column in characters. `None` where the mistake
    /// is not in the file, but in the environment.
    pub position: Option<(usize, usize)>,
    pub(crate) span: Option<Range<usize>>,
}

/// Mistakes as they are found; the parser goes on after each.
#[derive(Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// Notes a mistake at a place of the file.
    pub(crate) fn at(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.push(Some(span), message.into())
    }

    /// Notes a mistake that is not in the file.
    pub(crate) fn elsewhere(&mut self, message: impl Into<String>) -> &mut Problem {
        self.push(None, message.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn push(&mut self, span: Option<Range<usize>>, message: String) -> &mut Problem {
        let place = self.found.len();
        self.found.push(Problem { message, hint: None, position: None, span });
        &mut self.found[place]
    }

    /// All mistakes in the order of the file, with their positions.
    pub(crate) fn into_error(mut self, file: &str, text: &str, mask: &Mask) -> ConfigError {
        self.found.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start));
        self.found.dedup();
        for problem in &mut self.found {
            problem.position = problem.span.as_ref().map(|span| position(text, span.start));
        }
        ConfigError { file: file.to_owned(), text: mask.apply(text), problems: self.found }
    }
}

impl Problem {
    /// Adds what to do about it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or("").chars().count() + 1)
}

/// Everything that is wrong with a configuration. Nothing of it is in effect.
///
/// `Display` shows each mistake under the line that it stands in, with values that may be secrets
/// blotted out; [`ConfigError::render`] does the same for terminals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    /// The file's text with secrets blotted out; the original is not kept.
    text: String,
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The mistakes, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// A report for people: in colour for a terminal, or plain.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(120);
        let reports: Vec<String> = self.problems.iter().map(|p| renderer.render(&[self.report(p)])).collect();
        let count = match self.problems.len() {
            1 => "1 mistake".to_owned(),
            many => format!("{many} mistakes"),
        };
        format!("{}\n\n{count} in {}", reports.join("\n\n"), self.file)
    }

    fn report<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let title = Level::ERROR.primary_title(&*problem.message);
        let mut group = match &problem.span {
            Some(span) => {
                let span = self.first_line(span);
                let mark = AnnotationKind::Primary.span(span);
                title.element(Snippet::source(&*self.text).path(&*self.file).annotation(mark))
            }
            None => Group::with_title(title),
        };
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.message(&**hint));
        }
        group
    }

    /// The part of a span that lies on its first line: what follows adds nothing but length.
    fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let start = span.start.min(self.text.len());
        let end = span.end.clamp(start, self.text.len());
        let line = self.text.get(start..end).and_then(|marked| marked.find('\n'));
        start..line.map_or(end, |length| start + length)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {}
