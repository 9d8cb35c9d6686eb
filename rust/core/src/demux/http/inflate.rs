//! `Content-Encoding: gzip` (RFC 1952) on request bodies, which live ingest sources may use (DASH-IF Ingest 5.2).
//!
//! What is unpacked is handed over in bounded pieces and never kept.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::error::{Error, Result};

/// Decoder of one body.
#[derive(Debug)]
pub(super) struct Inflate {
    decoder: MultiGzDecoder<Vec<u8>>,
    taken: u64,
}

impl Inflate {
    pub fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), taken: 0 }
    }

    /// Decodes `input` and hands over what comes out, in pieces of bounded size.
    pub fn take(&mut self, input: &[u8], mut give: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        // Deflate expands a thousandfold at most: 4 KiB in are 4 MiB out.
        for piece in input.chunks(4096) {
            self.decoder.write_all(piece).map_err(|error| self.broken(&error))?;
            self.taken += piece.len() as u64;
            self.hand_over(&mut give)?;
        }
        Ok(())
    }

    /// Takes the end of the body.
    pub fn finish(&mut self, mut give: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if self.taken > 0 {
            self.decoder.try_finish().map_err(|error| self.broken(&error))?;
        }
        self.hand_over(&mut give)
    }

    fn hand_over(&mut self, give: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let decoded = self.decoder.get_mut();
        let result = give(decoded);
        decoded.clear();
        result
    }

    fn broken(&self, error: &std::io::Error) -> Error {
        Error::new("HTTP_CONTENT_CODING", self.taken, format!("gzip: {error}"))
    }
}
