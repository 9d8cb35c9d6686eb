//! The front door.

use crate::access::Gate;
use crate::audience::Room;
use crate::endpoint::Policy;
use crate::plan::{Body, Pieces};
use crate::proxies::Proxies;
use crate::tls::Certificates;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pypackager_frontdoor::answer::{Answer, Kind};
use pypackager_frontdoor::server::{Options, Server};
use pypackager_frontdoor::tally::BOUNDS;
use std::collections::HashMap;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer for the front door.
#[pyclass(frozen, module = "pypackager._core")]
pub struct FrontAnswer(Answer);

/// Threads that answer viewers from what was published.
#[pyclass(frozen, module = "pypackager._core")]
pub struct FrontDoor(Server);

/// One answered request: client, method, target, status, kind, bytes, seconds, agent.
type Line = (String, String, String, u16, &'static str, u64, f64, String);
/// Answers of one kind and status: kind, status, count, bytes, seconds, count per bound of the latency histogram.
type Sum = (&'static str, u16, u64, u64, f64, Vec<u64>);

#[pymethods]
impl FrontAnswer {
    #[new]
    fn new(
        kind: &str,
        headers: Vec<(PyBackedBytes, PyBackedBytes)>,
        etag: &str,
        etag_gzip: &str,
        body: Body,
        gzip: Option<Pieces>,
    ) -> PyResult<Self> {
        let kind = match kind {
            "manifest" => Kind::Manifest,
            "segment" => Kind::Segment,
            other => return Err(PyValueError::new_err(format!("kind {other:?} is neither 'manifest' nor 'segment'"))),
        };
        let bad =
            |what: &dyn std::fmt::Display| PyValueError::new_err(format!("a header that HTTP can't carry: {what}"));
        let header = |(name, value): (PyBackedBytes, PyBackedBytes)| {
            Ok((name.as_ref().try_into().map_err(|e| bad(&e))?, value.as_ref().try_into().map_err(|e| bad(&e))?))
        };
        let headers = headers.into_iter().map(header).collect::<PyResult<Vec<_>>>()?;
        let (etag, etag_gzip) = (etag.try_into().map_err(|e| bad(&e))?, etag_gzip.try_into().map_err(|e| bad(&e))?);
        Ok(Self(Answer::new(kind, headers, etag, etag_gzip, body.0, gzip.map(Vec::from))))
    }
}

#[pymethods]
impl FrontDoor {
    #[new]
    #[pyo3(signature = (
        sockets, upstream, *, certificates=None, threads=1, keep_alive_s=65.0, handshake_s=10.0, stall_s=30.0, grace_s=2.0,
        max_connections=4096, max_questions=64, cache_bytes=16_777_216, max_lines=1000, proxies=None
    ))]
    #[allow(clippy::too_many_arguments)] // its options, by name
    fn new(
        sockets: Vec<RawFd>,
        upstream: PathBuf,
        certificates: Option<PyRef<'_, Certificates>>,
        threads: usize,
        keep_alive_s: f64,
        handshake_s: f64,
        stall_s: f64,
        grace_s: f64,
        max_connections: usize,
        max_questions: usize,
        cache_bytes: usize,
        max_lines: usize,
        proxies: Option<&Proxies>,
    ) -> PyResult<Self> {
        if let Some(fd) = sockets.iter().find(|fd| **fd < 0) {
            return Err(PyValueError::new_err(format!("{fd} is no descriptor")));
        }
        // SAFETY: the descriptors are open and the caller gives them away with this call (`socket.detach()`), so nobody else closes them.
        #[allow(unsafe_code)]
        let take = |fd| TcpListener::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let listeners: Vec<_> = sockets.into_iter().map(take).collect();
        let seconds =
            |value: f64| Duration::try_from_secs_f64(value).map_err(|error| PyValueError::new_err(error.to_string()));
        let options = Options {
            upstream,
            threads,
            keep_alive: seconds(keep_alive_s)?,
            certificates: certificates.map(|certificates| Arc::clone(&certificates.0)),
            handshake: seconds(handshake_s)?,
            stall: seconds(stall_s)?,
            grace: seconds(grace_s)?,
            max_connections,
            max_questions,
            cache_bytes,
            max_lines,
            proxies: proxies.map(|proxies| proxies.0.clone()).unwrap_or_default(),
        };
        Ok(Self(Server::start(&listeners, &options)?))
    }

    fn obey(&self, policy: &Policy) {
        self.0.obey(policy.0.clone());
    }

    fn route(&self, routes: HashMap<String, PathBuf>) {
        self.0.route(routes.into_iter().map(|(what, socket)| (what, Arc::from(socket))).collect());
    }

    fn guard(&self, root: &str, gate: &Gate, counted: &Room) {
        self.0.shelf().guard(root, gate.0.clone(), Arc::clone(&counted.0));
    }

    fn put(&self, root: &str, target: &str, answer: &FrontAnswer, lifetime_s: f64) {
        let lifetime = Duration::try_from_secs_f64(lifetime_s).unwrap_or_default();
        self.0.shelf().put(root, target, answer.0.clone(), Instant::now() + lifetime);
    }

    fn add(&self, root: &str, target: &str, answer: &FrontAnswer) {
        self.0.shelf().add(root, target, answer.0.clone());
    }

    fn turn(&self, root: &str, manifests: Vec<(String, PyRef<'_, FrontAnswer>)>) {
        let manifests = manifests.into_iter().map(|(target, answer)| (target, answer.0.clone())).collect();
        self.0.shelf().turn(root, manifests);
    }

    fn asked(&self, root: &str) -> Vec<String> {
        self.0.shelf().asked(root)
    }

    fn withdraw(&self, root: &str) {
        self.0.shelf().withdraw(root);
    }

    fn report(&self) -> (Vec<Line>, u64, Vec<Sum>) {
        let report = self.0.tally().take();
        let lines = report.lines.into_iter().map(|line| {
            let (kind, took) = (line.kind.name(), line.took.as_secs_f64());
            (line.client, line.method, line.target, line.status, kind, line.bytes, took, line.agent)
        });
        let sums = report.sums.into_iter().map(|((kind, status), sum)| {
            (kind.name(), status, sum.count, sum.bytes, sum.took.as_secs_f64(), sum.within.to_vec())
        });
        (lines.collect(), report.unsaid, sums.collect())
    }

    #[classattr]
    fn latency_bounds() -> Vec<f64> {
        BOUNDS.iter().map(Duration::as_secs_f64).collect()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn __repr__(&self) -> String {
        let (entries, made) = self.0.shelf().load();
        format!("FrontDoor(entries={entries}, made_bytes={made})")
    }
}
