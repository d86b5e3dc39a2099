//! The whole gateway inside another hyper service: `/llm/…` is the gateway's, everything else is ours.
//!
//! The providers are simulated and in process; with `weighbridge_upstream::HttpTransport` in their
//! place, they are real. The example asks itself one question and ends.
//!
//! ```console
//! $ cargo run -p weighbridge-examples --example whole_gateway
//! ```

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use weighbridge_access::{Directory, KEY_RANDOM_BYTES, Pepper, TenantName, VirtualKey, mint_key};
use weighbridge_gateway::{Gateway, GatewayService};
use weighbridge_ledger::{Ledger, MemoryLedger};
use weighbridge_pipeline::settings::{ProviderCredential, ProviderSettings, Settings};
use weighbridge_pipeline::{Parts, Pipeline, SystemEnv};
use weighbridge_pricing::PriceBook;
use weighbridge_records::MemoryRequestLog;
use weighbridge_simulator::{Network, Simulator, Vendor};
use weighbridge_transport::Transport;
use weighbridge_units::Timestamp;

const PEPPER: [u8; 32] = [7; 32];
const QUESTION: &str =
    r#"{"model": "anthropic/claude-haiku-4-5", "messages": [{"role": "user", "content": "echo:Hello"}]}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = Arc::new(Directory::new(Pepper::new(&PEPPER)?));
    let key = add_key(&directory)?;
    let transport: Arc<dyn Transport> =
        Arc::new(Network::new().with("api.anthropic.com", &Simulator::new(Vendor::Anthropic)));
    let gateway = Gateway::builder(pipeline(directory)?).service(transport, IpAddr::V4(Ipv4Addr::LOCALHOST));

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, gateway));

    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(connection);
    let request = Request::post("/llm/v1/chat/completions")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::new(Bytes::from(QUESTION)))?;
    let response = client.send_request(request).await?;
    println!("{} for {} USD", response.status(), response.headers()["x-gateway-cost-usd"].to_str()?);
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}

/// A server of one's own, with the gateway below one of its paths.
async fn serve(listener: TcpListener, gateway: GatewayService<Pipeline>) {
    while let Ok((stream, _)) = listener.accept().await {
        let gateway = gateway.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let gateway = gateway.clone();
            async move {
                let Some(path) = request.uri().path().strip_prefix("/llm").map(str::to_owned) else {
                    return Ok(Response::new(Either::Left(Full::new(Bytes::from("my own page")))));
                };
                *request.uri_mut() = path.parse::<Uri>().unwrap_or_default();
                gateway.call(request).await.map(|response| response.map(Either::Right))
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

fn pipeline(directory: Arc<Directory>) -> Result<Pipeline, Box<dyn Error>> {
    let preset = weighbridge_catalogue::preset("anthropic").ok_or("a preset")?;
    let provider = ProviderSettings {
        credentials: vec![ProviderCredential::key("sk-simulated".to_owned())],
        ..ProviderSettings::of(preset, preset.base_url.ok_or("an address")?)
    };
    let settings = Settings { providers: vec![provider], ..Settings::default() };
    let parts = Parts {
        env: Arc::new(SystemEnv::new(1)),
        directory,
        ledger: Ledger::new(Arc::new(MemoryLedger::new()), 1_000),
        prices: Arc::new(PriceBook::builtin()?),
        log: Arc::new(MemoryRequestLog::new(1_000)),
        fetch: None,
        observers: Vec::new(),
        keeping: None,
        fleet: None,
    };
    Ok(Pipeline::new(&settings, parts)?)
}

/// A key without limits; a real one takes its bytes from the operating system's random source.
fn add_key(directory: &Directory) -> Result<String, Box<dyn Error>> {
    let minted = mint_key(&[42; KEY_RANDOM_BYTES], &Pepper::new(&PEPPER)?);
    let key = VirtualKey::new(minted.id, "mine", TenantName::new("me")?, minted.hash, Timestamp::default());
    directory.refresh(vec![key], Vec::new());
    Ok(minted.expose().to_owned())
}
