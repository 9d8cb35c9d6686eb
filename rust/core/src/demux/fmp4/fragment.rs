//! One `moof` and the media that follows it: chunks that fill up.

use super::header::{Header, KnownTrack, MAX_TRACKS};
use super::placement::{Run, Segment, segments};
use super::samples::Units;
use super::time::decode_time;
use super::{Event, Limits};
use crate::bmff::moof::Moof;
use crate::bmff::traf::Traf;
use crate::bmff::trex::Trex;
use crate::error::{Error, Result};
use crate::media::{Chunk, Sample, Signal};
use crate::payload::{Payload, Spill};
use std::io;

/// The chunks of a `moof`, one for each track fragment of a known track.
#[derive(Debug)]
pub(super) struct Fragment {
    /// Where the `moof` starts in the stream.
    start: u64,
    parts: Vec<Part>,
    runs: Vec<Run>,
    segments: Vec<Segment>,
    /// The segment that is being filled.
    next: usize,
    /// Bytes of the `mdat` payload consumed.
    position: u64,
    placed: bool,
}

#[derive(Debug)]
struct Part {
    chunk: Chunk,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Video, with its NAL units.
    Video(Units),
    Audio,
    Signals,
}

impl Fragment {
    /// Parses the body of a `moof` that starts at `start` in the stream, its body at `body_start`.
    ///
    /// A track fragment of an unknown track is dropped with a warning; the others go on.
    pub fn parse(
        body: &[u8],
        start: u64,
        body_start: u64,
        header: &Header,
        limits: &Limits,
        events: &mut Vec<Event>,
    ) -> Result<Self> {
        let moof = Moof::parse(body).map_err(|error| error.at(body_start).within("moof"))?;
        let locate = |error: Error| error.at(start).within("moof");
        if moof.tracks.len() > MAX_TRACKS {
            let detail = format!("{} track fragments, at most {MAX_TRACKS} are taken", moof.tracks.len());
            return Err(locate(Error::new("TOO_MANY_TRACKS", 0, detail).with_status(413)));
        }
        let mut fragment = Self {
            start,
            parts: Vec::with_capacity(moof.tracks.len()),
            runs: Vec::new(),
            segments: Vec::new(),
            next: 0,
            position: 0,
            placed: false,
        };
        let (mut bytes, mut allowed) = (0u64, limits.samples);
        for (number, traf) in moof.tracks.iter().enumerate() {
            let known = header.find(traf.header.track_id);
            let trex = known.map_or_else(Trex::default, |known| known.trex);
            let samples = traf.samples(&trex, allowed).map_err(|error| locate(error.within("traf")))?;
            allowed -= samples.len();
            let size = samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
            let takes = |known: &KnownTrack| !known.carries_signals() || size <= limits.signal;
            let part = known.filter(|known| !samples.is_empty() && takes(known)).map(|_| fragment.parts.len());
            fragment.add_runs(number, traf, part, &samples);
            bytes += size;
            if bytes > limits.fragment {
                let detail = format!("samples of {bytes} bytes or more, at most {} are taken", limits.fragment);
                return Err(locate(Error::new("FRAGMENT_TOO_LARGE", 0, detail).with_status(413)));
            }
            match known {
                None => {
                    let detail = format!("no track {} in the moov", traf.header.track_id);
                    events.push(Event::Warning(locate(Error::new("UNKNOWN_TRACK", 0, detail).within("traf"))));
                }
                Some(_) if samples.is_empty() => {}
                Some(known) if known.carries_signals() && size > limits.signal => {
                    let detail = format!("a signal of {size} bytes, at most {} are taken", limits.signal);
                    events.push(Event::Warning(locate(Error::new("SIGNAL_TOO_LARGE", 0, detail).within("traf"))));
                }
                Some(known) => {
                    let (part, mismatch) = part_of(traf, known, samples).map_err(locate)?;
                    events.extend(mismatch.map(|error| Event::Warning(locate(error))));
                    fragment.parts.push(part);
                }
            }
        }
        Ok(fragment)
    }

    /// The `mdat` is here: its payload spans `payload..end` of the stream.
    pub fn place(&mut self, payload: u64, end: u64) -> Result<()> {
        self.segments = segments(&self.runs, self.start, payload, end)?;
        for part in &mut self.parts {
            let length: usize = part.chunk.samples.iter().map(|sample| sample.size as usize).sum();
            part.chunk.payload.reserve(length.min(MAX_RESERVE));
        }
        self.placed = true;
        Ok(())
    }

    /// Takes the next bytes of the `mdat` payload: one copy, to where they belong.
    pub fn take(&mut self, mut input: &[u8]) {
        while let Some(segment) = self.segments.get(self.next) {
            if input.is_empty() {
                return;
            }
            let gap = segment.start.saturating_sub(self.position);
            if gap > 0 {
                let skipped = usize::try_from(gap).unwrap_or(usize::MAX).min(input.len());
                self.position += skipped as u64;
                input = &input[skipped..];
                continue;
            }
            let missing = segment.start + segment.length - self.position;
            let taken = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
            if let Some(Part { chunk, content }) = self.parts.get_mut(segment.part) {
                match content {
                    Content::Video(units) => units.take(&input[..taken], &mut chunk.samples, &mut chunk.payload),
                    Content::Audio | Content::Signals => chunk.payload.extend(&input[..taken]),
                }
            }
            self.position += taken as u64;
            input = &input[taken..];
            if taken as u64 == missing {
                self.next += 1;
            }
        }
    }

    /// Whether the media of every chunk is here.
    pub fn is_complete(&self) -> bool {
        self.placed && self.next == self.segments.len()
    }

    /// Bytes of media held in memory.
    pub fn held_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.chunk.payload.held()).sum()
    }

    /// Stores the media that is in memory. Signals are too small to be worth it.
    pub fn spill(&mut self, spill: &mut dyn Spill) -> io::Result<()> {
        let mut media = self.parts.iter_mut().filter(|part| !matches!(part.content, Content::Signals));
        media.try_for_each(|part| part.chunk.payload.spill(spill))
    }

    /// The chunks, in the order of the track fragments.
    pub fn emit(self, events: &mut Vec<Event>) {
        for Part { mut chunk, content } in self.parts {
            events.push(match content {
                Content::Signals => Event::Signal(Signal {
                    track: chunk.track,
                    time: chunk.time,
                    duration: chunk.duration(),
                    timescale: chunk.timescale,
                    data: chunk.payload.contiguous().map(<[u8]>::to_vec).unwrap_or_default(),
                }),
                Content::Audio => Event::Chunk(chunk),
                Content::Video(units) => match units.finish(&mut chunk.samples) {
                    Ok(()) => Event::Chunk(chunk),
                    Err(error) => Event::Warning(error.at(self.start).within("mdat")),
                },
            });
        }
    }

    fn add_runs(&mut self, traf: usize, parsed: &Traf<'_>, part: Option<usize>, samples: &[Sample]) {
        let mut rest = samples;
        for run in &parsed.runs {
            let (samples, behind) = rest.split_at((run.count as usize).min(rest.len()));
            rest = behind;
            self.runs.push(Run {
                traf,
                part,
                base: parsed.header.base,
                data_offset: run.data_offset,
                length: samples.iter().map(|sample| u64::from(sample.size)).sum(),
            });
        }
    }
}

fn part_of(traf: &Traf<'_>, known: &KnownTrack, mut samples: Vec<Sample>) -> Result<(Part, Option<Error>)> {
    let description = traf.header.sample_description_index.unwrap_or(known.trex.sample_description_index);
    if description > 1 {
        let detail = format!("sample description {description}; one codec per track is taken");
        return Err(Error::new("SAMPLE_DESCRIPTION", 0, detail).within("tfhd").within("traf"));
    }
    let (time, contradiction) = decode_time(traf, &samples[0], known.shift)?;
    let mismatch = contradiction.then(|| {
        let (tfxd, tfdt) = (traf.tfxd.map_or(0, |tfxd| tfxd.time), traf.tfdt.map_or(0, |tfdt| tfdt.time));
        Error::new("TIME_MISMATCH", 0, format!("tfxd says {tfxd}, tfdt {tfdt}; tfxd counts")).within("traf")
    });
    let units = known.nal_length_size().map(|size| Units::new(size, &samples, traf.states_flags(&known.trex)));
    let content = match units {
        Some(units) => Content::Video(units),
        None if known.carries_signals() => Content::Signals,
        None => Content::Audio,
    };
    if matches!(content, Content::Audio) {
        // Every audio sample is a sync sample, whatever its flags say.
        for sample in &mut samples {
            sample.sync = true;
        }
    }
    let chunk = Chunk {
        track: known.number,
        time,
        timescale: known.timescale,
        samples,
        payload: Payload::default(),
        index: traf.tfxd.and_then(|tfxd| tfxd.index),
        partial: false,
    };
    Ok((Part { chunk, content }, mismatch))
}

/// Room that an announced size gets at once: for usual fragments all of it; a larger one grows as it comes, and may be spilled before.
const MAX_RESERVE: usize = 4 << 20;
