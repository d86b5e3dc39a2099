//! Credentials that are issued for a while: where they come from, and how they are renewed.
//!
//! A [`CredentialSource`] says who issues them: AWS's STS and metadata services, Google's token endpoint
//! and metadata server, Microsoft Entra. An [`IssuedCredential`] keeps what came last and renews it:
//!
//! - **Before it ends.** A fifth of its life before, and at most five minutes, the next one is asked for
//!   beside the requests, which go on with the one at hand.
//! - **Once.** However many requests wait, on however many runtimes, the issuer is asked by one.
//! - **Without haste.** After a failure the issuer is left alone for 1 s, then 2 s, up to a minute; the
//!   credential at hand is used for as long as it is valid.
//! - **When it is refused.** A credential that a provider does not accept, though it should be valid, is
//!   replaced at once, at most twice a minute.
//!
//! What decides is pure (`renewal.rs`, and of each source what it asks and how it reads the answer); only
//! `client.rs` and `issued.rs` wait, and only files of tokens are read, anew each time, because whoever
//! writes them rotates them.
//!
//! Issuers are named by the operator, not by clients: they are called wherever they are, private
//! addresses included. Those that are reached by HTTPS are reached through a proxy where one is configured; those that
//! are not, and metadata services, are on this machine or beside it. An answer may have 64 KiB.

mod aws;
mod client;
mod entra;
mod error;
mod form;
mod google;
mod issued;
mod jwt;
mod oauth;
mod renewal;
mod source;

pub use aws::{AssumeRole, AwsSource, ContainerKeys, InstanceKeys, WebIdentity};
pub use entra::{EntraClient, EntraProof, EntraSource, ManagedIdentity};
pub use error::CredentialError;
pub use google::{GoogleMetadata, GoogleSource};
pub use issued::{IssueOptions, IssuedCredential};
pub use source::CredentialSource;
