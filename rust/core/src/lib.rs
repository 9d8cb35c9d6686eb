//! The media core: bytes in, tracks and chunks out, and back to bytes in each delivery format.
//!
//! What comes in: slices of a stream and, where it matters, the time as an argument. What goes out: neutral [`media`] values, bytes, and
//! [`error::Error`]s that say where. Never: a socket, a file, a clock, a thread, Python.
#![forbid(unsafe_code)]

pub mod access;
pub mod bmff;
pub mod cmcd;
pub mod codec;
pub mod demux;
pub mod endpoint;
pub mod error;
pub mod journal;
pub mod media;
pub mod mux;
pub mod payload;
pub mod policy;
pub mod proxies;
pub mod time;
pub mod wire;
