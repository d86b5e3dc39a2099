//! One pass over a text: which cues it has, and what form.

use super::Task;
use super::cues::{Cue, UNSPACED, cue};

/// What is looked at of a long text, in bytes: its beginning, and its end, where instructions stand that come
/// behind a document.
const HEAD: usize = 2_048;
const TAIL: usize = 512;

/// How many words at the beginning of a text count for more: that is where the imperative stands.
const OPENING: u32 = 4;

/// Behind so many words nothing makes a request easy any more.
const EASY_UNTIL: u32 = 10;

/// The longest word that is looked up, in bytes.
const WORD: usize = 32;

/// What was found in a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scan {
    /// Points for each task, in the order of [`Task::ALL`].
    votes: [i32; 8],
    /// Points for and against being difficult.
    pub(super) hardness: i32,
    /// Words that bind the answer: must, without, exactly, each.
    pub(super) demands: i32,
    /// Commas, semicolons and ends of sentences in the instruction.
    pub(super) clauses: i32,
    /// Signs of mathematics.
    pub(super) mathematics: i32,
    /// Bytes of the instruction: the text without what is quoted, code, and what follows an empty line.
    pub(super) instruction_bytes: u32,
    /// Bytes of code.
    pub(super) code_bytes: u32,
    /// Whether it has a question mark.
    pub(super) asks: bool,
}

impl Scan {
    pub(super) fn of(text: &str) -> Self {
        let mut scan = Self::default();
        let head = prefix(text, HEAD);
        scan.read(head);
        if let Some(rest) = text.get(head.len()..).filter(|rest| !rest.is_empty()) {
            scan.read(suffix(rest, TAIL));
        }
        scan
    }

    /// The task that most speaks for.
    pub(super) fn best(&self) -> Option<Task> {
        let votes = Task::ALL.into_iter().zip(self.votes);
        votes.filter(|(_, points)| *points >= 2).rev().max_by_key(|(_, points)| *points).map(|(task, _)| task)
    }

    pub(super) fn borrow_votes(&mut self, other: &Self) {
        self.votes = other.votes.map(|points| points / 2);
    }

    fn read(&mut self, text: &str) {
        let mut word = Word::default();
        let mut words = 0;
        let mut place = Place::Instruction;
        let mut last = ' ';
        let mut ticks = 0;
        let mut unspaced = false;
        for (at, char) in text.char_indices() {
            ticks = if char == '`' { ticks + 1 } else { 0 };
            if ticks == 3 {
                place = if place == Place::Code { Place::Instruction } else { Place::Code };
                self.vote(Task::Code, 4);
            }
            let length = u32::try_from(char.len_utf8()).unwrap_or(1);
            match place {
                Place::Code => self.code_bytes += length,
                Place::Instruction => self.instruction_bytes += length,
                Place::Given(_) => {}
            }
            if char.is_alphabetic() || (char == '\'' && last.is_alphabetic()) || char == '#' || char == '+' {
                unspaced |= is_unspaced(char);
                word.push(char);
            } else if !word.is_empty() {
                words += 1;
                self.word(&word, words, place);
                word.clear();
            }
            self.form(char, last, place);
            let rest = text.get(at + char.len_utf8()..).unwrap_or_default();
            place = match char {
                // So is what follows the colon of a short order, if it is a sentence and not a list.
                ':' | '：' if place == Place::Instruction && self.gives_a_text(rest) => Place::Given(None),
                _ => place.after(char, last, rest),
            };
            last = char;
        }
        if !word.is_empty() {
            self.word(&word, words + 1, place);
        }
        if unspaced {
            // Where words have no spaces between them, they are looked for.
            for found in UNSPACED.iter().filter(|cue| text.contains(cue.stem)) {
                self.add(found, OPENING);
            }
        }
    }

    fn word(&mut self, word: &Word, number: u32, place: Place) {
        let Some(found) = cue(word.text()) else { return };
        match place {
            Place::Instruction => self.add(found, number),
            // What a quoted text is about says little of what is to be done with it.
            Place::Given(_) | Place::Code => {}
        }
    }

    /// Adds what the word of that number says.
    fn add(&mut self, cue: &Cue, number: u32) {
        match cue.task {
            // Whoever asks begins with it; further on, the same words only join clauses.
            Some((Task::Question, points)) if number <= 2 => self.vote(Task::Question, i32::from(points)),
            Some((Task::Question, _)) | None => {}
            Some((task, points)) => {
                self.vote(task, i32::from(points) * if number <= OPENING { 3 } else { 1 });
            }
        }
        if cue.hardness > 0 || number <= EASY_UNTIL {
            self.hardness += i32::from(cue.hardness);
        }
        self.demands += i32::from(cue.demand);
    }

    /// Whether a colon here ends what is to be done, and begins what it is to be done with.
    fn gives_a_text(&self, rest: &str) -> bool {
        let works_on_text = [Task::Summary, Task::Translation, Task::Extraction, Task::Classification];
        self.instruction_bytes < 60
            && self.hardness < 0
            && self.best().is_some_and(|task| works_on_text.contains(&task))
            && !rest.starts_with('\n')
            && !rest.contains(['"', '“', '„', '「', '«', '`'])
    }

    fn vote(&mut self, task: Task, points: i32) {
        if let Some((_, votes)) = Task::ALL.iter().zip(&mut self.votes).find(|(each, _)| **each == task) {
            *votes += points;
        }
    }

    fn form(&mut self, char: char, last: char, place: Place) {
        self.asks |= matches!(char, '?' | '？');
        if place != Place::Instruction {
            return;
        }
        match char {
            ',' | ';' | '，' | '；' | '、' => self.clauses += 1,
            '.' | '。' | '?' | '？' | '!' | ':' | '：' => {
                self.clauses += i32::from(last.is_alphanumeric())
            }
            '^' | '∑' | '∫' | '√' | '≤' | '≥' | '≠' | '∀' | '∃' | '∈' | '→' => {
                self.mathematics += 1
            }
            '=' | '<' | '>' | '*' | '/' | '|' => self.mathematics += i32::from(last != char),
            '(' => self.mathematics += i32::from(last.is_ascii_alphabetic()),
            _ => {}
        }
    }
}

/// Where in a text something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In what is to be done.
    Instruction,
    /// In what it is to be done with: between quotes, up to the one that closes; or behind an empty line.
    Given(Option<char>),
    /// In code.
    Code,
}

impl Place {
    fn after(self, char: char, last: char, rest: &str) -> Self {
        match (self, char) {
            (Self::Given(Some(closing)), char) if char == closing => Self::Instruction,
            (Self::Instruction, '"') => Self::Given(Some('"')),
            (Self::Instruction, '“') => Self::Given(Some('”')),
            (Self::Instruction, '„') => Self::Given(Some('“')),
            (Self::Instruction, '«') => Self::Given(Some('»')),
            (Self::Instruction, '「') => Self::Given(Some('」')),
            // A paragraph of its own, long enough to be a text that something is done with.
            (Self::Instruction, '\n') if last == '\n' && rest.len() > 60 && !rest.contains("```") => {
                Self::Given(None)
            }
            (place, _) => place,
        }
    }
}

/// A word in lower case, as far as it is looked up.
#[derive(Default)]
struct Word {
    bytes: [u8; WORD],
    length: usize,
}

impl Word {
    fn push(&mut self, char: char) {
        for lower in char.to_lowercase() {
            let mut buffer = [0; 4];
            let encoded = lower.encode_utf8(&mut buffer).as_bytes();
            if let Some(room) = self.bytes.get_mut(self.length..self.length + encoded.len()) {
                room.copy_from_slice(encoded);
                self.length += encoded.len();
            }
        }
    }

    fn text(&self) -> &str {
        // A word that was cut is cut between characters.
        std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }

    const fn is_empty(&self) -> bool {
        self.length == 0
    }

    const fn clear(&mut self) {
        self.length = 0;
    }
}

/// Whether the script of a character puts no spaces between words.
const fn is_unspaced(char: char) -> bool {
    matches!(char, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}')
}

fn prefix(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

fn suffix(text: &str, most: usize) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(most))..).unwrap_or_default()
}
