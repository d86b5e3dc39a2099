//! Arguments of `weighbridge usage` and `weighbridge explain`.

use clap::Args;

use super::ConfigArgs;

#[derive(Args)]
pub(crate) struct UsageArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Told apart by key, team, organisation, model, provider or day; or, as far as the request log goes back, by
    /// alias, end-user or tag:NAME. By key, if not said; savings by alias
    #[arg(long, value_name = "WHAT")]
    pub(crate) by: Option<String>,
    /// From this day or instant on (UTC), such as 2026-11-01; the first of the month, if not said
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Before this day or instant (UTC); until now, if not said
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Of one key only: the twelve characters after `wb-`
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
    /// What models with a `baseline` cost, and would have cost there
    #[arg(long)]
    pub(crate) savings: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print comma-separated values
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The request's id: what `x-request-id` said
    pub(crate) request: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
