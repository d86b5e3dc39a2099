//! Arguments of `weighbridge route`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use weighbridge_units::{KeyId, Protocol};

use super::{ConfigArgs, protocol_parser};

#[derive(Subcommand)]
pub(crate) enum RouteCommand {
    /// Tell where a request would go, and why
    ///
    /// Rules, the classifier's guess, demanded labels, targets in the order in which they would be tried, and those
    /// that are left out, as of an instance that has just started: every target is healthy, and no limit or budget
    /// is used up. Exits with 1 where the request cannot be read, with 3 where it would be refused.
    Explain(RouteExplainArgs),
}

#[derive(Args)]
pub(crate) struct RouteExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
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
