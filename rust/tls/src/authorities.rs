//! The authorities that vouch for encoders.

use crate::certificate::{Fault, Part};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Who has to have signed the certificate of an encoder, or one between the two that the encoder sends along.
#[derive(Debug, Clone)]
pub struct Authorities(pub(crate) Arc<RootCertStore>);

impl Authorities {
    /// Reads a PEM file of one certificate or more.
    pub fn load(path: &Path) -> Result<Self, Fault> {
        let refused = |error: &dyn fmt::Display| Fault {
            part: Part::Authorities,
            detail: format!("{}: {error}", path.display()),
        };
        let text = fs::read(path).map_err(|error| refused(&error))?;
        let mut roots = RootCertStore::empty();
        for each in CertificateDer::pem_slice_iter(&text) {
            let each = each.map_err(|error| refused(&error))?;
            roots.add(each).map_err(|error| refused(&format!("it is no certificate of an authority ({error})")))?;
        }
        if roots.is_empty() {
            return Err(refused(&"there is no certificate in it (PEM)"));
        }
        Ok(Self(Arc::new(roots)))
    }
}
