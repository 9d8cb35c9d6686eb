//! The clock references of a stream: close to each other, rising over segments, ahead of what they time, however rare its pictures are.

use super::*;

/// Pictures of the given durations in 90 kHz ticks, all key frames without reordering.
fn slow_pictures(decode_time: u64, durations: &[u32]) -> StoredTrack {
    let mut track = pictures(decode_time, 1, &vec![300; durations.len()]);
    for (sample, duration) in track.samples.iter_mut().zip(durations) {
        (sample.duration, sample.composition) = (*duration, 0);
    }
    track
}

/// AAC frames from a time of 90 kHz on that last as long as the pictures.
fn sounds_along(decode_time: u64, ticks: u32) -> StoredTrack {
    sounds(decode_time * 48 / 90, &vec![300; (ticks as usize * 48 / 90).div_ceil(1024)])
}

fn steps(clocks: &[u64]) -> Vec<i64> {
    clocks.windows(2).map(|pair| ahead(pair[1], pair[0])).collect()
}

#[test]
fn references_of_sound_alone_are_close_and_ahead() {
    let sounds = sounds(1 << 40, &[400; 200]);
    let streams = demux(&write_segment(None, Some(&[sounds.piece()])).expect("valid"));
    let audio = &streams[&Pid::AUDIO.0];
    assert!(steps(&audio.clocks).iter().all(|step| *step <= 9000));
    assert!(audio.packets.iter().zip(audio.clocks.iter().step_by(2)).all(|((_, dts, _), clock)| dts - clock == 36_000));
    assert_eq!(audio.random_access.len(), audio.packets.len());
    assert_eq!(audio.alone, 0);
}

#[test]
fn pictures_ten_times_a_second_need_no_references_between_them() {
    let track = slow_pictures(0, &[9000; 20]);
    let streams = demux(&write_segment(Some(&[track.piece()]), None).expect("valid"));
    assert_eq!(streams[&Pid::VIDEO.0].alone, 0);
}

#[test]
fn pictures_five_times_a_second_have_one_reference_between_them() {
    let track = slow_pictures(0, &[18_000; 10]);
    let video = &demux(&write_segment(Some(&[track.piece()]), None).expect("valid"))[&Pid::VIDEO.0];
    assert_eq!(video.alone, 10, "one behind each, the last included");
    assert_eq!(steps(&video.clocks), [9000; 19]);
}

#[test]
fn a_picture_that_is_shown_for_seconds_is_followed_by_references() {
    let track = slow_pictures(0, &[3600, 630_000]);
    let video = &demux(&write_segment(Some(&[track.piece()]), None).expect("valid"))[&Pid::VIDEO.0];
    assert_eq!(video.alone, 69);
    assert_eq!(steps(&video.clocks)[1..], [9000; 69]);
}

#[test]
fn a_hole_in_the_sound_has_references() {
    let (before, behind) = (sounds(0, &[100; 3]), sounds(48_000, &[100; 3]));
    let pieces = [before.piece(), behind.piece()];
    let audio = &demux(&write_segment(None, Some(&pieces)).expect("valid"))[&Pid::AUDIO.0];
    assert!(steps(&audio.clocks).iter().all(|step| *step <= 9000));
}

#[test]
fn a_duration_over_a_hole_does_not_put_the_clock_ahead_of_the_sound() {
    let mut track = sounds(0, &[500; 4]);
    track.samples[0].duration = 96_000;
    let audio = &demux(&write_segment(None, Some(&[track.piece()])).expect("valid"))[&Pid::AUDIO.0];
    assert!(steps(&audio.clocks).iter().all(|step| *step <= 9000));
    assert_eq!(audio.packets.len(), 2);
}

#[test]
fn sound_before_the_first_picture_finds_a_clock() {
    let (video, audio) = (slow_pictures(180_000, &[18_000; 5]), sounds_along(90_000, 180_000));
    let streams = demux(&write_segment(Some(&[video.piece()]), Some(&[audio.piece()])).expect("valid"));
    let clocks = &streams[&Pid::VIDEO.0].clocks;
    assert_eq!(streams[&Pid::AUDIO.0].packets[0].0 - clocks[0], 36_000);
    assert!(steps(clocks).iter().all(|step| *step <= 9000));
}

#[test]
fn durations_that_no_stream_has_are_not_filled() {
    let track = slow_pictures(0, &[u32::MAX, 3600]);
    let video = &demux(&write_segment(Some(&[track.piece()]), None).expect("valid"))[&Pid::VIDEO.0];
    assert_eq!(video.alone, 0);
}

proptest! {
    #[test]
    fn references_are_close_over_segments(
        start in 0u64..1 << 34,
        segments in prop::collection::vec(prop::collection::vec(1000u32..60_000, 1..12), 1..4),
        with_sound in any::<bool>(),
    ) {
        let (mut whole, mut time) = (Vec::new(), start);
        for durations in &segments {
            let length = durations.iter().sum();
            let (video, audio) = (slow_pictures(time, durations), sounds_along(time, length));
            let (video, audio) = ([video.piece()], [audio.piece()]);
            whole.extend(write_segment(Some(&video), with_sound.then_some(&audio)).expect("valid"));
            time += u64::from(length);
        }
        let streams = demux(&whole);
        let video = &streams[&Pid::VIDEO.0];
        prop_assert!(steps(&video.clocks).iter().all(|step| (1..=9000).contains(step)));
        prop_assert_eq!(video.clocks.len(), video.packets.len() + video.alone);
        let longer = segments.iter().flatten().map(|ticks| ticks.div_ceil(9000) as usize - 1).sum::<usize>();
        prop_assert_eq!(video.alone, longer, "as few as can be");
    }
}
