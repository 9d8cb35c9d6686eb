//! Whom an encoder trusts that speaks TLS, and what it shows of itself.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The settings, and what is made of them when the first URL asks for TLS.
#[derive(Debug, Default)]
pub struct Trust {
    authorities: Option<PathBuf>,
    insecure: bool,
    identity: Option<(PathBuf, PathBuf)>,
    made: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    /// `authorities`: a PEM file of those that have to vouch for the other side, in place of the system's. `insecure`: nobody has to.
    /// `identity`: PEM files of the encoder's own certificate and its key.
    pub fn new(authorities: Option<PathBuf>, insecure: bool, identity: Option<(PathBuf, PathBuf)>) -> Self {
        Self { authorities, insecure, identity, made: OnceLock::new() }
    }

    /// The configuration of all connections.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.made.get_or_init(|| self.make().map(Arc::new)).clone()
    }

    fn make(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if self.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let Some((certificate, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let read = |path: &Path, error: &dyn Display| format!("{}: {error}", path.display());
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| read(key, &error))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| read(certificate, &error))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut systems = SYSTEMS.iter().map(PathBuf::from).filter(|path| path.exists());
        let path = self.authorities.clone().or_else(|| systems.next());
        let path = path.ok_or("the system has no file of authorities: name one with --ca")?;
        let mut roots = RootCertStore::empty();
        // Systems have certificates that nobody can use any more; the others count.
        roots.add_parsable_certificates(certificates(&path)?);
        if roots.is_empty() {
            return Err(format!("{}: there is no certificate of an authority in it", path.display()));
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |error: rustls::pki_types::pem::Error| format!("{}: {error}", path.display());
    CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)
}

/// Takes every certificate; that the other side has its key is still asked for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Where systems keep their authorities in one file.
const SYSTEMS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
