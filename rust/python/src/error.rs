//! Every error of the crates as a Python exception.

use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pypackager_core::error::Error;
use pypackager_pump::files::ReadError;
use rustix::io::Errno;

create_exception!(
    pypackager._core,
    CoreError,
    PyValueError,
    "Bytes from outside are wrong: `code`, `status`, `offset`, `path` and `detail` say how and where."
);

/// Bytes that the core refused.
pub fn core_error(error: &Error) -> PyErr {
    let raised = CoreError::new_err(error.to_string());
    Python::attach(|py| {
        let value = raised.value(py);
        value.setattr("code", error.code)?;
        value.setattr("status", error.status)?;
        value.setattr("offset", error.offset)?;
        value.setattr("path", &error.path)?;
        value.setattr("detail", &*error.detail)
    })
    .err()
    .unwrap_or(raised)
}

/// A call that the system refused, as the fitting subclass of `OSError` with `errno` and `filename`.
pub fn os_error(errno: Errno, path: &str) -> PyErr {
    let reason = std::io::Error::from(errno).to_string();
    PyOSError::new_err((errno.raw_os_error(), reason, path.to_owned()))
}

/// A stored range that could not be read.
pub fn read_error(error: ReadError) -> PyErr {
    match error {
        ReadError::System { path, errno } => os_error(errno, &path),
        short @ ReadError::Short { .. } => PyOSError::new_err(short.to_string()),
    }
}
