//! Connections to providers, and to wherever content is fetched from.
//!
//! [`HttpTransport`] is the [`Transport`](weighbridge_transport::Transport) over real sockets:
//! HTTP/1.1, TLS by rustls, and a small pool of kept-alive connections. It moves bytes and knows no
//! policy:
//!
//! - It **never sends a request twice** that may have left this machine. A kept connection that
//!   turns out closed before a byte was written is replaced silently; anything later is the
//!   caller's to judge, by [`Consumed`](weighbridge_transport::Consumed).
//! - **Dropping cancels.** Who drops the future of a request, or the body of its answer before the
//!   end, closes the connection, and the provider sees it.
//! - **Only the configured providers are called.** [`AllowedOrigins`] lists them; any other address
//!   is refused before a name is resolved.
//! - **What is signed is what is sent.** A request may bring its
//!   [`Signer`](weighbridge_transport::Signer), for instance an [`AwsSigner`]: it signs the path, the
//!   `host` header and the bytes that go over the wire, last of all.
//! - The only time-out here is the one of connecting. All others belong to the caller.
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

mod answer;
mod aws;
mod dial;
mod error;
mod fetch;
mod origin;
mod pool;
mod tls;
mod transport;
mod tunnel;

pub use aws::{AwsCredentials, AwsSigner};
pub use error::UpstreamError;
pub use fetch::{
    AddressPolicy, FetchOptions, GuardedFetch, Purpose, Resolve, SystemResolver, special_purpose,
};
pub use origin::{AllowedOrigins, Origin};
pub use tls::Tls;
pub use transport::{HttpTransport, TransportOptions};
