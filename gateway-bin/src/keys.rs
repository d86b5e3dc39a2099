//! `weighbridge keys create|list|update|revoke`, through the admin service.

use std::process::ExitCode;

use anyhow::Context;
use weighbridge_admin::{Actor, AdminService, Change, KeyView, NewKey};
use weighbridge_config::StorageConfig;
use weighbridge_units::Timestamp;

use crate::assembly::Stores;
use crate::cli::{ChangeArgs, ConfigArgs, CreateArgs, KeysCommand, ListArgs, RevokeArgs, UpdateKeyArgs, say};
use crate::serve::runtime;
use crate::sources;

/// Who acts, in the audit log: whoever can open the store administers the installation.
pub(crate) fn actor() -> Actor {
    Actor::installation("command line")
}

pub(crate) fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match command {
        KeysCommand::Create(args) => runtime.block_on(create(*args)),
        KeysCommand::List(args) => runtime.block_on(list(&args)),
        KeysCommand::Update(args) => runtime.block_on(update(*args)),
        KeysCommand::Revoke(args) => runtime.block_on(revoke(&args)),
    }
    .map(|()| ExitCode::SUCCESS)
}

pub(crate) fn service(args: &ConfigArgs) -> anyhow::Result<AdminService> {
    let config = sources::config(args)?;
    anyhow::ensure!(
        config.storage != StorageConfig::Memory,
        "storage.url is `memory:`, which another process cannot reach: use the admin API of the running gateway"
    );
    Ok(Stores::open(&config.storage)?.admin(sources::pepper(&config)?, &config))
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let service = service(&args.config)?;
    let json = args.json;
    let created = service.create_key(&actor(), wanted(args)?).await?;
    if json {
        let mut view = serde_json::to_value(&created.view)?;
        view["key"] = created.expose().into();
        say(view);
    } else {
        say(created.expose());
        say(format_args!("This is the only time that key {} is shown.", created.view.id));
    }
    Ok(())
}

fn wanted(args: CreateArgs) -> anyhow::Result<NewKey> {
    let expires = args.expires_in_days.map(|days| -> anyhow::Result<String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let end = Timestamp::from_secs(i64::try_from(now)? + i64::from(days) * 86_400);
        let text = end.to_string();
        Ok(format!("{}Z", text.get(..19).context("a date has nineteen characters")?))
    });
    Ok(NewKey {
        models: Some(args.models).filter(|models| !models.is_empty()),
        rpm: args.rpm,
        tpm: args.tpm,
        budget_usd: args.budget_usd_per_month,
        budget_period: None,
        budgets: args.budgets,
        usd_per_minute: args.usd_per_minute,
        concurrency: args.concurrency,
        ip_allow: args.allow_ip,
        referrers: args.allow_referrer,
        tags: args.tags.join(","),
        require: args.require.join(","),
        loss_policy: args.loss_policy,
        allow_store: args.no_store.then_some(false),
        native: args.native,
        prompt_cache: args.prompt_cache,
        expires: expires.transpose()?,
        ..NewKey::named(&args.name, &args.tenant)
    })
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let keys = service(&args.config)?.list_keys(&actor()).await?;
    if args.json {
        say(serde_json::to_string(&keys)?);
        return Ok(());
    }
    say(format_args!("{:12}  {:20}  {:16}  {:8}  {:>24}  MODELS", "ID", "NAME", "TENANT", "STATE", "BUDGET"));
    keys.iter().for_each(|key| say(row(key)));
    Ok(())
}

fn row(key: &KeyView) -> String {
    let budget = match key.budgets.as_slice() {
        [] => "-".to_owned(),
        [budget] => format!("{} {} per {}", budget.limit, budget.unit, budget.period),
        several => format!("{} budgets", several.len()),
    };
    let models = key.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(", "));
    let state = format!("{:?}", key.state).to_lowercase();
    format!("{:12}  {:20}  {:16}  {state:8}  {budget:>24}  {models}", key.id, key.name, key.tenant)
}

async fn update(args: UpdateKeyArgs) -> anyhow::Result<()> {
    let id = args.id.parse().context("the id of a key is the twelve characters after `wb-`")?;
    let blocked = (args.block || args.unblock).then_some(args.block);
    let change = Change { blocked, ..changed(args.change) };
    let key = service(&args.config)?.update_key(&actor(), id, &change).await?;
    say(serde_json::to_string(&key)?);
    Ok(())
}

/// What was said of a key or a tenant.
pub(crate) fn changed(said: ChangeArgs) -> Change {
    let unless = |word: &str, list: Vec<String>| match list.as_slice() {
        [] => None,
        [only] if only == word => Some(None),
        _ => Some(Some(list)),
    };
    let text = |said: String| (said != "none").then_some(said);
    Change {
        models: unless("all", said.models),
        rpm: said.rpm.map(|rpm| rpm.0),
        tpm: said.tpm.map(|tpm| tpm.0),
        usd_per_minute: said.usd_per_minute.map(text),
        concurrency: said.concurrency.map(|most| most.0),
        budgets: unless("none", said.budgets).map(Option::unwrap_or_default),
        require: unless("none", said.require).map(|labels| labels.map(|labels| labels.join(","))),
        credit_limit_usd: None,
        own_keys: None,
        markup: None,
        surcharge: None,
        subscription_usd: None,
        expires: said.expires.map(text),
        blocked: None,
    }
}

async fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    let id = args.id.parse().context("the id of a key is the twelve characters after `wb-`")?;
    let key = service(&args.config)?.revoke_key(&actor(), id).await?;
    say(format_args!("{} ({}) is revoked", key.id, key.name));
    Ok(())
}
