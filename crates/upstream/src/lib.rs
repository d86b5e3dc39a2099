//! Connections to providers, and to wherever content is fetched from.
//!
//! [`HttpTransport`] is the [`Transport`](weighbridge_transport::Transport) over real sockets:
//! HTTP/1.1 and HTTP/2, TLS by rustls, proxies, and a small pool of kept-alive connections. It moves bytes
//! and knows no policy:
//!
//! - It **never sends a request twice** that may have left this machine. A kept connection that
//!   turns out closed before a byte was written is replaced silently, and so is an HTTP/2 connection whose
//!   server says that it has not looked at the request; anything else is the caller's to judge, by
//!   [`Consumed`](weighbridge_transport::Consumed).
//! - **Dropping cancels.** Who drops the future of a request, or the body of its answer before the
//!   end, closes the connection or resets the stream, and the provider sees it.
//! - **Only the configured providers are called.** [`AllowedOrigins`] lists them; any other address
//!   is refused before a name is resolved.
//! - **What is signed is what is sent.** A request may bring its
//!   [`Signer`](weighbridge_transport::Signer), for instance an [`AwsSigner`]: it signs the path, the
//!   `host` header and the bytes that go over the wire, last of all.
//! - The time-outs here are those of connections: making one, keeping one, asking one whether it is alive.
//!   Those of requests belong to the caller.
//! - Each origin may have [`OriginOptions`]: a version of HTTP, roots and a client certificate, a proxy.
//! - **Issued credentials are renewed.** An [`IssuedCredential`] gets access tokens and temporary keys
//!   from whoever issues them, before they end, once for however many requests.
//!
//! [`GuardedFetch`] is the [`Fetch`](weighbridge_transport::Fetch) over real sockets. Its URLs come from
//! strangers, so it shares no list and no connection with the transport: it goes to public addresses
//! only, by [`AddressPolicy`].
//!
//! Make one transport per runtime. Instances share nothing but the list of origins and the TLS
//! roots, so that a request never leaves its core and the locks inside are never contended.
//!
//! ```
//! use weighbridge_upstream::{AllowedOrigins, HttpTransport, TransportOptions};
//!
//! let origins = AllowedOrigins::of(["https://api.openai.com/v1", "http://127.0.0.1:9000"])?;
//! let per_core: Vec<HttpTransport> = (0..2)
//!     .map(|_| HttpTransport::new(origins.clone(), TransportOptions::default()))
//!     .collect();
//! # assert_eq!(per_core.len(), 2);
//! # Ok::<(), weighbridge_upstream::UpstreamError>(())
//! ```

mod allowed;
mod answer;
mod aws;
mod connect;
mod credentials;
mod decoded;
mod decoder;
mod dial;
mod error;
mod failure;
mod fetch;
mod names;
mod origin;
mod pool;
mod proxy;
mod proxy_environment;
mod tls;
mod transport;
mod tunnel;

pub use allowed::{AllowedOrigins, HttpVersion, OriginOptions};
pub use aws::{AwsCredentials, AwsSigner};
pub use credentials::{
    AssumeRole, AwsSource, ContainerKeys, CredentialError, CredentialSource, EntraClient, EntraProof,
    EntraSource, GoogleMetadata, GoogleSource, InstanceKeys, IssueOptions, IssuedCredential, ManagedIdentity,
    WebIdentity,
};
pub use error::UpstreamError;
pub use fetch::{
    AddressPolicy, FetchOptions, GuardedFetch, Purpose, Resolve, SystemResolver, special_purpose,
};
pub use origin::Origin;
pub use proxy::Proxy;
pub use proxy_environment::{ProxyChoice, ProxyEnvironment};
pub use tls::Tls;
pub use transport::{HttpTransport, TransportOptions};
