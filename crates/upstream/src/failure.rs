//! What a failed request means: how far it got, and whether the server may have worked on it.

use std::error::Error;
use std::io;

use h2::Reason;
use rustls::AlertDescription as Alert;
use weighbridge_transport::{Consumed, Phase, TransportError};

use crate::answer::with_causes;

/// A request that got no answer.
pub(crate) struct Failure {
    pub(crate) error: TransportError,
    /// Another connection may take it: this one is about to close, and the server has not looked at it.
    pub(crate) try_elsewhere: bool,
}

/// Judges an error that came instead of the head of an answer.
pub(crate) fn failure(error: &hyper::Error) -> Failure {
    let mut failure =
        Failure { error: TransportError::new(Phase::Head, with_causes(error)), try_elsewhere: false };
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // Streams up to the last one that a GOAWAY names get no such error: they go on
            // (<https://www.rfc-editor.org/rfc/rfc9113#section-6.8>).
            let unseen = error.is_remote() && error.is_go_away();
            // <https://www.rfc-editor.org/rfc/rfc9113#section-8.7>
            let refused =
                error.is_remote() && error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
            failure.try_elsewhere = unseen;
            if unseen || refused {
                failure.error.consumed = Consumed::No;
            }
        }
        if error.downcast_ref::<io::Error>().is_some_and(was_unwelcome) {
            failure.error.consumed = Consumed::No;
            failure.error.phase = Phase::Connect;
        }
        cause = error.source();
    }
    failure
}

/// Whether the server has refused us, rather than the request: in TLS 1.3 its judgement of a client's
/// certificate comes after the handshake has ended for the client
/// (<https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2.4>). These alerts are of handshakes only.
fn was_unwelcome(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        tls,
        Some(rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError
                | Alert::HandshakeFailure
        ))
    )
}
