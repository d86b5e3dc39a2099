//! PostgreSQL over TLS: who is trusted, what is told to whoever is not, and that nobody falls back to plain text.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may, as tests may"
)]

mod authority;
mod server;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use authority::Authority;
use weighbridge_store_postgres::{Database, OpenError};

/// Whether there are connections of the store's, and all of them are encrypted.
const ENCRYPTED: &str = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \
                         WHERE application_name = 'weighbridge'";

/// What a client sends first that wants TLS: a length of 8, and 80877103.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The authority's certificate in a file whose name has to be escaped in an address, and the name as it stands there.
fn root_file(authority: &Authority, folder: &Path) -> String {
    fs::write(folder.join("a root.pem"), authority.pem()).unwrap();
    format!("{}/a%20root.pem", folder.display())
}

fn refused(url: &str) -> String {
    match Database::open(url) {
        Err(OpenError::Unreachable(why)) => why,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("{url} was let in"),
    }
}

#[test]
fn a_server_whose_root_is_given_is_spoken_to_over_tls_in_every_mode_but_one() {
    let authority = Authority::new("ours");
    let identity = authority.sign("127.0.0.1", 2900);
    let Some(server) = server::encrypted(&identity.certificate, &identity.key) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (database, root) = (server.database(), root_file(&authority, folder.path()));
    let address = format!("postgres://weighbridge@127.0.0.1:{}/{database}", server.port());
    for mode in ["", "sslmode=prefer&", "sslmode=require&", "sslmode=verify-ca&", "sslmode=verify-full&"] {
        let open = Database::open(&format!("{address}?{mode}sslrootcert={root}")).unwrap();
        let store = weighbridge_store_postgres::PostgresKeyStore::open(&open);
        let keys = futures::executor::block_on(weighbridge_access::KeyStore::load_all(&store)).unwrap();
        assert_eq!((keys.len(), server.sql("postgres", ENCRYPTED).as_str()), (0, "t"), "{mode}");
    }
    // The server itself takes no other connections, so that these are what they say.
    let plain = refused(&format!("{address}?sslmode=disable"));
    assert!(plain.contains("no encryption") && plain.contains("28000"), "{plain}");
}

#[test]
fn a_certificate_that_is_wrong_is_refused_in_every_mode_and_the_error_says_what_to_do() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let folder = tempfile::tempdir().unwrap();
    let root = root_file(&ours, folder.path());
    for (identity, why, advice) in [
        (other.sign("127.0.0.1", 2900), "UnknownIssuer", "sslrootcert=FILE"),
        (ours.sign("db.example", 2900), "not valid for name", "by a name that stands in its certificate"),
        (ours.sign("127.0.0.1", 2001), "expired", "valid now"),
        (ours.itself(), "CaUsedAsEndEntity", "sign one for the server with it"),
    ] {
        let Some(server) = server::encrypted(&identity.certificate, &identity.key) else { return };
        for mode in ["prefer", "require", "verify-ca", "verify-full"] {
            let url = format!(
                "postgres://weighbridge:hunter2@127.0.0.1:{}/postgres?sslmode={mode}&sslrootcert={root}",
                server.port()
            );
            let error = refused(&url);
            assert!(error.contains(why) && error.contains(advice), "{mode}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        // Neither are the roots that come with the program those of this server.
        let usual = format!("postgres://weighbridge@127.0.0.1:{}/postgres?sslrootcert=system", server.port());
        assert!(refused(&usual).contains("invalid peer certificate"));
    }
}

/// A server that answers who asks for TLS so, once, and gives what it hears next.
fn listener(answer: &'static [u8]) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let listening = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(asked, ASKS_FOR_TLS);
        stream.write_all(answer).unwrap();
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).unwrap_or(0);
        heard.truncate(length);
        heard
    });
    (port, listening)
}

#[test]
fn where_the_server_declines_to_encrypt_nothing_is_sent_to_it() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let (port, listening) = listener(b"N");
        let error = refused(&format!("postgres://weighbridge:hunter2@127.0.0.1:{port}/x?sslmode={mode}"));
        assert!(error.contains("does not support TLS") && error.contains("switch `ssl` on"), "{error}");
        assert_eq!(listening.join().unwrap(), b"", "{mode}");
    }
}

#[test]
fn what_is_only_preferred_goes_on_in_plain_text_where_the_server_declines() {
    // So the words of the documentation are true: `prefer` is no protection.
    let (port, listening) = listener(b"N");
    refused(&format!("postgres://weighbridge@127.0.0.1:{port}/x?sslmode=prefer"));
    let heard = listening.join().unwrap();
    assert!(heard.windows(11).any(|part| part == b"weighbridge"), "{heard:?}");
}

#[test]
fn a_server_that_agrees_and_speaks_no_tls_hears_nothing_either() {
    for mode in ["prefer", "require", "verify-full"] {
        let (port, listening) = listener(b"SI am no server of PostgreSQL's, nor one of TLS's");
        refused(&format!("postgres://weighbridge@127.0.0.1:{port}/x?sslmode={mode}"));
        let heard = listening.join().unwrap();
        // A handshake (22), and no user's name in it.
        assert_eq!(heard.first(), Some(&22), "{heard:?}");
        assert!(!heard.windows(11).any(|part| part == b"weighbridge"));
    }
}

#[test]
fn roots_that_cannot_be_read_are_told_before_anything_is_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    for (path, why) in
        [(empty, "no certificate in PEM"), (folder.path().join("missing.pem"), "cannot be read")]
    {
        let error = Database::open(&format!("postgres://x@127.0.0.1:1/x?sslrootcert={}", path.display()));
        let error = error.unwrap_err();
        assert!(matches!(&error, OpenError::Certificates { path: named, .. } if *named == path), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}
