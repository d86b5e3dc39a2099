//! Serves simulated providers: `weighbridge-simulator --openai 127.0.0.1:0 --anthropic 127.0.0.1:0`.
//! Each vendor has a flag of its name.
//!
//! Once both listen, one line of JSON says where:
//! `{"openai":"http://127.0.0.1:40001","anthropic":"http://127.0.0.1:40002"}`. It ends with SIGINT or
//! SIGTERM, or, with `--until-stdin-closes`, when whoever started it goes away.
//!
//! With `--tls-cert` and `--tls-key`, PEM files, all of them speak TLS, and HTTP/2 with who prefers it.

use std::error::Error as StdError;
use std::io::{Error, ErrorKind, Result, Write as _};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use weighbridge_simulator::{Simulator, Vendor};

const USAGE: &str = "usage: weighbridge-simulator [--openai|--anthropic|--google|--aws|--azure ADDRESS:PORT]... \
                     [--tls-cert FILE --tls-key FILE] [--until-stdin-closes]\nPort 0 takes any free one.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut servers = Vec::new();
    let mut until_stdin_closes = false;
    let (mut certificate, mut key) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--until-stdin-closes" {
            until_stdin_closes = true;
            continue;
        }
        if let "--tls-cert" | "--tls-key" = argument.as_str() {
            let path = arguments.next().ok_or_else(|| Error::new(ErrorKind::InvalidInput, USAGE))?;
            *(if argument == "--tls-cert" { &mut certificate } else { &mut key }) =
                Some(std::fs::read(path)?);
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

    let tls = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(acceptor(&certificate, &key).map_err(Error::other)?),
        _ => return Err(Error::new(ErrorKind::InvalidInput, USAGE)),
    };
    let scheme = if tls.is_some() { "https" } else { "http" };

    let mut ready = serde_json::Map::new();
    let mut serving = tokio::task::JoinSet::new();
    for (vendor, listener) in servers {
        let url = format!("{scheme}://{}", listener.local_addr()?);
        ready.insert(vendor.as_str().to_owned(), url.into());
        let tls = tls.clone();
        serving.spawn(async move {
            let simulator = Simulator::new(vendor);
            match tls {
                None => simulator.serve(listener, std::future::pending()).await,
                Some(tls) => simulator.serve_tls(listener, tls, std::future::pending()).await,
            }
        });
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

fn acceptor(
    certificate: &[u8],
    key: &[u8],
) -> std::result::Result<TlsAcceptor, Box<dyn StdError + Send + Sync>> {
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<std::result::Result<_, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut byte = [0];
    while matches!(stdin.read(&mut byte).await, Ok(1..)) {}
}
