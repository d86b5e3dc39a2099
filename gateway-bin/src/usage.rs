//! `weighbridge usage`, through the admin service.

use std::process::ExitCode;

use weighbridge_admin::{SavingsLine, SavingsView, UsageLine, UsageQuestion, UsageView};

use crate::cli::{UsageArgs, say};
use crate::keys::actor;
use crate::ledger::reports::csv;
use crate::ledger::service;
use crate::serve::runtime;

pub(crate) fn run(args: UsageArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let UsageArgs { config, by, from, to, key, savings, json, csv } = args;
        let (service, question) = (service(&config)?, UsageQuestion { by, from, to, key });
        if savings {
            let found = service.savings(&actor(), &question).await?;
            match (json, csv) {
                (true, _) => say(serde_json::to_string(&found)?),
                (false, true) => savings_csv(&found).iter().for_each(say),
                (false, false) => savings_text(&found).iter().for_each(say),
            }
        } else {
            let found = service.usage(&actor(), &question).await?;
            match (json, csv) {
                (true, _) => say(serde_json::to_string(&found)?),
                (false, true) => usage_csv(&found).iter().for_each(say),
                (false, false) => usage_text(&found).iter().for_each(say),
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn usage_csv(found: &UsageView) -> Vec<String> {
    let by = &*found.by;
    let columns =
        "name,attempts,succeeded,estimated,prompt_tokens,answer_tokens,cost_usd,charged_usd,margin_usd";
    let mut lines = vec![format!("{},{columns}", csv(&[by]))];
    lines.extend(found.lines.iter().map(|line| {
        let counts = [line.attempts, line.succeeded, line.estimated, line.prompt_tokens, line.answer_tokens]
            .map(|n| n.to_string());
        let mut columns = vec![line.group.as_str(), line.name.as_deref().unwrap_or_default()];
        columns.extend(counts.iter().map(String::as_str));
        let usd = |amount: &'_ Option<String>| amount.clone().unwrap_or_default();
        let (cost, margin) = (usd(&line.cost_usd), usd(&line.margin_usd));
        columns.extend([cost.as_str(), &line.charged_usd, margin.as_str()]);
        csv(&columns)
    }));
    lines
}

fn usage_text(found: &UsageView) -> Vec<String> {
    let UsageView { by, from, to, source, lines, total } = found;
    let mut text = vec![
        format!("usage by {by}, from {from} to before {to}, from the {source}"),
        format!(
            "{:44}  {:>9}  {:>9}  {:>14}  {:>14}  {:>16}  {:>16}  {:>16}",
            by.to_uppercase(),
            "ATTEMPTS",
            "ESTIMATED",
            "PROMPT",
            "ANSWER",
            "COST USD",
            "CHARGED USD",
            "MARGIN USD"
        ),
    ];
    let line = |line: &UsageLine| {
        let group = match &line.name {
            Some(name) => format!("{} ({name})", line.group),
            None => line.group.clone(),
        };
        let usd = |amount: &Option<String>| amount.clone().unwrap_or_default();
        format!(
            "{group:44}  {:>9}  {:>9}  {:>14}  {:>14}  {:>16}  {:>16}  {:>16}",
            line.attempts,
            line.estimated,
            line.prompt_tokens,
            line.answer_tokens,
            usd(&line.cost_usd),
            line.charged_usd,
            usd(&line.margin_usd)
        )
    };
    text.extend(lines.iter().chain([total]).map(line));
    text
}

fn savings_csv(found: &SavingsView) -> Vec<String> {
    let mut lines = vec![format!("{},requests,real_usd,baseline_usd,saved_usd", csv(&[&found.by]))];
    lines.extend(found.lines.iter().map(|line| {
        let requests = line.requests.to_string();
        csv(&[&line.group, &requests, &line.real_usd, &line.baseline_usd, &line.saved_usd])
    }));
    lines
}

fn savings_text(found: &SavingsView) -> Vec<String> {
    let SavingsView { by, from, to, lines, total } = found;
    let mut text = vec![
        format!("savings by {by}, from {from} to before {to}, as far as the request log goes back"),
        format!(
            "{:44}  {:>9}  {:>18}  {:>18}  {:>18}",
            by.to_uppercase(),
            "REQUESTS",
            "REAL USD",
            "BASELINE USD",
            "SAVED USD"
        ),
    ];
    let line = |line: &SavingsLine| {
        let SavingsLine { group, requests, real_usd, baseline_usd, saved_usd } = line;
        format!("{group:44}  {requests:>9}  {real_usd:>18}  {baseline_usd:>18}  {saved_usd:>18}")
    };
    text.extend(lines.iter().chain([total]).map(line));
    text
}
