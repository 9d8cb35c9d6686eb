//! Bodies as plans over stored fragments, and what comes of them.

use bytes::Bytes;
use pypackager_core::bmff::init::parse_init;
use pypackager_core::bmff::stored::{StoredChunk, parse_all};
use pypackager_core::error::{Error, Result};
use pypackager_core::media::{Codec, Track};
use pypackager_core::mux::{Piece, f4f, smooth, ts};
use pypackager_pump::files::{Range, ReadError, read_all};

/// How the bytes of an answer are made.
#[derive(Debug, Clone)]
pub enum Plan {
    /// They are there.
    Bytes(Bytes),
    /// A long text in parts, one after the other.
    Parts(Vec<Bytes>),
    /// As stored, one range after the other.
    Stored(Vec<Range>),
    /// An MPEG-TS segment.
    Ts {
        /// Its picture.
        video: Option<Source>,
        /// Its sound.
        audio: Option<Source>,
    },
    /// A Smooth Streaming fragment.
    Smooth(Smooth),
    /// An HDS fragment.
    F4f {
        /// Its picture.
        video: Option<Source>,
        /// Its sound.
        audio: Option<Source>,
        /// Media time of HDS time zero, in nanoseconds.
        origin_ns: i64,
    },
}

/// A track of a remuxed segment.
#[derive(Debug, Clone)]
pub struct Source {
    /// The CMAF header of its configuration.
    pub init: Bytes,
    /// Its stored fragments, in order.
    pub ranges: Vec<Range>,
}

/// What a Smooth fragment says beside its samples.
#[derive(Debug, Clone)]
pub struct Smooth {
    /// The samples.
    pub source: Source,
    /// Of the `tfhd`.
    pub track_id: u32,
    /// Of the `mfhd`.
    pub sequence: u32,
    /// Of the `tfxd`.
    pub time: u64,
    /// Of the `tfxd`.
    pub duration: u64,
    /// Ticks that lift all composition offsets above zero.
    pub composition_shift: u32,
    /// Of the `tfrf`: time and duration.
    pub successors: Vec<(u64, u64)>,
    /// SPS and PPS go before the first NAL unit.
    pub inband: bool,
}

/// A plan that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The bytes are not there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read is no fragment of ours.
    #[error(transparent)]
    Core(#[from] Error),
}

impl Plan {
    /// Count of bytes where it is known without making them.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Bytes(data) => Some(data.len() as u64),
            Self::Parts(parts) => Some(parts.iter().map(|part| part.len() as u64).sum()),
            Self::Stored(ranges) => Some(ranges.iter().map(|range| range.size as u64).sum()),
            Self::Ts { .. } | Self::Smooth(_) | Self::F4f { .. } => None,
        }
    }

    /// Makes the bytes; reads files, so it may block.
    pub fn execute(&self) -> std::result::Result<Bytes, Fault> {
        match self {
            Self::Bytes(data) => Ok(data.clone()),
            Self::Parts(parts) => Ok(parts.concat().into()),
            Self::Stored(ranges) => Ok(read_all(ranges)?.into()),
            Self::Ts { video, audio } => with_pieces(video.as_ref(), audio.as_ref(), ts::write_segment),
            Self::Smooth(fragment) => fragment.write(),
            Self::F4f { video, audio, origin_ns } => {
                let write =
                    |video: Pieces<'_, '_>, audio: Pieces<'_, '_>| f4f::write_fragment(video, audio, *origin_ns);
                with_pieces(video.as_ref(), audio.as_ref(), write)
            }
        }
    }
}

impl Smooth {
    fn write(&self) -> std::result::Result<Bytes, Fault> {
        let data = read_all(&self.source.ranges)?;
        let chunks = parse_all(&data)?;
        let samples: Vec<_> = chunks.iter().flat_map(|chunk| chunk.samples.iter().copied()).collect();
        let fragment = smooth::Fragment {
            track_id: self.track_id,
            sequence: self.sequence,
            time: self.time,
            duration: self.duration,
            samples: &samples,
            composition_shift: self.composition_shift,
            successors: &self.successors,
        };
        if self.inband {
            if let Codec::Avc(config) = parse_init(&self.source.init)?.track.codec {
                let payload: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.payload).copied().collect();
                return Ok(fragment.write_with_parameter_sets(&config, &payload)?.into());
            }
        }
        let size = chunks.iter().map(|chunk| chunk.payload.len()).sum::<usize>();
        let mut out = fragment.write_head(size as u64)?;
        out.reserve_exact(size);
        for chunk in &chunks {
            out.extend_from_slice(chunk.payload);
        }
        Ok(out.into())
    }
}

type Pieces<'a, 'b> = Option<&'a [Piece<'b>]>;

/// Reads and parses both sources and lets `write` make one output of them.
fn with_pieces(
    video: Option<&Source>,
    audio: Option<&Source>,
    write: impl FnOnce(Pieces<'_, '_>, Pieces<'_, '_>) -> Result<Vec<u8>>,
) -> std::result::Result<Bytes, Fault> {
    let (video, audio) = (video.map(load).transpose()?, audio.map(load).transpose()?);
    let video_chunks = video.as_ref().map(|(_, data)| parse_all(data)).transpose()?;
    let audio_chunks = audio.as_ref().map(|(_, data)| parse_all(data)).transpose()?;
    let video_pieces =
        video.as_ref().zip(video_chunks.as_ref()).map(|((track, _), chunks)| pieces(track.as_ref(), chunks));
    let audio_pieces =
        audio.as_ref().zip(audio_chunks.as_ref()).map(|((track, _), chunks)| pieces(track.as_ref(), chunks));
    Ok(write(video_pieces.as_deref(), audio_pieces.as_deref())?.into())
}

/// The track and its bytes; a source of no ranges needs no header.
fn load(source: &Source) -> std::result::Result<(Option<Track>, Vec<u8>), Fault> {
    let track = if source.ranges.is_empty() { None } else { Some(parse_init(&source.init)?.track) };
    Ok((track, read_all(&source.ranges)?))
}

fn pieces<'a>(track: Option<&'a Track>, chunks: &'a [StoredChunk<'a>]) -> Vec<Piece<'a>> {
    let Some(track) = track else { return Vec::new() };
    let piece = |chunk: &'a StoredChunk<'a>| Piece {
        codec: &track.codec,
        timescale: track.timescale,
        decode_time: chunk.decode_time,
        samples: &chunk.samples,
        payload: chunk.payload,
    };
    chunks.iter().map(piece).collect()
}
