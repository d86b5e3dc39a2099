//! `weighbridge tenants create|list|show|update|block`, through the admin service.

use std::process::ExitCode;

use weighbridge_admin::{Change, ChargesText, TenantView};

use crate::cli::{ListArgs, TenantArgs, TenantsCommand, say};
use crate::keys::{actor, changed, service};
use crate::serve::runtime;

pub(crate) fn run(command: TenantsCommand) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        match command {
            TenantsCommand::Create(args) => create(*args).await,
            TenantsCommand::List(args) => list(&args).await,
            TenantsCommand::Show(args) => {
                let tenant = service(&args.config)?.tenant(&actor(), &args.name).await?;
                shown(&tenant)
            }
            TenantsCommand::Update(args) => {
                let admin = service(&args.config)?;
                let (name, change) = wanted(*args);
                let tenant = admin.update_tenant(&actor(), &name, &change).await?;
                shown(&tenant)
            }
            TenantsCommand::Block(args) => {
                let change = Change::blocking(!args.end);
                let tenant = service(&args.config)?.update_tenant(&actor(), &args.name, &change).await?;
                shown(&tenant)
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn create(args: TenantArgs) -> anyhow::Result<()> {
    let admin = service(&args.config)?;
    let (name, change) = wanted(args);
    let tenant = admin.create_tenant(&actor(), &name, &change).await?;
    shown(&tenant)
}

/// Which tenant is meant, and what is to be different about it.
fn wanted(args: TenantArgs) -> (String, Change) {
    let text = |said: String| (said != "none").then_some(said);
    let credit_limit_usd = args.credit_limit_usd.map(text);
    let own_keys = args.own_keys.map(text);
    let subscription_usd = args.subscription_usd.map(text);
    let surcharge = args.surcharge.map(|said| said.0.map(ChargesText::of));
    let said = ChargesText {
        percent: args.markup_percent,
        per_request_usd: args.markup_per_request_usd,
        per_million_prompt_usd: args.markup_per_million_prompt_usd,
        per_million_answer_usd: args.markup_per_million_answer_usd,
    };
    let markup = match args.no_markup {
        true => Some(None),
        false => (said != ChargesText::default()).then_some(Some(said)),
    };
    (
        args.name,
        Change { credit_limit_usd, own_keys, markup, surcharge, subscription_usd, ..changed(args.change) },
    )
}

fn shown(tenant: &TenantView) -> anyhow::Result<()> {
    say(serde_json::to_string(tenant)?);
    Ok(())
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let tenants = service(&args.config)?.list_tenants(&actor()).await?;
    if args.json {
        say(serde_json::to_string(&tenants)?);
        return Ok(());
    }
    say(format_args!("{:32}  {:8}  {:>7}  MODELS", "NAME", "STATE", "BUDGETS"));
    for tenant in &tenants {
        let models = tenant.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(", "));
        let state = format!("{:?}", tenant.state).to_lowercase();
        say(format_args!("{:32}  {state:8}  {:>7}  {models}", tenant.name, tenant.budgets.len()));
    }
    Ok(())
}
