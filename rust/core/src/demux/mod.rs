//! Sans-IO readers of every input: bytes in, tracks and chunks (or frames) out.

pub mod cut;
pub mod flv;
pub mod fmp4;
pub mod http;
pub mod rtmp;
