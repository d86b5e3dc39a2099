//! Keys of an AWS account that are issued for a while.

mod answers;
mod metadata;
mod sts;

use std::time::SystemTime;

use weighbridge_transport::BoxFuture;

pub use metadata::{ContainerKeys, InstanceKeys};
pub use sts::{AssumeRole, WebIdentity};

use super::client::Client;
use crate::{AwsCredentials, CredentialError};

/// Who gives keys of an AWS account.
#[non_exhaustive]
pub enum AwsSource {
    /// Nobody: they are fixed.
    Static(AwsCredentials),
    /// STS, for a token that somebody else issues.
    WebIdentity(WebIdentity),
    /// The metadata service of an instance.
    Instance(InstanceKeys),
    /// The metadata service of a container.
    Container(ContainerKeys),
    /// STS, for keys of another source.
    Role {
        /// Whose keys ask for the role. They are asked for anew each time.
        base: Box<Self>,
        /// What is asked for.
        role: AssumeRole,
    },
}

/// Keys, and when they end.
pub(super) struct Keys {
    pub(super) credentials: AwsCredentials,
    pub(super) until: Option<SystemTime>,
}

impl AwsSource {
    /// A role that is assumed with the keys of this source.
    #[must_use]
    pub fn assuming(self, role: AssumeRole) -> Self {
        Self::Role { base: Box::new(self), role }
    }

    /// Boxed, since a role may stand upon a role.
    pub(super) fn issue<'a>(&'a self, client: &'a Client) -> BoxFuture<'a, Result<Keys, CredentialError>> {
        Box::pin(async move {
            match self {
                Self::Static(keys) => Ok(Keys { credentials: keys.clone(), until: None }),
                Self::WebIdentity(identity) => identity.issue(client).await,
                Self::Instance(instance) => instance.issue(client).await,
                Self::Container(container) => container.issue(client).await,
                Self::Role { base, role } => {
                    let base = base.issue(client).await?.credentials;
                    answers::of_sts(&client.ask(role.question(base)?).await?)
                }
            }
        })
    }
}
