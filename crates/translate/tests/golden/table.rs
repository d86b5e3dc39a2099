//! `docs/compatibility.md`: what becomes of each feature between each two protocols.

use std::fmt::Write;
use std::path::Path;

use weighbridge_units::{LossKind, Protocol};

use crate::cases::{Kind, Outcome, PROTOCOLS, case, model, translated, values};
use crate::features::Feature;
use crate::{COMMAND, assert_held, hold};

/// The reasons that stand below the tables, each once.
#[derive(Default)]
struct Notes(Vec<(String, String)>);

impl Notes {
    /// The label of a reason, which stays whatever is reported besides.
    fn label(&mut self, reason: String) -> String {
        let label = format!("{:05x}", digest(&reason) & 0xf_ffff);
        match self.0.iter().find(|(known, _)| *known == label) {
            Some((_, known)) => assert_eq!(*known, reason, "two reasons have one label"),
            None => self.0.push((label.clone(), reason)),
        }
        label
    }
}

/// FNV-1a: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>.
fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// How a protocol is called in a heading.
pub(crate) const fn title(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAiChat => "OpenAI Chat Completions",
        Protocol::AnthropicMessages => "Anthropic Messages",
        Protocol::OpenAiResponses => "OpenAI Responses",
        Protocol::GeminiGenerateContent => "Gemini generateContent",
        Protocol::BedrockConverse => "Bedrock Converse",
    }
}

/// What became of a case: each kind of loss with the labels of its reasons.
fn cell(
    kind: Kind,
    feature: &Feature,
    source: Protocol,
    target: Protocol,
    body: &str,
    notes: &mut Notes,
) -> String {
    let outcome = translated(kind, source, target, body);
    let kinds = [LossKind::Moved, LossKind::Approximated, LossKind::Defaulted, LossKind::Dropped];
    let told: Vec<String> = kinds
        .into_iter()
        .filter_map(|loss_kind| {
            let mut labels: Vec<String> = outcome
                .losses
                .iter()
                .filter(|loss| loss.kind == loss_kind)
                .map(|loss| format!("{}. Needed: {}.", loss.reason, loss.needed))
                // The column says which.
                .map(|reason| notes.label(reason.replace(target.as_str(), "the target")))
                .collect();
            labels.dedup();
            let marks: String = labels.iter().map(|label| format!("[^{label}]")).collect();
            let in_part = loss_kind == LossKind::Dropped && adds(kind, feature, source, target, &outcome);
            let in_part = if in_part { " in part" } else { "" };
            (!labels.is_empty()).then(|| format!("{}{in_part}{marks}", loss_kind.as_str()))
        })
        .collect();
    if told.is_empty() { "kept".to_owned() } else { told.join(", ") }
}

/// Whether a case says anything to the target that the case without the feature does not.
fn adds(kind: Kind, feature: &Feature, source: Protocol, target: Protocol, outcome: &Outcome) -> bool {
    let base = kind.features().iter().find(|other| other.id == feature.base).unwrap();
    let base = translated(kind, source, target, &case(kind, base, source).unwrap());
    !values(&outcome.body).is_subset(&values(&base.body))
}

/// The table of all that one protocol can say, and how much of it each target keeps.
fn table(kind: Kind, source: Protocol, notes: &mut Notes) -> String {
    let targets: Vec<Protocol> = kind.targets(source).collect();
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut kept = vec![0; targets.len()];
    let mut rows = String::new();
    let mut features = 0;
    for feature in kind.features() {
        let Some(body) = case(kind, feature, source) else { continue };
        let mut cells = vec![feature.title.to_owned()];
        for (target, kept) in targets.iter().zip(&mut kept) {
            let cell = cell(kind, feature, source, *target, &body, notes);
            *kept += usize::from(cell == "kept");
            cells.push(cell);
        }
        rows.push_str(&row(&cells));
        features += 1;
    }
    let mut head = vec![match kind {
        Kind::Request => "a request says".to_owned(),
        Kind::Answer => "an answer says".to_owned(),
    }];
    head.extend(targets.iter().map(|target| title(*target).to_owned()));
    let mut foot = vec![format!("**kept, of {features}**")];
    foot.extend(kept.iter().map(|kept| format!("**{kept}**")));
    format!("{}|{}\n{rows}{}", row(&head), "---|".repeat(head.len()), row(&foot))
}

fn page() -> String {
    let mut notes = Notes::default();
    let mut page = format!(
        "# Compatibility\n\n\
         <!-- Made by a test from what the translator does. Do not edit: {COMMAND} -->\n\n\
         What becomes of each feature between each two protocols: one small case per feature, translated. The cases\n\
         and what came of them, byte by byte, are in `crates/translate/tests/golden`; [translation.md](translation.md) says\n\
         what the words mean. A row is missing where the source has no way to say a thing. Within one protocol bytes\n\
         pass, and everything is kept.\n\n\
         | | |\n|---|---|\n\
         | kept | the target says the same |\n\
         | moved | it stands in another place, where it may read differently |\n\
         | approximated | something close was sent in its place |\n\
         | defaulted | the target demands what the source did not say |\n\
         | dropped | it was left out; *in part*: something of it was said |\n\n\
         Everything but *kept* is reported with each translation. Some of it depends on the model; the requests below go to\n"
    );
    let models: Vec<String> =
        PROTOCOLS.iter().map(|target| format!("`{}` ({})", model(*target), title(*target))).collect();
    writeln!(page, "{}.", models.join(",\n")).unwrap();
    for kind in Kind::ALL {
        page.push_str(match kind {
            Kind::Request => "\n## Requests\n",
            Kind::Answer => {
                "\n## Answers\n\nStreamed answers lose what whole ones lose: a stream folds to the answer that was not streamed.\n"
            }
        });
        for source in kind.sources() {
            write!(page, "\n### From {}\n\n{}", title(source), table(kind, source, &mut notes)).unwrap();
        }
    }
    page.push_str("\n## Notes\n\n");
    for (label, reason) in &notes.0 {
        writeln!(page, "[^{label}]: {reason}").unwrap();
    }
    page
}

#[test]
fn the_compatibility_table_is_what_the_translator_does() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md"));
    assert_held(&Vec::from_iter(hold(path, &page()).err()));
}
