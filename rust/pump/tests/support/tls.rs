//! An authority, what it signs, and clients that speak TLS.
#![allow(dead_code, clippy::unwrap_used)]

use pypackager_tls::{Authorities, Certificate, Certificates};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tempfile::TempDir;

/// An authority with a folder for files.
pub struct Authority {
    folder: TempDir,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), certificate, key }
    }

    /// A pair of PEM texts for a host.
    fn issue(&self, host: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.certificate, &self.key).unwrap(), key)
    }

    /// A server that shows a certificate of this authority and believes, where it asks, that one about encoders.
    pub fn server(&self, encoders: Option<&Self>) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue("localhost");
        let (one, other, roots) =
            (self.folder.path().join("c"), self.folder.path().join("k"), self.folder.path().join("roots"));
        fs::write(&one, certificate.pem()).unwrap();
        fs::write(&other, key.serialize_pem()).unwrap();
        let authorities = encoders.map(|authority| {
            fs::write(&roots, authority.certificate.pem()).unwrap();
            Authorities::load(&roots).unwrap()
        });
        let certificates = Certificates::new(vec![Certificate::load(&one, &other).unwrap()]).unwrap();
        Arc::new(Arc::new(certificates).ingest(authorities.as_ref()).unwrap())
    }

    /// A client that believes this authority and shows a certificate of that one.
    pub fn client(
        &self,
        shown: Option<&Self>,
        version: &'static SupportedProtocolVersion,
    ) -> Result<ClientConnection, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[version])?.with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let (certificate, key) = authority.issue("encoder");
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![certificate.der().clone()], key)?
            }
        };
        let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap())?;
        client.set_buffer_limit(None);
        Ok(client)
    }
}

/// Shakes hands over a socket, in pieces of so many bytes.
pub fn shake(client: &mut ClientConnection, socket: &mut TcpStream, piece: usize) {
    while client.is_handshaking() {
        let sealed = sealed(client, b"");
        sealed.chunks(piece).for_each(|piece| socket.write_all(piece).unwrap());
        if client.is_handshaking() {
            client.read_tls(socket).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    let rest = sealed(client, b"");
    socket.write_all(&rest).unwrap();
}

/// What is to be sent for these bytes.
pub fn sealed(client: &mut ClientConnection, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    client.writer().write_all(plain).unwrap();
    while client.wants_write() {
        client.write_tls(&mut sealed).unwrap();
    }
    sealed
}

/// Everything the peer gets, up to the farewell: an error when there is none.
pub fn answer(client: &mut ClientConnection, socket: &mut TcpStream) -> std::io::Result<String> {
    let mut answer = Vec::new();
    rustls::Stream::new(client, socket).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
