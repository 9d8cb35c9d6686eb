//! Pairs of files, and the handshakes that take them.

use pypackager_tls::{Authorities, Certificate, Certificates, Fault, Part};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A folder of pairs that is gone after the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes `name.pem` and `name.key` for `hosts`.
    fn make(&self, name: &str, hosts: &[&str]) -> (PathBuf, PathBuf) {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.not_after = date_time_ymd(2049, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (one, other) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&one, certificate.pem()).expect("a file");
        fs::write(&other, key.serialize_pem()).expect("a file");
        (one, other)
    }

    fn certificate(&self, name: &str, hosts: &[&str]) -> Certificate {
        let (certificate, key) = self.make(name, hosts);
        Certificate::load(&certificate, &key).expect("a pair")
    }
}

fn read(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).expect("a certificate")
}

fn trusting(paths: &[PathBuf]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        roots.add(read(path)).expect("a root");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(rustls::ALL_VERSIONS).expect("versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The certificate that a client gets, and how the handshake went.
fn shake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    host: &str,
) -> Result<(CertificateDer<'static>, HandshakeKind), Error> {
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    // Two rounds more than the handshake takes, for the tickets behind it.
    for _ in 0..5 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("bytes");
        server.read_tls(&mut wire.as_slice()).expect("bytes");
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).expect("bytes");
        client.read_tls(&mut wire.as_slice()).expect("bytes");
        client.process_new_packets()?;
    }
    let kind = client.handshake_kind().expect("a handshake");
    Ok((client.peer_certificates().expect("a certificate")[0].clone().into_owned(), kind))
}

#[test]
fn a_pair_tells_its_names_and_its_end() {
    let folder = Folder::new();
    let pair = folder.certificate("live", &["live.example", "*.live.example"]);
    assert_eq!(pair.names(), ["live.example", "*.live.example"]);
    assert_eq!(pair.end(), 2_524_521_600);
    for (host, fits) in [
        ("live.example", true),
        ("LIVE.example", true),
        ("a.live.example", true),
        ("a.b.live.example", false),
        ("example", false),
        ("", false),
        ("not a name", false),
    ] {
        assert_eq!(pair.is_for(host), fits, "{host:?}");
    }
}

#[test]
fn what_is_no_pair_says_which_file_and_why() {
    let folder = Folder::new();
    let (certificate, key) = folder.make("one", &["one.example"]);
    let (_, strange) = folder.make("two", &["two.example"]);
    let (gone, torn) = (folder.path("gone"), folder.path("torn"));
    fs::write(&torn, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").expect("a file");
    for (certificate, key, part, words) in [
        (&gone, &key, Part::Certificate, "No such file"),
        (&key, &key, Part::Certificate, "no certificate in it"),
        (&torn, &key, Part::Certificate, "no certificate of a server"),
        (&certificate, &gone, Part::Key, "No such file"),
        (&certificate, &certificate, Part::Key, "no private key in it"),
        (&certificate, &strange, Part::Key, "is not the key of"),
    ] {
        let Fault { part: found, detail } = Certificate::load(certificate, key).expect_err("no pair");
        assert_eq!(found, part, "{detail}");
        let path = if part == Part::Key { key } else { certificate };
        assert!(detail.starts_with(&format!("{}: ", path.display())) && detail.contains(words), "{detail}");
    }
}

#[test]
fn a_client_is_given_what_is_for_its_host_else_the_first() {
    let folder = Folder::new();
    let (one, two) = (folder.certificate("one", &["one.example"]), folder.certificate("two", &["*.two.example"]));
    let (path_one, path_two) = (folder.path("one.pem"), folder.path("two.pem"));
    let pairs = [one, two];
    for (host, index) in [
        (Some("one.example"), 0),
        (Some("a.two.example"), 1),
        (Some("two.example"), 0),
        (Some("127.0.0.1"), 0),
        (None, 0),
    ] {
        assert_eq!(Certificates::choose(&pairs, host), Some(index), "{host:?}");
    }
    assert_eq!(Certificates::choose(&[], Some("one.example")), None);
    let certificates = Arc::new(Certificates::new(pairs.to_vec()).expect("random bytes"));
    let server = Arc::new(certificates.config(&[]).expect("a configuration"));
    let client = trusting(&[path_one.clone(), path_two.clone()]);
    assert_eq!(shake(&server, &client, "one.example").expect("a handshake").0, read(&path_one));
    assert_eq!(shake(&server, &client, "b.two.example").expect("a handshake").0, read(&path_two));
    assert!(shake(&server, &client, "three.example").is_err(), "the first is not for it");
}

#[test]
fn what_is_exchanged_holds_from_the_next_handshake() {
    let folder = Folder::new();
    let old = folder.certificate("old", &["live.example"]);
    let certificates = Arc::new(Certificates::new(vec![old]).expect("random bytes"));
    let server = Arc::new(certificates.config(&[]).expect("a configuration"));
    let new = folder.certificate("new", &["live.example"]);
    let paths = [folder.path("old.pem"), folder.path("new.pem")];
    let client = trusting(&paths);
    assert_eq!(shake(&server, &client, "live.example").expect("a handshake"), (read(&paths[0]), HandshakeKind::Full));
    let again = shake(&server, &client, "live.example").expect("a handshake");
    assert_eq!(again.1, HandshakeKind::Resumed, "who comes again costs no signature");
    certificates.replace(vec![new]);
    let fresh = trusting(&paths);
    assert_eq!(shake(&server, &fresh, "live.example").expect("a handshake"), (read(&paths[1]), HandshakeKind::Full));
    certificates.replace(Vec::new());
    assert!(shake(&server, &trusting(&paths), "live.example").is_err());
}

#[test]
fn encoders_are_never_taken_for_who_was_here_before() {
    let folder = Folder::new();
    let store = Arc::new(Certificates::new(vec![folder.certificate("one", &["one.example"])]).expect("tickets"));
    let client = trusting(&[folder.path("one.pem")]);
    // A ticket of a listener that asks for nothing is worth nothing here.
    let viewers = Arc::new(store.config(&[]).expect("a configuration"));
    let encoders = Arc::new(store.ingest(None).expect("a configuration"));
    for server in [&viewers, &encoders, &encoders] {
        let (_, kind) = shake(server, &client, "one.example").expect("a handshake");
        assert_eq!(kind, HandshakeKind::Full);
    }
    let strict = Authorities::load(&folder.path("one.pem")).expect("an authority");
    let strict = Arc::new(store.ingest(Some(&strict)).expect("a configuration"));
    assert!(shake(&viewers, &client, "one.example").is_ok());
    assert_eq!(shake(&strict, &client, "one.example").expect_err("no certificate"), Error::NoCertificatesPresented);
}

#[test]
fn what_holds_no_authority_says_why() {
    let folder = Folder::new();
    let (certificate, key) = folder.make("one", &["one.example"]);
    let (gone, torn) = (folder.path("gone"), folder.path("torn"));
    fs::write(&torn, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").expect("a file");
    for (path, words) in
        [(&gone, "No such file"), (&key, "no certificate in it"), (&torn, "no certificate of an authority")]
    {
        let Fault { part, detail } = Authorities::load(path).expect_err("no authority");
        assert_eq!(part, Part::Authorities);
        assert!(detail.starts_with(&format!("{}: ", path.display())) && detail.contains(words), "{detail}");
    }
    assert!(Authorities::load(&certificate).is_ok());
}
