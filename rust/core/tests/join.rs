//! A GOP that its sender cut is the same GOP once it is joined.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use pypackager_core::media::{Chunk, Sample};

fn chunk(time: i64, durations: &[u32], sync: bool) -> Chunk {
    let sample = |(index, &duration): (usize, &u32)| Sample {
        size: 3,
        duration,
        composition: index as i32 - 1,
        sync: sync && index == 0,
    };
    let samples: Vec<Sample> = durations.iter().enumerate().map(sample).collect();
    let payload: Vec<u8> = (0..samples.len() * 3).map(|byte| byte as u8).collect();
    Chunk { track: 1, time, timescale: 90_000, samples, payload: payload.into(), index: Some(7), partial: false }
}

/// `whole`, cut behind the samples that `cuts` count.
fn cut(whole: &Chunk, cuts: &[usize]) -> Vec<Chunk> {
    let bytes = whole.payload.bytes().unwrap();
    let borders: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([whole.samples.len()]).collect();
    let ticks = |samples: &[Sample]| samples.iter().map(|sample| i64::from(sample.duration)).sum::<i64>();
    let piece = |border: &[usize]| Chunk {
        time: whole.time + ticks(&whole.samples[..border[0]]),
        samples: whole.samples[border[0]..border[1]].to_vec(),
        payload: bytes[3 * border[0]..3 * border[1]].to_vec().into(),
        ..*whole
    };
    borders.windows(2).filter(|border| border[0] < border[1]).map(piece).collect()
}

proptest! {
    #[test]
    fn any_cut_is_undone(
        time in -1_000_000i64..1_000_000_000_000,
        durations in prop::collection::vec(1u32..10_000, 1..40),
        mut cuts in prop::collection::vec(0usize..40, 0..8),
    ) {
        let whole = chunk(time, &durations, true);
        cuts.retain(|&cut| cut <= durations.len());
        cuts.sort_unstable();
        let pieces = cut(&whole, &cuts);
        prop_assert_eq!(Chunk::joined(&pieces.iter().collect::<Vec<_>>()).unwrap(), whole);
    }

    #[test]
    fn no_time_moves_where_the_sender_rounded(error in -50i64..50, durations in prop::collection::vec(100u32..10_000, 2..9)) {
        let (first, mut second) = (chunk(0, &durations, true), chunk(0, &durations, false));
        second.time = first.duration() as i64 + error;
        let joined = Chunk::joined(&[&first, &second]).unwrap();
        prop_assert_eq!(joined.time, first.time);
        prop_assert_eq!(joined.duration() as i64, second.time + second.duration() as i64);
        prop_assert_eq!(&joined.samples[durations.len()..], &second.samples[..]);
    }
}

#[test]
fn what_does_not_follow_is_refused_by_name() {
    let first = chunk(1000, &[10, 10], true);
    let other = Chunk { track: 2, ..chunk(1020, &[10], false) };
    let (before, far) = (chunk(900, &[10], false), chunk(1 << 40, &[10], false));
    for chunks in [&[][..], &[&first, &other], &[&first, &before], &[&first, &far]] {
        assert_eq!(Chunk::joined(chunks).unwrap_err().code, "FRAGMENT_INVALID");
    }
}

proptest! {
    #[test]
    fn a_part_has_the_samples_that_start_in_it_and_their_bytes(
        time in -1_000_000i64..1_000_000_000_000,
        durations in prop::collection::vec(1u32..10_000, 1..40),
        begin in -5_000i64..100_000,
        length in 0i64..200_000,
    ) {
        let whole = chunk(time, &durations, true);
        let (begin, end) = (time + begin, time + begin + length);
        let bytes = whole.payload.bytes().unwrap();
        let starts: Vec<i64> = durations.iter().scan(time, |at, &duration| { let start = *at; *at += i64::from(duration); Some(start) }).collect();
        let inside: Vec<usize> = (0..starts.len()).filter(|&index| (begin..end).contains(&starts[index])).collect();
        match whole.within(begin, end).unwrap() {
            None => prop_assert!(inside.is_empty()),
            Some(part) => {
                prop_assert_eq!(part.time, starts[inside[0]]);
                prop_assert_eq!(&part.samples[..], &whole.samples[inside[0]..=inside[inside.len() - 1]]);
                prop_assert_eq!(&part.payload.bytes().unwrap()[..], &bytes[3 * inside[0]..3 * (inside[inside.len() - 1] + 1)]);
                prop_assert_eq!((part.track, part.timescale, part.index, part.partial), (1, 90_000, Some(7), false));
            }
        }
    }
}
