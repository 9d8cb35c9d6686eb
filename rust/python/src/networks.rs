//! Allow-lists of addresses.

use crate::error::core_error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pypackager_core::policy::Networks as Inner;
use std::net::IpAddr;

/// An allow-list of addresses.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Networks {
    inner: Inner,
    rules: Vec<String>,
}

#[pymethods]
impl Networks {
    #[new]
    fn new(rules: Vec<String>) -> PyResult<Self> {
        let inner = Inner::parse(&rules).map_err(|error| core_error(&error))?;
        Ok(Self { inner, rules })
    }

    fn allows(&self, address: &str) -> PyResult<bool> {
        // A link-local peer comes with its interface (RFC 4007 11): the rules are about the address.
        let bare = address.split('%').next().unwrap_or(address);
        let parsed: IpAddr = bare.parse().map_err(|_| PyValueError::new_err(format!("not an address: {address:?}")))?;
        Ok(self.inner.allows(parsed))
    }

    fn empty(&self) -> bool {
        self.inner.is_empty()
    }

    fn __repr__(&self) -> String {
        format!("Networks({:?})", self.rules)
    }
}
