//! `pypackager._core`: conversions between Python and the Rust crates, with the GIL released where bytes are worked on.
//!
//! What comes in: calls from Python. What goes out: values of the crates as frozen Python classes. Never: a decision.
#![deny(unsafe_code)]
#![allow(clippy::needless_pass_by_value)] // converted arguments belong to the call

mod access;
mod audience;
mod checksum;
mod chunk;
mod endpoint;
mod error;
mod event;
mod front;
mod gzip;
mod header;
mod journal;
mod networks;
mod plan;
mod proxies;
mod pump;
mod ranges;
mod remux;
mod replay;
mod replay_stats;
mod tls;
mod writer;

use pyo3::prelude::*;

/// The native core.
#[pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::access::{Gate, sign_token, split_token};
    #[pymodule_export]
    use super::audience::{Audience, Room, split_cmcd};
    #[pymodule_export]
    use super::checksum::crc32c;
    #[pymodule_export]
    use super::chunk::{Chunk, MuxedFragment};
    #[pymodule_export]
    use super::endpoint::Policy;
    #[pymodule_export]
    use super::error::CoreError;
    #[pymodule_export]
    use super::event::{
        BodyEnd, ChunkReady, Closed, ConnectRequested, ConnectionStats, Given, NeedClock, PublishEnded,
        PublishRequested, Request, SignalReady, SignalsFound, TrackFound, Warned,
    };
    #[pymodule_export]
    use super::front::{FrontAnswer, FrontDoor};
    #[pymodule_export]
    use super::gzip::{DeflatedBlock, assemble_gzip, deflate_block, join_blocks};
    #[pymodule_export]
    use super::header::{TrackHeader, read_init};
    #[pymodule_export]
    use super::journal::{Folded, FoldedTrack, fold_journal};
    #[pymodule_export]
    use super::networks::Networks;
    #[pymodule_export]
    use super::proxies::Proxies;
    #[pymodule_export]
    use super::pump::{Budget, Pump};
    #[pymodule_export]
    use super::remux::{flv_metadata, make_body, movie_head, progressive_head, read_movie, signal_fragment};
    #[pymodule_export]
    use super::replay::{RecordedTrack, Replay, read_recording};
    #[pymodule_export]
    use super::replay_stats::StreamStats;
    #[pymodule_export]
    use super::tls::{Certificate, Certificates, IngestTls};
    #[pymodule_export]
    use super::writer::Writer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::event::add_union(module)
    }
}
