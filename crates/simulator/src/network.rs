use std::time::Duration;

use weighbridge_transport::{BoxFuture, ByteStream, Phase, Rope, Transport, TransportError};

use crate::Simulator;

/// Several simulated providers behind one [`Transport`], told apart by host name.
#[derive(Clone, Default)]
pub struct Network {
    hosts: Vec<(String, Simulator)>,
}

impl Network {
    /// A network without hosts: every connection fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a provider at `https://{host}` and `http://{host}`, on any port.
    #[must_use]
    pub fn with(mut self, host: &str, simulator: &Simulator) -> Self {
        self.hosts.push((host.to_owned(), simulator.clone()));
        self
    }
}

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<Rope>,
        connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<http::Response<ByteStream>, TransportError>> {
        let host = request.uri().host().unwrap_or_default();
        match self.hosts.iter().find(|(name, _)| name == host) {
            Some((_, simulator)) => simulator.send(request, connect_timeout),
            None => {
                let message = format!("no provider is simulated at {host:?}");
                Box::pin(async { Err(TransportError::new(Phase::Connect, message)) })
            }
        }
    }
}
