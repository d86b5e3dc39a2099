//! `weighbridge route explain < request.json`.

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use weighbridge_access::{Directory, KEY_RANDOM_BYTES, Pepper, Principal, TenantName, VirtualKey, mint_key};
use weighbridge_config::Config;
use weighbridge_pipeline::{RouteExplanation, RouteQuestion, explain_route};
use weighbridge_records::RuleMatch;
use weighbridge_units::Timestamp;

use crate::assembly::Stores;
use crate::cli::{RouteCommand, RouteExplainArgs, say};
use crate::serve::runtime;
use crate::sources;

/// The most that a request may have, in bytes.
const REQUEST_MAX: u64 = 256 << 20;
/// The request would be refused.
const REFUSED: u8 = 3;

pub(crate) fn run(command: RouteCommand) -> anyhow::Result<ExitCode> {
    match command {
        RouteCommand::Explain(args) => explain(args),
    }
}

fn explain(args: RouteExplainArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(&args.config)?;
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(io::stdin().lock()),
    };
    let mut body = Vec::new();
    let length = input.take(REQUEST_MAX + 1).read_to_end(&mut body).context("cannot read the request")?;
    if length as u64 > REQUEST_MAX {
        bail!("the request has more than {REQUEST_MAX} bytes");
    }
    let question = RouteQuestion {
        protocol: args.protocol,
        model: args.model.clone(),
        headers: headers(&args.headers)?,
        body: body.into(),
        principal: principal(&args, &config)?,
        random: args.seed,
    };
    let explained = explain_route(&config.settings, question)?;
    match args.json {
        true => say(json_of(&explained)),
        false => text(&explained).iter().for_each(say),
    }
    Ok(if explained.refused.is_some() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn headers(said: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in said {
        let (name, value) =
            header.split_once(':').with_context(|| format!("`{header}` is no header: write NAME: VALUE"))?;
        let name =
            HeaderName::try_from(name.trim()).with_context(|| format!("`{name}` is no name of a header"))?;
        headers.append(name, HeaderValue::try_from(value.trim()).context("a header's value cannot be sent")?);
    }
    Ok(headers)
}

/// The key that is named, from the store; else one that may do anything, and is kept nowhere.
fn principal(args: &RouteExplainArgs, config: &Config) -> anyhow::Result<Arc<Principal>> {
    let Some(id) = args.key else {
        let pepper = Pepper::new(&[0; 32])?;
        let minted = mint_key(&[0; KEY_RANDOM_BYTES], &pepper);
        let tenant = TenantName::new("default")?;
        let key = VirtualKey::new(minted.id, "anybody", tenant, minted.hash, Timestamp::default());
        let directory = Directory::new(pepper);
        directory.refresh(vec![key], Vec::new());
        return directory.get(minted.id).context("a key that was just made is known");
    };
    let directory = Directory::new(sources::pepper(config)?);
    let stores = Stores::open(&config.storage)?;
    runtime()?.block_on(directory.sync(&*stores.keys))?;
    directory
        .get(id)
        .with_context(|| format!("there is no key {id}: `weighbridge keys list` shows those that exist"))
}

fn json_of(explained: &RouteExplanation) -> serde_json::Value {
    let order: Vec<_> = explained
        .order
        .iter()
        .map(|planned| json!({"target": &*planned.target, "fallback": planned.is_fallback}))
        .collect();
    json!({
        "model": explained.model,
        "rules": explained.rules,
        "served_as": explained.route,
        "strategies": explained.strategies,
        "needs": explained.needs.iter().map(|feature| feature.as_str()).collect::<Vec<_>>(),
        "prompt_tokens": explained.prompt_tokens,
        "demands": explained.demands,
        "order": order,
        "excluded": explained.excluded,
        "refused": explained.refused.as_ref().map(|(status, message)| json!({"status": status, "message": message})),
    })
}

fn text(explained: &RouteExplanation) -> Vec<String> {
    let mut lines = vec![format!(
        "asked for    {}, a prompt of about {} tokens",
        explained.model, explained.prompt_tokens
    )];
    if !explained.needs.is_empty() {
        lines.push(format!("needs        {}", explained.needs));
    }
    lines.extend(explained.demands.iter().map(|demanded| format!("demands      {demanded}")));
    lines.extend(explained.rules.iter().map(|rule| format!("rule         {}", rule_text(rule))));
    if !explained.route.is_empty() {
        lines.push(format!("served as    {}, {}", explained.route, explained.strategies.join(", ")));
    }
    for (number, planned) in explained.order.iter().enumerate() {
        let fallback = if planned.is_fallback { ", a fallback" } else { "" };
        lines.push(format!("  {:<11}{}{fallback}", number + 1, planned.target));
    }
    lines.extend(
        explained.excluded.iter().map(|over| format!("left out     {}: {}", over.target, over.reason)),
    );
    lines.extend(
        explained.refused.as_ref().map(|(status, message)| format!("refused      {status}: {message}")),
    );
    lines
}

fn rule_text(rule: &RuleMatch) -> String {
    let led = match (&rule.rule, &rule.to) {
        (Some(name), Some(to)) => format!("`{name}` of {} leads to {to}", rule.of),
        (Some(name), None) => format!("`{name}` of {} refuses it", rule.of),
        (None, _) => format!("none of {} matches", rule.of),
    };
    match (rule.difficulty, rule.task) {
        (Some(difficulty), Some(task)) => format!("{led} (difficulty {difficulty}, {task})"),
        _ => led,
    }
}
