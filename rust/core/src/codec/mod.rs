//! What the packager must know of each codec: parameter sets, RFC 6381 strings, NAL units, frame lengths.
//!
//! What comes in: configuration records and access units as the demuxers cut them. What goes out: parsed configurations and borrowed
//! parts of the input. Never: decoding of pictures or sound.

pub mod aac;
pub mod avc;
mod bits;
pub mod nal;
mod sps;
