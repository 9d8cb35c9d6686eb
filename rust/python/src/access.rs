//! Who may have what is published.

use pyo3::prelude::*;
use pypackager_core::access::{self, Gate as Inner, Key, Terms};
use pypackager_core::proxies::parse_address;
use std::net::IpAddr;

/// What stands before a publication.
#[pyclass(frozen, eq, module = "pypackager._core")]
#[derive(PartialEq)]
pub struct Gate(pub Inner);

#[pymethods]
impl Gate {
    #[new]
    #[pyo3(signature = (root, keys, *, starts=None, expires=None, signed=false))]
    fn new(root: &str, keys: Vec<(String, Vec<u8>)>, starts: Option<i64>, expires: Option<i64>, signed: bool) -> Self {
        let keys = keys.iter().map(|(id, secret)| Key::new(id, secret)).collect();
        Self(Inner::new(root, Terms { starts, expires, signed }, keys))
    }

    fn judge(&self, now: i64, token: Option<&str>, viewer: &str) -> Option<&'static str> {
        self.0.judge(now, token, parse_address(viewer)).err().map(access::Refusal::code)
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A token; the key is its id and secret.
#[pyfunction]
#[pyo3(signature = (key, root, expires, viewer=None))]
pub fn sign_token(key: (String, Vec<u8>), root: &str, expires: u64, viewer: Option<IpAddr>) -> String {
    Key::new(&key.0, &key.1).sign(root, expires, viewer)
}

/// What stands before a path's token, the token, and what stands behind it.
#[pyfunction]
pub fn split_token(path: &str) -> Option<(&str, &str, &str)> {
    access::split_token(path).map(|split| (split.before, split.token, split.behind))
}
