//! The cutter: borders, exact times, jumps and bounds; equal results for every interleaving.
#![allow(clippy::unwrap_used)] // a test that fails here says where

use std::collections::BTreeMap;

use proptest::prelude::*;
use pypackager_core::demux::cut::{CutOptions, Cutter, Input, Output};
use pypackager_core::demux::rtmp::{Event, Limits, RtmpSession};
use pypackager_core::media::{Chunk, Codec, Frame, Kind, Track};
use pypackager_core::time::rescale;

const FFMPEG: &[u8] = include_bytes!("data/rtmp_ffmpeg5_wrap.bin");
const GSTREAMER: &[u8] = include_bytes!("data/rtmp_gstreamer.bin");

/// Tracks and frames of a recorded connection.
fn recorded(capture: &[u8]) -> (Vec<Track>, Vec<Frame>) {
    let mut session = RtmpSession::new(Limits::default());
    let mut events = Vec::new();
    session.feed(capture, &mut events).unwrap();
    session.accept_publish();
    session.feed(&[], &mut events).unwrap();
    let (mut tracks, mut frames) = (Vec::new(), Vec::new());
    for (_, event) in events {
        match event {
            Event::Track(track) => tracks.push(track),
            Event::Frame(frame) => frames.push(frame),
            _ => {}
        }
    }
    (tracks, frames)
}

/// A 29.97 fps video track and a 48 kHz audio track.
fn tracks() -> (Track, Track) {
    let mut tracks = recorded(FFMPEG).0;
    let audio = tracks.pop().unwrap();
    (tracks.pop().unwrap(), audio)
}

fn video_frames(start_ms: i64, count: i64, gop: i64) -> Vec<Frame> {
    let frame = |n: i64| Frame {
        track: 1,
        time: start_ms + rescale(n * 3003, 90_000, 1000),
        composition: 67,
        sync: n % gop == 0,
        data: vec![n as u8; 3].into(),
    };
    (0..count).map(frame).collect()
}

fn audio_frames(start_ms: i64, count: i64, salt: u8) -> Vec<Frame> {
    let frame = |n: i64| Frame {
        track: 2,
        time: start_ms + rescale(n * 1024, 48_000, 1000),
        composition: 0,
        sync: true,
        data: vec![salt, n as u8].into(),
    };
    (0..count).map(frame).collect()
}

fn chunks(outputs: &[Output], wanted: u64) -> Vec<&Chunk> {
    let chunk = |output| match output {
        &Output::Chunk { key, ref chunk } if key == wanted => Some(chunk),
        _ => None,
    };
    outputs.iter().filter_map(chunk).collect()
}

fn warnings(outputs: &[Output]) -> Vec<&str> {
    let code = |output: &Output| if let Output::Warning { error, .. } = output { Some(error.code) } else { None };
    outputs.iter().filter_map(code).collect()
}

/// Pushes frames of several keys in the order of their times.
fn push_by_time(cutter: &mut Cutter, mut frames: Vec<(u64, Frame)>, out: &mut Vec<Output>) {
    frames.sort_by_key(|(_, frame)| frame.time);
    for (key, frame) in frames {
        cutter.push(key, frame, out);
    }
}

fn keyed(key: u64, frames: Vec<Frame>) -> impl Iterator<Item = (u64, Frame)> {
    frames.into_iter().map(move |frame| (key, frame))
}

fn starts_ms(chunks: &[&Chunk]) -> Vec<i64> {
    chunks.iter().map(|chunk| rescale(chunk.time, chunk.timescale, 1000)).collect()
}

#[test]
fn recorded_streams_come_out_whole_and_on_their_grid() {
    for (capture, frame_ticks) in [(FFMPEG, 3003), (GSTREAMER, 3600)] {
        let (tracks, frames) = recorded(capture);
        let mut cutter = Cutter::new(CutOptions::default());
        let mut out = Vec::new();
        for track in &tracks {
            cutter.set_track(track.number.into(), track.clone(), &mut out);
        }
        for frame in &frames {
            cutter.push(frame.track.into(), frame.clone(), &mut out);
        }
        cutter.remove_track(1, &mut out);
        cutter.remove_track(2, &mut out);
        assert_eq!(warnings(&out), [""; 0]);
        for track in &tracks {
            let sent: Vec<&Frame> = frames.iter().filter(|frame| frame.track == track.number).collect();
            let got = chunks(&out, track.number.into());
            let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.data.to_vec()).collect();
            assert_eq!(
                got.iter().flat_map(|chunk| chunk.payload.bytes().unwrap().into_owned()).collect::<Vec<u8>>(),
                bytes
            );
            assert_eq!(got.iter().map(|chunk| chunk.samples.len()).sum::<usize>(), sent.len());
            assert!(got.windows(2).all(|pair| pair[0].time + pair[0].duration() as i64 == pair[1].time), "no gaps");
            assert!(got.last().unwrap().partial && !got[0].partial);
            // Shown times lie on the frame grid, though some decode times are stamped alike (GStreamer's first ones).
            if track.codec.kind() == Kind::Video {
                let shown: Vec<i64> = got
                    .iter()
                    .flat_map(|chunk| {
                        chunk.samples.iter().scan(chunk.time, |time, sample| {
                            let shown = *time + i64::from(sample.composition);
                            *time += i64::from(sample.duration);
                            Some(shown)
                        })
                    })
                    .collect();
                assert!(shown.iter().all(|time| (time - shown[0]) % frame_ticks == 0), "{shown:?}");
            } else {
                assert!(got.iter().all(|chunk| chunk.samples.iter().all(|sample| sample.duration == 1024)));
            }
        }
    }
}

#[test]
fn audio_is_cut_at_video_edges_with_durations_that_add_up() {
    let (video, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, video, &mut out);
    cutter.set_track(2, audio, &mut out);
    let frames = keyed(1, video_frames(40, 301, 60)).chain(keyed(2, audio_frames(0, 480, 0))).collect();
    push_by_time(&mut cutter, frames, &mut out);
    let (video, audio) = (chunks(&out, 1), chunks(&out, 2));
    assert_eq!(starts_ms(&video), [40, 2042, 4044, 6046, 8048]);
    assert!(video.iter().all(|chunk| chunk.duration() == 180_180 && chunk.starts_fragment()));
    // The lead of 40 ms joins the first fragment; every other one starts with the first frame at or after the edge.
    assert_eq!(audio[0].time, 0);
    for (chunk, edge) in audio[1..].iter().zip([2042, 4044, 6046, 8048]) {
        let start = rescale(chunk.time, 48_000, 1000);
        assert!((edge..edge + 22).contains(&start) && chunk.time % 1024 == 0, "{start} for {edge}");
    }
    assert!(audio.windows(2).all(|pair| pair[0].time + pair[0].duration() as i64 == pair[1].time));
    assert_eq!(warnings(&out), [""; 0]);
}

#[test]
fn the_same_audio_on_every_connection_gives_the_same_chunks() {
    let (video, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, video, &mut out);
    cutter.set_track(2, audio.clone(), &mut out);
    let (sound, late) = (audio_frames(7, 600, 0), 200);
    let frames = keyed(1, video_frames(0, 380, 60)).chain(keyed(2, sound.clone())).collect::<Vec<_>>();
    let joined = sound[late].time;
    let (before, after): (Vec<_>, Vec<_>) = frames.into_iter().partition(|(_, frame)| frame.time < joined);
    push_by_time(&mut cutter, before, &mut out);
    cutter.set_track(3, audio, &mut out);
    let after = after.into_iter().chain(keyed(3, sound[late..].to_vec())).collect();
    push_by_time(&mut cutter, after, &mut out);
    let (first, second) = (chunks(&out, 2), chunks(&out, 3));
    assert!(second[0].partial, "it starts inside a fragment");
    assert!(second.len() >= 3);
    for chunk in &second[1..] {
        assert!(first.contains(chunk));
    }
}

#[test]
fn audio_alone_is_cut_on_the_grid() {
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(2, tracks().1, &mut out);
    push_by_time(&mut cutter, keyed(2, audio_frames(3500, 300, 0)).collect(), &mut out);
    let got = chunks(&out, 2);
    assert!(
        starts_ms(&got).iter().zip([3500, 4000, 6000, 8000]).all(|(start, border)| (0..22).contains(&(start - border)))
    );
    assert_eq!(got.len(), 3);
}

#[test]
fn audio_goes_on_when_the_video_dies_and_takes_another_reference() {
    let (video, audio) = tracks();
    for other in [false, true] {
        let mut cutter = Cutter::new(CutOptions::default());
        let mut out = Vec::new();
        cutter.set_track(1, video.clone(), &mut out);
        cutter.set_track(2, audio.clone(), &mut out);
        let mut frames: Vec<_> = keyed(1, video_frames(0, 100, 60)).chain(keyed(2, audio_frames(0, 900, 0))).collect();
        if other {
            cutter.set_track(4, video.clone(), &mut out);
            frames.extend(keyed(4, video_frames(0, 570, 60)));
        }
        push_by_time(&mut cutter, frames, &mut out);
        let starts = starts_ms(&chunks(&out, 2));
        let borders = if other { [0, 2002, 4004, 6006, 8008] } else { [0, 2002, 4000, 6000, 8000] };
        assert!(starts.iter().zip(borders).all(|(start, border)| (0..22).contains(&(start - border))), "{starts:?}");
        assert!(starts.len() >= 5);
    }
}

/// Starts of the audio chunks, and the media time at which each came out.
fn audio_as_it_comes(cutter: &mut Cutter, frames: Vec<(u64, Frame)>, leaves: Option<(u64, i64)>) -> Vec<(i64, i64)> {
    let mut frames = frames;
    frames.sort_by_key(|(_, frame)| frame.time);
    let mut came = Vec::new();
    let mut leaves = leaves;
    for (key, frame) in frames {
        let now = frame.time;
        let mut out = Vec::new();
        if let Some((gone, _)) = leaves.take_if(|(_, at)| *at <= now) {
            cutter.remove_track(gone, &mut out);
        }
        cutter.push(key, frame, &mut out);
        came.extend(chunks(&out, 2).iter().map(|chunk| (rescale(chunk.time, chunk.timescale, 1000), now)));
    }
    came
}

#[test]
fn audio_does_not_wait_for_a_video_that_has_left() {
    let (video, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, video, &mut out);
    cutter.set_track(2, audio, &mut out);
    let frames = keyed(1, video_frames(0, 177, 60)).chain(keyed(2, audio_frames(0, 700, 0))).collect();
    let came = audio_as_it_comes(&mut cutter, frames, Some((1, 5900)));
    let late: Vec<i64> = came.iter().map(|(start, now)| now - start).collect();
    assert!(
        came.len() >= 6 && late.iter().all(|&late| late < 2100),
        "each comes when its two seconds are over: {came:?}"
    );
}

#[test]
fn audio_is_cut_in_time_when_the_reference_stalls_and_another_layer_has_the_edge() {
    let (video, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, video.clone(), &mut out);
    cutter.set_track(2, audio, &mut out);
    cutter.set_track(4, video, &mut out);
    // The other layer's key frames are a frame later.
    let frames = keyed(1, video_frames(0, 177, 60)).chain(keyed(2, audio_frames(0, 700, 0)));
    let frames = frames.chain(keyed(4, video_frames(21, 450, 60))).collect();
    let came = audio_as_it_comes(&mut cutter, frames, None);
    assert!(
        came.iter().all(|(start, now)| now - start < 3500),
        "before the deadline of a fragment after its end: {came:?}"
    );
    let starts: Vec<i64> = came.iter().map(|(start, _)| *start).collect();
    assert!(
        starts.windows(2).all(|pair| pair[1] - pair[0] > 1900),
        "no stump between two references' edges: {starts:?}"
    );
}

#[test]
fn frames_before_the_first_key_frame_are_dropped_with_one_warning() {
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, tracks().0, &mut out);
    for frame in video_frames(0, 130, 60).into_iter().skip(10) {
        cutter.push(1, frame, &mut out);
    }
    assert_eq!(warnings(&out), ["NO_KEY_FRAME"]);
    assert_eq!(starts_ms(&chunks(&out, 1)), [2002]);
}

#[test]
fn fragments_are_bounded_in_time_and_bytes() {
    let video = tracks().0;
    for options in [
        CutOptions { max_fragment_ms: 3000, ..CutOptions::default() },
        CutOptions { max_pending_bytes: 7500, ..CutOptions::default() },
    ] {
        let mut cutter = Cutter::new(options);
        let mut out = Vec::new();
        cutter.set_track(1, video.clone(), &mut out);
        for frame in video_frames(0, 300, 1000) {
            cutter.push(1, frame, &mut out);
        }
        let got = chunks(&out, 1);
        assert_eq!((got.len(), warnings(&out)), (3, vec!["FRAGMENT_TOO_LONG"; 3]));
        assert!(got[0].starts_fragment() && !got[1].starts_fragment());
        assert!(got.windows(2).all(|pair| pair[0].time + pair[0].duration() as i64 == pair[1].time));
    }
}

#[test]
fn frames_of_one_byte_reach_the_bound_on_memory() {
    let (_, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions { max_pending_bytes: 100_000, ..CutOptions::default() });
    let mut out = Vec::new();
    cutter.set_track(1, audio, &mut out);
    // Time that stands still meets no border.
    for _ in 0..5000 {
        cutter.push(1, Frame { track: 2, time: 7, composition: 0, sync: true, data: vec![0].into() }, &mut out);
    }
    let most = chunks(&out, 1).iter().map(|chunk| chunk.samples.len()).max();
    assert!(most.is_some_and(|most| most < 1500), "{most:?}");
}

#[test]
fn configurations_that_come_after_a_jump_count() {
    let (video, _) = tracks();
    let mut other = video.clone();
    let Codec::Avc(config) = &mut other.codec else { panic!("it is video") };
    config.record.resize(10_000, 0);
    let mut cutter = Cutter::new(CutOptions { max_pending_bytes: 100_000, ..CutOptions::default() });
    let mut out = Vec::new();
    cutter.set_track(1, video.clone(), &mut out);
    cutter.push(1, video_frames(0, 1, 1).remove(0), &mut out);
    for turn in 0..1000 {
        cutter.push(1, video_frames(1 << 30, 1, 1).remove(0), &mut out);
        cutter.set_track(1, if turn % 2 == 0 { other.clone() } else { video.clone() }, &mut out);
    }
    let (_, parked) = cutter.take(1, &mut out).unwrap();
    assert!(parked.len() < 30, "{} inputs are parked", parked.len());
    assert_eq!(parked.last(), Some(&Input::Track(video)), "the last configuration is the one that counts");
    assert!(warnings(&out).contains(&"PENDING_LIMIT"));
}

#[test]
fn a_jump_parks_the_track_for_another_cutter() {
    let (video, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, video, &mut out);
    cutter.set_track(2, audio.clone(), &mut out);
    push_by_time(
        &mut cutter,
        keyed(1, video_frames(5000, 100, 60)).chain(keyed(2, audio_frames(5000, 150, 0))).collect(),
        &mut out,
    );
    out.clear();
    let again = video_frames(0, 100, 60);
    for (index, frame) in again.iter().enumerate() {
        cutter.push(1, frame.clone(), &mut out);
        if index == 30 {
            let mut changed = audio.clone();
            changed.language = "deu".into();
            cutter.set_track(1, changed, &mut out);
        }
    }
    assert!(matches!(out[0], Output::Chunk { key: 1, ref chunk } if chunk.partial));
    assert_eq!(out.last(), Some(&Output::Jump { key: 1, from_ms: 8303, to_ms: 0 }));
    assert_eq!(cutter.take(2, &mut out), None, "only what jumped can be taken");
    let (track, inputs) = cutter.take(1, &mut out).unwrap();
    assert_eq!((track.number, inputs.len()), (1, 101));
    assert!(matches!(inputs[31], Input::Track(_)));
    let parked: Vec<Frame> = inputs
        .into_iter()
        .filter_map(|input| if let Input::Frame(frame) = input { Some(frame) } else { None })
        .collect();
    assert_eq!(parked, again);
}

#[test]
fn a_leap_forward_can_be_resumed() {
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, tracks().0, &mut out);
    let leap = rescale(3003 * 900, 90_000, 1000);
    for frame in video_frames(0, 70, 60).into_iter().chain(video_frames(leap, 70, 60)) {
        cutter.push(1, frame, &mut out);
    }
    assert_eq!(out.last(), Some(&Output::Jump { key: 1, from_ms: 2302, to_ms: leap }));
    cutter.resume(1, &mut out);
    cutter.remove_track(1, &mut out);
    let got = chunks(&out, 1);
    assert_eq!(starts_ms(&got), [0, 2002, leap, leap + 2002]);
    assert_eq!(got.iter().map(|chunk| chunk.partial).collect::<Vec<_>>(), [false, true, false, true]);
}

#[test]
fn a_changed_configuration_closes_the_fragment_first() {
    let (mut video, audio) = tracks();
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    cutter.set_track(1, video.clone(), &mut out);
    for frame in video_frames(0, 60, 60) {
        cutter.push(1, frame, &mut out);
    }
    video.bitrate += 1;
    cutter.set_track(1, video.clone(), &mut out);
    assert!(chunks(&out, 1).is_empty(), "a new bitrate is no new configuration");
    let Codec::Avc(config) = &mut video.codec else { panic!("video") };
    config.pps[0].push(0);
    cutter.set_track(1, video.clone(), &mut out);
    for frame in video_frames(2002, 61, 60) {
        cutter.push(1, frame, &mut out);
    }
    let kinds: Vec<u8> = out.iter().map(|output| u8::from(matches!(output, Output::Track { .. }))).collect();
    assert_eq!(kinds, [1, 1, 0, 1, 0]);
    assert!(chunks(&out, 1).iter().all(|chunk| !chunk.partial && chunk.duration() == 180_180));
    assert_eq!(audio.codec.kind(), Kind::Audio);
}

#[test]
fn a_connection_that_joins_after_a_wrap_is_on_the_same_clock() {
    let video = tracks().0;
    let mut cutter = Cutter::new(CutOptions::default());
    let mut out = Vec::new();
    let wrap = 1i64 << 31;
    let frames = video_frames(wrap - 2002, 250, 60);
    cutter.set_track(1, video.clone(), &mut out);
    for frame in &frames[..120] {
        cutter.push(1, frame.clone(), &mut out);
    }
    cutter.set_track(2, video, &mut out);
    for frame in &frames[120..] {
        cutter.push(1, frame.clone(), &mut out);
        cutter.push(2, Frame { time: frame.time - wrap, ..frame.clone() }, &mut out);
    }
    let (first, second) = (chunks(&out, 1), chunks(&out, 2));
    assert_eq!((first.len(), second.len()), (4, 2));
    assert_eq!(first[2..], second[..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_interleaving_gives_the_same_chunks(
        order in prop::collection::vec(0usize..5, 0..1500),
        phase in 0i64..30,
        early in 0i64..100,
    ) {
        let (video, audio) = tracks();
        let keys: [(u64, &Track, Vec<Frame>); 5] = [
            (1, &video, video_frames(phase, 240, 60)),
            (2, &audio, audio_frames(phase - early, 375, 0)),
            (3, &video, video_frames(phase, 240, 30)),
            (4, &audio, audio_frames(phase - early, 375, 0)),
            (5, &audio, audio_frames(phase - early + 9, 375, 1)),
        ];
        let run = |order: &[usize]| {
            let mut cutter = Cutter::new(CutOptions { hold_ms: 60_000, switch_ms: 60_000, ..CutOptions::default() });
            let mut out = Vec::new();
            let mut queues: Vec<_> = keys.iter().map(|(key, track, frames)| {
                cutter.set_track(*key, (*track).clone(), &mut out);
                (*key, frames.iter())
            }).collect();
            for turn in order.iter().copied().chain((0..5).flat_map(|index| [index; 400])) {
                let (key, queue) = &mut queues[turn];
                if let Some(frame) = queue.next() {
                    cutter.push(*key, frame.clone(), &mut out);
                }
            }
            // Audio first, as a connection that ends does it.
            for key in [2, 4, 5, 1, 3] { cutter.remove_track(key, &mut out); }
            let mut by_key: BTreeMap<u64, Vec<Output>> = BTreeMap::new();
            for output in out {
                let (Output::Track { key, .. } | Output::Chunk { key, .. } | Output::Warning { key, .. } | Output::Jump { key, .. }) = output;
                by_key.entry(key).or_default().push(output);
            }
            by_key
        };
        let (mixed, plain) = (run(&order), run(&[]));
        prop_assert!(mixed == plain);
        let strip = |key| chunks(&plain[&key], key).into_iter().cloned().collect::<Vec<_>>();
        prop_assert!(strip(2) == strip(4), "the same audio twice");
    }

    #[test]
    fn whoever_leaves_whenever_every_frame_comes_out_once(
        ends in prop::collection::vec(1i64..12_000, 5),
        skews in prop::collection::vec(0i64..50, 5),
        jitter in prop::collection::vec(0i64..3000, 5),
    ) {
        let (video, audio) = tracks();
        let mut cutter = Cutter::new(CutOptions::default());
        let mut out = Vec::new();
        let mut script: Vec<(i64, u64, Option<Frame>)> = Vec::new();
        let mut sent: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for index in 0..5 {
            let (key, end) = (index as u64, ends[index]);
            let frames = if index < 3 { video_frames(skews[index], 400, 60) } else { audio_frames(skews[index], 600, key as u8) };
            cutter.set_track(key, if index < 3 { video.clone() } else { audio.clone() }, &mut out);
            for frame in frames.into_iter().filter(|frame| frame.time < end) {
                sent.entry(key).or_default().extend(&*frame.data);
                script.push((frame.time + jitter[index], key, Some(frame)));
            }
            script.push((end + jitter[index], key, None));
        }
        script.sort_by_key(|(at, ..)| *at);
        for (_, key, frame) in script {
            match frame {
                Some(frame) => cutter.push(key, frame, &mut out),
                None => cutter.remove_track(key, &mut out),
            }
        }
        prop_assert_eq!(warnings(&out), [""; 0]);
        for (key, data) in sent {
            let got = chunks(&out, key);
            prop_assert_eq!(got.iter().flat_map(|chunk| chunk.payload.bytes().unwrap().into_owned()).collect::<Vec<u8>>(), data);
            let end = |chunk: &Chunk| chunk.time + chunk.samples.iter().map(|sample| i64::from(sample.duration)).sum::<i64>();
            for pair in got.windows(2) {
                prop_assert!((pair[1].time - end(pair[0])).abs() <= 1, "they join: {} {}", end(pair[0]), pair[1].time);
            }
        }
    }

    #[test]
    fn any_times_are_bounded_and_never_panic(
        steps in prop::collection::vec((0u64..4, prop_oneof![-50i64..200, any::<i64>()], any::<i32>(), any::<bool>(), 0u8..6), 1..300),
    ) {
        let (video, audio) = tracks();
        let options = CutOptions { max_pending_bytes: 2000, hold_ms: 500, max_fragment_ms: 1000, ..CutOptions::default() };
        let mut cutter = Cutter::new(options);
        let mut out = Vec::new();
        let mut times = [0i64; 4];
        for (key, step, composition, sync, action) in steps {
            match action {
                0 => cutter.set_track(key, if key < 2 { video.clone() } else { audio.clone() }, &mut out),
                1 => cutter.resume(key, &mut out),
                2 if step % 5 == 0 => cutter.remove_track(key, &mut out),
                _ => {
                    let time = &mut times[key as usize];
                    *time = time.wrapping_add(step);
                    let frame = Frame { track: 1, time: *time, composition, sync, data: vec![0; 50].into() };
                    cutter.push(key, frame, &mut out);
                }
            }
        }
        for key in 0..4 {
            for chunk in chunks(&out, key) {
                prop_assert!(!chunk.samples.is_empty() && chunk.payload.len() <= 2100);
                prop_assert_eq!(chunk.samples.iter().map(|sample| sample.size as usize).sum::<usize>(), chunk.payload.len());
            }
        }
    }
}
