//! The box scanner and every parser of a whole box.

use pypackager_core::bmff::moof::Moof;
use pypackager_core::bmff::moov::Moov;
use pypackager_core::bmff::scan::{Header, boxes};
use pypackager_core::bmff::{init, live_manifest};

/// Scans, and parses what is found and the input itself as each kind of box body.
pub fn run(data: &[u8]) {
    headers_grow(data);
    let mut end = 0;
    for found in boxes(data) {
        let Ok(found) = found else { break };
        let start = found.offset as usize;
        assert!(start >= end + 8, "boxes follow each other");
        assert_eq!(data.get(start..start + found.body.len()), Some(found.body));
        end = start + found.body.len();
        match &found.kind {
            b"moov" => parse_moov(found.body),
            b"moof" => parse_moof(found.body),
            _ => {}
        }
    }
    parse_moov(data);
    parse_moof(data);
    let _ = live_manifest::parse(data);
    let _ = init::parse_init(data);
}

/// A header that is whole stays what it is when more bytes come, and one that is not says how many it needs.
fn headers_grow(data: &[u8]) {
    let mut whole = None;
    for length in 0..=data.len().min(Header::MAX + 1) {
        match Header::parse(&data[..length]) {
            Ok(None) => {
                assert!(whole.is_none());
                assert!((length + 1..=Header::MAX).contains(&Header::needed(&data[..length])));
            }
            other => assert_eq!(*whole.get_or_insert(other.clone()), other),
        }
    }
}

fn parse_moov(body: &[u8]) {
    if let Ok(moov) = Moov::parse(body) {
        for trak in &moov.tracks {
            let _ = (
                init::track(trak),
                moov.defaults_of(trak.track_id),
                trak.edit.shift(moov.timescale, trak.media.timescale),
            );
        }
    }
}

fn parse_moof(body: &[u8]) {
    if let Ok(moof) = Moof::parse(body) {
        for traf in &moof.tracks {
            if let Ok(samples) = traf.samples(&Default::default(), 10_000) {
                assert_eq!(samples.len() as u64, traf.sample_count());
            }
        }
    }
}
