//! The native front of the origin.
//!
//! What comes in: listening sockets, and answers that the application published ([`shelf`]). What goes out: HTTP/1.1 and HTTP/2 answers, a
//! log line and a count for each, and who watches ([`audience`]). Never: a decision about what an answer is. What was not published is asked of the application behind, over a Unix
//! socket, or of the one that [`routes`] name; what many viewers ask for at once is asked once.
//!
//! ```text
//! viewers ─▶ speech ─▶ door ─▶ shelf ─▶ plan (stored ranges, remuxed segments)
//!                            └───▶ routes ─▶ upstream (an application on its Unix socket)
//! ```
#![forbid(unsafe_code)]

pub mod answer;
pub mod audience;
pub mod conditions;
mod connection;
mod door;
mod exchange;
pub mod movie;
pub mod plan;
pub mod progressive;
pub mod routes;
pub mod server;
pub mod shelf;
mod speech;
pub mod tally;
mod upstream;
mod wanted;
