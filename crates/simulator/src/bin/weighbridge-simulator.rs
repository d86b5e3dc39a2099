//! Serves simulated providers: `weighbridge-simulator --openai 127.0.0.1:0 --anthropic 127.0.0.1:0`.
//! Each vendor has a flag of its name.
//!
//! Once both listen, one line of JSON says where:
//! `{"openai":"http://127.0.0.1:40001","anthropic":"http://127.0.0.1:40002"}`. It ends with SIGINT or
//! SIGTERM, or, with `--until-stdin-closes`, when whoever started it goes away.

use std::io::{Error, ErrorKind, Result, Write as _};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use weighbridge_simulator::{Simulator, Vendor};

const USAGE: &str = "usage: weighbridge-simulator [--openai|--anthropic|--google|--aws|--azure ADDRESS:PORT]... \
                     [--until-stdin-closes]\nPort 0 takes any free one.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut servers = Vec::new();
    let mut until_stdin_closes = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--until-stdin-closes" {
            until_stdin_closes = true;
            continue;
        }
        let named = |vendor: &Vendor| argument.strip_prefix("--") == Some(vendor.as_str());
        let vendor =
            Vendor::ALL.into_iter().find(named).ok_or_else(|| Error::new(ErrorKind::InvalidInput, USAGE))?;
        let address = arguments.next().ok_or_else(|| Error::new(ErrorKind::InvalidInput, USAGE))?;
        servers.push((vendor, TcpListener::bind(&address).await?));
    }
    if servers.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, USAGE));
    }

    let mut ready = serde_json::Map::new();
    let mut serving = tokio::task::JoinSet::new();
    for (vendor, listener) in servers {
        let url = format!("http://{}", listener.local_addr()?);
        ready.insert(vendor.as_str().to_owned(), url.into());
        serving.spawn(async move { Simulator::new(vendor).serve(listener, std::future::pending()).await });
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::Value::Object(ready))?;
    stdout.flush()?;
    drop(stdout);

    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        failed = serving.join_next() => match failed {
            Some(Ok(result)) => result,
            _ => Ok(()),
        },
        _ = terminated.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
        () = stdin_closed(), if until_stdin_closes => Ok(()),
    }
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut byte = [0];
    while matches!(stdin.read(&mut byte).await, Ok(1..)) {}
}
