//! How well the classifier does, on prompts that were written for it: half of them to tune it on, the other
//! half, told apart by a hash of their text, to judge it by.
//!
//! ```sh
//! $ WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-routing --test classifier
//! ```
//!
//! writes the table of `docs/routing.md` anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test reads its prompts, and the page that it writes")]

use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use weighbridge_routing::{Classification, Difficulty, Prompt, Task, classify};

struct Labelled {
    task: Task,
    hard: bool,
    lang: String,
    text: String,
}

impl Labelled {
    fn guess(&self) -> Classification {
        classify(&Prompt {
            user: &self.text,
            conversation_bytes: self.text.len() as u64,
            ..Prompt::default()
        })
    }

    fn is_down(&self) -> bool {
        self.guess().difficulty < Difficulty::THRESHOLD
    }

    /// FNV-1a of the text, folded: on whichever machine, the same half.
    fn is_judged(&self) -> bool {
        let hash = self.text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        (hash ^ (hash >> 32)) & 1 == 1
    }
}

fn prompts() -> Vec<Labelled> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prompts");
    let read = |task: Task| {
        let file = std::fs::read_to_string(folder.join(format!("{}.jsonl", task.as_str()))).unwrap();
        let labelled = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            Labelled { task, hard: line["hard"].as_bool().unwrap(), lang: text("lang"), text: text("text") }
        };
        file.lines().map(labelled).collect::<Vec<_>>()
    };
    Task::ALL.into_iter().flat_map(read).collect()
}

/// What a token costs at the two models that the table compares, in billionths of a dollar: prompt, answer.
/// `gpt-4o` and `gpt-4o-mini`, as `crates/pricing/data/openai.toml` has them.
const LARGE: [u64; 2] = [2_500, 10_000];
const SMALL: [u64; 2] = [150, 600];
/// Tokens of an answer, whatever is asked: so that the saving does not rest on a guess of how long answers are.
const ANSWER: u64 = 500;

/// What was found out about some of the prompts.
#[derive(Default)]
struct Figures {
    prompts: u64,
    hard: u64,
    hard_down: u64,
    down: u64,
    right_task: u64,
    cost_large: u64,
    cost_routed: u64,
}

impl Figures {
    fn of<'a>(prompts: impl Iterator<Item = &'a Labelled>) -> Self {
        let mut all = Self::default();
        for prompt in prompts {
            let (guess, down) = (prompt.guess(), prompt.is_down());
            let tokens = (prompt.text.len() as u64).div_ceil(4);
            let cost = |rates: [u64; 2]| tokens * rates[0] + ANSWER * rates[1];
            all.prompts += 1;
            all.hard += u64::from(prompt.hard);
            all.hard_down += u64::from(prompt.hard && down);
            all.down += u64::from(down);
            all.right_task += u64::from(guess.task == prompt.task);
            all.cost_large += cost(LARGE);
            all.cost_routed += cost(if down { SMALL } else { LARGE });
        }
        all
    }

    fn row(&self, name: &str) -> String {
        let share = |part: u64, whole: u64| format!("{} %", (part * 100 + whole / 2) / whole.max(1));
        format!(
            "| {name} | {} | {} of {} ({}) | {} of {} ({}) | {} | {} |\n",
            self.prompts,
            self.hard_down,
            self.hard,
            share(self.hard_down, self.hard),
            self.down - self.hard_down,
            self.prompts - self.hard,
            share(self.down - self.hard_down, self.prompts - self.hard),
            share(self.right_task, self.prompts),
            share(self.cost_large - self.cost_routed, self.cost_large),
        )
    }
}

fn table(prompts: &[Labelled]) -> String {
    let mut table = "| prompts | how many | hard sent down | easy sent down | task told right | saved |\n\
                     |---|---|---|---|---|---|\n"
        .to_owned();
    let judged = || prompts.iter().filter(|prompt| prompt.is_judged());
    for task in Task::ALL {
        table += &Figures::of(judged().filter(|prompt| prompt.task == task)).row(task.as_str());
    }
    table += &Figures::of(judged().filter(|prompt| prompt.lang == "en")).row("in English");
    table += &Figures::of(judged().filter(|prompt| prompt.lang != "en")).row("in other languages");
    table += &Figures::of(judged()).row("**all that judge**");
    table + &Figures::of(prompts.iter().filter(|prompt| !prompt.is_judged())).row("those it was tuned on")
}

#[test]
fn at_most_one_hard_prompt_in_twenty_is_sent_down() {
    let prompts = prompts();
    assert!(prompts.len() >= 300);
    let judged = Figures::of(prompts.iter().filter(|prompt| prompt.is_judged()));
    assert!(judged.prompts >= 150 && judged.hard >= 60 && judged.prompts - judged.hard >= 60);
    assert!(judged.hard_down * 20 <= judged.hard, "{} of {}", judged.hard_down, judged.hard);
    // What it is for: most of what is easy goes down, and the task is told.
    assert!((judged.down - judged.hard_down) * 4 >= (judged.prompts - judged.hard) * 3);
    assert!(judged.right_task * 5 >= judged.prompts * 4);
    for task in Task::ALL {
        let of_it: Vec<_> = prompts.iter().filter(|prompt| prompt.task == task).collect();
        assert!(of_it.iter().any(|prompt| prompt.hard) && of_it.iter().any(|prompt| !prompt.hard));
    }
}

#[test]
fn no_prompt_is_there_twice() {
    let prompts = prompts();
    let texts: HashSet<&str> = prompts.iter().map(|prompt| prompt.text.as_str()).collect();
    assert_eq!(texts.len(), prompts.len());
}

const BEGIN: &str = "<!-- classifier: written by a test -->\n";
const END: &str = "<!-- end of classifier -->";

#[test]
fn the_table_of_the_page_is_what_was_measured() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/routing.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("docs/routing.md has the marks of the table");
    let (written, after) = rest.split_once(END).expect("docs/routing.md has the marks of the table");
    let table = table(&prompts());
    if std::env::var_os("WEIGHBRIDGE_REWRITE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-routing --test classifier");
}

#[test]
fn what_says_nothing_is_not_sent_down() {
    for user in ["", " \n", "…", "!?"] {
        let guess = classify(&Prompt { user, ..Prompt::default() });
        assert!(guess.difficulty >= Difficulty::THRESHOLD, "{user:?}");
    }
}

proptest! {
    #[test]
    fn a_guess_is_made_of_anything(user in any::<String>(), system in any::<String>(), bytes in any::<u64>()) {
        let prompt = Prompt { user: &user, system: &system, conversation_bytes: bytes, ..Prompt::default() };
        let guess = classify(&prompt);
        prop_assert!(guess.difficulty <= Difficulty::MAX);
        prop_assert_eq!(guess, classify(&prompt));
        // Nothing that a request has beside its words makes it easier.
        let with = |tools, media| classify(&Prompt { tools, media, ..prompt }).difficulty;
        prop_assert!(with(true, false) >= guess.difficulty);
        prop_assert!(with(false, true) >= guess.difficulty);
        let longer = Prompt { conversation_bytes: bytes.saturating_mul(2), ..prompt };
        prop_assert!(classify(&longer).difficulty >= guess.difficulty);
    }

    #[test]
    fn a_long_text_is_read_at_its_ends_only(filling in "[a-z ]{0,40}", times in 60_usize..200) {
        let ends = |middle: String| {
            let user = format!("Prove the following. {}{middle}{} Justify each step.", "x ".repeat(1_100), "y ".repeat(300));
            classify(&Prompt { user: &user, ..Prompt::default() })
        };
        prop_assert_eq!(ends(filling.repeat(times)), ends(String::new()));
    }
}
