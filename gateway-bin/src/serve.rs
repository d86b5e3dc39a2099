//! `weighbridge serve`.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use weighbridge_config::LogFormat;

use crate::assembly;
use crate::cli::{ServeArgs, say};
use crate::sources;

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let mut config = sources::config(&args.config)?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    let format = match config.log.format {
        LogFormat::Json => weighbridge_telemetry::LogFormat::Json,
        LogFormat::Text => weighbridge_telemetry::LogFormat::Text,
    };
    // A connection is a file, and the usual soft limit of 1024 is a few hundred streams. Where the
    // limit cannot be raised, it stays.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        say(format_args!("the limit of open files cannot be raised: {error}"));
    }
    weighbridge_telemetry::init_tracing(format, config.log.level.as_str())?;
    runtime()?.block_on(async {
        // Listened for from the beginning: a signal during start-up is not lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let running = assembly::start(config).await?;
        say(format_args!("weighbridge listens on http://{}", running.address()?));
        if let Some(admin) = running.admin_address {
            say(format_args!("the admin API listens on http://{admin}"));
        }
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        tracing::info!("draining: no new work, streams may finish");
        let report = running.stop().await?;
        tracing::info!(
            requests = report.requests_at_start,
            cut = report.requests_cut,
            took_ms = report.took.as_millis() as u64,
            "drained"
        );
        Ok(ExitCode::SUCCESS)
    })
}

/// The runtime of jobs, admin API and demo; requests are served on the gateway's own threads.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
