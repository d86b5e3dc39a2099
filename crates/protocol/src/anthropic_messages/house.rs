//! What the houses that serve the format want changed in a request.
//!
//! Both have the model in the path, and the version in the body where Anthropic has a header.
//! <https://docs.anthropic.com/en/api/claude-on-vertex-ai>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>

use std::borrow::Cow;

use weighbridge_units::{Loss, LossKind};

use crate::json::Writer;
use crate::{Dialect, Edits};

/// The field of the version.
pub const VERSION_FIELD: &str = "anthropic_version";

/// The field of the names of beta features, at Bedrock.
pub const BETA_FIELD: &str = "anthropic_beta";

/// The version of the format that a house wants in the body; Anthropic itself has it in a header.
pub const fn version(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Vertex => Some("vertex-2023-10-16"),
        Dialect::Bedrock => Some("bedrock-2023-05-31"),
        Dialect::Native | Dialect::Compatible | Dialect::Azure => None,
    }
}

/// The edits for a house; see [`Dialect::edit`].
pub(crate) fn edit<'h>(
    dialect: Dialect,
    betas: impl IntoIterator<Item = &'h str>,
    edits: &mut Edits,
) -> Vec<Loss> {
    let Some(version) = version(dialect) else { return Vec::new() };
    edits.remove("model");
    // A version that the house itself may have is the client's choice; another house's is a mistake.
    let kept = (edits.get(VERSION_FIELD))
        .and_then(|own| own.str().ok().map(|own| same_house(&own, version)))
        .unwrap_or(false);
    if !kept {
        edits.set(VERSION_FIELD, format!("\"{version}\""));
    }
    if dialect == Dialect::Bedrock { bedrock(betas, edits) } else { Vec::new() }
}

/// Versions are a name and a day: `bedrock-2023-05-31`.
fn same_house(own: &str, version: &str) -> bool {
    let house = |version: &str| version.split_once('-').map(|(house, _)| house.to_owned());
    house(own) == house(version)
}

fn bedrock<'h>(betas: impl IntoIterator<Item = &'h str>, edits: &mut Edits) -> Vec<Loss> {
    // Another path asks for a stream.
    edits.remove("stream");
    self::betas(betas, edits);
    let tier = edits.get("service_tier").map(|tier| tier.str().unwrap_or_default().into_owned());
    edits.remove("service_tier");
    match tier.as_deref() {
        // There is one tier only, and `auto` leaves the choice.
        None | Some("auto" | "standard_only") => Vec::new(),
        Some(_) => vec![Loss {
            pointer: "/service_tier".to_owned(),
            kind: LossKind::Dropped,
            reason: Cow::Borrowed("the provider refuses a service tier in the body"),
            needed: Cow::Borrowed("a service tier in the body"),
        }],
    }
}

/// Adds the names in the headers to those that the body has.
fn betas<'h>(headers: impl IntoIterator<Item = &'h str>, edits: &mut Edits) {
    let named = headers.into_iter().flat_map(|header| header.split(',')).map(str::trim);
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let own = edits.get(BETA_FIELD).and_then(|own| own.items().ok());
    let own = own.into_iter().flatten().filter_map(|name| name.str().ok());
    let count = own.clone().count();
    for name in own.chain(named.filter(|name| !name.is_empty()).map(Cow::Borrowed)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > count {
        let mut text = Vec::new();
        let mut list = Writer::new(&mut text).array();
        names.iter().for_each(|name| list.item().string(name));
        drop(list);
        edits.set(BETA_FIELD, text);
    }
}
