//! `weighbridge prices`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use weighbridge_config::{Config, PriceUpdates};
use weighbridge_pipeline::{Env, PriceKeeper, SystemEnv, fetch_prices};
use weighbridge_pricing::{
    Approval, Change, LeftOut, PastAttempt, PriceBook, PriceCard, PriceText, PricedBy, Rerating, ServiceTier,
    Update, read_prices,
};
use weighbridge_records::LoggedRequest;
use weighbridge_units::Timestamp;

use crate::assembly::{Stores, fetcher};
use crate::cli::{PricesCommand, PricesDiffArgs, PricesRerateArgs, PricesShowArgs, PricesUpdateArgs, say};
use crate::kept_prices::{KeptPrices, PresentPrices};
use crate::{serve, sources};

/// Records that are read at once.
const PAGE: usize = 5_000;
/// Things of a map that are named one by one.
const NAMED: usize = 20;
/// An update that waits for approval, as the exit status has it.
const HELD: u8 = 3;

pub(crate) fn run(command: PricesCommand) -> anyhow::Result<ExitCode> {
    let runtime = serve::runtime()?;
    match command {
        PricesCommand::Show(args) => runtime.block_on(show(&args)),
        PricesCommand::Diff(args) => runtime.block_on(diff(&args)),
        PricesCommand::Update(args) => runtime.block_on(update(&args)),
        PricesCommand::Rerate(args) => runtime.block_on(rerate(&args)),
    }
}

fn now() -> Timestamp {
    SystemEnv::new(0).now()
}

async fn show(args: &PricesShowArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(&args.config)?;
    let book = PresentPrices::read(&config, None).await?.book;
    let at = args.at.unwrap_or_else(now);
    say(format_args!("price book {}, at {at}", book.version()));
    let Some(name) = &args.model else {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (provider, _) in book.models() {
            *counts.entry(provider).or_default() += 1;
        }
        for (provider, count) in counts {
            say(format_args!("{provider:16} {count:5} models"));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let (provider, model) = name.split_once('/').context("name the model as provider/model")?;
    let cards: Vec<Arc<PriceCard>> =
        ServiceTier::ALL.into_iter().filter_map(|tier| book.find(provider, model, tier, at)).collect();
    if cards.is_empty() {
        bail!("no price of {name} is known at {at}");
    }
    for card in &cards {
        show_card(card);
    }
    Ok(ExitCode::SUCCESS)
}

fn show_card(card: &PriceCard) {
    let from = card.from().map_or_else(|| "the start".to_owned(), |from| from.to_string());
    say(format_args!("{}/{} {}: from {from}", card.provider(), card.model(), card.tier()));
    say(format_args!("  source: {} (read: {})", card.source(), card.checked()));
    for row in card.rows() {
        let head = match (row.above, &row.variant) {
            (_, Some(variant)) => format!("  {variant}: "),
            (0, None) => "  ".to_owned(),
            (above, None) => format!("  above {above}: "),
        };
        let rates: Vec<String> = row.rates.iter().map(|(bucket, rate)| format!("{bucket} {rate}")).collect();
        say(format_args!("{head}{}", rates.join(", ")));
    }
}

async fn diff(args: &PricesDiffArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(&args.config)?;
    let updates = &config.price_updates;
    let text = read(updates, &args.source).await?;
    let (newer, left_out) = read_prices(&args.source, &text, "unknown")?;
    let present = PresentPrices::read(&config, None).await?.sources.listed_book()?;
    let update = Update::plan(&present, &newer, now(), updates.max_jump);
    tell(&update, &Approval::Nothing, &left_out);
    Ok(ExitCode::SUCCESS)
}

async fn update(args: &PricesUpdateArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(&args.config)?;
    let updates = &config.price_updates;
    let kept = KeptPrices::open(&config, None)?
        .context("nothing is kept in memory: set prices.updates to a file")?;
    if args.revert {
        if !kept.revert().await? {
            bail!("there is no earlier update to go back to in {kept}");
        }
        let book = kept.add_to(&updates.sources).await?.book()?;
        say(format_args!("reverted: price book {}", book.version()));
        return Ok(ExitCode::SUCCESS);
    }
    let source = args.source.as_deref().context("name a file or an address, or say --revert")?;
    let text = read(updates, source).await?;
    let approval = approval(&args.approve);
    let (mut told, at) = (None, now());
    let mut outcome = Ok(());
    let mut next = |present: Option<&str>| {
        let sources = updates.sources.with_updates(present.map(|text| PriceText::new("updates", text)));
        outcome = Ok(());
        match sources.revise((source, &text), at, updates.max_jump, &approval) {
            Ok(revision) => {
                let version = revision.next.as_ref().map(|(_, book)| book.version().clone());
                let next = revision.next.and_then(|(next, _)| next.updates);
                told = Some((revision.update, revision.left_out, version));
                next.filter(|_| !args.dry_run).map(|updates| updates.text.to_string())
            }
            Err(error) => {
                outcome = Err(error);
                None
            }
        }
    };
    kept.replace(&mut next).await.with_context(|| format!("the prices cannot be kept in {kept}"))?;
    outcome.context("nothing was changed")?;
    let Some((update, left_out, version)) = told else { bail!("nothing was changed") };
    tell(&update, &approval, &left_out);
    match version {
        Some(version) if args.dry_run => {
            say(format_args!("not taken over (--dry-run): price book {version}"))
        }
        Some(version) => {
            say(format_args!("taken over: price book {version}; running gateways have it within 5 s"));
        }
        None => say("nothing to take over"),
    }
    let waits = update.held(&approval).count() > 0;
    Ok(if waits { ExitCode::from(HELD) } else { ExitCode::SUCCESS })
}

fn approval(names: &[String]) -> Approval {
    match names {
        [] => Approval::Nothing,
        names if names.iter().any(|name| name == "all") => Approval::All,
        names => Approval::Models(names.iter().cloned().collect()),
    }
}

/// Tells what differs, what waits and what was not understood.
fn tell(update: &Update, approval: &Approval, left_out: &[LeftOut]) {
    let one = |change: &Change, mark: &str| {
        say(format_args!("{mark} {}{}", change.name(), if change.is_new { " (new)" } else { "" }));
        for step in &change.steps {
            say(format_args!("    {step}"));
        }
    };
    let mut accepted = 0;
    for change in update.accepted(approval) {
        accepted += 1;
        one(change, "+");
    }
    let mut held = 0;
    for change in update.held(approval) {
        held += 1;
        one(change, "!");
        for why in &change.held {
            say(format_args!("    held: {why}"));
        }
    }
    for left in left_out.iter().take(NAMED) {
        say(format_args!("? {left}"));
    }
    if left_out.len() > NAMED {
        say(format_args!("? and {} more", left_out.len() - NAMED));
    }
    say(format_args!(
        "{accepted} models differ, {held} wait for approval (--approve provider/model, or all), {} are missing and keep \
         their prices, {} fields were not understood",
        update.missing.len(),
        left_out.len(),
    ));
}

/// A text of prices from a file, or through the guarded fetch.
async fn read(updates: &PriceUpdates, source: &str) -> anyhow::Result<String> {
    if source.starts_with("https://") || source.starts_with("http://") {
        let fetch = fetcher(updates.allowed_networks.clone());
        return fetch_prices(&*fetch, source).await.map_err(|why| anyhow!("{why}; the last prices stay"));
    }
    std::fs::read_to_string(source).with_context(|| format!("cannot read {source}"))
}

async fn rerate(args: &PricesRerateArgs) -> anyhow::Result<ExitCode> {
    let config = sources::config(&args.config)?;
    let book = other_book(&config, args.book.as_deref()).await?;
    let log = Stores::open(&config.storage)?.log;
    let (mut rerating, mut after, mut requests) = (Rerating::new(), 0, 0_u64);
    loop {
        let page = log.between(args.from, args.to, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, record) in &page {
            requests += 1;
            let request = LoggedRequest::read(record)?;
            let tenant = request.tenant().unwrap_or("-").to_owned();
            for attempt in request.attempts {
                let priced = attempt.priced.map(|by| PricedBy {
                    provider: by.provider,
                    model: by.model,
                    tier: by.tier,
                    at: by.at,
                });
                let target = format!("{}/{}", attempt.provider, attempt.model);
                let (usage, cost) = (attempt.usage, attempt.cost);
                let past = PastAttempt { tenant: tenant.clone(), target, priced, usage, cost };
                rerating.add(&book, &past)?;
            }
        }
    }
    say(format_args!("{requests} requests of [{}, {}) by price book {}", args.from, args.to, book.version()));
    say(format_args!(
        "{:16}  {:40}  {:>9}  {:>18}  {:>18}  {:>18}  {:>9}",
        "TENANT", "MODEL", "ATTEMPTS", "POSTED USD", "BY THE BOOK USD", "DIFFERENCE USD", "UNPRICED"
    ));
    let total = rerating.total()?;
    for (tenant, target, sum) in rerating.sums().chain([("all", "", &total)]) {
        say(format_args!(
            "{tenant:16}  {target:40}  {:>9}  {:>18}  {:>18}  {:>18}  {:>9}",
            sum.attempts,
            sum.before,
            sum.after,
            sum.difference()?,
            sum.unpriced
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The present book, or it with a file's prices in the place of its own, for all times.
async fn other_book(config: &Config, file: Option<&str>) -> anyhow::Result<Arc<PriceBook>> {
    let PresentPrices { mut sources, book, .. } = PresentPrices::read(config, None).await?;
    let Some(file) = file else { return Ok(book) };
    let text = read(&config.price_updates, file).await?;
    let text = match text.trim_start().starts_with('{') {
        true => weighbridge_pricing::Imported::read(&text, file, "unknown")?.to_toml(),
        false => text,
    };
    sources.overrides.push(PriceText::new(file, text));
    Ok(Arc::new(sources.book()?))
}
