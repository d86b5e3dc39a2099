//! `weighbridge check`.

use std::process::ExitCode;

use weighbridge_pipeline::{Env, SystemEnv};

use crate::cli::{ConfigArgs, say};
use crate::sources;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(args)?;
    // What the file says may still not fit together: compiling it finds out.
    let settings = &config.settings;
    weighbridge_pipeline::check(settings)?;
    let (providers, models) = (settings.providers.len(), settings.routes.len());
    for retiring in weighbridge_pipeline::retiring(settings, SystemEnv::new(0).now()) {
        let (year, month, day) = retiring.at.date();
        say(format_args!(
            "warning: {} is shut down from {year}-{month:02}-{day:02} on, as far as is known",
            retiring.target
        ));
    }
    for model in weighbridge_pipeline::never_resumed(settings)? {
        say(format_args!(
            "warning: `resume` does nothing for `{model}`: it needs two targets at least, one of which goes on from a \
             text that another has begun (Claude up to 4.5 in Anthropic Messages, Mistral's chat models)"
        ));
    }
    say(format_args!(
        "ok: {providers} provider(s), {models} model(s), listening on {}",
        config.server.listen
    ));
    Ok(ExitCode::SUCCESS)
}
