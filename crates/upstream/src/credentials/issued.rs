//! Keeping a credential, and renewing it: one task at a time, whoever waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use http::Request;
use http::header::AUTHORIZATION;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use weighbridge_transport::{BoxFuture, Generation, Issue, Phase, Rope, TransportError};

use super::client::Client;
use super::renewal::{Renewal, Step, Validity};
use super::source::{Fresh, Material};
use crate::{CredentialError, CredentialSource, ProxyChoice, TransportOptions};

/// How issuers are asked.
#[derive(Debug, Clone)]
pub struct IssueOptions {
    /// How they are connected to, and whom encrypted connections trust.
    pub transport: TransportOptions,
    /// The proxy on the way to issuers that are reached by HTTPS. None is on the way to others, which are on this
    /// machine, nor to a metadata service.
    pub proxy: ProxyChoice,
    /// How long connecting may take, each time.
    pub connect: Duration,
    /// How long one renewal may take, all its questions together.
    pub time: Duration,
}

impl Default for IssueOptions {
    fn default() -> Self {
        Self {
            transport: TransportOptions::default(),
            proxy: ProxyChoice::None,
            connect: Duration::from_secs(5),
            time: Duration::from_secs(10),
        }
    }
}

/// A credential that is renewed for as long as it is used: an [`Issue`] over real sockets.
///
/// It may be shared by any number of runtimes. A renewal runs on the one whose request was first to need
/// it; the requests of all of them wait for that. Nothing is asked before the first request.
pub struct IssuedCredential {
    inner: Arc<Inner>,
}

struct Inner {
    /// Whose credential it is, for the log.
    provider: String,
    source: CredentialSource,
    options: IssueOptions,
    /// What most requests look at only.
    current: ArcSwapOption<Current>,
    state: Mutex<State>,
    /// Counts the renewals that have ended.
    ended: watch::Sender<u64>,
}

struct Current {
    material: Arc<Material>,
    generation: Generation,
    /// From when on the state has to be asked.
    settled_until: Option<SystemTime>,
}

#[derive(Default)]
struct State {
    renewal: Renewal,
    error: Option<CredentialError>,
}

impl IssuedCredential {
    /// A credential of `provider`, which the log names so.
    pub fn new(provider: impl Into<String>, source: CredentialSource, options: IssueOptions) -> Self {
        let inner = Inner {
            provider: provider.into(),
            source,
            options,
            current: ArcSwapOption::empty(),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Issue for IssuedCredential {
    fn put(&self, request: &mut Request<Rope>, now: SystemTime) -> Option<Generation> {
        let current = self.inner.current.load();
        let current = current.as_ref()?;
        if current.settled_until.is_some_and(|until| now >= until) {
            let step = self.inner.lock().renewal.step(now);
            match step {
                Step::Use => {}
                Step::UseAndRenew => self.inner.start(now),
                // Nothing waits here: whoever waits comes by `ready`, and finds it running.
                Step::RenewAndWait => {
                    self.inner.start(now);
                    return None;
                }
                Step::Wait | Step::Refuse => return None,
            }
        }
        match &*current.material {
            Material::Bearer { header, .. } => {
                request.headers_mut().insert(AUTHORIZATION, header.clone());
            }
            Material::Signature { signer, .. } => {
                request.extensions_mut().insert(signer.clone());
            }
        }
        Some(current.generation)
    }

    fn ready(&self, now: SystemTime) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async move {
            let mut ended = self.inner.ended.subscribe();
            let step = self.inner.lock().renewal.step(now);
            match step {
                Step::Use => return Ok(()),
                Step::UseAndRenew => {
                    self.inner.start(now);
                    return Ok(());
                }
                Step::RenewAndWait => self.inner.start(now),
                Step::Wait => {}
                Step::Refuse => return Err(self.inner.error()),
            }
            // The sender lives as long as `self`.
            let _ = ended.changed().await;
            if self.inner.lock().renewal.usable(now) { Ok(()) } else { Err(self.inner.error()) }
        })
    }

    fn refused(&self, generation: Generation, now: SystemTime) -> bool {
        let mut state = self.inner.lock();
        let worth_it = state.renewal.refused(generation, now);
        let current = self.inner.current.load();
        if let Some(current) = current.as_ref().filter(|current| worth_it && current.generation == generation)
        {
            let (material, settled_until) = (Arc::clone(&current.material), Some(SystemTime::UNIX_EPOCH));
            self.inner.current.store(Some(Arc::new(Current { material, generation, settled_until })));
        }
        worth_it
    }

    fn signs(&self) -> bool {
        matches!(self.inner.source, CredentialSource::Aws { .. })
    }

    fn secrets(&self, each: &mut dyn FnMut(&str)) {
        if let Some(current) = &*self.inner.current.load() {
            current.material.secrets().iter().for_each(|secret| each(secret.expose_secret()));
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self) -> TransportError {
        let error = self.lock().error.clone().unwrap_or(CredentialError::BrokenOff);
        TransportError::new(Phase::Credential, format!("no credential for `{}`: {error}", self.provider))
    }

    /// Begins the renewal that the state counts as running.
    fn start(self: &Arc<Self>, now: SystemTime) {
        let running = Running { inner: Arc::clone(self), now, result: Err(CredentialError::BrokenOff) };
        // Without a runtime, and where its runtime ends, it ends by being dropped.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let mut running = running;
                let inner = Arc::clone(&running.inner);
                let client = Client::new(&inner.options);
                let time = inner.options.time;
                running.result = timeout(time, inner.source.issue(&client, now))
                    .await
                    .unwrap_or(Err(CredentialError::TimedOut { milliseconds: time.as_millis() }));
                drop(running);
            });
        }
    }

    fn ended(&self, result: Result<Fresh, CredentialError>, now: SystemTime) {
        let mut state = self.lock();
        let usable = |validity: &Validity| validity.usable(now);
        match result {
            Ok(Fresh { material, until }) if usable(&Validity { from: now, until }) => {
                let validity = Validity { from: now, until };
                let generation = state.renewal.succeeded(validity);
                let current =
                    Current { material: Arc::new(material), generation, settled_until: validity.renew_at() };
                self.current.store(Some(Arc::new(current)));
                state.error = None;
                tracing::debug!(provider = self.provider, "a credential was renewed");
            }
            result => {
                let error = result.err().unwrap_or(CredentialError::Unreadable {
                    issuer: "the issuer".to_owned(),
                    problem: "it has ended already; look at the clock of this machine",
                });
                tracing::warn!(provider = self.provider, %error, "a credential was not renewed");
                state.renewal.failed(now);
                state.error = Some(error);
            }
        }
        drop(state);
        self.ended.send_modify(|count| *count += 1);
    }
}

/// A renewal on its way. However it ends, whoever waits is told.
struct Running {
    inner: Arc<Inner>,
    now: SystemTime,
    result: Result<Fresh, CredentialError>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Err(CredentialError::BrokenOff));
        self.inner.ended(result, self.now);
    }
}
