//! What a streaming endpoint demands of its viewers.

use crate::error::core_error;
use pyo3::prelude::*;
use pypackager_core::endpoint::{Policy as Inner, Refusal, Viewer};
use pypackager_core::policy::Networks;
use pypackager_core::proxies::parse_address;

/// The rules of a streaming endpoint.
#[pyclass(frozen, eq, module = "pypackager._core")]
#[derive(PartialEq)]
pub struct Policy(pub Inner);

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (*, running, allow=vec![], hosts=vec![], secret=None, origins=None))]
    fn new(
        running: bool,
        allow: Vec<String>,
        hosts: Vec<String>,
        secret: Option<String>,
        origins: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let allow = Networks::parse(&allow).map_err(|error| core_error(&error))?;
        Ok(Self(Inner { running, allow, hosts, secret, origins }))
    }

    fn judge(&self, viewer: &str, host: &str, secret: &str) -> Option<&'static str> {
        self.0.judge(&Viewer { address: parse_address(viewer), host, secret }).err().map(Refusal::code)
    }

    fn reads(&self, origin: &str) -> bool {
        self.0.reads(origin)
    }

    #[getter]
    fn running(&self) -> bool {
        self.0.running
    }

    #[getter]
    fn open(&self) -> bool {
        self.0.origins.is_none()
    }

    fn __repr__(&self) -> String {
        // Without the secret: what is shown may be logged.
        format!("Policy(running={}, hosts={:?})", self.0.running, self.0.hosts)
    }
}
