use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use weighbridge_transport::{BoxFuture, ByteStream, Rope, Transport, TransportError};

use crate::account::{Account, ReceivedRequest, locked};
use crate::delivery::Chunking;
use crate::fault_queue::FaultQueue;
use crate::openai::Stored;
use crate::prefix_cache::PrefixCache;
use crate::responses::KeptResponses;
use crate::{Copyist, Fault, FaultMix, InvoiceLine, Vendor};

/// Decides a request's fault from the request; see [`SimulatorBuilder::fault_of`].
type FaultOf = Box<dyn Fn(&ReceivedRequest) -> Option<Fault> + Send + Sync>;

/// One simulated provider. Clones are the same provider.
#[derive(Clone)]
pub struct Simulator {
    pub(crate) shared: Arc<Shared>,
}

/// What the clones of a provider share.
pub(crate) struct Shared {
    pub(crate) vendor: Vendor,
    pub(crate) settings: Settings,
    pub(crate) account: Arc<Account>,
    pub(crate) faults: Mutex<FaultQueue>,
    pub(crate) cache: PrefixCache,
    pub(crate) kept: KeptResponses,
    pub(crate) stored: Stored,
    pub(crate) requests: AtomicU64,
}

pub(crate) struct Settings {
    pub(crate) keys: Vec<String>,
    pub(crate) chunking: Chunking,
    pub(crate) latency: Duration,
    pub(crate) crlf: bool,
    pub(crate) keep_requests: usize,
    pub(crate) fault_of: Option<FaultOf>,
    pub(crate) copyist: Option<&'static Copyist>,
}

/// Settings of a [`Simulator`].
pub struct SimulatorBuilder {
    vendor: Vendor,
    settings: Settings,
}

impl SimulatorBuilder {
    /// Accepts this credential, and from then on only those named. Without any, every credential is
    /// accepted that is not empty and does not contain `invalid`.
    #[must_use]
    pub fn api_key(mut self, key: &str) -> Self {
        self.settings.keys.push(key.to_owned());
        self
    }

    /// How streams are cut into chunks.
    #[must_use]
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.settings.chunking = chunking;
        self
    }

    /// The time from a request to the head of its answer; zero by default.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// Ends the lines of streams with CR LF, as some providers do.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.settings.crlf = true;
        self
    }

    /// How many received requests are kept; 1,000 by default.
    #[must_use]
    pub fn keep_requests(mut self, requests: usize) -> Self {
        self.settings.keep_requests = requests;
        self
    }

    /// Decides from each request whether and how it fails; queued faults come first.
    #[must_use]
    pub fn fault_of(
        mut self,
        decide: impl Fn(&ReceivedRequest) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        self.settings.fault_of = Some(Box::new(decide));
        self
    }

    /// Is no vendor of its own, but one that copied OpenAI's API. Any model is served there, as `gpt-4o-mini`.
    #[must_use]
    pub const fn copyist(mut self, copyist: &'static Copyist) -> Self {
        self.settings.copyist = Some(copyist);
        self
    }

    /// The provider.
    pub fn build(self) -> Simulator {
        let account = Arc::new(Account::new(self.settings.keep_requests));
        Simulator {
            shared: Arc::new(Shared {
                vendor: self.vendor,
                settings: self.settings,
                account,
                faults: Mutex::default(),
                cache: PrefixCache::default(),
                kept: KeptResponses::default(),
                stored: Stored::default(),
                requests: AtomicU64::new(0),
            }),
        }
    }
}

impl Simulator {
    /// A provider with default settings.
    pub fn new(vendor: Vendor) -> Self {
        Self::builder(vendor).build()
    }

    /// A provider with settings.
    pub fn builder(vendor: Vendor) -> SimulatorBuilder {
        let settings = Settings {
            keys: Vec::new(),
            chunking: Chunking::default(),
            latency: Duration::ZERO,
            crlf: false,
            keep_requests: 1_000,
            fault_of: None,
            copyist: None,
        };
        SimulatorBuilder { vendor, settings }
    }

    /// Whose API it speaks.
    pub fn vendor(&self) -> Vendor {
        self.shared.vendor
    }

    /// Lets the next request fail; several faults hit one request each, in order.
    pub fn push_fault(&self, fault: Fault) {
        locked(&self.shared.faults).push(None, fault);
    }

    /// Lets the next request whose body contains `text` fail.
    pub fn push_fault_when(&self, text: &str, fault: Fault) {
        locked(&self.shared.faults).push(Some(text.to_owned()), fault);
    }

    /// Lets requests fail at random from now on; queued faults come first.
    pub fn set_fault_mix(&self, mix: FaultMix) {
        locked(&self.shared.faults).mix = mix;
    }

    /// Forgets all faults that have not hit.
    pub fn clear_faults(&self) {
        *locked(&self.shared.faults) = FaultQueue::default();
    }

    /// Everything billed so far, in the order in which answers ended.
    pub fn invoice(&self) -> Vec<InvoiceLine> {
        self.shared.account.lines()
    }

    /// The last requests received, oldest first.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.account.received()
    }

    /// Requests received so far, also those no longer kept.
    pub fn request_count(&self) -> u64 {
        self.shared.requests.load(Ordering::Acquire)
    }

    /// Answers under way: neither ended nor left by their caller.
    pub fn open_answers(&self) -> usize {
        self.shared.account.open()
    }

    /// Forgets invoice and requests; answers under way are billed to the new invoice.
    pub fn forget(&self) {
        self.shared.account.forget();
    }
}

impl Transport for Simulator {
    /// Answers in process. Pauses and latency are on tokio's clock, so that a test may stop it;
    /// where there are none, no clock and no runtime is needed.
    fn send(
        &self,
        request: Request<Rope>,
        _connect_timeout: Duration,
    ) -> BoxFuture<'_, Result<Response<ByteStream>, TransportError>> {
        Box::pin(async move {
            let (head, rope) = request.into_parts();
            // What is streamed may break off, and then the provider answers nothing.
            let body = match rope.is_streamed() {
                true => rope.collect().await?.to_bytes(),
                false => rope.to_bytes(),
            };
            let response = self.answer(Request::from_parts(head, body)).await?;
            Ok(response.map(|body| Box::pin(body) as ByteStream))
        })
    }
}
