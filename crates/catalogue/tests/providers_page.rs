//! `docs/providers.md` is made of the presets. After a change that is meant,
//!
//! ```console
//! $ WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-catalogue --test providers_page
//! ```
//!
//! writes it anew.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::fmt::Write;
use std::path::Path;

use weighbridge_catalogue::{Preset, presets};
use weighbridge_protocol::openai_chat::Quirks;
use weighbridge_units::{ModelAlias, model_aliases};

const HEAD: &str = "# Providers

A provider is data: where it is, what it speaks, where it wants its key, and what it takes otherwise than the
maker of the protocol. `[providers.NAME]` in the [configuration](configuration.md) names one of these presets, or
is called like one, and adds a key; any other server that speaks one of the protocols is `openai-compatible`, or
`protocol` and `base_url`.

This page is made of `crates/catalogue` by
`WEIGHBRIDGE_REWRITE=1 cargo test -p weighbridge-catalogue --test providers_page`; without the variable, the test
compares it. How each preset is called is played by the simulator, in a table of its own:
`cargo test -p weighbridge-pipeline --test presets`.

Where a preset speaks several protocols, a client of one of them is served in it; others are translated to the
first one that serves the model. Variables are looked at in this order, and only where the file names neither keys
nor another address.

| preset | provider | speaks | address | key in | variables |
|---|---|---|---|---|---|
";

const QUIRKS: &str = "
## What is changed in requests

Requests of Chat Completions go out as they came but for what is in this table. A field that is left out is
reported as a loss, unless it says what the provider does anyway (`null`, `store: false`, `n: 1`, …), and refused
instead under the loss policy `reject`. Nothing needs to be changed in answers: reasoning in `reasoning_content` or
`reasoning`, usage in `x_groq`, finish reasons of a vendor's own and all shapes of errors are read from everybody.

| preset | renamed | left out | left out of messages | `developer` | `stream_options` |
|---|---|---|---|---|---|
";

const REMARKS: &str = "
## Remarks and sources

Pages that a preset was read on were opened, the last time on 27 November 2026. Of a page that could not be opened it
is said so, and where the facts come from instead: recorded traffic is played to the gateway at the address of the
preset by `cargo test -p weighbridge-pipeline --test recordings`, where `../shared/fixtures` is there.

";

const ALIASES: &str = "
## Further names of models

A model may be asked for by each of its vendor's names: what is sent is the name that was asked for; its limits, what
it takes, and its price are those of the model, where the name has none of its own. A name is listed in
`GET /v1/models` under both, and is near to a slip of the pen. A vendor may let a name mean another model: the table
says what was so on the day on which it was read, 27 November 2026.

| price book | name | stands for | says |
|---|---|---|---|
";

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn listed(texts: impl IntoIterator<Item = String>) -> String {
    let texts: Vec<String> = texts.into_iter().collect();
    if texts.is_empty() { "–".to_owned() } else { texts.join(", ") }
}

fn row(preset: &Preset) -> String {
    let spoken = preset.spoken.iter().map(|spoken| code(spoken.protocol.as_str()));
    let address = preset.base_url.map_or_else(|| "`base_url`".to_owned(), code);
    let style = match preset.auth.header() {
        Some("authorization") => "`authorization: Bearer`".to_owned(),
        Some(header) => code(header),
        None => "`?key=`".to_owned(),
    };
    let mut variables: Vec<String> = preset.env_vars.iter().map(|name| code(name)).collect();
    if preset.takes_aws_keys {
        variables.push("keys of an AWS account".to_owned());
    }
    format!(
        "| `{}` | {} | {} | {address} | {style} | {} |",
        preset.name,
        preset.title,
        listed(spoken),
        listed(variables)
    )
}

fn quirks(preset: &Preset) -> Option<String> {
    let spoken = preset.spoken.iter().find(|spoken| spoken.usage_unasked || !spoken.quirks.is_empty())?;
    let Quirks { renamed, refused, refused_in_messages, no_developer } = spoken.quirks;
    Some(format!(
        "| `{}` | {} | {} | {} | {} | {} |",
        preset.name,
        listed(renamed.iter().map(|(ours, theirs)| format!("`{ours}` → `{theirs}`"))),
        listed(refused.iter().map(|name| code(name))),
        listed(refused_in_messages.iter().map(|name| code(name))),
        if no_developer { "`system`" } else { "–" },
        if spoken.usage_unasked { "left out" } else { "–" },
    ))
}

fn remarks(preset: &Preset) -> String {
    let linked = |pages: &[&str]| listed(pages.iter().map(|page| format!("<{page}>")));
    let mut parts = vec![format!("- **{}**:", preset.title)];
    parts.extend((!preset.remarks.is_empty()).then(|| preset.remarks.to_owned()));
    parts.extend((!preset.docs.is_empty()).then(|| linked(preset.docs)));
    if !preset.unread.is_empty() {
        parts.push(format!("(not opened: {}; instead from {})", linked(preset.unread), preset.instead));
    }
    parts.join(" ")
}

fn alias(known: &ModelAlias) -> String {
    let ModelAlias { provider, alias, id, source, .. } = known;
    format!("| `{provider}` | `{alias}` | `{id}` | {source} |")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    presets().iter().for_each(|preset| writeln!(page, "{}", row(preset)).unwrap());
    page.push_str(QUIRKS);
    presets().iter().filter_map(quirks).for_each(|row| writeln!(page, "{row}").unwrap());
    page.push_str(REMARKS);
    presets().iter().for_each(|preset| writeln!(page, "{}", remarks(preset)).unwrap());
    page.push_str(ALIASES);
    for provider in presets().iter().filter_map(|preset| preset.price_as) {
        model_aliases(provider).for_each(|known| writeln!(page, "{}", alias(known)).unwrap());
    }
    page
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the page is a file")]
fn the_page_is_what_the_presets_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let page = page();
    if std::env::var_os("WEIGHBRIDGE_REWRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = written.lines().zip(page.lines()).find(|(was, is)| was != is);
    assert_eq!(differing, None, "WEIGHBRIDGE_REWRITE=1 writes docs/providers.md anew");
    assert!(written == page, "docs/providers.md has other lines: WEIGHBRIDGE_REWRITE=1 writes it anew");
}
