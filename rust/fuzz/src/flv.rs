//! FLV tag bodies.

use pypackager_core::codec::nal;
use pypackager_core::demux::flv::{self, Tag};

/// Parses the input as either kind of tag, and cuts its sample out.
pub fn run(data: &[u8]) {
    for tag in [flv::parse_video(data), flv::parse_audio(data)] {
        match tag {
            Ok(Tag::Config { start }) => assert!(start <= data.len()),
            Ok(Tag::Sample { start, composition, .. }) => {
                assert!(start < data.len());
                assert!((-0x80_0000..0x80_0000).contains(&composition));
                (1..=4).for_each(|length_size| check_sample(data, start, length_size));
            }
            Ok(Tag::Nothing) => {}
            Err(error) => assert!(error.offset <= data.len() as u64 + 8, "{error}"),
        }
    }
}

fn check_sample(data: &[u8], start: usize, length_size: u8) {
    let Ok((sample, idr)) = flv::avc_sample(data.to_vec(), start, length_size) else { return };
    let units = |bytes, size| nal::units(bytes, size).collect::<Result<Vec<_>, _>>().expect("it was checked");
    let read = units(&sample, 4);
    assert_eq!(read, units(&data[start..], length_size), "the same NAL units");
    assert_eq!(idr, read.iter().any(|unit| nal::unit_type(unit) == 5));
}
