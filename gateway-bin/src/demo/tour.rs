//! `weighbridge demo --tour`: a script, then the books beside the invoices.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use super::script::{CHAT, Scene, scenes};
use super::{BUDGET_USD, Demo, reconcile};
use crate::cli::say;
use crate::client::{Reply, get, post};

/// A budget without room for any call of the tour.
const POOR_BUDGET_USD: &str = "0.000001";

pub(crate) async fn run(demo: &Demo) -> anyhow::Result<ExitCode> {
    let rich = demo.key("tour", BUDGET_USD).await?;
    let poor = demo.key("tour, next to no budget", POOR_BUDGET_USD).await?;
    let mut missed = 0;
    for (number, scene) in scenes().iter().enumerate() {
        let key = if scene.poor { &poor } else { &rich };
        say(format_args!("\n{}. {}", number + 1, scene.title));
        missed += usize::from(!play(demo, scene, key).await?);
    }
    demo.running.ledger.flush();
    let differences = reconcile::compare(demo).await?;
    if missed == 0 && differences == 0 {
        say("\nThe ledger equals the invoices.");
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!(
        "\n{missed} step(s) did not go as they must; {differences} difference(s) in the books."
    ));
    Ok(ExitCode::FAILURE)
}

/// Plays one scene, and tells whether what must hold of its answer does.
async fn play(demo: &Demo, scene: &Scene, key: &str) -> anyhow::Result<bool> {
    let address = demo.running.address()?;
    if let Some(fault) = scene.fault {
        fault(demo);
    }
    let reply = post(address, scene.path, key, &scene.body).await?;
    let id = reply.header("x-request-id").context("an answer bears its request's id")?;
    let record = get(address, &format!("/v1/requests/{id}"), key).await?.json()?;
    show(scene, &reply, &record);
    match (scene.expect)(&reply) {
        Ok(()) => Ok(true),
        Err(what) => {
            say(format_args!("   MISSED     {what} was expected; the answer was:\n{}", reply.text()));
            Ok(false)
        }
    }
}

fn show(scene: &Scene, reply: &Reply, record: &Value) {
    let client = if scene.path == CHAT { "OpenAI Chat Completions" } else { "Anthropic Messages" };
    let streamed = if record["stream"] == true { ", streamed" } else { "" };
    let refused = record["refused"].as_str().map(|why| format!(", refused: {why}")).unwrap_or_default();
    say(format_args!("   client     {client}{streamed} → status {}{refused}", reply.status));
    for attempt in list(&record["attempts"]) {
        say(format_args!(
            "   attempt    {} {} ({}): {}",
            text(&attempt["provider"]),
            text(&attempt["model"]),
            text(&attempt["provider_protocol"]),
            text(&attempt["outcome"]),
        ));
        say(format_args!(
            "              tokens {} ({}), costs {} USD, charged {} USD",
            tokens(&attempt["usage"]),
            text(&attempt["provenance"]),
            text(&attempt["cost_usd"]),
            text(&attempt["charged_usd"]),
        ));
    }
    say(format_args!(
        "   latency    {:.1} ms, of which the gateway {} µs",
        reply.took.as_secs_f64() * 1e3,
        record["overhead_us"]
    ));
    for loss in list(&record["losses"]) {
        say(format_args!(
            "   lost       {} {}: {}",
            text(&loss["kind"]),
            text(&loss["pointer"]),
            text(&loss["reason"])
        ));
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn tokens(usage: &Value) -> String {
    let buckets = usage.as_object().into_iter().flatten();
    let shown: Vec<String> =
        buckets.filter(|(_, count)| **count != 0).map(|(name, count)| format!("{name} {count}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}
