//! Sockets and files: the ingest pump, the writer and reads of stored ranges.
//!
//! What comes in: connected sockets, decisions, fragments to be stored. What goes out: parsed events, finished tickets, bytes of stored
//! ranges. Never: an accept, a policy, a protocol (those are in `pypackager-core`), Python.
#![deny(unsafe_code)]

pub mod bell;
pub mod files;
pub mod fragment;
pub mod pump;
pub mod replay;
mod spill;
pub mod writer;
