//! Fragmented MP4 and CMAF, read as a stream (design, "Chunk, fragment, edge").
//!
//! In: the bytes of one request body, cut anywhere. Out: a [`Event::Track`] for each track once the headers are known, a [`Event::Chunk`]
//! for each track fragment whose media is complete, and [`Event::Warning`] for what is wrong without harm to the rest. Never: a clock, a
//! join or split of what the sender made one chunk, a conversion of its times.
//!
//! # Theory of operation
//! The stream is a row of top-level boxes. Header boxes (`moov`, the live manifest) and `moof` are held until whole, within a limit that
//! is checked on the announced size; `mdat` is copied once, straight into the payloads of the chunks its `moof` describes, its NAL units
//! followed on the way, so that whoever holds too much can [`Fmp4Reader::spill`] at any byte; all else is passed over unread. `ftyp`, live manifest and `moov` may come in any order and again later, so tracks are announced when media
//! follows (or the body ends) and not before. The first error is final: [`Fmp4Reader::feed`] repeats it.

mod fragment;
mod header;
mod placement;
mod samples;
mod time;

use crate::bmff::live_manifest;
use crate::bmff::scan;
use crate::error::{Error, Result};
use crate::media::{Chunk, Signal, SignalTrack, Track};
use crate::payload::Spill;
use fragment::Fragment;
pub use header::Header;
use std::io;

/// What a sender may make the reader hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a `moov` or live manifest.
    pub header: u64,
    /// Bytes of a `moof`.
    pub moof: u64,
    /// Bytes of the samples of one `moof`.
    pub fragment: u64,
    /// Samples of one `moof`.
    pub samples: usize,
    /// Bytes of the fragment of a track that is neither pictures nor sound.
    pub signal: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header: 1 << 20, moof: 1 << 20, fragment: 32 << 20, samples: 100_000, signal: 64 << 10 }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A track of the header; comes again for every track when header boxes come again.
    Track(Track),
    /// A complete chunk of an announced track.
    Chunk(Chunk),
    /// A track of the header that is neither pictures nor sound; comes again as a [`Self::Track`] does.
    SignalTrack(SignalTrack),
    /// A complete fragment of such a track.
    Signal(Signal),
    /// Something wrong that spoils no more than it names.
    Warning(Error),
}

/// The reader of one body.
#[derive(Debug)]
pub struct Fmp4Reader {
    limits: Limits,
    header: Option<Header>,
    names: Vec<live_manifest::Entry>,
    announce: bool,
    state: State,
    /// Bytes of a box header or held box that are not yet complete.
    held: Vec<u8>,
    /// Bytes of the body consumed.
    position: u64,
    /// A `moof` whose media is not complete.
    fragment: Option<Fragment>,
    /// Why a fragment of the body was given up.
    refused: Option<Error>,
    failed: Option<Error>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In front of or inside a box header.
    Between,
    /// Inside a box that is held until whole.
    Holding { what: Held, at: Place, size: usize },
    /// Inside a box nobody reads.
    Skipping { left: u64 },
    /// Inside the `mdat` of `fragment`.
    Media { left: u64 },
    /// The body has ended.
    Ended,
}

/// Where a held box and its body start in the stream.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    body: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Moov,
    Names,
    Moof,
}

impl Fmp4Reader {
    /// A reader of a body that brings its own header boxes.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            header: None,
            names: Vec::new(),
            announce: false,
            state: State::Between,
            held: Vec::new(),
            position: 0,
            fragment: None,
            refused: None,
            failed: None,
        }
    }

    /// A reader of a body whose header boxes came with an earlier one: CMAF senders put each segment in a request of its own.
    ///
    /// The tracks of `header` are not announced again.
    pub fn with_header(limits: Limits, header: Header) -> Self {
        Self { header: Some(header), ..Self::new(limits) }
    }

    /// The header in force, for the next body of the same sender.
    pub fn header(&self) -> Option<Header> {
        self.header.clone()
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// The body is not fragmented MP4, not of a supported codec or beyond a limit; offsets count from its first byte. Nothing after an error is read.
    pub fn feed(&mut self, mut input: &[u8], events: &mut Vec<Event>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while !input.is_empty() {
            match self.step(input, events) {
                Ok(taken) => input = &input[taken..],
                Err(error) => {
                    self.failed = Some(error.clone());
                    self.held = Vec::new();
                    self.fragment = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes the end of the body. What is cut off there is named in a warning and dropped.
    ///
    /// # Errors
    /// The error of an earlier [`Self::feed`] or [`Self::refuse`]: the body was not taken, or not all of it.
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.announce_tracks(events);
        let cut_moof = matches!(self.state, State::Holding { what: Held::Moof, .. });
        if cut_moof || self.fragment.take().is_some() {
            events.push(Event::Warning(self.truncated("TRUNCATED_FRAGMENT", "the body ends inside a fragment")));
        } else if matches!(self.state, State::Holding { .. }) || !self.held.is_empty() {
            events.push(Event::Warning(self.truncated("TRUNCATED_BOX", "the body ends inside a box")));
        }
        self.state = State::Ended;
        self.held = Vec::new();
        self.refused.take().map_or(Ok(()), Err)
    }

    /// Bytes in memory for an incomplete box or fragment.
    pub fn held_bytes(&self) -> usize {
        self.held.len() + self.held_media()
    }

    /// Those of them that [`spill`](Self::spill) would store.
    pub fn held_media(&self) -> usize {
        self.fragment.as_ref().map_or(0, Fragment::held_bytes)
    }

    /// Stores the media of the fragment that is coming, as far as it is in memory; what comes out later is the same.
    ///
    /// # Errors
    /// It could not be stored and is still in memory.
    pub fn spill(&mut self, spill: &mut dyn Spill) -> io::Result<()> {
        self.fragment.as_mut().map_or(Ok(()), |fragment| fragment.spill(spill))
    }

    /// Gives up the fragment that is coming, for which there is no room. The body is read on; its end is `error` once more, because who sent
    /// it must not take it for stored.
    pub fn refuse(&mut self, error: Error, events: &mut Vec<Event>) {
        if self.fragment.take().is_some() {
            if let State::Media { left } = self.state {
                self.state = State::Skipping { left };
            }
            let error = error.at(self.position);
            events.push(Event::Warning(error.clone()));
            self.refused = Some(error);
        }
    }

    /// Consumes some of `input`, which is not empty; the number of bytes is never 0.
    fn step(&mut self, input: &[u8], events: &mut Vec<Event>) -> Result<usize> {
        match self.state {
            State::Between => {
                let missing = scan::Header::needed(&self.held) - self.held.len();
                let taken = missing.min(input.len());
                self.held.extend_from_slice(&input[..taken]);
                let start = self.position + taken as u64 - self.held.len() as u64;
                self.position += taken as u64;
                if let Some(header) = scan::Header::parse(&self.held).map_err(|error| error.at(start))? {
                    self.held.clear();
                    self.enter(header, start, events)?;
                }
                Ok(taken)
            }
            State::Holding { what, at, size } => {
                let taken = (size - self.held.len()).min(input.len());
                self.position += taken as u64;
                if taken == size {
                    self.state = State::Between;
                    self.read_held(what, at, &input[..taken], events)?;
                } else {
                    self.held.extend_from_slice(&input[..taken]);
                    if self.held.len() == size {
                        let body = std::mem::take(&mut self.held);
                        self.state = State::Between;
                        self.read_held(what, at, &body, events)?;
                    }
                }
                Ok(taken)
            }
            State::Skipping { left } => {
                let taken = at_most(left, input.len());
                self.position += taken as u64;
                self.state = rest(left, taken, |left| State::Skipping { left });
                Ok(taken)
            }
            State::Media { left } => {
                let taken = at_most(left, input.len());
                self.position += taken as u64;
                self.state = rest(left, taken, |left| State::Media { left });
                if let Some(fragment) = &mut self.fragment {
                    fragment.take(&input[..taken]);
                }
                self.emit_if_complete(events);
                Ok(taken)
            }
            State::Ended => Err(Error::new("BODY_ENDED", self.position, "bytes behind the end of the body")),
        }
    }

    /// Decides what becomes of the box whose header is `header`.
    fn enter(&mut self, header: scan::Header, start: u64, events: &mut Vec<Event>) -> Result<()> {
        let (held, limit) = match &header.kind {
            b"moov" => (Some(Held::Moov), self.limits.header),
            b"uuid" if header.uuid == Some(live_manifest::UUID) => (Some(Held::Names), self.limits.header),
            b"moof" => (Some(Held::Moof), self.limits.moof),
            _ => (None, self.limits.fragment.saturating_add(scan::Header::MAX as u64)),
        };
        let size = within_limit(&header, limit).map_err(|error| error.at(start))?;
        let body = start + header.length as u64;
        if held == Some(Held::Moof) {
            self.expect_fragment(start, events)?;
        }
        match (held, &mut self.fragment) {
            (Some(what), _) if size == 0 => self.read_held(what, Place { start, body }, &[], events)?,
            (Some(what), _) => self.state = State::Holding { what, at: Place { start, body }, size },
            (None, Some(fragment)) if &header.kind == b"mdat" => {
                let left = size as u64;
                fragment.place(body, body + left).map_err(|error| error.within("mdat"))?;
                self.state = rest(left, 0, |left| State::Media { left });
                self.emit_if_complete(events);
            }
            (None, _) => self.state = rest(size as u64, 0, |left| State::Skipping { left }),
        }
        Ok(())
    }

    /// A `moof` is ahead: the header must be known, and the one before must have had its media.
    fn expect_fragment(&mut self, start: u64, events: &mut Vec<Event>) -> Result<()> {
        if self.header.is_none() {
            let detail = "moof before moov: send ftyp, live manifest and moov first";
            return Err(Error::new("HEADER_MISSING", start, detail).with_status(412).within("moof"));
        }
        self.announce_tracks(events);
        if self.fragment.take().is_some() {
            events.push(Event::Warning(Error::new("MDAT_MISSING", start, "moof without mdat before the next moof")));
        }
        Ok(())
    }

    fn read_held(&mut self, what: Held, at: Place, body: &[u8], events: &mut Vec<Event>) -> Result<()> {
        match what {
            Held::Moov => {
                let header = Header::parse(body).map_err(|error| error.at(at.body).within("moov"))?;
                self.header = Some(header);
                self.announce = true;
            }
            Held::Names => match live_manifest::parse(body) {
                Ok(names) => {
                    self.names = names;
                    self.announce = self.header.is_some();
                }
                // The moov says all that is needed to go on.
                Err(error) => events.push(Event::Warning(error.at(at.body).within("uuid"))),
            },
            Held::Moof => {
                let Some(header) = &self.header else { return Ok(()) };
                self.fragment = Some(Fragment::parse(body, at.start, at.body, header, &self.limits, events)?);
            }
        }
        Ok(())
    }

    fn announce_tracks(&mut self, events: &mut Vec<Event>) {
        if !std::mem::take(&mut self.announce) {
            return;
        }
        if let Some(header) = &self.header {
            events.extend(header.announce(&self.names));
        }
    }

    fn emit_if_complete(&mut self, events: &mut Vec<Event>) {
        if self.fragment.as_ref().is_some_and(Fragment::is_complete) {
            if let Some(fragment) = self.fragment.take() {
                fragment.emit(events);
            }
            if let State::Media { left } = self.state {
                self.state = State::Skipping { left };
            }
        }
    }

    fn truncated(&self, code: &'static str, detail: &'static str) -> Error {
        Error::new(code, self.position, detail)
    }
}

/// The body size of a box of at most `limit` bytes. Size 0 (to the end of the file) has no place in a stream of fragments.
fn within_limit(header: &scan::Header, limit: u64) -> Result<usize> {
    let refused = match header.size {
        None => Error::new("BOX_SIZE", 0, "size 0, to the end of the body, in a live stream"),
        Some(size) if size > limit => {
            Error::new("BOX_TOO_LARGE", 0, format!("{size} bytes, at most {limit} are taken")).with_status(413)
        }
        Some(size) => return Ok((size - header.length as u64) as usize),
    };
    Err(refused.within(&scan::name(header.kind)))
}

fn at_most(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

/// The state after `taken` of `left` bytes.
fn rest(left: u64, taken: usize, inside: impl FnOnce(u64) -> State) -> State {
    match left - taken as u64 {
        0 => State::Between,
        left => inside(left),
    }
}
