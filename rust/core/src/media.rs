//! The neutral media types in the middle: every input becomes these, every output is made from them.

use crate::codec::{aac::AacConfig, avc::AvcConfig};
use crate::error::{Error, Result};
use crate::payload::{Memory, Payload};

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A codec with all that a decoder needs before the first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    /// H.264 (ISO 14496-15 `avc1`, parameter sets out of band).
    Avc(AvcConfig),
    /// AAC in any object type (ISO 14496-3 AudioSpecificConfig).
    Aac(AacConfig),
}

impl Codec {
    /// What a track of this codec carries.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Avc(_) => Kind::Video,
            Self::Aac(_) => Kind::Audio,
        }
    }
}

/// A track as its source announces it, before it is matched to a track of the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Number within its session: the `track_ID` of the `moov`; in RTMP 1 is video, 2 is audio.
    pub number: u32,
    /// Ticks per second of the source's times (RTMP: 1000).
    pub timescale: u32,
    /// The codec and its configuration.
    pub codec: Codec,
    /// `trackName` of the live manifest; else empty.
    pub name: String,
    /// ISO 639-2/T code (`und` when unknown).
    pub language: String,
    /// Announced bits per second; 0 when unknown.
    pub bitrate: u32,
    /// Announced frames per second as a ratio; (0, 1) when unknown.
    pub frame_rate: (u32, u32),
}

impl Track {
    /// Ticks per second in which the track is to be stored: exact for the source, and never above 1 MHz, because times must stay below
    /// 2^53 in browsers (docs/design/time.md).
    pub fn stored_timescale(&self) -> u32 {
        match &self.codec {
            Codec::Aac(config) => config.timescale(),
            Codec::Avc(_) if self.timescale >= VIDEO_TIMESCALE => VIDEO_TIMESCALE,
            Codec::Avc(_) if self.timescale == 0 || VIDEO_TIMESCALE % self.timescale == 0 => VIDEO_TIMESCALE,
            Codec::Avc(_) => self.timescale,
        }
    }
}

/// One sample of a chunk; its bytes follow those of the sample before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes in the payload.
    pub size: u32,
    /// Decode duration in ticks of the chunk's timescale.
    pub duration: u32,
    /// Composition time minus decode time, in ticks.
    pub composition: i32,
    /// Whether decoding can start here (every audio sample; in video an IDR picture).
    pub sync: bool,
}

/// One CMAF chunk's worth of one track: the unit of append and of visibility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The source's number of the track ([`Track::number`]).
    pub track: u32,
    /// Decode time of the first sample in ticks; signed, because an encoder's audio priming starts before zero.
    pub time: i64,
    /// Ticks per second of `time`, `duration` and `composition`.
    pub timescale: u32,
    /// Samples in decode order; never empty.
    pub samples: Vec<Sample>,
    /// The samples' bytes, back to back: video with 4-byte NAL unit lengths, audio raw AAC frames.
    pub payload: Payload,
    /// Fragment index of a tfxd version 2, when the source sends one.
    pub index: Option<u64>,
    /// The source broke off inside the fragment: whole frames, but fewer than the encoder made.
    pub partial: bool,
}

/// One access unit of a source that sends frames (RTMP), with its time unwrapped but not yet snapped or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The session's number of the track ([`Track::number`]).
    pub track: u32,
    /// Decode time in ticks of the track's source timescale.
    pub time: i64,
    /// Composition time minus decode time, in ticks.
    pub composition: i32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Video with 4-byte NAL unit lengths, audio a raw AAC frame.
    pub data: Memory,
}

/// A track of signals: payloads at times that are neither pictures nor sound, which nobody waits for (docs/design/signals.md).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalTrack {
    /// Number within its session: the `track_ID` of the `moov`.
    pub number: u32,
    /// Ticks per second of its times.
    pub timescale: u32,
    /// What its payload is: the kind of the sample entry; empty when there is none.
    pub format: String,
    /// `trackName` of the live manifest; else empty.
    pub name: String,
    /// ISO 639-2/T code (`und` when unknown).
    pub language: String,
    /// `parentTrackName` of the live manifest: the track whose fragments it belongs to; else empty.
    pub parent: String,
    /// `manifestOutput` of the live manifest: payloads stand in the client manifest.
    pub output: bool,
    /// `Subtype` of the live manifest; else empty.
    pub subtype: String,
    /// `Scheme` of the live manifest; else empty.
    pub scheme: String,
}

/// A fragment of a track of signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// The source's number of the track ([`SignalTrack::number`]).
    pub track: u32,
    /// Time in ticks.
    pub time: i64,
    /// Duration in ticks.
    pub duration: u64,
    /// Ticks per second of both.
    pub timescale: u32,
    /// The samples' bytes, back to back.
    pub data: Vec<u8>,
}

impl Chunk {
    /// The chunks of a track that follow each other, as one: a GOP that its sender cut. The bytes are copied.
    ///
    /// A rounding between two of them goes to the last sample before it, so that no time moves.
    ///
    /// # Errors
    /// `FRAGMENT_INVALID`: there are none, or they do not follow each other.
    pub fn joined(chunks: &[&Self]) -> Result<Self> {
        let invalid = |detail: &'static str| Error::new("FRAGMENT_INVALID", 0, detail);
        let first = *chunks.first().ok_or_else(|| invalid("no chunks to join"))?;
        let mut samples = Vec::with_capacity(chunks.iter().map(|chunk| chunk.samples.len()).sum());
        samples.extend_from_slice(&first.samples);
        let mut end = first.end();
        for chunk in &chunks[1..] {
            if (chunk.track, chunk.timescale) != (first.track, first.timescale) {
                return Err(invalid("chunks of two tracks"));
            }
            if let Some(last) = samples.last_mut() {
                let duration = i128::from(last.duration) + i128::from(chunk.time) - end;
                last.duration = u32::try_from(duration).map_err(|_| invalid("chunks that do not follow each other"))?;
            }
            samples.extend_from_slice(&chunk.samples);
            end = chunk.end();
        }
        let parts = chunks.iter().flat_map(|chunk| chunk.payload.parts().iter().cloned()).collect();
        let partial = chunks.iter().any(|chunk| chunk.partial);
        Ok(Self { samples, payload: Payload::new(parts), partial, ..*first })
    }

    /// The samples that start within `[begin, end)`, ticks of the chunk, as a chunk of their own, whose bytes are copied; `None`: there are none.
    /// Of sound alone: pictures need those before them.
    ///
    /// # Errors
    /// What was spilled cannot be read.
    pub fn within(&self, begin: i64, end: i64) -> std::io::Result<Option<Self>> {
        let (mut time, mut byte) = (self.time, 0);
        let mut found: Option<(i64, usize)> = None;
        let (mut samples, mut bytes_end) = (Vec::new(), 0);
        for sample in &self.samples {
            let next = byte + sample.size as usize;
            if (begin..end).contains(&time) {
                found.get_or_insert((time, byte));
                samples.push(*sample);
                bytes_end = next;
            }
            (time, byte) = (time.saturating_add(i64::from(sample.duration)), next);
        }
        let Some((time, first)) = found else { return Ok(None) };
        let bytes = self.payload.bytes()?;
        let payload = bytes.get(first..bytes_end).unwrap_or_default().to_vec().into();
        Ok(Some(Self { time, samples, payload, ..*self }))
    }

    /// First tick after it.
    fn end(&self) -> i128 {
        i128::from(self.time) + i128::from(self.duration())
    }

    /// Sum of the sample durations in ticks.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.duration)).sum()
    }

    /// Whether the chunk starts a fragment: its first sample is a sync sample.
    pub fn starts_fragment(&self) -> bool {
        self.samples.first().is_some_and(|s| s.sync)
    }
}

/// Holds every usual frame rate exactly: 24, 25, 30, 50, 60 and 1000/1001 of them.
const VIDEO_TIMESCALE: u32 = 90_000;
