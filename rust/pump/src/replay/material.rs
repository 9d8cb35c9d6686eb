//! Recorded tracks: fragmented MP4 read into memory once, shared by every stream that plays them.

use pypackager_core::demux::fmp4::{Event, Fmp4Reader, Limits};
use pypackager_core::error::Error;
use pypackager_core::media::{self, Chunk};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// One track with all its chunks in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Codec, timescale, language; the bitrate is the measured one where the file states none.
    pub header: media::Track,
    /// The recording; never empty.
    pub chunks: Vec<Chunk>,
}

impl Track {
    /// Decode time of the first sample.
    pub fn start(&self) -> i64 {
        self.chunks.first().map_or(0, |chunk| chunk.time)
    }

    /// End of the last sample.
    pub fn end(&self) -> i64 {
        self.chunks.last().map_or(0, |chunk| chunk.time.saturating_add_unsigned(chunk.duration()))
    }

    /// Bits per second over the whole recording.
    pub fn measured_bitrate(&self) -> u32 {
        let bytes: u128 = self.chunks.iter().map(|chunk| chunk.payload.len() as u128).sum();
        let ticks = u128::try_from(i128::from(self.end()) - i128::from(self.start())).unwrap_or(0).max(1);
        u32::try_from(bytes * 8 * u128::from(self.header.timescale) / ticks).unwrap_or(u32::MAX)
    }
}

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// It cannot be read.
    #[error(transparent)]
    System(#[from] io::Error),
    /// It is not fragmented MP4 with codecs that are known here.
    #[error(transparent)]
    Media(#[from] Error),
    /// It is MP4, but its samples are not in fragments.
    #[error("no fragments: a plain MP4 has to be remuxed (ffmpeg -c copy -movflags frag_keyframe+empty_moov)")]
    NotFragmented,
}

/// Reads every track of a fragmented MP4 file.
pub fn read_tracks(path: &Path) -> Result<Vec<Track>, MaterialError> {
    let mut file = File::open(path)?;
    // A recording is the operator's own: its fragments may be as long as one moof can say, and plain files bring a large moov.
    let limits = Limits { header: 256 << 20, moof: 64 << 20, fragment: 4 << 30, samples: 10_000_000, signal: 4 << 20 };
    let mut reader = Fmp4Reader::new(limits);
    let mut events = Vec::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => reader.feed(&buffer[..count], &mut events)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    reader.finish(&mut events)?;
    tracks_of(events)
}

/// Gathers what a reader found. Chunks that do not follow their track's order are left out: a recording is played forward.
pub fn tracks_of(events: impl IntoIterator<Item = Event>) -> Result<Vec<Track>, MaterialError> {
    let mut tracks: Vec<Track> = Vec::new();
    for event in events {
        match event {
            Event::Track(header) => {
                if !tracks.iter().any(|track| track.header.number == header.number) {
                    tracks.push(Track { header, chunks: Vec::new() });
                }
            }
            Event::Chunk(chunk) => {
                let track = tracks.iter_mut().find(|track| track.header.number == chunk.track);
                if let Some(track) = track.filter(|track| track.chunks.is_empty() || track.end() <= chunk.time) {
                    track.chunks.push(chunk);
                }
            }
            // Those are an encoder's own business; a recording is played for its pictures and sound.
            Event::SignalTrack(_) | Event::Signal(_) | Event::Warning(_) => {}
        }
    }
    tracks.retain(|track| !track.chunks.is_empty());
    if tracks.is_empty() {
        return Err(MaterialError::NotFragmented);
    }
    for track in &mut tracks {
        if track.header.bitrate == 0 {
            track.header.bitrate = track.measured_bitrate();
        }
    }
    Ok(tracks)
}
