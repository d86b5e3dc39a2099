//! How difficult a request is, and what kind of task it sets, told from plain features of its text.
//!
//! It is a guess in microseconds, not a model: words that often come with a kind of task, in a handful of
//! languages ([`cues`]), and the form of the text ([`scan`]): how long the instruction is, its demands, code,
//! mathematics. The guess errs towards difficult: what it knows nothing of is not sent down, because a hard
//! request that a small model answers costs more trust than an easy one that a large model answers costs money.
//!
//! How well it does is measured on prompts that were written for it: `tests/classifier.rs`, and the table in
//! `docs/routing.md`.

mod cues;
mod scan;

use std::fmt;

use scan::Scan;

/// How difficult a request is thought to be, from 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Difficulty(u16);

impl Difficulty {
    /// The most.
    pub const MAX: Self = Self(1000);
    /// Below this, a request is taken for easy unless the configuration says otherwise.
    pub const THRESHOLD: Self = Self(400);

    /// From points, which are cut to what there is.
    pub const fn of(points: i32) -> Self {
        let most = Self::MAX.0 as i32;
        Self(if points < 0 {
            0
        } else if points > most {
            Self::MAX.0
        } else {
            points as u16
        })
    }

    /// The points.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of task a request sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Task {
    /// Something is asked that has an answer.
    Question,
    /// A text is to be made shorter.
    Summary,
    /// Something is to be put into one of several classes.
    Classification,
    /// Code is to be written, changed or explained.
    Code,
    /// A text is to be said in another language.
    Translation,
    /// Facts are to be taken out of a text.
    Extraction,
    /// Something is to be worked out.
    Reasoning,
    /// Talk, and texts for people.
    Chat,
}

impl Task {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Question,
        Self::Summary,
        Self::Classification,
        Self::Code,
        Self::Translation,
        Self::Extraction,
        Self::Reasoning,
        Self::Chat,
    ];

    /// The name in configuration and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Summary => "summary",
            Self::Classification => "classification",
            Self::Code => "code",
            Self::Translation => "translation",
            Self::Extraction => "extraction",
            Self::Reasoning => "reasoning",
            Self::Chat => "chat",
        }
    }
}

/// What the classifier looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prompt<'a> {
    /// The last message of the user. Of a long one only the beginning and the end are looked at.
    pub user: &'a str,
    /// What the system says; it helps to tell the task, where the user does not.
    pub system: &'a str,
    /// Bytes of the whole conversation.
    pub conversation_bytes: u64,
    /// Whether the model may call tools.
    pub tools: bool,
    /// Whether there are images or other media.
    pub media: bool,
}

/// What the classifier thinks of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classification {
    /// How difficult it is.
    pub difficulty: Difficulty,
    /// What is to be done.
    pub task: Task,
}

/// Points of a request of which nothing is known but that it is there.
const UNKNOWN: i32 = 370;

/// Guesses how difficult a request is, and what it is about.
///
/// ```
/// use weighbridge_routing::{Difficulty, Prompt, Task, classify};
///
/// let asked = |user| classify(&Prompt { user, ..Prompt::default() });
/// let easy = asked("Translate to German: \"Where is the station?\"");
/// assert_eq!(easy.task, Task::Translation);
/// assert!(easy.difficulty < Difficulty::THRESHOLD);
/// let hard = asked("Prove that there are infinitely many primes of the form 4k+3.");
/// assert_eq!(hard.task, Task::Reasoning);
/// assert!(hard.difficulty >= Difficulty::THRESHOLD);
/// ```
pub fn classify(prompt: &Prompt<'_>) -> Classification {
    let mut scan = Scan::of(prompt.user);
    if scan.best().is_none() && !prompt.system.is_empty() {
        // Half of a hint: the system says what is usually asked, not what is asked now.
        scan.borrow_votes(&Scan::of(prompt.system));
    }
    Classification { difficulty: difficulty(prompt, &scan), task: task(&scan) }
}

fn task(scan: &Scan) -> Task {
    match scan.best() {
        Some(task) => task,
        None if scan.code_bytes > 0 => Task::Code,
        None if scan.asks => Task::Question,
        None if scan.mathematics >= 2 => Task::Reasoning,
        None => Task::Chat,
    }
}

fn difficulty(prompt: &Prompt<'_>, scan: &Scan) -> Difficulty {
    let mut points = UNKNOWN;
    // A doubling of the instruction, what is quoted left out, counts from a short sentence on.
    points += length(scan.instruction_bytes, 48) * 45;
    points += scan.hardness.clamp(-300, 500);
    points += scan.demands.min(8) * 30;
    points += (scan.clauses - 1).clamp(0, 8) * 22;
    points += scan.mathematics.min(6) * 18;
    points += length(scan.code_bytes, 64) * 40;
    points += length(clamped(prompt.conversation_bytes), 8_192) * 40;
    points += i32::from(prompt.tools) * 60 + i32::from(prompt.media) * 60;
    if !prompt.user.chars().any(char::is_alphanumeric) {
        // Nothing was said: what is to be done is not known, and not easy for that.
        points = points.max(i32::from(Difficulty::THRESHOLD.get()));
    }
    Difficulty::of(points)
}

/// How often `bytes` is twice `from`: 0 at `from` and below.
fn length(bytes: u32, from: u32) -> i32 {
    i32::try_from((bytes / from).checked_ilog2().map_or(0, |doublings| doublings + 1)).unwrap_or(0)
}

fn clamped(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
