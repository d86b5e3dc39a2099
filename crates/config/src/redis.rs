//! The Redis that all instances count limits in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::problem::Problems;
use crate::reader::Given;
use crate::said;

/// The longest that a request may be told to wait for Redis.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest time between two comparisons.
const SHORTEST_SYNC: Duration = Duration::from_secs(1);
/// How the address of a server begins that is spoken to over TLS.
const ENCRYPTED: &str = "rediss://";
const SCHEMES: [&str; 4] = ["redis://", "rediss://", "redis+unix:///", "unix:///"];

/// The Redis that all instances count limits in. Its address may hold a password, which is never shown.
#[derive(Clone)]
pub struct RedisConfig {
    /// The address, all of it, for who connects.
    pub url: SecretString,
    /// A file of the certificates that the server's is checked against; `None` for those of public authorities.
    pub certificates: Option<PathBuf>,
    /// How long a request waits for Redis at most.
    pub timeout: Duration,
    /// How often the count is compared with what the instance knows.
    pub sync_every: Duration,
}

impl RedisConfig {
    pub(crate) fn read(said: &said::Storage, folder: &Path, problems: &mut Problems) -> Option<Self> {
        let mut out_of_range = |given: &Given<Duration>, range: [Duration; 2], message: &str| {
            if let Some(said) = given.said().filter(|said| said.value < range[0] || said.value > range[1]) {
                problems.at(said.span.clone(), message);
            }
        };
        let timeouts = [Duration::from_millis(1), LONGEST_TIMEOUT];
        out_of_range(
            &said.redis_timeout,
            timeouts,
            "`storage.redis_timeout` is at least 1ms and at most 10s",
        );
        let syncs = [SHORTEST_SYNC, Duration::from_secs(86_400)];
        out_of_range(&said.redis_sync, syncs, "`storage.redis_sync` is at least 1s and at most 24h");
        let Some(url) = said.redis.said() else {
            let spans = [
                said.redis_ca.said().map(|said| said.span.clone()),
                said.redis_timeout.said().map(|said| said.span.clone()),
                said.redis_sync.said().map(|said| said.span.clone()),
            ];
            for span in spans.into_iter().flatten() {
                problems.at(span, "this means nothing without `storage.redis`").hint("leave it out");
            }
            return None;
        };
        let is_address = |scheme: &str| url.value.len() > scheme.len() && url.value.starts_with(scheme);
        if !SCHEMES.into_iter().any(is_address) {
            // An address may hold a password, so it is not repeated.
            let hint = "write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss://… for TLS";
            problems.at(url.span.clone(), "`storage.redis` is not the address of a Redis server").hint(hint);
            return None;
        }
        if url.value.contains('#') {
            // The client would read `#insecure` as a wish not to check certificates.
            let hint = "give the certificate of a private authority as `redis_ca`; a `#` in a password is written %23";
            let message = "`storage.redis` has a `#` in it: certificates are always checked, and nothing turns that off";
            problems.at(url.span.clone(), message).hint(hint);
            return None;
        }
        if let Some(ca) = said.redis_ca.said().filter(|_| !url.value.starts_with(ENCRYPTED)) {
            problems
                .at(ca.span.clone(), "`storage.redis_ca` means nothing without TLS")
                .hint("write rediss://… in `storage.redis`, or leave it out");
        }
        Some(Self {
            url: SecretString::from(url.value.clone()),
            certificates: said.redis_ca.said().map(|path| folder.join(&path.value)),
            timeout: said.redis_timeout.said().map_or(Duration::from_millis(100), |said| said.value),
            sync_every: said.redis_sync.said().map_or(Duration::from_secs(60), |said| said.value),
        })
    }
}

/// Host and database.
impl fmt::Display for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, address) = self.url.expose_secret().split_once("://").unwrap_or_default();
        // A password may hold anything; a host may not hold an `@`.
        let place = address.rsplit_once('@').map_or(address, |(_, place)| place);
        write!(f, "{scheme}://{}", place.split('?').next().unwrap_or_default())
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisConfig({self})")
    }
}
