//! MPEG-2 transport stream segments (ISO 13818-1), as HLS has them (RFC 8216 3.2).
//!
//! What comes in: the pieces of a segment's video, of its audio, or of both. What goes out: whole packets: PAT and PMT first and before
//! every key frame, the PCR with every picture (or every audio PES packet) and in packets of its own where these are rare, pictures and
//! audio in decode order. Segments are rendered apart from each other, from the same pieces always to the same bytes, and still follow on
//! each other: times come from the media alone and the packets with payload of an elementary stream are a multiple of sixteen in every
//! segment.

mod packet;
mod pes;
mod psi;

use self::packet::{Adaptation, Channel, PACKET_SIZE, Pid};
use super::{AccessUnit, PRESENTATION_SHIFT_MS, Piece, collect_units, decode_times, wrong_kind};
use crate::error::Result;
use crate::media::Codec;
use crate::time::rescale;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Added to every presentation time in 90 kHz ticks: to decode times less, because composition offsets may be negative.
pub const TIME_OFFSET: i64 = DECODE_OFFSET + PRESENTATION_SHIFT_MS * 90;

/// Writes one segment. `None` for a track that the presentation does not have, an empty list where it has a gap.
pub fn write_segment(video: Option<&[Piece<'_>]>, audio: Option<&[Piece<'_>]>) -> Result<Vec<u8>> {
    let pictures = collect_units(video.unwrap_or_default())?;
    let sounds = collect_units(audio.unwrap_or_default())?;
    let groups = group_audio(&sounds);
    let bytes: usize = pictures.iter().chain(&sounds).map(|unit| unit.data.len()).sum();
    let mut segment = Segment::new(video.is_some(), audio.is_some(), pictures.is_empty(), bytes);
    let mut groups = groups.into_iter().peekable();
    let decode_times = decode_times(&pictures);
    for (position, (picture, decode)) in pictures.iter().zip(decode_times).enumerate() {
        // On equal times the picture goes first: a segment should open with its key frame.
        let due = decoded(decode, picture);
        segment.write_sound_until(&mut groups, due, due)?;
        segment.write_picture(picture, decode, position + 1 == pictures.len())?;
    }
    // The next segment's first picture, if there is one, is decoded where the last one here ends.
    let end = pictures.last().map_or(i64::MIN, |last| end_ticks(last).saturating_add(DECODE_OFFSET));
    segment.write_sound_until(&mut groups, end, i64::MAX)?;
    Ok(segment.out)
}

/// Cuts the frames into runs for one PES packet each, in which a decoder that counts on from the first frame finds every time exactly.
fn group_audio<'a, 'b>(frames: &'a [AccessUnit<'b>]) -> Vec<&'a [AccessUnit<'b>]> {
    let mut groups = Vec::new();
    let (mut start, mut size) = (0, 0);
    for position in 1..frames.len() {
        let (first, before, frame) = (&frames[start], &frames[position - 1], &frames[position]);
        size += pes::audio_size(before.data);
        let fits = size + pes::audio_size(frame.data) <= pes::AUDIO_CAPACITY;
        let follows = is_counted(first, position - start, frame);
        if !follows || !fits || end_ticks(frame).saturating_sub(ticks(first.decode, first)) > AUDIO_PES_TICKS {
            groups.push(&frames[start..position]);
            (start, size) = (position, 0);
        }
    }
    if start < frames.len() {
        groups.push(&frames[start..]);
    }
    groups
}

/// Whether `frame` is where the `number`-th frame behind `first` is without a hole. The durations in the sample table do not tell: that of
/// the frame before a hole may cover it.
fn is_counted(first: &AccessUnit<'_>, number: usize, frame: &AccessUnit<'_>) -> bool {
    let Codec::Aac(config) = first.codec else { return false };
    let passed = i128::from(frame.decode) - i128::from(first.decode);
    passed * i128::from(config.core_rate) == number as i128 * ADTS_FRAME_SAMPLES * i128::from(first.timescale)
}

/// Times in (from, to), as few and as evenly apart as bring neighbours within `CLOCK_STEP_TICKS`.
fn between(from: i64, to: i64) -> impl Iterator<Item = i64> {
    let span = to.saturating_sub(from);
    let steps = if span <= MOST_FILLED_TICKS { (span + CLOCK_STEP_TICKS - 1) / CLOCK_STEP_TICKS } else { 1 };
    (1..steps).map(move |step| from + span * step / steps)
}

/// A time of the unit in 90 kHz ticks.
fn ticks(time: i64, unit: &AccessUnit<'_>) -> i64 {
    rescale(time, unit.timescale, 90_000)
}

/// A presentation time of the unit as it is written, before it wraps.
fn presented(time: i64, unit: &AccessUnit<'_>) -> i64 {
    ticks(time, unit).saturating_add(TIME_OFFSET)
}

/// A decode time of the unit as it is written, before it wraps.
fn decoded(time: i64, unit: &AccessUnit<'_>) -> i64 {
    ticks(time, unit).saturating_add(DECODE_OFFSET)
}

/// Where the unit ends in 90 kHz ticks.
fn end_ticks(unit: &AccessUnit<'_>) -> i64 {
    ticks(unit.decode.saturating_add(i64::from(unit.duration)), unit)
}

/// PES packets of sound that wait for their turn.
type Groups<'a, 'b> = Peekable<IntoIter<&'a [AccessUnit<'b>]>>;

struct Segment {
    out: Vec<u8>,
    association: (Channel, Vec<u8>),
    map: (Channel, Vec<u8>),
    video: Channel,
    audio: Channel,
    audio_is_clock: bool,
    /// What the last clock reference goes with, as it is written.
    clocked: Option<i64>,
    /// Kept between access units for its memory.
    pes: Vec<u8>,
}

impl Segment {
    fn new(video: bool, audio: bool, audio_is_clock: bool, bytes: usize) -> Self {
        let clock = if audio_is_clock { Pid::AUDIO } else { Pid::VIDEO };
        let mut segment = Self {
            out: Vec::with_capacity(bytes + bytes / 16 + 64 * PACKET_SIZE),
            association: (Channel::new(Pid::ASSOCIATION), psi::association()),
            map: (Channel::new(Pid::MAP), psi::map(video, audio, clock)),
            video: Channel::new(Pid::VIDEO),
            audio: Channel::new(Pid::AUDIO),
            audio_is_clock,
            clocked: None,
            pes: Vec::new(),
        };
        segment.write_tables();
        segment
    }

    fn write_tables(&mut self) {
        for (channel, payload) in [&mut self.association, &mut self.map] {
            channel.write_section(payload, &mut self.out);
        }
    }

    /// Writes the sound that is presented before `until`, and the clock references that are missing before `due`, when the next picture is
    /// decoded.
    fn write_sound_until(&mut self, groups: &mut Groups<'_, '_>, due: i64, until: i64) -> Result<()> {
        let first = groups.peek().map(|group| presented(group[0].decode, &group[0])).filter(|first| *first < due);
        if let (None, Some(first), false) = (self.clocked, first, self.audio_is_clock) {
            self.write_clock(first);
        }
        let mut references = self.clocked.map(|from| between(from, due)).into_iter().flatten().peekable();
        while let Some(group) = groups.next_if(|group| presented(group[0].decode, &group[0]) < until) {
            let pts = presented(group[0].decode, &group[0]);
            while let Some(time) = references.next_if(|time| *time <= pts) {
                self.write_clock(time);
            }
            self.write_audio(group, groups.peek().is_none())?;
        }
        references.for_each(|time| self.write_clock(time));
        Ok(())
    }

    /// Writes a clock reference where no access unit is that could bring it.
    fn write_clock(&mut self, time: i64) {
        let channel = if self.audio_is_clock { &self.audio } else { &self.video };
        channel.write_clock(clock(time), &mut self.out);
        self.clocked = Some(time);
    }

    fn write_picture(&mut self, picture: &AccessUnit<'_>, decode: i64, last: bool) -> Result<()> {
        let Codec::Avc(config) = picture.codec else { return Err(wrong_kind("video")) };
        let pts = presented(picture.composition, picture);
        let dts = decoded(decode, picture);
        // The segment opens with the tables already.
        if picture.sync && self.out.len() > 2 * PACKET_SIZE {
            self.write_tables();
        }
        pes::write_video(picture.data, picture.sync, config, pts, dts, &mut self.pes)?;
        let adaptation = Adaptation { random_access: picture.sync, clock: Some(clock(dts)), ..Adaptation::default() };
        self.video.write_pes(&self.pes, adaptation, last, &mut self.out);
        self.clocked = Some(dts);
        Ok(())
    }

    fn write_audio(&mut self, frames: &[AccessUnit<'_>], last: bool) -> Result<()> {
        let pts = presented(frames[0].decode, &frames[0]);
        let mut raw = Vec::with_capacity(frames.len());
        for frame in frames {
            let Codec::Aac(config) = frame.codec else { return Err(wrong_kind("audio")) };
            raw.push((config, frame.data));
        }
        pes::write_audio(raw.into_iter(), pts, &mut self.pes)?;
        let mut adaptation = Adaptation::default();
        if self.audio_is_clock {
            if let Some(last) = self.clocked {
                between(last, pts).for_each(|time| self.write_clock(time));
            }
            // The duration of the last frame may cover a hole.
            let length = end_ticks(&frames[frames.len() - 1]).saturating_sub(ticks(frames[0].decode, &frames[0]));
            let half = length.min(AUDIO_PES_TICKS) / 2;
            adaptation.random_access = true;
            adaptation.clock = Some(clock(pts));
            adaptation.middle_clock = Some(clock(pts.saturating_add(half)));
            self.clocked = Some(pts.saturating_add(half));
        }
        self.audio.write_pes(&self.pes, adaptation, last, &mut self.out);
        Ok(())
    }
}

/// The clock reference that goes with a decode time: what it stamps is there that long before it is decoded.
fn clock(dts: i64) -> u64 {
    dts.saturating_sub(CLOCK_LEAD) as u64
}

/// Added to every decode time, so that the clock reference, which runs ahead, is not negative when media time starts at zero.
const DECODE_OFFSET: i64 = 90_000;
/// Longer than an audio PES packet, so that its last frame too is there in time; far below the second of ISO 13818-1 2.4.2.6.
const CLOCK_LEAD: i64 = 36_000;
/// Clock references may not lie further apart than 100 ms (2.7.2).
const CLOCK_STEP_TICKS: i64 = 9000;
/// An audio PES packet that is the clock carries two.
const AUDIO_PES_TICKS: i64 = 2 * CLOCK_STEP_TICKS;
/// A minute: what is longer is a hole in time or a lie about it, and not filled.
const MOST_FILLED_TICKS: i64 = 60 * 90_000;
/// Core samples of an AAC frame: ADTS cannot say that there are fewer.
const ADTS_FRAME_SAMPLES: i128 = 1024;

#[cfg(test)]
mod tests;
