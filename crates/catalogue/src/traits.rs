mod clouds;
mod hosts;
mod makers;
mod openai;

use weighbridge_units::{Feature, Features, Timestamp, names_of, vendor_of};

/// What is known of a model beside its limits.
///
/// Sources, read on 2026-11-27: the PyPI package litellm 1.110.2 (`supports_function_calling`, `supports_vision`,
/// `supports_audio_input`, `supports_pdf_input`, `supports_response_schema`, and `supported_modalities` where it lists
/// them; `deprecation_date`), and the profiles of models that nine packages of LangChain bring along, which come from
/// models.dev. What each says of each model, with the versions, stands in `data/sources.tsv`, and a test keeps the
/// tables to it: a model has what one source says and none denies, and lacks what one denies and none says. What no
/// source says, or what they dispute, is not known, and stands in neither set. What was recorded goes before all of them. By hand, since their makers' pages say
/// that they take text only: GPT-3.5 Turbo and GPT-4 before Turbo (<https://platform.openai.com/docs/models>), Nova
/// Micro (<https://docs.aws.amazon.com/nova/latest/userguide/what-is-nova.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traits {
    /// What it is known to take or to do.
    pub has: Features,
    /// What it is known not to take or to do. A feature that is in neither set may or may not be there.
    pub lacks: Features,
    /// From when on its provider no longer serves it, if that is known.
    pub retires: Option<Timestamp>,
}

/// What is known of a model; nothing where it is not listed. A dated snapshot takes and does what its family
/// does, and a further name what its model does ([`names_of`]), unless it is listed itself; when it retires is
/// known of what is listed alone.
///
/// `provider` is a [`crate::Preset::name`], or a region of one as the price book names it.
///
/// ```
/// use weighbridge_catalogue::traits;
/// use weighbridge_units::Feature;
///
/// assert!(traits("openai", "gpt-4o").has.has(Feature::Images));
/// assert!(traits("openai", "o3-mini").lacks.has(Feature::Images));
/// assert!(traits("openai", "a-model-of-tomorrow").lacks.is_empty());
/// ```
pub fn traits(provider: &str, id: &str) -> Traits {
    let provider = vendor_of(provider);
    let rows = LISTS.iter().find(|(name, _)| *name == provider).map_or(&[][..], |(_, rows)| rows);
    let listed = |name: &str| rows.iter().find(|row| row.id == name);
    let Some(row) = names_of(provider, id).find_map(listed) else { return Traits::default() };
    Traits { has: row.has, lacks: row.lacks, retires: row.retires().filter(|_| row.id == id) }
}

static LISTS: [(&str, &[Row]); 16] = [
    ("openai", openai::OPENAI),
    ("azure", openai::AZURE),
    ("anthropic", clouds::ANTHROPIC),
    ("gemini", clouds::GEMINI),
    ("vertex", clouds::VERTEX),
    ("bedrock", clouds::BEDROCK),
    ("mistral", makers::MISTRAL),
    ("deepseek", makers::DEEPSEEK),
    ("xai", makers::XAI),
    ("cohere", makers::COHERE),
    ("qwen", makers::QWEN),
    ("moonshot", makers::MOONSHOT),
    ("zhipu", makers::ZHIPU),
    ("groq", hosts::GROQ),
    ("together", hosts::TOGETHER),
    ("fireworks", hosts::FIREWORKS),
];

struct Row {
    id: &'static str,
    has: Features,
    lacks: Features,
    /// The day as `20261231`; 0 where it is not known.
    retires: u32,
}

impl Row {
    fn retires(&self) -> Option<Timestamp> {
        let year = i32::try_from(self.retires / 10_000).ok()?;
        Timestamp::from_date(year, self.retires / 100 % 100, self.retires % 100)
    }
}

/// A row; in letters: **T**ools, **I**mages, **A**udio, **D**ocuments, answers after a **S**chema.
const fn row(id: &'static str, has: &str, lacks: &str, retires: u32) -> Row {
    Row { id, has: set(has), lacks: set(lacks), retires }
}

const fn set(letters: &str) -> Features {
    let (letters, mut set, mut at) = (letters.as_bytes(), Features::NONE, 0);
    while at < letters.len() {
        let feature = match letters[at] {
            b'T' => Feature::Tools,
            b'I' => Feature::Images,
            b'A' => Feature::Audio,
            b'D' => Feature::Documents,
            _ => Feature::JsonSchema,
        };
        set = set.with(feature, true);
        at += 1;
    }
    set
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::models;

    #[test]
    fn every_row_is_of_a_model_whose_limits_are_known_and_does_not_contradict_itself() {
        for (provider, rows) in &LISTS {
            let known: HashSet<&str> = models(provider).map(|model| model.id).collect();
            let mut seen = HashSet::new();
            for row in *rows {
                assert!(known.contains(row.id), "{provider}/{}", row.id);
                assert!(seen.insert(row.id), "{provider}/{} is listed twice", row.id);
                assert!(row.has.and(row.lacks).is_empty(), "{provider}/{}", row.id);
                assert!(row.retires == 0 || row.retires().is_some(), "{provider}/{}", row.id);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_neither_had_nor_lacked() {
        for id in ["a-model-of-tomorrow", "", "gpt-4o-typo"] {
            assert_eq!(traits("openai", id), Traits::default());
        }
        assert_eq!(traits("nobody", "gpt-4o"), Traits::default());
        assert!(!traits("mistral", "codestral-mamba-latest").has.has(Feature::Images));
        assert!(!traits("mistral", "codestral-mamba-latest").lacks.has(Feature::Images));
        assert!(traits("mistral", "codestral-latest").lacks.has(Feature::Images));
    }

    #[test]
    fn a_snapshot_can_what_its_family_can_and_retires_on_its_own() {
        let (family, snapshot) = (traits("openai", "gpt-5"), traits("openai", "gpt-5-2025-08-07"));
        assert_eq!((family.has, family.lacks), (snapshot.has, snapshot.lacks));
        assert_eq!(family.retires, Timestamp::from_date(2026, 12, 11));
        assert_eq!(snapshot.retires, None);
        assert!(traits("bedrock", "amazon.nova-micro-v1:0").lacks.has(Feature::Images));
    }
}
