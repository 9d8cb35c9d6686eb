//! Whose address a request has.

use crate::error::core_error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pypackager_core::policy::Networks;
use pypackager_core::proxies::{Field, Proxies as Inner, parse_address};

/// The proxies that are believed.
#[pyclass(frozen, module = "pypackager._core")]
pub struct Proxies(pub Inner);

#[pymethods]
impl Proxies {
    #[new]
    #[pyo3(signature = (trusted, header="x-forwarded-for"))]
    fn new(trusted: Vec<String>, header: &str) -> PyResult<Self> {
        let trusted = Networks::parse(&trusted).map_err(|error| core_error(&error))?;
        let field = [Field::XForwardedFor, Field::Forwarded].into_iter().find(|field| field.name() == header);
        let field = field.ok_or_else(|| PyValueError::new_err(format!("no proxy's header: {header:?}")))?;
        Ok(Self(Inner { trusted, field }))
    }

    #[getter]
    fn header(&self) -> &'static str {
        self.0.field.name()
    }

    fn viewer(&self, peer: String, lines: Vec<String>) -> String {
        let told = self.0.told(parse_address(&peer), lines.iter().map(String::as_str)).map(str::to_owned);
        told.unwrap_or(peer)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}
