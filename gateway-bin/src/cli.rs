//! What can be said on the command line.

mod ledger;
mod provider_keys;
mod route;
mod usage;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use weighbridge_access::LossPolicy;
use weighbridge_translate::Dialect;
use weighbridge_units::{Charges, ChargesError, Protocol, Timestamp};

pub(crate) use ledger::{
    BalanceArgs, ExportArgs, ExportProvider, FundArgs, JournalFormat, LedgerCommand, ReconcileArgs,
    RefundArgs, StatementArgs, StatementFormat, VerifyArgs,
};

pub(crate) use provider_keys::{AddArgs, ProviderKeysCommand, SecretArgs};
pub(crate) use route::{RouteCommand, RouteExplainArgs};
pub(crate) use usage::{ExplainArgs, UsageArgs};

/// One endpoint in front of every model provider, with a ledger that equals the invoice.
#[derive(Parser)]
#[command(name = "weighbridge", version, about, max_term_width = 100)]
#[command(after_help = "Start with `weighbridge demo`: it needs no account and no network.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve requests until SIGTERM or Ctrl-C, then drain and exit
    Serve(ServeArgs),
    /// Check a configuration file and report all mistakes at once
    Check(ConfigArgs),
    /// Make, list, change and revoke virtual keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Define, show, change and block organisations and teams
    #[command(subcommand)]
    Tenants(TenantsCommand),
    /// Keep keys at providers, sealed: those of tenants, used for nobody else, and one's own
    #[command(subcommand)]
    ProviderKeys(ProviderKeysCommand),
    /// Verify the ledger, show what it has, move wallets, compare it with a provider's figures
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Show who used how much, and what that cost
    Usage(UsageArgs),
    /// Explain one request: its attempts, rates, arithmetic, postings and routing
    Explain(ExplainArgs),
    /// Ask how requests are routed, without sending them
    #[command(subcommand)]
    Route(RouteCommand),
    /// Show, compare and update prices, or price a period again
    #[command(subcommand)]
    Prices(PricesCommand),
    /// Translate a request, an answer or a stream between two protocols, without any server
    ///
    /// The result goes to standard output, each loss as a line to standard error. Exits with 1 where the
    /// input cannot be read or its stream broke off, with 3 where losses are rejected.
    Translate(TranslateArgs),
    /// Try it: simulated providers, a gateway in front of them, a key with a budget
    Demo(DemoArgs),
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file. Without one, providers are found from OPENAI_API_KEY,
    /// ANTHROPIC_API_KEY and the like, and data is kept in ./weighbridge.db
    #[arg(long, short, value_name = "FILE", env = "WEIGHBRIDGE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Listen here instead of at the configured address; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a virtual key and show it, this once
    Create(Box<CreateArgs>),
    /// List all keys
    List(ListArgs),
    /// Change what a key may do; running gateways hold it to that within a second
    Update(Box<UpdateKeyArgs>),
    /// Take a key back; running gateways refuse it within a second
    Revoke(RevokeArgs),
}

#[derive(Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What people call the key
    #[arg(long)]
    pub(crate) name: String,
    /// Who it belongs to and who pays
    #[arg(long, default_value = "default")]
    pub(crate) tenant: String,
    /// A model that it may use, or a pattern such as `openai/*`; repeat for more. All, if not said
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Requests per minute
    #[arg(long)]
    pub(crate) rpm: Option<u64>,
    /// Tokens per minute, prompt and answer together
    #[arg(long)]
    pub(crate) tpm: Option<u64>,
    /// Dollars per calendar month (UTC), such as 12.50; 0 blocks
    #[arg(long, value_name = "USD")]
    pub(crate) budget_usd_per_month: Option<String>,
    /// A budget of any unit and period, such as "tokens=1000000 period=day zone=Europe/Berlin"; repeat for more
    #[arg(long = "budget", value_name = "BUDGET")]
    pub(crate) budgets: Vec<String>,
    /// Dollars per minute, such as 0.50
    #[arg(long, value_name = "USD")]
    pub(crate) usd_per_minute: Option<String>,
    /// Requests at once
    #[arg(long, value_name = "NUMBER")]
    pub(crate) concurrency: Option<u64>,
    /// An address range that it may be used from; repeat for more
    #[arg(long = "allow-ip", value_name = "CIDR")]
    pub(crate) allow_ip: Vec<String>,
    /// A page that it may be used from; repeat for more
    #[arg(long = "allow-referrer", value_name = "PATTERN")]
    pub(crate) allow_referrer: Vec<String>,
    /// A tag that each of its requests bears, as name=value; repeat for more
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    pub(crate) tags: Vec<String>,
    /// A label that a provider must have to be sent anything of the key's, such as region=eu; repeat for more
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) require: Vec<String>,
    /// What happens when a translation loses something: allow, warn or reject
    #[arg(long, value_name = "POLICY")]
    pub(crate) loss_policy: Option<String>,
    /// Keep no answer beyond its request, here or at a provider, whatever the request asks for
    #[arg(long)]
    pub(crate) no_store: bool,
    /// Let it make native calls: any call of a provider (files, batches, …), with the installation's credentials
    #[arg(long)]
    pub(crate) native: bool,
    /// Mark prompts for the caches of Claude and Nova where the client has not: they live for 5m or 1h
    #[arg(long, value_name = "LIFETIME", value_parser = ["5m", "1h"])]
    pub(crate) prompt_cache: Option<String>,
    /// Days until it expires
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_in_days: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum TenantsCommand {
    /// Define an organisation (`acme`) or a team in one (`acme/search`)
    Create(Box<TenantArgs>),
    /// List all that are defined
    List(ListArgs),
    /// Show one as JSON
    Show(NameArgs),
    /// Change one; what is not said stays
    Update(Box<TenantArgs>),
    /// Refuse all keys in one, or let them in again
    Block(BlockArgs),
}

#[derive(Args)]
pub(crate) struct TenantArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The organisation or team: `acme` or `acme/search`
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// A wallet, and how many dollars it may owe: 0 for prepaid. `none` for no wallet
    #[arg(long, value_name = "USD")]
    pub(crate) credit_limit_usd: Option<String>,
    /// Whether its requests go out on provider keys of its own: prefer, require (on no others) or off; `none` leaves
    /// it to its organisation
    #[arg(long, value_name = "POLICY", value_parser = ["prefer", "require", "off", "none"])]
    pub(crate) own_keys: Option<String>,
    /// What it owes for requests on provider keys of its own, such as "5% + 0.001/request + 0.1/Mprompt + 0.2/Manswer";
    /// `none` for what the configuration says
    #[arg(long, value_name = "CHARGES", value_parser = charges_or_none)]
    pub(crate) surcharge: Option<Said<Charges>>,
    /// Dollars that it owes for the service each month (UTC), whatever it uses, from this month on; `none` for nothing
    #[arg(long, value_name = "USD")]
    pub(crate) subscription_usd: Option<String>,
    /// What requests cost beside the provider's cost: a percentage of it, such as 20, or -5 for a discount.
    /// This and the other three say all of the mark-up together: what is not said is zero
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    pub(crate) markup_percent: Option<String>,
    /// Dollars for each request
    #[arg(long, value_name = "USD")]
    pub(crate) markup_per_request_usd: Option<String>,
    /// Dollars for a million tokens of prompts
    #[arg(long, value_name = "USD")]
    pub(crate) markup_per_million_prompt_usd: Option<String>,
    /// Dollars for a million tokens of answers
    #[arg(long, value_name = "USD")]
    pub(crate) markup_per_million_answer_usd: Option<String>,
    /// Take the tenant's own mark-up away: the configured one holds
    #[arg(long, conflicts_with_all = ["markup_percent", "markup_per_request_usd", "markup_per_million_prompt_usd",
                                      "markup_per_million_answer_usd"])]
    pub(crate) no_markup: bool,
}

#[derive(Args)]
pub(crate) struct UpdateKeyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The key's public id: the twelve characters after `wb-`
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Refuse it until further notice
    #[arg(long, conflicts_with = "unblock")]
    pub(crate) block: bool,
    /// Let it in again
    #[arg(long)]
    pub(crate) unblock: bool,
}

/// What is to be different. `none` takes a restriction away.
#[derive(Args)]
pub(crate) struct ChangeArgs {
    /// A model that may be used, or a pattern such as `openai/*`; repeat for more. `all` for all
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Requests per minute, or `none`
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) rpm: Option<Said<u64>>,
    /// Tokens per minute, or `none`
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) tpm: Option<Said<u64>>,
    /// Dollars per minute such as 0.50, or `none`
    #[arg(long, value_name = "USD")]
    pub(crate) usd_per_minute: Option<String>,
    /// Requests at once, or `none`
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) concurrency: Option<Said<u64>>,
    /// A budget such as "usd=100 period=month zone=Europe/Berlin"; all of them: repeat for more. `none` for none
    #[arg(long = "budget", value_name = "BUDGET")]
    pub(crate) budgets: Vec<String>,
    /// A label that a provider must have to be sent anything, such as region=eu; all of them: repeat for more. `none` for none
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) require: Vec<String>,
    /// When it ends: a day such as 2027-01-31, an instant such as 2027-01-31T12:00:00Z, or `none`
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
}

/// A value, or that there is to be none.
#[derive(Clone, Copy)]
pub(crate) struct Said<T>(pub(crate) Option<T>);

fn charges_or_none(text: &str) -> Result<Said<Charges>, ChargesError> {
    match text {
        "none" => Ok(Said(None)),
        _ => text.parse().map(|charges| Said(Some(charges))),
    }
}

fn number_or_none(text: &str) -> Result<Said<u64>, String> {
    match text {
        "none" => Ok(Said(None)),
        _ => text.parse().map(|number| Said(Some(number))).map_err(|_| "a whole number, or none".to_owned()),
    }
}

#[derive(Args)]
pub(crate) struct NameArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The organisation or team
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct BlockArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The organisation or team
    pub(crate) name: String,
    /// Let its keys in again
    #[arg(long)]
    pub(crate) end: bool,
}

#[derive(Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The key's public id: the twelve characters after `wb-`
    pub(crate) id: String,
}

#[derive(Subcommand)]
pub(crate) enum PricesCommand {
    /// Show what a model costs, from when on, and where each figure is from
    Show(PricesShowArgs),
    /// Show how a price file, or a map as LiteLLM has it, differs from the present prices
    Diff(PricesDiffArgs),
    /// Take prices over from a file or an address
    ///
    /// What was dispatched before keeps its price. Jumps wait for approval: then it exits with 3.
    Update(PricesUpdateArgs),
    /// Price a period again, by the present prices or with a file's in their place, and change nothing
    Rerate(PricesRerateArgs),
}

#[derive(Args)]
pub(crate) struct PricesShowArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The model, as provider/model; without one, how many there are
    pub(crate) model: Option<String>,
    /// At this instant instead of now: 2026-11-26, or 2026-11-26T09:30:00Z
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
}

#[derive(Args)]
pub(crate) struct PricesDiffArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// A file, or an http or https address
    pub(crate) source: String,
}

#[derive(Args)]
pub(crate) struct PricesUpdateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// A file, or an http or https address
    #[arg(required_unless_present = "revert")]
    pub(crate) source: Option<String>,
    /// Take a model's held price over too, as provider/model, or `all`; repeat for more
    #[arg(long, value_name = "MODEL")]
    pub(crate) approve: Vec<String>,
    /// Show what would be taken over, and take nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go back to what was kept before the last update
    #[arg(long, conflicts_with_all = ["source", "approve", "dry_run"])]
    pub(crate) revert: bool,
}

#[derive(Args)]
pub(crate) struct PricesRerateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Requests that arrived at this instant or later: 2026-11-01, or 2026-11-01T00:00:00Z
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Timestamp,
    /// And before this one
    #[arg(long, value_name = "INSTANT")]
    pub(crate) to: Timestamp,
    /// Prices to put in the place of the present ones: a file, or an http or https address
    #[arg(long, value_name = "FILE")]
    pub(crate) book: Option<String>,
}

#[derive(Args)]
pub(crate) struct TranslateArgs {
    /// The protocol of the input
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol_parser())]
    pub(crate) from: Protocol,
    /// The protocol of the output
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol_parser())]
    pub(crate) to: Protocol,
    /// The input is a whole answer, or an error, not a request
    #[arg(long, conflicts_with_all = ["stream", "dialect"])]
    pub(crate) response: bool,
    /// The input is a streamed answer: server-sent events, an AWS event stream, or Gemini's JSON array
    #[arg(long, conflicts_with_all = ["dialect"])]
    pub(crate) stream: bool,
    /// The model as the target names it, if the request does not name it so; of an answer or a stream,
    /// the one that was asked for, where the source does not tell it
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Who serves the target's protocol, where that changes the request
    #[arg(long, value_name = "DIALECT", default_value = "native", value_parser = dialect_parser())]
    pub(crate) dialect: Dialect,
    /// The HTTP status that the answer came with; from 400 on it is an error, whatever it says
    #[arg(long, value_name = "CODE", default_value_t = 200, requires = "response",
          value_parser = clap::value_parser!(u16).range(100..600))]
    pub(crate) status: u16,
    /// Write Gemini's stream as a JSON array, not as server-sent events
    #[arg(long, requires = "stream")]
    pub(crate) json_array: bool,
    /// What happens when something is lost: allow says nothing, warn names it, reject writes no result
    #[arg(long, value_name = "POLICY", default_value = "warn", value_parser = loss_policy_parser())]
    pub(crate) loss_policy: LossPolicy,
    /// The file to read; standard input, if not said
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Reads a protocol's name; a wrong one is answered with all of them.
pub(crate) fn protocol_parser() -> impl TypedValueParser<Value = Protocol> {
    PossibleValuesParser::new(Protocol::ALL.map(Protocol::as_str))
        .try_map(|name| Protocol::from_name(&name).ok_or("no protocol of that name"))
}

fn dialect_parser() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::as_str))
        .try_map(|name| Dialect::from_name(&name).ok_or("no dialect of that name"))
}

fn loss_policy_parser() -> impl TypedValueParser<Value = LossPolicy> {
    PossibleValuesParser::new(
        [LossPolicy::Allow, LossPolicy::Warn, LossPolicy::Reject].map(LossPolicy::as_str),
    )
    .try_map(|name| LossPolicy::from_name(&name).ok_or("no policy of that name"))
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Run a script, compare the ledger with the simulated invoices, and exit: 1 if they differ
    #[arg(long)]
    pub(crate) tour: bool,
    /// Listen here; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// Writes a line to standard output. A reader that has gone away is not our failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes an error with its causes to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "weighbridge: {error:#}");
}
