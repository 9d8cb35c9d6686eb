//! From audio, video and data messages to tracks and frames.
//!
//! In: message bodies with their 32-bit times. Out: [`Event`]s. Never: chunks, commands, snapping of times.

use super::command::amf3_body;
use super::signals::Handlers;
use super::{Event, Mark, Metadata, amf0, message};
use crate::codec::{aac::AacConfig, avc::AvcConfig};
use crate::demux::flv::{self, Tag};
use crate::error::{Error, Result};
use crate::media::{Codec, Frame, Track};
use crate::payload::Memory;
use crate::time::Unwrapper;
use crate::wire::Reader;

/// The state that turns messages of one publish into frames.
#[derive(Debug)]
pub(super) struct MediaReader {
    /// What its events are marked with.
    mark: Mark,
    /// One unwrapper for both tracks, so that a wrap between their first frames cannot part them. It counts 31 bits: RTMP has 32, but ffmpeg
    /// sends only the lower 31 (FLV calls the field signed), and a 32-bit counter is a 31-bit one as well.
    clock: Unwrapper,
    metadata: Option<Metadata>,
    video: Option<Track>,
    audio: Option<Track>,
    signals: Handlers,
    /// Time of the last frame.
    latest: i64,
    warned: bool,
}

impl MediaReader {
    pub(super) fn new(mark: Mark) -> Self {
        let (clock, signals) = (Unwrapper::new(31), Handlers::default());
        Self { mark, clock, metadata: None, video: None, audio: None, signals, latest: 0, warned: false }
    }

    /// Reads a video message; an error ends the publish, lesser faults are warnings.
    pub(super) fn video(&mut self, body: Vec<u8>, time: u32, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        match flv::parse_video(&body) {
            Ok(Tag::Nothing) => {}
            Ok(Tag::Config { start }) => {
                let record = &body[start..];
                let config = AvcConfig::parse(record).map_err(|e| e.at(start as u64).within("video"))?;
                self.configure(Codec::Avc(config), events);
            }
            Ok(Tag::Sample { start, composition, key }) => {
                let Some(Codec::Avc(config)) = self.video.as_ref().map(|track| &track.codec) else {
                    self.without_header("video", events);
                    return Ok(());
                };
                match flv::avc_sample(body, start, config.source_length_size) {
                    Ok((data, idr)) => {
                        let time = self.clock.unwrap(u64::from(time));
                        self.latest = time;
                        events.push((
                            self.mark,
                            Event::Frame(Frame { track: VIDEO, time, composition, sync: key || idr, data }),
                        ));
                    }
                    Err(error) => events.push((self.mark, Event::Warning(error))),
                }
            }
            Err(error) => return self.fatal_or_warning(error, events),
        }
        Ok(())
    }

    /// Reads an audio message.
    pub(super) fn audio(&mut self, body: Vec<u8>, time: u32, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        match flv::parse_audio(&body) {
            Ok(Tag::Nothing) => {}
            Ok(Tag::Config { start }) => {
                let record = &body[start..];
                let config = AacConfig::parse(record).map_err(|e| e.at(start as u64).within("audio"))?;
                self.configure(Codec::Aac(config), events);
            }
            Ok(Tag::Sample { start, .. }) if self.audio.is_some() => {
                let data = Memory::behind(body, start);
                let time = self.clock.unwrap(u64::from(time));
                self.latest = time;
                events.push((self.mark, Event::Frame(Frame { track: AUDIO, time, composition: 0, sync: true, data })));
            }
            Ok(Tag::Sample { .. }) => self.without_header("audio", events),
            Err(error) => return self.fatal_or_warning(error, events),
        }
        Ok(())
    }

    /// Reads a data message; what cannot be read is a warning.
    pub(super) fn data(&mut self, payload: &[u8], amf3: bool, time: u32, events: &mut Vec<(Mark, Event)>) {
        let mut values = match amf0::parse_values(amf3_body(payload, amf3)) {
            Ok(values) => values,
            Err(error) => return events.push((self.mark, Event::Warning(error.within("data")))),
        };
        if values.first().and_then(amf0::Value::as_str) == Some("@setDataFrame") {
            values.remove(0);
        }
        let Some(name) = values.first().and_then(amf0::Value::as_str).map(str::to_owned) else {
            return events
                .push((self.mark, Event::Warning(Error::new("RTMP_DATA", 0, "a data message without a name"))));
        };
        values.remove(0);
        if name == "onMetaData" {
            let metadata = values.first().map(message::metadata).unwrap_or_default();
            // Some senders repeat it with every key frame.
            if self.metadata.as_ref() != Some(&metadata) {
                self.metadata = Some(metadata.clone());
                events.push((self.mark, Event::Metadata(metadata)));
            }
        } else if name != "@clearDataFrame" {
            // Looked up without moving the clock: some senders stamp what belongs to the moment with 0.
            let time = if time == 0 { self.latest } else { self.clock.clone().unwrap(u64::from(time)) };
            match self.signals.take(&name, time, &values, TIMESCALE) {
                Ok((track, signal)) => {
                    events.extend(track.map(|track| (self.mark, Event::SignalTrack(track))));
                    events.push((self.mark, Event::Signal(signal)));
                }
                Err(error) => events.push((self.mark, Event::Warning(error.within("data")))),
            }
        }
    }

    /// An aggregate message (7.1.6): FLV tags whose times count from that of the first.
    pub(super) fn aggregate(&mut self, payload: &[u8], timestamp: u32, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        let mut reader = Reader::new(payload);
        let mut first = None;
        while reader.remaining() > 0 {
            let (kind, size, low, high) = (reader.u8()?, reader.u24()?, reader.u24()?, reader.u8()?);
            reader.skip(3)?;
            let body = reader.bytes(size as usize)?;
            reader.skip(4)?;
            let own = low | u32::from(high) << 24;
            let time = timestamp.wrapping_add(own.wrapping_sub(*first.get_or_insert(own)));
            match kind {
                message::VIDEO => self.video(body.to_vec(), time, events)?,
                message::AUDIO => self.audio(body.to_vec(), time, events)?,
                message::DATA => self.data(body, false, time, events),
                _ => {}
            }
        }
        Ok(())
    }

    fn configure(&mut self, codec: Codec, events: &mut Vec<(Mark, Event)>) {
        let metadata = self.metadata.clone().unwrap_or_default();
        let (slot, number, bitrate, frame_rate) = match &codec {
            Codec::Avc(config) => {
                let known = if metadata.frame_rate.0 > 0 { metadata.frame_rate } else { config.frame_rate };
                (&mut self.video, VIDEO, metadata.video_bitrate, known)
            }
            Codec::Aac(_) => (&mut self.audio, AUDIO, metadata.audio_bitrate, (0, 1)),
        };
        if slot.as_ref().is_some_and(|track| track.codec == codec) {
            return;
        }
        let said = metadata.language;
        let code = said.len() == 3 && said.bytes().all(|byte| byte.is_ascii_alphabetic());
        let language = if code { said.to_ascii_lowercase() } else { "und".to_owned() };
        let track = Track { number, timescale: TIMESCALE, codec, name: String::new(), language, bitrate, frame_rate };
        *slot = Some(track.clone());
        events.push((self.mark, Event::Track(track)));
    }

    fn without_header(&mut self, element: &str, events: &mut Vec<(Mark, Event)>) {
        if !std::mem::replace(&mut self.warned, true) {
            let error = Error::new("FLV_NO_SEQUENCE_HEADER", 0, "frames before the sequence header are dropped");
            events.push((self.mark, Event::Warning(error.within(element))));
        }
    }

    fn fatal_or_warning(&self, error: Error, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        if error.status == 415 {
            return Err(error);
        }
        events.push((self.mark, Event::Warning(error)));
        Ok(())
    }
}

/// RTMP counts milliseconds.
const TIMESCALE: u32 = 1000;
const VIDEO: u32 = 1;
const AUDIO: u32 = 2;
