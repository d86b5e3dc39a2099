//! Arguments of `weighbridge route`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use weighbridge_units::{KeyId, Protocol};

use super::{ConfigArgs, protocol_parser};

#[derive(Subcommand)]
pub(crate) enum RouteCommand {
    /// Tell where a request would go, and why
    ///
    /// Rules, the classifier's guess, demanded labels, targets in the order in which they would be tried, with scores,
    /// and those that are left out. With --admin the running gateway tells it, by what it knows of health, latencies,
    /// rate limits and prices; else it is as of an instance that has just started: every target is healthy. No limit
    /// is looked at. Exits with 1 where the request cannot be read, with 3 where it would be refused.
    Explain(RouteExplainArgs),
}

#[derive(Args)]
pub(crate) struct RouteExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Ask the running gateway whose admin API listens at this loopback address, such as 127.0.0.1:8081, with the token
    /// in WEIGHBRIDGE_ADMIN_TOKEN or in the configuration
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
    /// What the request speaks
    #[arg(long, value_name = "PROTOCOL", default_value = "openai-chat", value_parser = protocol_parser())]
    pub(crate) protocol: Protocol,
    /// The model, where the protocol has it in the address
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Whose request it is: the twelve characters after `wb-`. Without it, of a key without restrictions
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<KeyId>,
    /// A header of it, such as "x-gateway-require: region=eu"; repeat for more
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// What the strategy draws; the same number gives the same order
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The request's body; standard input, if not said
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
