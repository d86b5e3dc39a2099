//! `docs/compatibility.md`: what becomes of each feature between each two protocols.

use std::fmt::Write;
use std::path::Path;

use weighbridge_translate::{Dialect, RequestTarget};
use weighbridge_units::{LossKind, Protocol};

use crate::cases::{Kind, Outcome, PROTOCOLS, case, model, translated, translated_for, values};
use crate::features::{Feature, REQUESTS};
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
    let base = translated(kind, source, target, &base(kind, feature, source));
    told(&outcome, &base, target, notes)
}

/// What is said of an outcome, beside that of the case without the feature.
fn told(outcome: &Outcome, base: &Outcome, target: Protocol, notes: &mut Notes) -> String {
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
            let in_part =
                loss_kind == LossKind::Dropped && !values(&outcome.body).is_subset(&values(&base.body));
            let in_part = if in_part { " in part" } else { "" };
            (!labels.is_empty()).then(|| format!("{}{in_part}{marks}", loss_kind.as_str()))
        })
        .collect();
    if told.is_empty() { "kept".to_owned() } else { told.join(", ") }
}

/// The case without the feature.
fn base(kind: Kind, feature: &Feature, source: Protocol) -> String {
    let base = kind.features().iter().find(|other| other.id == feature.base).unwrap();
    case(kind, base, source).unwrap()
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

/// The models and dialects of a target that are told apart, the first as in the tables above.
fn variants(target: Protocol) -> Vec<(&'static str, Dialect)> {
    let native = |models: &[&'static str]| models.iter().map(|&model| (model, Dialect::Native)).collect();
    let mut variants: Vec<(&str, Dialect)> = native(match target {
        Protocol::OpenAiChat | Protocol::OpenAiResponses => &["gpt-4.1", "gpt-5", "gpt-5.6"],
        Protocol::AnthropicMessages => &["claude-3-7-sonnet", "claude-sonnet-4-5", "claude-opus-4-8"],
        Protocol::GeminiGenerateContent => &["gemini-2.5-flash"],
        Protocol::BedrockConverse => &[
            "anthropic.claude-3-5-sonnet-20240620-v1:0",
            "anthropic.claude-opus-4-8",
            "amazon.nova-pro-v1:0",
            "us.amazon.nova-2-lite-v1:0",
            "openai.gpt-oss-120b-1:0",
            "meta.llama3-70b-instruct-v1:0",
        ],
    });
    let dialects: &[Dialect] = match target {
        Protocol::OpenAiChat => &[Dialect::Compatible, Dialect::Azure],
        Protocol::OpenAiResponses => &[Dialect::Azure],
        Protocol::AnthropicMessages => &[Dialect::Vertex, Dialect::Bedrock],
        Protocol::GeminiGenerateContent => &[Dialect::Vertex],
        Protocol::BedrockConverse => &[],
    };
    variants.insert(0, (model(target), Dialect::Native));
    variants.extend(dialects.iter().map(|dialect| (model(target), *dialect)));
    variants
}

/// What of the requests to a target depends on the model or on who serves it: the features, each from the
/// first protocol that has it, whose fate is not the same for all of them.
fn varying(target: Protocol, notes: &mut Notes) -> String {
    let variants = variants(target);
    let mut head = vec!["a request says".to_owned()];
    head.extend(variants.iter().map(|(model, dialect)| match dialect {
        Dialect::Native => format!("`{model}`"),
        dialect => format!("`{model}`, {dialect}"),
    }));
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut rows = String::new();
    for feature in REQUESTS {
        let mut sources = Kind::Request.sources().filter(|source| *source != target);
        let Some((source, body)) =
            sources.find_map(|source| Some((source, case(Kind::Request, feature, source)?)))
        else {
            continue;
        };
        let base = base(Kind::Request, feature, source);
        // What is only ever said here must not be among the notes.
        let mut tried = Notes::default();
        let cells = |notes: &mut Notes| -> Vec<String> {
            let one = |(model, dialect): &(&str, Dialect)| {
                let wanted = RequestTarget { dialect: *dialect, ..RequestTarget::new(model) };
                let [outcome, base] =
                    [&body, &base].map(|body| translated_for(Kind::Request, source, target, body, &wanted));
                told(&outcome, &base, target, notes)
            };
            variants.iter().map(one).collect()
        };
        let first = cells(&mut tried);
        if first.windows(2).any(|pair| pair[0] != pair[1]) {
            let mut line = vec![feature.title.to_owned()];
            line.extend(cells(notes));
            rows.push_str(&row(&line));
        }
    }
    format!("{}|{}\n{rows}", row(&head), "---|".repeat(head.len()))
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
    page.push_str(
        "\n## What depends on the model\n\n\
         The features of requests that fare differently with other models, as far as their names tell, and with others who\n\
         serve the protocol.\n",
    );
    for target in PROTOCOLS {
        write!(page, "\n### To {}\n\n{}", title(target), varying(target, &mut notes)).unwrap();
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
