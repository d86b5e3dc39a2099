//! Arguments of `weighbridge ledger`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ConfigArgs, ListArgs};

#[derive(Subcommand)]
pub(crate) enum LedgerCommand {
    /// Check hash chains and balances; exits with 1 if anything is wrong
    Verify(VerifyArgs),
    /// Show every account that ever moved
    Balances(ListArgs),
    /// Show what each ended attempt used and cost
    Attempts(ListArgs),
    /// Show what a tenant owes, or has paid in advance
    Balance(BalanceArgs),
    /// Enter a tenant's payment
    Fund(FundArgs),
    /// Give a tenant something that it did not pay
    Credit(FundArgs),
    /// Put something right: above zero in the tenant's favour, below zero at its expense
    Adjust(FundArgs),
    /// Enter that a tenant was paid back what it had paid
    Refund(RefundArgs),
    /// Show what moved a tenant's wallet in a period
    Statement(StatementArgs),
    /// Write the whole journal, decoded: JSON Lines, or CSV with a line for each transfer
    Export(ExportArgs),
    /// Compare the ledger with a provider's export of usage or costs; exits with 1 unless it balances
    Reconcile(ReconcileArgs),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Only what was written since the last seal
    #[arg(long)]
    pub(crate) since_seal: bool,
}

#[derive(Args)]
pub(crate) struct BalanceArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Whose wallet
    #[arg(long)]
    pub(crate) tenant: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct FundArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Whose wallet
    #[arg(long)]
    pub(crate) tenant: String,
    /// Dollars, such as 25.00
    #[arg(long, value_name = "USD", allow_hyphen_values = true)]
    pub(crate) amount_usd: String,
    /// Why, in a few words, such as an invoice's number
    #[arg(long)]
    pub(crate) reason: String,
    /// A UUID that names the act: repeated under the same one, it takes effect once. A new one, if not said
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<String>,
    /// The book that the tenant owes in: platform, or surcharge for tenants with provider keys of their own
    #[arg(long, value_name = "BOOK", default_value = "platform", value_parser = ["platform", "surcharge"])]
    pub(crate) book: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RefundArgs {
    #[command(flatten)]
    pub(crate) fund: FundArgs,
    /// The id of the payment that is paid back; all refunds together never exceed it
    #[arg(long, value_name = "UUID")]
    pub(crate) of: String,
}

#[derive(Args)]
pub(crate) struct StatementArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Whose wallet
    #[arg(long)]
    pub(crate) tenant: String,
    /// From this day on (UTC), such as 2026-11-01
    #[arg(long, value_name = "DAY")]
    pub(crate) from: String,
    /// Before this day (UTC)
    #[arg(long, value_name = "DAY")]
    pub(crate) to: String,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: StatementFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StatementFormat {
    /// For people
    Text,
    /// A line for each line
    Csv,
    /// One document
    Json,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// How it is written
    #[arg(long, value_enum)]
    pub(crate) format: JournalFormat,
    /// Only rows with numbers above this one
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    pub(crate) after: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum JournalFormat {
    /// A line for each transfer
    Csv,
    /// A document for each row, one on a line
    Json,
}

#[derive(Args)]
pub(crate) struct ReconcileArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Whose export it is
    #[arg(long, value_enum)]
    pub(crate) provider: ExportProvider,
    /// The export: pages as the provider's API gives them, or lines of single requests
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What the configuration calls the provider, if not `openai` or `anthropic`
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ExportProvider {
    /// Organization usage of completions, or costs
    Openai,
    /// The usage report of messages, or the cost report
    Anthropic,
}
