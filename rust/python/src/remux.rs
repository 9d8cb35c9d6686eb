//! Answers of plans, and `onMetaData`.

use crate::error::{core_error, read_error};
use crate::plan::Body;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pypackager_core::mux::f4f::{self, Value};
use pypackager_frontdoor::plan::Fault;

/// The bytes of a body.
#[pyfunction]
pub fn make_body(py: Python<'_>, body: Body) -> PyResult<Bound<'_, PyBytes>> {
    let made = py.detach(|| body.0.execute()).map_err(|fault| match fault {
        Fault::Read(error) => read_error(error),
        Fault::Core(error) => core_error(&error),
    })?;
    Ok(PyBytes::new(py, &made))
}

/// A value of `onMetaData` as Python gives it; a bool is no number here.
#[derive(FromPyObject)]
enum Property {
    Boolean(bool),
    Number(f64),
    Text(String),
}

/// AMF0 `onMetaData`.
#[pyfunction]
#[allow(private_interfaces)] // only Python calls it
pub fn flv_metadata(py: Python<'_>, values: Vec<(String, Property)>) -> Bound<'_, PyBytes> {
    let properties: Vec<_> = values
        .iter()
        .map(|(name, property)| {
            let value = match property {
                Property::Boolean(flag) => Value::Boolean(*flag),
                Property::Number(number) => Value::Number(*number),
                Property::Text(text) => Value::Text(text),
            };
            (name.as_str(), value)
        })
        .collect();
    PyBytes::new(py, &f4f::write_metadata(&properties))
}
