//! What a provider speaks, and where: its preset's word, or the file's.

use weighbridge_catalogue::{ModelFilter, PathTemplate, Preset, Spoken};
use weighbridge_protocol::Dialect;
use weighbridge_units::Protocol;

use crate::problem::Problems;
use crate::reader::Said;
use crate::said;

/// What a provider speaks. `usual` is the preset, or one that speaks the protocol that is said.
pub(crate) fn spoken(
    said: &said::Provider,
    preset: Option<&Preset>,
    usual: &Preset,
    problems: &mut Problems,
) -> Vec<Spoken> {
    let only = said.protocol.said().map(|protocol| protocol.value);
    let mut spoken: Vec<Spoken> = usual
        .spoken
        .iter()
        .filter(|spoken| only.is_none_or(|only| spoken.protocol == only))
        .cloned()
        .map(|spoken| if preset.is_some() { spoken } else { of_a_stranger(spoken) })
        .collect();
    let several = spoken.len() > 1;
    for (key, given) in [("path", &said.path), ("stream_path", &said.stream_path)] {
        let Some(given) = given.said() else { continue };
        check_path(given, problems);
        if several {
            problems
                .at(given.span.clone(), format!("`{}` speaks more than one protocol", usual.name))
                .hint(format!("say which `protocol` the `{key}` is for"));
        }
        for spoken in &mut spoken {
            let template = PathTemplate::from(given.value.clone());
            if key == "path" {
                // A path without a word of streams is the path for both, as with most protocols.
                if spoken.stream_path == spoken.path {
                    spoken.stream_path = template.clone();
                }
                spoken.path = template;
            } else {
                spoken.stream_path = template;
            }
        }
    }
    spoken
}

/// A protocol at a server that no preset knows: it serves whatever it likes, and may know no more of
/// OpenAI's protocol than it did years ago.
fn of_a_stranger(spoken: Spoken) -> Spoken {
    let dialect = if spoken.protocol == Protocol::OpenAiChat { Dialect::Compatible } else { spoken.dialect };
    Spoken { dialect, models: ModelFilter::All, ..spoken }
}

fn check_path(given: &Said<String>, problems: &mut Problems) {
    let path = &given.value;
    if !path.starts_with('/') || path.contains(['#', ' ']) {
        problems
            .at(given.span.clone(), format!("`{path}` is not a path"))
            .hint("it begins with `/`: /chat/completions; `{model}` in it stands for the model");
    }
}
