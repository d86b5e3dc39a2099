//! The ledger beside a provider's export.

use std::process::ExitCode;

use anyhow::Context;
use weighbridge_admin::{ExportFormat, ReconciliationView, Verdict};

use super::service;
use crate::cli::{ExportProvider, ReconcileArgs, say};

pub(super) async fn reconcile(args: &ReconcileArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let (format, name) = match args.provider {
        ExportProvider::Openai => (ExportFormat::OpenAi, "openai"),
        ExportProvider::Anthropic => (ExportFormat::Anthropic, "anthropic"),
    };
    let name = args.name.as_deref().unwrap_or(name);
    let compared = service(&args.config)?.reconcile(name, format, &text).await?;
    if args.json {
        say(serde_json::to_string(&compared)?);
    } else {
        show(&compared);
    }
    Ok(if compared.balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(compared: &ReconciliationView) {
    say(format_args!("{:48}  {:24}  {:>22}  {:>22}", "OF", "WHAT", "EXPORT", "LEDGER"));
    for line in &compared.lines {
        let verdict = line.verdict.as_str();
        say(format_args!(
            "{:48}  {:24}  {:>22}  {:>22}  {verdict}",
            line.subject, line.figure, line.export, line.ledger
        ));
    }
    if !compared.complete {
        say("The export is not whole: its last page says that more follow.");
    }
    let count = |verdict| compared.count(verdict);
    say(format_args!(
        "{}: {} equal, {} estimated, {} different, {} missing in the ledger, {} missing in the export",
        if compared.balanced { "balanced" } else { "NOT balanced" },
        count(Verdict::Equal),
        count(Verdict::Estimated),
        count(Verdict::Different),
        count(Verdict::MissingInLedger),
        count(Verdict::MissingInExport),
    ));
}
