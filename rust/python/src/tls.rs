//! Certificates of the listeners that speak TLS.

use crate::error::CoreError;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pypackager_tls::{Authorities, Certificate as Pair, Certificates as Store, Fault};
use rustls::ServerConfig;
use std::path::PathBuf;
use std::sync::Arc;

/// A certificate that fits its key.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Certificate(Pair);

/// What all listeners that speak TLS share.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Certificates(pub Arc<Store>);

/// How encoders are to speak TLS.
#[pyclass(frozen, module = "pypackager._core")]
pub struct IngestTls(pub Arc<ServerConfig>);

#[pymethods]
impl IngestTls {
    #[new]
    #[pyo3(signature = (certificates, client_ca=None))]
    fn new(py: Python<'_>, certificates: &Certificates, client_ca: Option<PathBuf>) -> PyResult<Self> {
        let authorities = client_ca.map(|path| py.detach(|| Authorities::load(&path))).transpose();
        let authorities = authorities.map_err(|fault| refused(py, &fault))?;
        let config = certificates.0.ingest(authorities.as_ref());
        Ok(Self(Arc::new(config.map_err(|error| PyOSError::new_err(error.to_string()))?)))
    }
}

#[pymethods]
impl Certificate {
    #[new]
    fn new(py: Python<'_>, certificate: PathBuf, key: PathBuf) -> PyResult<Self> {
        py.detach(|| Pair::load(&certificate, &key)).map(Self).map_err(|fault| refused(py, &fault))
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.0.names().to_vec()
    }

    #[getter]
    fn end(&self) -> i64 {
        self.0.end()
    }

    fn __repr__(&self) -> String {
        format!("Certificate(names={:?}, end={})", self.0.names(), self.0.end())
    }
}

#[pymethods]
impl Certificates {
    #[new]
    fn new(certificates: Vec<PyRef<'_, Certificate>>) -> PyResult<Self> {
        // What can fail is the system's random numbers.
        let store = Store::new(pairs(&certificates)).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self(Arc::new(store)))
    }

    fn replace(&self, certificates: Vec<PyRef<'_, Certificate>>) {
        self.0.replace(pairs(&certificates));
    }

    fn choose(&self, host: Option<&str>) -> Option<usize> {
        Store::choose(&self.0.all(), host)
    }

    fn __len__(&self) -> usize {
        self.0.all().len()
    }

    fn __repr__(&self) -> String {
        let names: Vec<_> = self.0.all().iter().map(|pair| pair.names().to_vec()).collect();
        format!("Certificates({names:?})")
    }
}

fn pairs(certificates: &[PyRef<'_, Certificate>]) -> Vec<Pair> {
    certificates.iter().map(|certificate| certificate.0.clone()).collect()
}

fn refused(py: Python<'_>, fault: &Fault) -> PyErr {
    let raised = CoreError::new_err(fault.to_string());
    let value = raised.value(py);
    let told = value
        .setattr("code", "TLS_UNUSABLE")
        .and_then(|()| value.setattr("status", 400))
        .and_then(|()| value.setattr("offset", 0))
        .and_then(|()| value.setattr("path", fault.part.name()))
        .and_then(|()| value.setattr("detail", &*fault.detail));
    told.err().unwrap_or(raised)
}
