//! `weighbridge check`.

use std::process::ExitCode;

use crate::cli::{ConfigArgs, say};
use crate::sources;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(args)?;
    // What the file says may still not fit together: compiling it finds out.
    let settings = &config.settings;
    weighbridge_pipeline::check(settings)?;
    let (providers, models) = (settings.providers.len(), settings.routes.len());
    say(format_args!(
        "ok: {providers} provider(s), {models} model(s), listening on {}",
        config.server.listen
    ));
    Ok(ExitCode::SUCCESS)
}
