//! One certificate with its key, as files have them.

use crate::validity::read_end;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use webpki::EndEntityCert;

/// A certificate that fits its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    names: Vec<String>,
    end: i64,
}

/// Why a file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    /// Which file is at fault.
    pub part: Part,
    /// What is wrong with it, with its path.
    pub detail: String,
}

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate and those that lead from it to its authority.
    Certificate,
    /// The private key.
    Key,
    /// The authorities of encoders.
    Authorities,
}

impl Part {
    /// Its key in the configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Authorities => "ingest_client_ca",
        }
    }
}

impl Certificate {
    /// Reads and checks a pair of PEM files. When the certificate ends is told ([`Self::end`]), not judged.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Fault> {
        let at = |part, path: &Path| {
            let path = path.display().to_string();
            move |error: &dyn fmt::Display| Fault { part, detail: format!("{path}: {error}") }
        };
        let (of_certificate, of_key) = (at(Part::Certificate, certificate), at(Part::Key, key));
        let text = fs::read(certificate).map_err(|error| of_certificate(&error))?;
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| of_certificate(&error))?;
        let Some(first) = chain.first() else { return Err(of_certificate(&"there is no certificate in it (PEM)")) };
        let leaf = EndEntityCert::try_from(first)
            .map_err(|error| of_certificate(&format!("it is no certificate of a server ({error:?})")))?;
        let names = leaf.valid_dns_names().map(str::to_owned).collect();
        let end = read_end(first).ok_or_else(|| of_certificate(&"its end can't be read"))?;
        let text = fs::read(key).map_err(|error| of_key(&error))?;
        let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => {
                of_key(&"there is no private key in it (PEM, without a password)")
            }
            other => of_key(&other),
        })?;
        let key = CertifiedKey::from_der(chain, secret, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => of_key(&format!("it is not the key of {}", certificate.display())),
            other => of_key(&other),
        })?;
        Ok(Self { key: Arc::new(key), names, end })
    }

    /// The host names that it is for, as it has them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Seconds since 1970 at which it ends.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Whether it is for a host (RFC 9525 6.3).
    pub fn is_for(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else { return false };
        let leaf = self.key.cert.first().and_then(|der| EndEntityCert::try_from(der).ok());
        leaf.is_some_and(|leaf| leaf.verify_is_valid_for_subject_name(&name).is_ok())
    }
}
