//! Whether the process behind another writer is still there, where the kernel knows.
//!
//! A ledger that is opened takes a name for itself, among those of the sockets of its network namespace, and holds it
//! until it is dropped. The kernel takes the name back when a process ends, however it ends. So a name that nobody
//! holds in the same namespace of the same running kernel belonged to somebody who is gone, for certain: nobody who
//! lives can lose it, whatever becomes of connections to the database. From elsewhere nothing is known, and beats
//! decide (`watch.rs`).

use std::hash::{BuildHasher, Hasher, RandomState};

/// What is known of the holder of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// The name is held: its process is there.
    Held,
    /// Nobody holds the name any more, nor ever will again.
    Free,
    /// The name is from elsewhere, or the system does not tell.
    Unknown,
}

/// A name that is held for as long as this lives; none where the system has no such names.
#[derive(Debug)]
pub(super) struct Presence(Option<Held>);

#[derive(Debug)]
struct Held {
    host: String,
    name: String,
    _socket: kernel::Socket,
}

impl Presence {
    /// Takes a fresh name.
    pub(super) fn take() -> Self {
        let random = || RandomState::new().build_hasher().finish();
        let name = format!("weighbridge-ledger-{:016x}{:016x}", random(), random());
        let held = kernel::host()
            .and_then(|host| kernel::hold(&name).map(|socket| Held { host, name, _socket: socket }));
        Self(held)
    }

    /// Within what the name is told from all others: a network namespace, and the run of the kernel that it is of.
    pub(super) fn host(&self) -> Option<&str> {
        self.0.as_ref().map(|held| &*held.host)
    }

    /// The name.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|held| &*held.name)
    }

    /// What is known from here of whoever took that name there.
    pub(super) fn sign(&self, host: Option<&str>, name: Option<&str>) -> Sign {
        match (&self.0, host, name) {
            (Some(held), Some(host), Some(name)) if held.host == host => kernel::sign(name),
            _ => Sign::Unknown,
        }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::fs;
    use std::io::ErrorKind;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::Sign;

    pub(super) type Socket = UnixDatagram;

    pub(super) fn host() -> Option<String> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/thread-self/ns/net").ok()?;
        Some(format!("{} {}", boot.trim(), namespace.to_str()?))
    }

    pub(super) fn hold(name: &str) -> Option<Socket> {
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()
    }

    /// Asks without taking the name, so that two who ask at once do not take each other for its holder.
    pub(super) fn sign(name: &str) -> Sign {
        let asked = SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixDatagram::unbound()?.connect_addr(&address));
        match asked {
            Ok(()) => Sign::Held,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Sign::Free,
            Err(_) => Sign::Unknown,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::Sign;

    pub(super) type Socket = std::convert::Infallible;

    pub(super) fn host() -> Option<String> {
        None
    }

    pub(super) fn hold(_name: &str) -> Option<Socket> {
        None
    }

    pub(super) fn sign(_name: &str) -> Sign {
        Sign::Unknown
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn c6_a_name_is_held_until_its_holder_is_gone_and_by_nobody_afterwards() {
        let (here, other) = (Presence::take(), Presence::take());
        assert_ne!(here.name(), other.name());
        let (host, name) = (other.host().map(str::to_owned), other.name().map(str::to_owned));
        let sign = |host: &Option<String>| here.sign(host.as_deref(), name.as_deref());
        assert_eq!(sign(&host), Sign::Held);
        assert_eq!(here.sign(here.host(), here.name()), Sign::Held);
        drop(other);
        assert_eq!(sign(&host), Sign::Free);
        assert_eq!(sign(&host), Sign::Free, "asking takes no name");
    }

    #[test]
    fn c6_from_elsewhere_nothing_is_known() {
        let here = Presence::take();
        let elsewhere = here.host().map(|host| format!("{host}0"));
        assert_eq!(here.sign(elsewhere.as_deref(), Some("nobody's")), Sign::Unknown);
        assert_eq!(here.sign(None, Some("nobody's")), Sign::Unknown);
        assert_eq!(here.sign(here.host(), None), Sign::Unknown);
        assert_eq!(here.sign(here.host(), Some(&"long".repeat(100))), Sign::Unknown, "no name at all");
        assert_eq!(here.sign(here.host(), Some("nobody's")), Sign::Free);
        assert_eq!(Presence(None).sign(here.host(), Some("nobody's")), Sign::Unknown);
    }
}
