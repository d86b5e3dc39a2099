//! What came of each case, in a file beside it.

use weighbridge_units::Protocol;

use crate::cases::{Kind, case, folder, model, translated, values};
use crate::features::Feature;
use crate::pretty::pretty;
use crate::{assert_held, hold};

/// Everything that has a case, with its source and text.
fn all() -> impl Iterator<Item = (Kind, &'static Feature, Protocol, String)> {
    Kind::ALL.into_iter().flat_map(|kind| {
        kind.features().iter().flat_map(move |feature| {
            kind.sources()
                .filter_map(move |source| Some((kind, feature, source, case(kind, feature, source)?)))
        })
    })
}

fn golden(kind: Kind, source: Protocol, body: &str) -> String {
    let one = |target| {
        let outcome = translated(kind, source, target, body);
        let losses: String =
            outcome.losses.iter().map(|loss| format!("{loss} (needed: {})\n", loss.needed)).collect();
        let to = match kind {
            Kind::Request => format!("{target}, {}", model(target)),
            Kind::Answer => target.to_string(),
        };
        let losses = if losses.is_empty() { losses } else { format!("--- lost\n{losses}") };
        format!("=== {to}\n{}\n{losses}", pretty(&outcome.body))
    };
    kind.targets(source).map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_case_gives_what_its_golden_file_says() {
    let mut faults = Vec::new();
    let mut files = 0;
    for (kind, feature, source, body) in all() {
        let path = folder(kind).join(feature.id).join(source.as_str()).with_extension("golden");
        faults.extend(hold(&path, &golden(kind, source, &body)).err());
        files += kind.targets(source).count();
    }
    assert_held(&faults);
    assert!(files >= 60, "{files} cases and targets");
}

/// A folder that is no feature, or a golden file without a case, is read by nobody.
#[test]
fn no_file_lies_there_for_nothing() {
    for kind in Kind::ALL {
        for entry in folder(kind).read_dir().unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let feature = kind.features().iter().find(|feature| feature.id == name);
            let feature = feature.unwrap_or_else(|| panic!("{}/{name} is no feature", kind.folder()));
            for file in folder(kind).join(&name).read_dir().unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                let (source, ending) = file.split_once('.').unwrap();
                let source = kind.sources().find(|protocol| protocol.as_str() == source);
                let has_case = source.is_some_and(|source| case(kind, feature, source).is_some());
                assert!(has_case && ["json", "golden"].contains(&ending), "{name}/{file}");
            }
        }
        for feature in kind.features() {
            assert!(kind.sources().any(|source| case(kind, feature, source).is_some()), "{}", feature.id);
        }
    }
}

/// A feature that is called kept is there: the text, to which each case adds one thing, is told otherwise.
#[test]
fn what_loses_nothing_says_something() {
    let mut faults = Vec::new();
    for (kind, feature, source, body) in all().filter(|(_, feature, ..)| feature.id != "text") {
        let plain = case(kind, &kind.features()[0], source).unwrap();
        for target in kind.targets(source) {
            let outcome = translated(kind, source, target, &body);
            let says_nothing = SAY_NOTHING.contains(&(kind, feature.id, target));
            let is_silent =
                outcome.losses.is_empty() && outcome.body == translated(kind, source, target, &plain).body;
            if is_silent != says_nothing {
                faults.push(format!("{} {} from {source} to {target}", kind.folder(), feature.id));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is said by saying nothing.
const SAY_NOTHING: [(Kind, &str, Protocol); 2] = [
    // The path says it.
    (Kind::Request, "stream", Protocol::GeminiGenerateContent),
    (Kind::Request, "stream", Protocol::BedrockConverse),
];

/// Everything that goes to another protocol without a loss comes back from there, unless that loses it.
#[test]
fn what_loses_nothing_comes_back() {
    let mut faults = Vec::new();
    for (kind, feature, source, body) in all() {
        let same = values(&translated(kind, source, source, &body).body);
        for target in kind.targets(source) {
            let there = translated(kind, source, target, &body);
            let text = String::from_utf8(there.body).unwrap();
            let back = translated(kind, target, source, &text);
            if !there.losses.is_empty() || !back.losses.is_empty() {
                continue;
            }
            let back = values(&back.body);
            let gone: Vec<&str> = same.difference(&back).map(String::as_str).collect();
            let gone: Vec<&str> = gone.into_iter().filter(|value| !NOT_ASKED_BACK.contains(value)).collect();
            if !gone.is_empty() {
                faults.push(format!("{} {} from {source} to {target}: {gone:?}", kind.folder(), feature.id));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What says nothing to anybody but its own protocol, and is therefore not reported where it ends.
const NOT_ASKED_BACK: [&str; 17] = [
    // Ids of items, which nothing refers to.
    "\"msg_7\"",
    "\"rs_1\"",
    "\"fc_1\"",
    "\"fc_2\"",
    "\"ctc_1\"",
    "\"ig_1\"",
    // The state of an item, which follows from that of the answer.
    "\"completed\"",
    // The name of a schema, which Gemini has no place for.
    "\"place\"",
    // A guardrail, which other protocols call a filter.
    "\"guardrail_intervened\"",
    // When an answer was made, and how long it took.
    "1700000001",
    "5",
    // The bytes of a token, which its text spells.
    "68",
    "114",
    "121",
    "46",
    // A count of nothing.
    "0",
    // A number in a result, which stands in a text elsewhere.
    "3.5",
];

/// Each case shows one feature: what it is built on loses nothing anywhere.
#[test]
fn plain_text_loses_nothing() {
    for kind in Kind::ALL {
        for source in kind.sources() {
            let plain = case(kind, &kind.features()[0], source).unwrap();
            for target in kind.targets(source) {
                let losses = translated(kind, source, target, &plain).losses;
                assert!(losses.is_empty(), "{} from {source} to {target}: {losses:?}", kind.folder());
            }
        }
    }
}
