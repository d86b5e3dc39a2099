//! Fetching content from addresses that strangers name.

mod address;
mod resolve;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;
use weighbridge_transport::{
    BoxFuture, Fetch, FetchBounds, FetchError, Fetched, MediaType, Post, Rope, Unread, read_whole,
};

use crate::Tls;
use crate::answer::with_causes;
use crate::dial::dial_any;
use crate::tls::HTTP1;

pub use address::{AddressPolicy, Purpose, special_purpose};
pub use resolve::{Resolve, SystemResolver};
use target::{Host, Target};

/// What a [`GuardedFetch`] tells about itself.
const NAME: &str = concat!("weighbridge/", env!("CARGO_PKG_VERSION"));

/// Where a [`GuardedFetch`] may go.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Which addresses are connected to.
    pub addresses: AddressPolicy,
    /// Which ports are connected to.
    pub ports: Vec<u16>,
    /// Largest head of an answer, in bytes. It may have 100 header lines, which is hyper's bound.
    pub head_bytes: usize,
    /// Whom encrypted connections trust.
    pub tls: Tls,
}

impl Default for FetchOptions {
    /// Public addresses at the usual ports.
    fn default() -> Self {
        Self {
            addresses: AddressPolicy::public_only(),
            ports: vec![80, 443],
            head_bytes: 32 * 1024,
            tls: Tls::default(),
        }
    }
}

/// Fetches from public addresses only, whatever a URL says.
///
/// Against a URL that is meant to lead into the operator's own network:
///
/// - A URL that two readers could read differently is refused: see `target.rs`.
/// - **Every address of a name is checked, and a checked address is connected to.** The name is not
///   looked up again, so it cannot lead elsewhere a moment later. One refused address refuses the
///   name: who mixes public and private ones means no good.
/// - Each redirect is checked like the first URL; one from https to http is not followed.
/// - The environment's proxies are not used, and no credentials, cookies or referrers are sent.
///
/// Against a server that means no good: bounds on bytes, time, head and redirects; no compression,
/// so that bytes are what they are; a connection for one request, so that nothing is left open.
///
/// It needs a tokio runtime with I/O and time, whichever calls it.
///
/// ```
/// use weighbridge_upstream::{AddressPolicy, FetchOptions, GuardedFetch};
///
/// // Public addresses, and one network of the company's own.
/// let addresses = AddressPolicy::allowing(["10.20.0.0/16".parse()?]);
/// let fetch = GuardedFetch::new(FetchOptions { addresses, ..FetchOptions::default() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GuardedFetch {
    options: FetchOptions,
    protocol: http1::Builder,
    resolver: Arc<dyn Resolve>,
}

/// What one request brought.
enum Outcome {
    Content(Fetched),
    Moved(Target),
}

impl GuardedFetch {
    /// One that asks the operating system for addresses.
    pub fn new(options: FetchOptions) -> Self {
        Self::resolving_by(options, SystemResolver)
    }

    /// One that asks `resolver` for addresses.
    pub fn resolving_by(options: FetchOptions, resolver: impl Resolve + 'static) -> Self {
        let mut protocol = http1::Builder::new();
        protocol.max_header_size(options.head_bytes);
        Self { options, protocol, resolver: Arc::new(resolver) }
    }

    async fn follow(&self, url: &str, bounds: &FetchBounds) -> Result<Fetched, FetchError> {
        let mut target = Target::parse(url)?;
        for _ in 0..=bounds.redirects {
            match self.get(&target, bounds).await? {
                Outcome::Content(fetched) => return Ok(fetched),
                Outcome::Moved(next) if target.encrypted && !next.encrypted => {
                    return Err(FetchError::Downgrade { host: target.host.to_string() });
                }
                Outcome::Moved(next) => target = next,
            }
        }
        Err(FetchError::TooManyRedirects { most: bounds.redirects })
    }

    async fn get(&self, target: &Target, bounds: &FetchBounds) -> Result<Outcome, FetchError> {
        // The connection ends with this call, however it ends.
        let mut connections = JoinSet::new();
        let request = request(target, bounds).map_err(|error| broken(target, error.to_string()))?;
        let response = self.send(target, request, &mut connections).await?;
        match response.status() {
            StatusCode::OK => read(response, target, bounds).await.map(Outcome::Content),
            status => match redirect(status, response.headers()) {
                Some(location) => target.join(location).map(Outcome::Moved),
                None => Err(FetchError::Status { host: target.host.to_string(), status }),
            },
        }
    }

    /// Sends a request on a connection of its own, and waits for the head of the answer.
    async fn send(
        &self,
        target: &Target,
        request: Request<Rope>,
        connections: &mut JoinSet<()>,
    ) -> Result<Response<Incoming>, FetchError> {
        let broken = |message: String| broken(target, message);
        if !self.options.ports.contains(&target.port) {
            return Err(FetchError::Port { port: target.port });
        }
        let addresses = self.addresses(target).await?;
        let stream = dial_any(addresses).await.map_err(|error| broken(error.to_string()))?;
        let sender = if target.encrypted {
            let name = match &target.host {
                Host::Name(name) => name.clone(),
                Host::Address(address) => address.to_string(),
            };
            let stream = self.options.tls.handshake(&name, stream, &[HTTP1]).await.map_err(broken)?;
            self.open(TokioIo::new(stream), connections).await
        } else {
            self.open(TokioIo::new(stream), connections).await
        };
        let mut sender = sender.map_err(broken)?;
        sender.send_request(request).await.map_err(|error| broken(with_causes(&error)))
    }

    /// The addresses of the target's host, all of them checked.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let refused = || FetchError::Address { host: target.host.to_string() };
        let found = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.resolver.resolve(name).await.map_err(|error| {
                tracing::debug!(name, %error, "a host to fetch from has no address");
                refused()
            })?,
        };
        let check = |address| {
            self.options.addresses.check(address).map(|address| SocketAddr::new(address, target.port))
        };
        let checked = found.into_iter().map(check).collect::<Result<Vec<_>, _>>();
        match checked {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(refused()),
            Err(purpose) => {
                let host = target.host.to_string();
                tracing::debug!(host, %purpose, "a host to fetch from has an address that is not called");
                Err(refused())
            }
        }
    }

    async fn open<S>(
        &self,
        stream: S,
        connections: &mut JoinSet<()>,
    ) -> Result<http1::SendRequest<Rope>, String>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) =
            self.protocol.handshake(stream).await.map_err(|error| with_causes(&error))?;
        connections.spawn(async move {
            // Whoever waits for the answer gets the error.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

impl Fetch for GuardedFetch {
    fn fetch<'a>(
        &'a self,
        url: &'a str,
        bounds: &'a FetchBounds,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(async move {
            let fetching = timeout(bounds.time, self.follow(url, bounds)).await;
            fetching.unwrap_or(Err(FetchError::TimedOut { after: bounds.time }))
        })
    }
}

impl Post for GuardedFetch {
    fn post<'a>(
        &'a self,
        url: &'a str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        time: Duration,
    ) -> BoxFuture<'a, Result<StatusCode, FetchError>> {
        Box::pin(async move {
            let posting = async {
                let target = Target::parse(url)?;
                let request = posted(&target, headers, body);
                let request = request.map_err(|error| broken(&target, error.to_string()))?;
                let mut connections = JoinSet::new();
                Ok(self.send(&target, request, &mut connections).await?.status())
            };
            timeout(time, posting).await.unwrap_or(Err(FetchError::TimedOut { after: time }))
        })
    }
}

fn broken(target: &Target, message: String) -> FetchError {
    FetchError::Broken { host: target.host.to_string(), message }
}

/// What is posted.
fn posted(
    target: &Target,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
) -> Result<Request<Rope>, http::Error> {
    let mut parts = Parts::default();
    parts.path_and_query = Some(target.path.clone());
    let length = body.len();
    let mut rope = Rope::new();
    rope.push(body);
    let mut request = Request::post(Uri::from_parts(parts)?)
        .header(HOST, target.authority())
        .header(USER_AGENT, NAME)
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, length)
        .header(CONNECTION, "close")
        .body(rope)?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// The request, which says nothing about who asked for it.
fn request(target: &Target, bounds: &FetchBounds) -> Result<Request<Rope>, http::Error> {
    let mut parts = Parts::default();
    parts.path_and_query = Some(target.path.clone());
    Request::get(Uri::from_parts(parts)?)
        .header(HOST, target.authority())
        .header(USER_AGENT, NAME)
        .header(ACCEPT, bounds.accept.to_string())
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
        .body(Rope::new())
}

/// Where an answer sends on to, if it does.
fn redirect(status: StatusCode, headers: &HeaderMap) -> Option<&str> {
    match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => text(headers, LOCATION),
        _ => None,
    }
}

/// Reads content, no further than its bounds.
async fn read(
    response: Response<Incoming>,
    target: &Target,
    bounds: &FetchBounds,
) -> Result<Fetched, FetchError> {
    let (head, body) = response.into_parts();
    let host = || target.host.to_string();
    let is_plain = |name, plain: &str| {
        head.headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(plain.as_bytes()))
    };
    if !is_plain(CONTENT_ENCODING, "identity") || !is_plain(TRANSFER_ENCODING, "chunked") {
        return Err(FetchError::Compressed { host: host() });
    }
    // A type that cannot be read says as little as none.
    let claimed: Option<MediaType> = text(&head.headers, CONTENT_TYPE).and_then(|kind| kind.parse().ok());
    if let Some(claimed) = &claimed
        && !bounds.accept.may_take(Some(claimed))
    {
        return Err(bounds.unwanted(claimed.clone()));
    }
    let announced = text(&head.headers, CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > bounds.bytes as u64) {
        return Err(FetchError::TooLarge { most: bounds.bytes });
    }
    let content = read_whole(body, bounds.bytes, 0).await.map_err(|why| match why {
        Unread::TooLarge => FetchError::TooLarge { most: bounds.bytes },
        Unread::Broken(error) => FetchError::Broken { host: host(), message: with_causes(&error) },
    })?;
    bounds.settle(claimed.as_ref(), content)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    // A redirect may be in UTF-8, which `to_str` refuses.
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}
