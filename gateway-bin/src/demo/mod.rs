//! `weighbridge demo`: simulated providers, a gateway in front of them, a key with a budget.

mod reconcile;
mod script;
mod tour;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use tempfile::TempDir;
use tokio::net::TcpListener;
use weighbridge_admin::{Actor, NewKey};
use weighbridge_config::{Process, Source};
use weighbridge_simulator::{Simulator, Vendor};

use crate::assembly::{self, Running};
use crate::cli::{DemoArgs, say};
use crate::serve::runtime;

/// What the demo's key may spend in a month, in dollars.
const BUDGET_USD: &str = "1.00";

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let demo = Demo::start(args.listen, args.tour).await?;
        let code = if args.tour { tour::run(&demo).await? } else { demo.invite().await? };
        demo.stop().await?;
        Ok(code)
    })
}

/// A gateway over simulated providers. Its ledger goes with its folder.
pub(crate) struct Demo {
    pub(crate) openai: Simulator,
    pub(crate) anthropic: Simulator,
    pub(crate) running: Running,
    folder: TempDir,
}

impl Demo {
    async fn start(listen: SocketAddr, quiet: bool) -> anyhow::Result<Self> {
        let (openai, openai_at) = provider(Vendor::OpenAi).await?;
        let (anthropic, anthropic_at) = provider(Vendor::Anthropic).await?;
        let folder = tempfile::tempdir().context("no temporary folder can be made")?;
        let text = configuration(listen, openai_at, anthropic_at, quiet);
        // The same way as a file: what a newcomer sees is what the configuration can say.
        let source = Source { name: "demo.toml", text: &text, folder: folder.path() };
        let config = weighbridge_config::load(Some(source), &Process)
            .map_err(|error| anyhow::anyhow!("the demo's configuration is wrong\n{}", error.render(false)))?;
        let running = assembly::start(config).await?;
        Ok(Self { openai, anthropic, running, folder })
    }

    /// Makes a key and gives its text.
    pub(crate) async fn key(&self, name: &str, budget_usd: &str) -> anyhow::Result<String> {
        let wanted = NewKey { budget_usd: Some(budget_usd.into()), ..NewKey::named(name, "demo") };
        Ok(self.running.admin.create_key(&Actor::installation("demo"), wanted).await?.expose().to_owned())
    }

    /// Prints what to paste, and waits for Ctrl-C.
    async fn invite(&self) -> anyhow::Result<ExitCode> {
        let base = format!("http://{}", self.running.address()?);
        let key = self.key("demo", BUDGET_USD).await?;
        say(format_args!(
            "Weighbridge is running in front of two simulated providers.

  base URL   {base}
  key        {key}
  budget     {BUDGET_USD} USD a month
  models     fast (OpenAI, Anthropic as fallback), smart (Anthropic, OpenAI as fallback),
             and any provider/model, such as anthropic/claude-haiku-4-5
  ledger     {}

Ask the Anthropic provider with OpenAI's protocol, streamed:

  curl -N {base}/v1/chat/completions -H 'authorization: Bearer {key}' \\
    -d '{{\"model\": \"smart\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"words:20\"}}]}}'

The same with the OpenAI SDK:

  python3 -c 'from openai import OpenAI; c = OpenAI(base_url=\"{base}/v1\", api_key=\"{key}\"); \\
    [print(e.choices[0].delta.content or \"\", end=\"\") for e in c.chat.completions.create(model=\"smart\", \\
    stream=True, messages=[{{\"role\": \"user\", \"content\": \"words:20\"}}])]'

And the OpenAI provider with Anthropic's:

  curl -si {base}/v1/messages -H 'x-api-key: {key}' \\
    -d '{{\"model\": \"fast\", \"max_tokens\": 100, \"messages\": [{{\"role\": \"user\", \"content\": \"echo:Hello\"}}]}}'

The headers of each answer say what it cost and where it went; `curl {base}/metrics` shows the sums.
Ctrl-C ends it.",
            self.folder.path().join("weighbridge.db").display()
        ));
        tokio::signal::ctrl_c().await?;
        say("\nDraining, settling, removing the temporary folder.");
        Ok(ExitCode::SUCCESS)
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.running.stop().await?;
        self.folder.close().context("the temporary folder cannot be removed")
    }
}

/// A simulated provider on a port of its own.
async fn provider(vendor: Vendor) -> anyhow::Result<(Simulator, SocketAddr)> {
    let simulator = Simulator::new(vendor);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let serving = simulator.clone();
    tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
    Ok((simulator, address))
}

fn configuration(listen: SocketAddr, openai: SocketAddr, anthropic: SocketAddr, quiet: bool) -> String {
    format!(
        r#"
[server]
listen = "{listen}"
metrics = "/metrics"

[storage]
url = "sqlite:weighbridge.db"

[log]
level = "warn"
requests = {requests}

[providers.openai]
base_url = "http://{openai}/v1"
api_keys = ["sk-simulated"]

[providers.anthropic]
base_url = "http://{anthropic}"
api_keys = ["sk-ant-simulated"]

[models.fast]
targets = [{{ model = "openai/gpt-4o-mini" }}]
fallbacks = ["anthropic/claude-haiku-4-5"]

[models.smart]
targets = [{{ model = "anthropic/claude-haiku-4-5" }}]
fallbacks = ["openai/gpt-4o-mini"]
"#,
        requests = !quiet
    )
}
