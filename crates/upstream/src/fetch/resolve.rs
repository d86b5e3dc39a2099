//! Finding the addresses of a name.

use std::io;
use std::net::IpAddr;

use tokio::net::lookup_host;
use weighbridge_transport::BoxFuture;

/// Finds the addresses of a name; tests bring their own.
pub trait Resolve: Send + Sync {
    /// All addresses of `name`, in the order in which they should be tried.
    ///
    /// # Errors
    /// Whatever keeps the resolver from an answer; a name without addresses may be an error or none.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // It takes no name without a port; which one does not matter.
            let found = lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
