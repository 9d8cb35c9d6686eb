//! Bytes of open fragments may leave the memory at any time: what comes out is the same.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use proptest::prelude::*;
use pypackager_core::demux::cut::{CutOptions, Cutter, Output};
use pypackager_core::demux::fmp4::{self, Fmp4Reader, Limits};
use pypackager_core::demux::rtmp::{self, RtmpSession};
use pypackager_core::error::Error;
use pypackager_core::media::{Frame, Track};
use pypackager_core::payload::{Part, Region, Spill, Stored};
use std::any::Any;
use std::io;
use std::sync::Arc;
use support::body;

const FMP4: [&str; 4] =
    ["ffmpeg-9.0-ismv.http", "ffmpeg-9.0-cmaf.http", "ffmpeg-9.0-mp4-base-offset.http", "gstreamer-1.22-ismlmux.http"];
const RTMP: [&[u8]; 2] = [include_bytes!("data/rtmp_ffmpeg5_wrap.bin"), include_bytes!("data/rtmp_gstreamer.bin")];

/// A disk in memory that is full after `room` bytes.
struct Disk {
    room: usize,
}

#[derive(Debug)]
struct Kept(Vec<u8>);

impl Region for Kept {
    fn read(&self, start: u64, target: &mut [u8]) -> io::Result<()> {
        target.copy_from_slice(&self.0[start as usize..][..target.len()]);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Spill for Disk {
    fn store(&mut self, pieces: &[&[u8]]) -> io::Result<Vec<Stored>> {
        let bytes = pieces.concat();
        self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        let region: Arc<dyn Region> = Arc::new(Kept(bytes));
        let mut start = 0;
        let stored = pieces.iter().map(|piece| {
            let stored = Stored { region: Arc::clone(&region), start, len: piece.len(), crc: crc32c::crc32c(piece) };
            start += piece.len() as u64;
            stored
        });
        Ok(stored.collect())
    }
}

/// Reads a body cut at `cuts`; where the flag says so, what is open is spilled there.
fn read(bytes: &[u8], cuts: &[(usize, bool)], disk: &mut Disk) -> Vec<fmp4::Event> {
    let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
    let mut start = 0;
    for &(end, spill) in cuts {
        reader.feed(&bytes[start..end], &mut events).unwrap();
        start = end;
        if spill && reader.spill(disk).is_ok() {
            assert_eq!(reader.held_media(), 0);
        }
    }
    reader.feed(&bytes[start..], &mut events).unwrap();
    reader.finish(&mut events).unwrap();
    events
}

#[test]
fn a_fragment_that_is_refused_costs_itself_and_the_answer() {
    let bytes = body(FMP4[0]);
    let plain = read(&bytes, &[], &mut Disk { room: 0 });
    let (mut reader, mut events) = (Fmp4Reader::new(Limits::default()), Vec::new());
    let mut refused = false;
    for piece in bytes.chunks(300) {
        reader.feed(piece, &mut events).unwrap();
        if !refused && reader.held_media() > 500 {
            reader.refuse(Error::new("SPILL_FAILED", 0, "full").with_status(507), &mut events);
            assert_eq!(reader.held_media(), 0);
            refused = true;
        }
    }
    assert_eq!(reader.finish(&mut events).unwrap_err().status, 507);
    let chunk = |event: &&fmp4::Event| matches!(event, fmp4::Event::Chunk(_));
    let (got, sent): (Vec<_>, Vec<_>) = (events.iter().filter(chunk).collect(), plain.iter().filter(chunk).collect());
    assert_eq!(got.len() + 1, sent.len());
    assert!(got.iter().all(|chunk| sent.contains(chunk)));
    let warned = |event: &fmp4::Event| matches!(event, fmp4::Event::Warning(error) if error.code == "SPILL_FAILED");
    assert_eq!(events.iter().filter(|event| warned(event)).count(), 1);
}

/// Cuts recorded frames; after the frames with these numbers, what waits of a track is spilled.
fn cut(tracks: &[Track], frames: &[Frame], spills: &[(usize, u64)], disk: &mut Disk) -> Vec<Output> {
    let (mut cutter, mut out) = (Cutter::new(CutOptions::default()), Vec::new());
    for track in tracks {
        cutter.set_track(track.number.into(), track.clone(), &mut out);
    }
    for (index, frame) in frames.iter().enumerate() {
        cutter.push(frame.track.into(), frame.clone(), &mut out);
        for &(_, key) in spills.iter().filter(|(at, _)| *at == index) {
            if cutter.spill(key, disk).is_ok() {
                assert_eq!(cutter.held(key), 0);
            }
        }
    }
    for track in tracks {
        assert!(cutter.held(track.number.into()) <= frames.iter().map(|frame| frame.data.len()).sum());
        cutter.remove_track(track.number.into(), &mut out);
    }
    out
}

fn recorded(capture: &[u8]) -> (Vec<Track>, Vec<Frame>) {
    let mut session = RtmpSession::new(rtmp::Limits::default());
    let mut events = Vec::new();
    session.feed(capture, &mut events).unwrap();
    session.accept_publish();
    session.feed(&[], &mut events).unwrap();
    let (mut tracks, mut frames) = (Vec::new(), Vec::new());
    for (_, event) in events {
        match event {
            rtmp::Event::Track(track) => tracks.push(track),
            rtmp::Event::Frame(frame) => frames.push(frame),
            _ => {}
        }
    }
    (tracks, frames)
}

#[test]
fn without_a_spill_nothing_is_copied_together() {
    let events = read(&body(FMP4[0]), &[], &mut Disk { room: 0 });
    let whole = |event: &fmp4::Event| {
        if let fmp4::Event::Chunk(chunk) = event { chunk.payload.contiguous().is_some() } else { true }
    };
    assert!(events.iter().all(whole));
    let (tracks, frames) = recorded(RTMP[0]);
    for output in cut(&tracks, &frames, &[], &mut Disk { room: 0 }) {
        if let Output::Chunk { chunk, .. } = output {
            assert_eq!(chunk.payload.parts().len(), chunk.samples.len(), "each frame is where it was received");
        }
    }
}

#[test]
fn frames_that_are_given_up_end_at_the_next_key_frame() {
    let (tracks, mut frames) = recorded(RTMP[0]);
    frames.retain(|frame| frame.track == 1);
    let keys: Vec<usize> = (0..frames.len()).filter(|&at| frames[at].sync).collect();
    let (mut cutter, mut out) = (Cutter::new(CutOptions::default()), Vec::new());
    cutter.set_track(1, tracks[0].clone(), &mut out);
    for (index, frame) in frames.iter().enumerate() {
        cutter.push(1, frame.clone(), &mut out);
        if index == keys[2] + 5 {
            assert!(cutter.spill(1, &mut Disk { room: 0 }).is_err());
            assert!(cutter.held(1) > 0, "what could not be stored is still there");
            cutter.drop_frames(1);
            assert_eq!(cutter.held(1), 0);
        }
    }
    cutter.remove_track(1, &mut out);
    let sent =
        |from: usize, to: usize| frames[from..to].iter().flat_map(|frame| frame.data.to_vec()).collect::<Vec<u8>>();
    let ends = keys.iter().skip(1).copied().chain([frames.len()]);
    let mut whole: Vec<Vec<u8>> = keys.iter().zip(ends).map(|(&start, end)| sent(start, end)).collect();
    whole.remove(2);
    let got = out.iter().filter_map(|output| if let Output::Chunk { chunk, .. } = output { Some(chunk) } else { None });
    assert!(got.map(|chunk| chunk.payload.bytes().unwrap().into_owned()).collect::<Vec<_>>() == whole);
    assert!(whole.len() > 2, "something follows");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_split_and_spill_of_a_body_gives_the_same_chunks(
        name in prop::sample::select(FMP4.to_vec()),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..60),
        room in prop_oneof![Just(usize::MAX), 0usize..400_000],
    ) {
        let bytes = body(name);
        let mut cuts: Vec<_> = cuts.into_iter().map(|(cut, spill)| (cut.index(bytes.len()), spill)).collect();
        cuts.sort_unstable();
        let spilled = read(&bytes, &cuts, &mut Disk { room });
        let plain = read(&bytes, &[], &mut Disk { room: 0 });
        prop_assert!(spilled == plain);
        for event in &spilled {
            let fmp4::Event::Chunk(chunk) = event else { continue };
            let crc = chunk.payload.parts().iter().fold(0, |crc, part| match part {
                Part::Memory(bytes) => crc32c::crc32c_append(crc, bytes),
                Part::Stored(stored) => crc32c::crc32c_combine(crc, stored.crc, stored.len),
            });
            prop_assert_eq!(crc, crc32c::crc32c(&chunk.payload.bytes().unwrap()));
        }
    }

    #[test]
    fn any_spill_of_waiting_frames_gives_the_same_chunks(
        capture in prop::sample::select(RTMP.to_vec()),
        spills in prop::collection::vec((any::<prop::sample::Index>(), 1u64..=2), 0..30),
        room in prop_oneof![Just(usize::MAX), 0usize..400_000],
    ) {
        let (tracks, frames) = recorded(capture);
        let spills: Vec<_> = spills.into_iter().map(|(at, key)| (at.index(frames.len()), key)).collect();
        let spilled = cut(&tracks, &frames, &spills, &mut Disk { room });
        let plain = cut(&tracks, &frames, &[], &mut Disk { room: 0 });
        prop_assert!(spilled == plain);
    }
}
