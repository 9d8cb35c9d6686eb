//! Certificates of the listeners that speak TLS.
//!
//! What comes in: PEM files: pairs, and the authorities of encoders. What goes out: a configuration for the handshakes of a listener, which
//! takes the certificates that there are at the moment of each. Never: a socket, a log line or a look at the clock.
//!
//! ```text
//! files ─▶ certificate (checked pair) ─▶ certificates (chosen by host name, exchanged in place) ─▶ rustls
//! ```
#![forbid(unsafe_code)]

mod authorities;
mod certificate;
mod certificates;
mod validity;

pub use authorities::Authorities;
pub use certificate::{Certificate, Fault, Part};
pub use certificates::Certificates;
