//! Reads of stored ranges.

#![allow(clippy::unwrap_used)]

use pypackager_pump::files::{Range, ReadError, read_all, total_size};
use std::fs;

#[test]
fn ranges_are_read_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| directory.path().join(name).to_str().unwrap().to_owned());
    fs::write(&paths[0], b"0123456789").unwrap();
    fs::write(&paths[1], b"abcdef").unwrap();
    let range = |file: usize, offset, size| Range { path: paths[file].clone(), offset, size };
    let ranges = [range(0, 8, 2), range(1, 1, 3), range(1, 0, 1), range(0, 0, 0)];
    assert_eq!(read_all(&ranges).unwrap(), b"89bcda");
    assert_eq!(read_all(&[]).unwrap(), b"");
}

#[test]
fn a_range_past_the_end_says_where_the_file_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a").to_str().unwrap().to_owned();
    fs::write(&path, b"0123456789").unwrap();
    let short = read_all(&[Range { path: path.clone(), offset: 6, size: 5 }]).unwrap_err();
    assert!(matches!(short, ReadError::Short { end: 10, .. }), "{short}");
    let gone = read_all(&[Range { path: format!("{path}.gone"), offset: 0, size: 1 }]).unwrap_err();
    assert!(matches!(gone, ReadError::System { errno: rustix::io::Errno::NOENT, .. }), "{gone}");
}

#[test]
fn impossible_sizes_are_errors() {
    let huge = Range { path: "/dev/zero".into(), offset: 0, size: usize::MAX };
    assert_eq!(total_size(&[huge.clone(), huge.clone()]), None);
    assert!(read_all(&[huge.clone(), huge.clone()]).is_err());
    assert!(read_all(&[huge]).is_err());
}
