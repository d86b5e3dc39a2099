//! `weighbridge explain REQUEST_ID`, through the admin service.

use std::process::ExitCode;

use weighbridge_admin::{CostLine, ExplainedAttempt, ExplanationView, JournalView};

use crate::cli::{ExplainArgs, say};
use crate::keys::actor;
use crate::ledger::priced_service;
use crate::serve::runtime;

pub(crate) fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let explained = runtime()?.block_on(async {
        anyhow::Ok(priced_service(&args.config).await?.explain(&actor(), &args.request).await?)
    })?;
    match args.json {
        true => say(serde_json::to_string(&explained)?),
        false => text(&explained).iter().for_each(say),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(explained: &ExplanationView) -> Vec<String> {
    let none = || "-".to_owned();
    let mut lines = vec![
        format!("request {} of {}", explained.request, explained.at),
        format!(
            "  {} asked for {}, key {}, and was answered {}{}",
            explained.tenant.clone().unwrap_or_else(none),
            explained.model,
            explained.key.clone().unwrap_or_else(none),
            explained.status,
            explained.refused.as_ref().map(|why| format!(" ({why})")).unwrap_or_default(),
        ),
        "routing".to_owned(),
    ];
    let routing = &explained.routing;
    for rule in &routing.rules {
        let matched = match (&rule.rule, &rule.to) {
            (Some(name), Some(to)) => format!("`{name}` of {}: {to}", rule.of),
            (Some(name), None) => format!("`{name}` of {}: refused", rule.of),
            (None, _) => format!("none of {}", rule.of),
        };
        let guess = rule.difficulty.zip(rule.task.as_ref());
        let guess = guess.map(|(difficulty, task)| format!(", difficulty {difficulty}, {task}"));
        lines.push(format!("  rule         {matched}{}", guess.unwrap_or_default()));
    }
    if !routing.strategy.is_empty() {
        lines.push(format!("  strategy     {}", routing.strategy));
    }
    if let (Some(candidates), Some(seed)) = (routing.candidates, &routing.seed) {
        lines.push(format!("  candidates   {candidates}, seed {seed}"));
    }
    lines.extend(
        routing
            .scores
            .iter()
            .map(|one| format!("  score        {:>12} {} ({})", one.score, one.target, one.by)),
    );
    lines.push(format!(
        "  asked        {}",
        if routing.asked.is_empty() { none() } else { routing.asked.join(", ") }
    ));
    lines.extend(
        routing.passed_over.iter().map(|over| format!("  passed over  {}: {}", over.target, over.reason)),
    );
    for (at, attempt) in explained.attempts.iter().enumerate() {
        lines.extend(attempt_text(at + 1, attempt));
    }
    let (cost, charged) = (&explained.cost_usd, &explained.charged_usd);
    lines.push(format!("total: providers charge {cost} USD, the tenant pays {charged} USD"));
    lines
}

fn attempt_text(number: usize, attempt: &ExplainedAttempt) -> Vec<String> {
    let status = attempt.status.map(|status| format!(", status {status}")).unwrap_or_default();
    let error = attempt.error.as_ref().map(|error| format!(", {error}")).unwrap_or_default();
    let mut lines = vec![
        format!("attempt {number}: {}, {}{status}{error}", attempt.target, attempt.outcome),
        format!("  id           {}", attempt.attempt),
    ];
    let usage: Vec<String> =
        attempt.usage.iter().map(|(bucket, count)| format!("{bucket} {count}")).collect();
    let usage = if usage.is_empty() { "nothing".to_owned() } else { usage.join(", ") };
    lines.push(format!("  usage        {usage} ({})", attempt.provenance));
    if attempt.counts_differ {
        lines.push("               the provider's count is far from our estimate".to_owned());
    }
    if let Some(price) = &attempt.price {
        let above = if price.above > 0 { format!(", above {} tokens", price.above) } else { String::new() };
        lines.push(format!("  price        {}/{}, {}{above}", price.provider, price.model, price.tier));
        lines.push(format!(
            "               {}, read on {}; price book {}",
            price.source, price.read_on, price.version
        ));
    }
    for CostLine { bucket, count, rate_per_million_usd, rate_of, amount_usd } in &attempt.cost_lines {
        let rate_of = rate_of.map(|of| format!(" (as {of})")).unwrap_or_default();
        lines.push(format!(
            "    {bucket:16} {count:>12} × {rate_per_million_usd} per million{rate_of} = {amount_usd}"
        ));
    }
    if let Some(rounding) = &attempt.rounding_usd {
        lines.push(format!("    rounding = {rounding}"));
    }
    lines.push(format!("  cost         {} USD", attempt.cost_usd));
    lines.push(format!("  terms        {}", attempt.terms));
    lines.extend(attempt.price_lines.iter().map(|line| format!("    {} = {}", line.what, line.amount_usd)));
    lines.push(format!("  charged      {} USD", attempt.charged_usd));
    if let Some(refunded) = &attempt.refunded_usd {
        lines.push(format!("  refunded     {refunded} USD"));
    }
    if let Some(baseline) = &attempt.baseline {
        lines.push(format!("  baseline     {} USD at {}", baseline.cost_usd, baseline.model));
    }
    if !attempt.postings.is_empty() {
        lines.push("  postings".to_owned());
    }
    lines.extend(attempt.postings.iter().flat_map(posting));
    lines.extend(attempt.notes.iter().map(|note| format!("  note         {note}")));
    lines
}

fn posting(row: &JournalView) -> Vec<String> {
    let mut lines = vec![format!("    row {} ({}): {}", row.seq, row.book, row.fact)];
    lines.extend(row.transfers.iter().map(|moved| {
        format!(
            "      {:7} {:32} → {:32} {} {}",
            moved.phase, moved.debit, moved.credit, moved.amount, moved.measure
        )
    }));
    lines
}
