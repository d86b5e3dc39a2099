//! Certificates that are made for a test, and whoever signs them.

#![allow(dead_code, reason = "every user uses another part")]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// One that is called so, and has a certificate for 127.0.0.1 itself.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A server's certificate for a name or an address, which is valid up to the beginning of that year.
    pub(crate) fn sign(&self, name: &str, last_year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// Its own certificate, to be shown as a server's.
    pub(crate) fn itself(&self) -> Identity {
        Identity { certificate: self.pem(), key: self.0.key().serialize_pem() }
    }

    /// Its own certificate, to be trusted.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}
