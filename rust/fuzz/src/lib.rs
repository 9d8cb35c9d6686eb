//! Bodies of the fuzz targets: bytes from outside in, a panic out when the media core breaks a promise.
//!
//! Only public APIs are used. Every target asks for more than "no panic": the same events whatever the split, bounded memory,
//! and what is written must be read back.

pub mod amf0;
pub mod boxes;
pub mod codec;
pub mod cut;
pub mod flv;
pub mod fmp4;
pub mod http;
pub mod mux;
pub mod rtmp;
pub mod split;
pub mod stored;
pub mod viewer;
