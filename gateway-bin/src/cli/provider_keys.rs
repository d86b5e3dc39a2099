//! What can be said of providers' keys. A secret is never said here: arguments are for all to see.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigArgs, ListArgs};

#[derive(Subcommand)]
pub(crate) enum ProviderKeysCommand {
    /// Seal and keep a key, read from standard input, a file or the environment
    Add(AddArgs),
    /// List all keys, each by the last characters of its secret
    List(ListArgs),
    /// Give a key another secret under the same id; requests that run are not disturbed
    Rotate(RotateArgs),
    /// Change what a key is called, or its share beside others
    Update(UpdateProviderKeyArgs),
    /// Throw a key away
    Revoke(ProviderKeyArgs),
    /// Seal all keys anew that are sealed under a former master key
    Reseal(ConfigArgs),
}

#[derive(Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The provider that it is for, by its name in the configuration
    #[arg(long)]
    pub(crate) provider: String,
    /// What people call it
    #[arg(long)]
    pub(crate) label: String,
    /// The organisation or team that it is of; the installation's, if not said
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Its share beside others of the same owner and provider; 0 leaves it unused
    #[arg(long, value_name = "NUMBER")]
    pub(crate) weight: Option<u32>,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
}

/// Where a secret is read from: standard input, if nothing is said.
#[derive(Args)]
pub(crate) struct SecretArgs {
    /// Read it from this variable of the environment
    #[arg(long, value_name = "NAME", conflicts_with = "secret_file")]
    pub(crate) secret_env: Option<String>,
    /// Read it from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) key: ProviderKeyArgs,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
}

#[derive(Args)]
pub(crate) struct UpdateProviderKeyArgs {
    #[command(flatten)]
    pub(crate) key: ProviderKeyArgs,
    /// What people call it
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Its share beside others of the same owner and provider; 0 leaves it unused
    #[arg(long, value_name = "NUMBER")]
    pub(crate) weight: Option<u32>,
}

#[derive(Args)]
pub(crate) struct ProviderKeyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The key's id: `pk-` and twelve characters
    pub(crate) id: String,
}
