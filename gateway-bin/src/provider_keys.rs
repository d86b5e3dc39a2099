//! `weighbridge provider-keys add|list|rotate|update|revoke|reseal`, through the admin service.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::Context;
use weighbridge_access::ProviderKeyId;
use weighbridge_admin::{GivenSecret, NewProviderKey, ProviderKeyChange, ProviderKeyView};

use crate::cli::{AddArgs, ListArgs, ProviderKeysCommand, SecretArgs, say};
use crate::keys::{actor, service};
use crate::serve::runtime;

/// Far more than any key has.
const SECRET_MOST: u64 = 64 * 1024;

pub(crate) fn run(command: ProviderKeysCommand) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        match command {
            ProviderKeysCommand::Add(args) => add(args).await,
            ProviderKeysCommand::List(args) => list(&args).await,
            ProviderKeysCommand::Rotate(args) => {
                let (service, id) = (service(&args.key.config)?, read_id(&args.key.id)?);
                shown(&service.rotate_provider_key(&actor(), id, &secret(&args.secret)?).await?)
            }
            ProviderKeysCommand::Update(args) => {
                let (service, id) = (service(&args.key.config)?, read_id(&args.key.id)?);
                let change = ProviderKeyChange { label: args.label, weight: args.weight };
                shown(&service.update_provider_key(&actor(), id, &change).await?)
            }
            ProviderKeysCommand::Revoke(args) => {
                let (service, id) = (service(&args.config)?, read_id(&args.id)?);
                shown(&service.revoke_provider_key(&actor(), id).await?)
            }
            ProviderKeysCommand::Reseal(args) => {
                let resealed = service(&args)?.reseal_provider_keys(&actor()).await?;
                say(serde_json::to_string(&resealed)?);
                Ok(())
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
    let service = service(&args.config)?;
    let secret = secret(&args.secret)?;
    let AddArgs { provider, label, tenant, weight, .. } = args;
    let new = NewProviderKey { tenant, provider, label, secret, weight };
    shown(&service.add_provider_key(&actor(), &new).await?)
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let keys = service(&args.config)?.list_provider_keys(&actor()).await?;
    if args.json {
        say(serde_json::to_string(&keys)?);
        return Ok(());
    }
    say(format_args!(
        "{:15}  {:24}  {:16}  {:20}  {:5}  {:>6}  STATE",
        "ID", "TENANT", "PROVIDER", "LABEL", "KEY", "WEIGHT"
    ));
    for key in &keys {
        let tenant = key.tenant.as_deref().unwrap_or("(installation)");
        let state = if key.revoked.is_some() { "revoked" } else { "active" };
        let ProviderKeyView { id, provider, label, fingerprint, weight, .. } = key;
        say(format_args!(
            "{id:15}  {tenant:24}  {provider:16}  {label:20}  {fingerprint:5}  {weight:>6}  {state}"
        ));
    }
    Ok(())
}

fn shown(key: &ProviderKeyView) -> anyhow::Result<()> {
    say(serde_json::to_string(key)?);
    Ok(())
}

fn read_id(text: &str) -> anyhow::Result<ProviderKeyId> {
    Ok(text.parse()?)
}

/// The secret, from where it was said to be.
fn secret(args: &SecretArgs) -> anyhow::Result<GivenSecret> {
    let read = |from: &mut dyn Read| -> anyhow::Result<String> {
        let mut text = String::new();
        from.take(SECRET_MOST).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = match (&args.secret_env, &args.secret_file) {
        (Some(name), _) => {
            std::env::var(name).ok().with_context(|| format!("the environment has no variable {name}"))?
        }
        (None, Some(path)) => {
            let unusable = || format!("{} cannot be read", path.display());
            read(&mut std::fs::File::open(path).with_context(unusable)?).with_context(unusable)?
        }
        (None, None) => {
            let mut input = std::io::stdin();
            if input.is_terminal() {
                say("Paste the key, then press Enter and Ctrl-D:");
            }
            read(&mut input).context("standard input cannot be read")?
        }
    };
    Ok(GivenSecret::new(text))
}
