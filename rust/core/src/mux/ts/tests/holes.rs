//! Holes in the sound: a decoder counts on from the first frame of a PES packet, so none may be inside one.

use super::*;

#[test]
fn a_hole_in_time_starts_a_new_audio_packet() {
    let (before, behind) = (sounds(0, &[100; 3]), sounds(10_000, &[100; 3]));
    let pieces = [before.piece(), behind.piece()];
    let streams = demux(&write_segment(None, Some(&pieces)).expect("valid"));
    let times: Vec<_> = streams[&Pid::AUDIO.0].packets.iter().map(|packet| packet.0).collect();
    assert_eq!(times, [108_000, 108_000 + 10_000 * 90 / 48]);
}

#[test]
fn a_hole_that_a_duration_covers_starts_a_new_audio_packet() {
    let mut track = sounds(4800, &[100; 9]);
    track.samples[2].duration += 3072;
    track.samples[5].duration -= 1;
    let streams = demux(&write_segment(None, Some(&[track.piece()])).expect("valid"));
    assert_same_audio(&track, &streams[&Pid::AUDIO.0]);
    assert_eq!(streams[&Pid::AUDIO.0].packets.len(), 3);
}
