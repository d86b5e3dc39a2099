//! Keys of the machine that this runs on.

use std::net::IpAddr;
use std::path::PathBuf;

use http::{Method, Uri};
use secrecy::{ExposeSecret, SecretString};
use weighbridge_transport::path_segment;

use super::{Keys, answers};
use crate::credentials::client::{Client, token_file};
use crate::credentials::form;
use crate::{CredentialError, Origin, UpstreamError};

/// The keys of an EC2 instance's role, from its metadata service in version 2: without a token that only a
/// `PUT` gets, nothing is asked
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>).
pub struct InstanceKeys {
    url: String,
}

impl InstanceKeys {
    /// Where the service is on every instance.
    pub const URL: &str = "http://169.254.169.254";
    /// Its address where there is IPv6 only.
    pub const URL_V6: &str = "http://[fd00:ec2::254]";

    /// Keys of the service at `url`.
    ///
    /// # Errors
    /// [`UpstreamError::Origin`] or [`UpstreamError::Credential`] where that is no address.
    pub fn new(url: &str) -> Result<Self, UpstreamError> {
        Ok(Self { url: form::metadata(url)? })
    }

    pub(super) async fn issue(&self, client: &Client) -> Result<Keys, CredentialError> {
        let url = |path: &str| format!("{}/latest/{path}", self.url);
        let life = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
        let answer = client.ask_machine(form::question(Method::PUT, &url("api/token"), &life)?).await?;
        let token = answer.text(|_| None)?.trim().to_owned();
        let headers = [("x-aws-ec2-metadata-token", token.as_str())];
        let roles = "meta-data/iam/security-credentials/";
        let answer = client.ask_machine(form::question(Method::GET, &url(roles), &headers)?).await?;
        let role = answer.text(|_| None)?.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err(answer.unreadable("the instance has no role"));
        }
        let keys = format!("{roles}{}", path_segment(role));
        answers::of_metadata(&client.ask_machine(form::question(Method::GET, &url(&keys), &headers)?).await?)
    }
}

/// The keys of a container's role: of ECS, and of EKS Pod Identity
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
pub struct ContainerKeys {
    url: String,
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
}

impl ContainerKeys {
    /// Where ECS's agent is, to which `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is relative.
    pub const URL: &str = "http://169.254.170.2";

    /// Keys from exactly that address, which is asked without encryption only where it is of this machine or
    /// of AWS's agents.
    ///
    /// # Errors
    /// [`UpstreamError::Credential`] for other addresses, [`UpstreamError::Origin`] for what is none.
    pub fn new(url: &str) -> Result<Self, UpstreamError> {
        let wrong = |problem: &str| UpstreamError::Credential { problem: problem.to_owned() };
        let uri: Uri =
            url.parse().map_err(|_| wrong("the address of the container's keys cannot be read"))?;
        let origin = Origin::of(&uri)?;
        if !origin.is_tls() && !is_near(origin.host()) {
            return Err(wrong("the address of the container's keys must begin with https://"));
        }
        Ok(Self { url: url.to_owned(), token: None, token_file: None })
    }

    /// With a token that the agent wants to see.
    #[must_use]
    pub fn with_token(self, token: SecretString) -> Self {
        Self { token: Some(token), ..self }
    }

    /// With a token that the agent wants to see, from a file that is read anew each time.
    #[must_use]
    pub fn with_token_file(self, path: impl Into<PathBuf>) -> Self {
        Self { token_file: Some(path.into()), ..self }
    }

    pub(super) async fn issue(&self, client: &Client) -> Result<Keys, CredentialError> {
        let read = match &self.token_file {
            Some(path) => Some(token_file(path).await?),
            None => self.token.as_ref().map(|token| token.expose_secret().trim().to_owned()),
        };
        let headers: Vec<_> = read.iter().map(|token| ("authorization", token.as_str())).collect();
        answers::of_metadata(&client.ask_machine(form::question(Method::GET, &self.url, &headers)?).await?)
    }
}

/// Whether a host is this machine, or one of AWS's agents at their fixed addresses.
fn is_near(host: &str) -> bool {
    let agents = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    host.parse().is_ok_and(|address: IpAddr| {
        address.is_loopback() || agents.iter().any(|agent| agent.parse() == Ok(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_keys_are_not_asked_for_in_the_open() {
        for fine in [
            "http://169.254.170.2/v2/x",
            "http://169.254.170.23/v1/credentials",
            "http://[::1]:7/k",
            "http://[fd00:ec2::23]/v1",
            "https://keys.example/k",
        ] {
            assert!(ContainerKeys::new(fine).is_ok(), "{fine}");
        }
        for wrong in ["http://keys.example/k", "http://169.254.169.254/k", "http://10.0.0.1/", "/v2", "x y"] {
            assert!(ContainerKeys::new(wrong).is_err(), "{wrong}");
        }
    }
}
