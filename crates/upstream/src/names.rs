//! Addresses of names, kept for a few seconds.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Resolve;

/// The operating system's resolver does not tell how long an answer holds. Ten seconds spare it a burst of
/// connections, and a change of addresses goes through almost at once.
const FRESH: Duration = Duration::from_secs(10);
/// How old an answer may be where the resolver gives none: a provider does not go away because a name server
/// does (<https://www.rfc-editor.org/rfc/rfc8767>).
const USABLE: Duration = Duration::from_secs(600);
/// Names that are remembered. There are as many as providers and proxies: more mean many reloads.
const MOST: usize = 256;

pub(crate) struct Names {
    resolver: Arc<dyn Resolve>,
    known: Mutex<Vec<Known>>,
}

struct Known {
    name: Box<str>,
    addresses: Vec<IpAddr>,
    since: Instant,
}

impl Names {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, known: Mutex::default() }
    }

    /// Where `host` can be reached: a name, or an address that stands for itself.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let at_port = |address: &IpAddr| SocketAddr::new(*address, port);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![at_port(&address)]);
        }
        if let Some(fresh) = self.known_for(host, FRESH) {
            return Ok(fresh.iter().map(at_port).collect());
        }
        let found = match self.resolver.resolve(host).await {
            Ok(found) if found.is_empty() => {
                Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
            }
            other => other,
        };
        match found {
            Ok(found) => {
                let addresses = found.iter().map(at_port).collect();
                self.keep(host, found);
                Ok(addresses)
            }
            Err(error) => {
                let old = self.known_for(host, USABLE).ok_or(error)?;
                tracing::warn!(host, "the name cannot be resolved at present; its last addresses are used");
                Ok(old.iter().map(at_port).collect())
            }
        }
    }

    /// None of the addresses answers: the next connection asks again.
    pub(crate) fn doubt(&self, host: &str) {
        let now = Instant::now();
        if let Some(known) = self.lock().iter_mut().find(|known| &*known.name == host) {
            // Old enough to be asked for again, and still better than nothing.
            known.since = now.checked_sub(FRESH).map_or(known.since, |doubted| known.since.min(doubted));
        }
    }

    fn known_for(&self, host: &str, age: Duration) -> Option<Vec<IpAddr>> {
        let known = self.lock();
        let known = known.iter().find(|known| &*known.name == host)?;
        (known.since.elapsed() < age).then(|| known.addresses.clone())
    }

    fn keep(&self, host: &str, addresses: Vec<IpAddr>) {
        let mut known = self.lock();
        known.retain(|known| &*known.name != host);
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push(Known { name: host.into(), addresses, since: Instant::now() });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tokio::time::advance;
    use weighbridge_transport::BoxFuture;

    /// Answers in turn; `None` is a failure, as is every answer after the last.
    #[derive(Clone, Default)]
    struct Script(Arc<Mutex<VecDeque<Option<&'static str>>>>);

    impl Resolve for Script {
        fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            let answer = self.0.lock().unwrap().pop_front().flatten();
            let answer = answer.ok_or_else(|| io::Error::other("no answer"));
            Box::pin(async {
                Ok(answer?.split_whitespace().map(|address| address.parse().unwrap()).collect())
            })
        }
    }

    fn names(script: &[Option<&'static str>]) -> Names {
        Names::new(Arc::new(Script(Arc::new(Mutex::new(script.iter().copied().collect())))))
    }

    async fn ask(names: &Names) -> Option<String> {
        names.addresses("api.test", 443).await.ok().map(|found| found[0].ip().to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_asked_for_again_after_ten_seconds() {
        let names = names(&[Some("192.0.2.1"), Some("192.0.2.2")]);
        assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.1"));
        advance(FRESH - Duration::from_millis(1)).await;
        assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.1"));
        advance(Duration::from_millis(1)).await;
        assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_do_not_answer_are_asked_for_again() {
        let names = names(&[Some("192.0.2.1"), Some("192.0.2.2")]);
        advance(FRESH).await;
        assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.1"));
        names.doubt("api.test");
        assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_better_than_none_but_not_for_ever() {
        let names = names(&[Some("192.0.2.1"), None, Some(""), None, None]);
        assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.1"));
        for _ in 0..2 {
            advance(FRESH).await;
            assert_eq!(ask(&names).await.as_deref(), Some("192.0.2.1"));
        }
        advance(USABLE).await;
        assert_eq!(ask(&names).await, None);
    }

    #[tokio::test]
    async fn an_address_stands_for_itself() {
        let names = names(&[]);
        for (host, address) in [("127.0.0.1", "127.0.0.1:443"), ("::1", "[::1]:443")] {
            assert_eq!(names.addresses(host, 443).await.unwrap(), [address.parse().unwrap()]);
        }
    }
}
