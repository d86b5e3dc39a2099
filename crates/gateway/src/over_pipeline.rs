//! The pipeline as what a gateway serves.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use weighbridge_pipeline::{AnswerBody, Pipeline};
use weighbridge_transport::Transport;

use crate::handler::{BoxError, Handler};

impl Handler for Pipeline {
    type Body = AnswerBody;

    async fn handle<B>(
        &self,
        transport: &Arc<dyn Transport>,
        request: Request<B>,
        peer: IpAddr,
    ) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError> + Send> + Send,
    {
        Self::handle(self, transport, request, peer).await
    }

    /// Ready while the ledger can be written: without it, nothing may be dispatched.
    async fn ready(&self) -> Result<(), String> {
        self.ledger().store().health().await.map_err(|error| error.to_string())
    }

    fn drain(&self) {
        Self::drain(self);
    }

    fn lingering(&self) -> usize {
        self.drains()
    }
}
