//! `weighbridge route explain < request.json`.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use weighbridge_access::{Directory, Principal};
use weighbridge_admin::{RouteAsked, RouteView, StandingView};
use weighbridge_config::Config;
use weighbridge_pipeline::{Env, RouteQuestion, SystemEnv, anybody, explain_route};
use weighbridge_records::LoggedRule;

use crate::assembly::Stores;
use crate::cli::{RouteCommand, RouteExplainArgs, say};
use crate::client;
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
    let body = body(&args)?;
    let told = match &args.admin {
        Some(address) => runtime()?.block_on(asked_of(address, &args, body))?,
        None => of_configuration(&args, body)?,
    };
    match args.json {
        true => say(serde_json::to_string(&told)?),
        false => text(&told).iter().for_each(say),
    }
    Ok(if told.refused.is_some() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

fn body(args: &RouteExplainArgs) -> anyhow::Result<Vec<u8>> {
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(io::stdin().lock()),
    };
    let mut body = Vec::new();
    let length = input.take(REQUEST_MAX + 1).read_to_end(&mut body).context("cannot read the request")?;
    if length as u64 > REQUEST_MAX {
        bail!("the request has more than {REQUEST_MAX} bytes");
    }
    Ok(body)
}

/// What an instance that has just started would do.
fn of_configuration(args: &RouteExplainArgs, body: Vec<u8>) -> anyhow::Result<RouteView> {
    let config = sources::config(&args.config)?;
    let question = RouteQuestion {
        protocol: args.protocol,
        model: args.model.clone(),
        headers: headers(&args.headers)?,
        body: body.into(),
        principal: principal(args, &config)?,
        random: args.seed,
    };
    let now = SystemEnv::new(0).now();
    Ok(RouteView::from(&explain_route(&config.settings, &config.prices, now, question)?))
}

/// What the running gateway says.
async fn asked_of(address: &str, args: &RouteExplainArgs, body: Vec<u8>) -> anyhow::Result<RouteView> {
    let asked = RouteAsked {
        protocol: Some(args.protocol.as_str().to_owned()),
        model: args.model.clone(),
        headers: args.headers.iter().map(|said| header(said)).collect::<Result<_, _>>()?,
        key: args.key.map(|key| key.to_string()),
        seed: args.seed,
        // As it is: the place of a conversation hangs on its bytes.
        request: serde_json::from_slice(&body).context("the request is no JSON")?,
    };
    let (to, token) = (loopback(address)?, admin_token(args)?);
    let asked = serde_json::to_string(&asked)?;
    let reply = client::post_text(to, "/admin/v1/route/explain", &token, asked).await;
    let reply = reply.with_context(|| format!("the admin API at {to} cannot be asked"))?;
    if reply.status != 200 {
        let message = reply.json().ok().and_then(|body| Some(body["error"]["message"].as_str()?.to_owned()));
        bail!("the admin API at {to} answers {}: {}", reply.status, message.unwrap_or_else(|| reply.text()));
    }
    serde_json::from_slice(&reply.body)
        .context("the answer is not understood: is the gateway of another release?")
}

/// The address of an admin API. It speaks plain HTTP, so that the token is sent to this machine only.
fn loopback(said: &str) -> anyhow::Result<SocketAddr> {
    let address = said.strip_prefix("http://").unwrap_or(said).trim_end_matches('/');
    address.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback()).with_context(|| {
        format!("`--admin {said}` is no loopback address: write one such as 127.0.0.1:8081, if need be of a tunnel")
    })
}

/// The credential of the admin API: the environment's, else the configuration's.
fn admin_token(args: &RouteExplainArgs) -> anyhow::Result<String> {
    if let Ok(token) = std::env::var("WEIGHBRIDGE_ADMIN_TOKEN") {
        return Ok(token);
    }
    let admin = sources::config(&args.config)?.server.admin;
    let admin =
        admin.context("there is no admin token: set WEIGHBRIDGE_ADMIN_TOKEN, or `server.admin_token`")?;
    Ok(admin.token.expose_secret().to_owned())
}

fn headers(said: &[String]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for said in said {
        let (name, value) = header(said)?;
        let name = HeaderName::try_from(&name).with_context(|| format!("`{name}` is no name of a header"))?;
        headers.append(name, HeaderValue::try_from(value).context("a header's value cannot be sent")?);
    }
    Ok(headers)
}

fn header(said: &str) -> anyhow::Result<(String, String)> {
    let (name, value) =
        said.split_once(':').with_context(|| format!("`{said}` is no header: write NAME: VALUE"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The key that is named, from the store; else one that may do anything, and is kept nowhere.
fn principal(args: &RouteExplainArgs, config: &Config) -> anyhow::Result<Arc<Principal>> {
    let Some(id) = args.key else { return anybody().context("no key can be made") };
    let directory = Directory::new(sources::pepper(config)?);
    let stores = Stores::open(&config.storage)?;
    runtime()?.block_on(directory.sync(&*stores.keys))?;
    directory
        .get(id)
        .with_context(|| format!("there is no key {id}: `weighbridge keys list` shows those that exist"))
}

fn text(told: &RouteView) -> Vec<String> {
    let by = match told.told_by.as_str() {
        "running-gateway" => "the running gateway, at this moment",
        _ => "the configuration, as of a gateway that has just started",
    };
    let mut lines = vec![
        format!("told by      {by}"),
        format!("asked for    {}, a prompt of about {} tokens", told.model, told.prompt_tokens),
    ];
    if !told.needs.is_empty() {
        lines.push(format!("needs        {}", told.needs.join(", ")));
    }
    lines.extend(told.demands.iter().map(|demanded| format!("demands      {demanded}")));
    lines.extend(told.rules.iter().map(|rule| format!("rule         {}", rule_text(rule))));
    if !told.served_as.is_empty() {
        lines.push(format!("served as    {}, {}", told.served_as, told.strategies.join(", ")));
    }
    if let Some(choice) = &told.choice {
        lines.push(format!(
            "chosen by    {}, of {} candidates, seed {}",
            choice.by, choice.candidates, told.seed
        ));
        lines.extend(
            choice
                .scores
                .iter()
                .map(|one| format!("  score      {:>12} {} ({})", one.score, one.target, one.by)),
        );
    }
    for (number, planned) in told.order.iter().enumerate() {
        let fallback = if planned.fallback { ", a fallback" } else { "" };
        lines.push(format!("  {:<11}{}{fallback}", number + 1, planned.target));
    }
    lines.extend(told.excluded.iter().map(|over| format!("left out     {}: {}", over.target, over.reason)));
    lines.extend(told.targets.iter().map(|standing| format!("target       {}", standing_text(standing))));
    lines.extend(
        told.refused.as_ref().map(|refused| format!("refused      {}: {}", refused.status, refused.message)),
    );
    lines
}

fn standing_text(standing: &StandingView) -> String {
    let mut words = vec![format!("{}: weight {}", standing.target, standing.weight)];
    words.push(match &standing.cost_usd {
        Some(cost) => format!("about {cost} USD"),
        None => "no known price".to_owned(),
    });
    if let Some(seen) = &standing.seen {
        words.push(match seen.back_in_ms {
            Some(millis) => format!("{} for {millis} ms", seen.availability),
            None => seen.availability.clone(),
        });
        words.push(format!("{} in flight", seen.in_flight));
        words.extend(seen.latency_us.map(|micros| format!("answers in {micros} µs")));
        words.extend(seen.first_token_us.map(|micros| format!("begins in {micros} µs")));
        words.extend(seen.headroom_millionths.map(|left| format!("{left} millionths of its limits left")));
    }
    words.join(", ")
}

fn rule_text(rule: &LoggedRule) -> String {
    let led = match (&rule.rule, &rule.to) {
        (Some(name), Some(to)) => format!("`{name}` of {} leads to {to}", rule.of),
        (Some(name), None) => format!("`{name}` of {} refuses it", rule.of),
        (None, _) => format!("none of {} matches", rule.of),
    };
    match (rule.difficulty, &rule.task) {
        (Some(difficulty), Some(task)) => format!("{led} (difficulty {difficulty}, {task})"),
        _ => led,
    }
}
