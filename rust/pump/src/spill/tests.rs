//! What is stored comes back, and what the disk does wrong is said.

use super::faulty::Faulty;
use super::*;
use pypackager_core::payload::{Part, Payload, Spill};
use rustix::fs::{Mode, OFlags, open};
use std::io::Read;

#[test]
fn what_is_stored_is_read_and_given_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut file = SpillFile::new(directory.path().to_owned());
    let pieces: Vec<Vec<u8>> = (0..2000u32).map(|n| vec![n as u8; 1 + n as usize % 700]).collect();
    let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let stored = file.store(&slices).expect("room");
    assert!(std::fs::read_dir(directory.path()).expect("a directory").next().is_none(), "it has no name");
    for (stored, piece) in stored.iter().zip(&pieces) {
        assert_eq!((stored.len, stored.crc), (piece.len(), crc32c::crc32c(piece)));
    }
    let payload = Payload::new(stored.into_iter().map(Part::Stored).collect());
    assert_eq!(payload.bytes().expect("readable"), pieces.concat());
}

fn pieces(sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes.iter().enumerate().map(|(number, &size)| (0..size).map(|at| (at * 7 + number) as u8).collect()).collect()
}

fn store(file: &mut SpillFile, pieces: &[Vec<u8>]) -> io::Result<Payload> {
    let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    Ok(Payload::new(file.store(&slices)?.into_iter().map(Part::Stored).collect()))
}

fn errno(result: io::Result<Payload>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_write_keeps_nothing_of_it() {
    let disk = Faulty::new();
    let mut file = disk.spill_file();
    let (first, second) = (pieces(&[5000, 9000]), pieces(&[10_000, 20_000, 30_000]));
    let kept = store(&mut file, &first).expect("room");
    // All but the last byte: the write gets far, and short, before the disk says so.
    for room in [0, 1, 4000, 10_000, 25_000, 59_999] {
        disk.state().room = room;
        assert_eq!(errno(store(&mut file, &second)), Some(Errno::NOSPC.raw_os_error()), "{room}");
        assert_eq!(disk.state().freed.pop(), Some((16_384, 61_440)), "its space is given back");
    }
    disk.state().room = 60_000;
    let stored = store(&mut file, &second).expect("exactly enough");
    assert_eq!(disk.state().files[0].len(), 16_384 + 60_000, "where the others would have been");
    assert_eq!(disk.state().files.len(), 1);
    for (payload, pieces) in [(&kept, &first), (&stored, &second)] {
        assert_eq!(payload.bytes().expect("readable"), pieces.concat());
    }
    drop((kept, stored));
    assert_eq!(disk.state().freed, [(0, 16_384), (16_384, 61_440)]);
}

#[test]
fn a_file_that_fails_is_given_up_for_another_and_what_is_in_it_stays() {
    let disk = Faulty::new();
    let mut file = disk.spill_file();
    let (first, second) = (pieces(&[5000]), pieces(&[6000, 100]));
    let kept = store(&mut file, &first).expect("room");
    for (opened, fault) in [Errno::IO, Errno::ROFS, Errno::STALE].into_iter().enumerate() {
        disk.state().full = fault;
        disk.state().room = 2000;
        assert_eq!(errno(store(&mut file, &second)), Some(fault.raw_os_error()));
        assert_eq!(disk.state().files.len(), opened + 1);
        assert_eq!(kept.bytes().expect("readable"), first.concat());
    }
    disk.state().room = usize::MAX;
    let again = store(&mut file, &second).expect("room");
    assert_eq!(disk.state().files.len(), 4);
    assert_eq!(again.bytes().expect("readable"), second.concat());
}

#[test]
fn bytes_that_cannot_be_read_are_an_error_whichever_way_they_go() {
    let disk = Faulty::new();
    let payload = store(&mut disk.spill_file(), &pieces(&[5000])).expect("room");
    let Part::Stored(stored) = &payload.parts()[0] else { unreachable!("it was stored") };
    let region = stored.region.as_any().downcast_ref::<Region>().expect("its own");
    let target: OwnedFd = tempfile::tempfile().expect("a file").into();
    disk.state().copies = 0;
    disk.state().reading = Some(Errno::IO);
    assert_eq!(payload.bytes().err().and_then(|error| error.raw_os_error()), Some(Errno::IO.raw_os_error()));
    assert_eq!(region.copy_to(0, 5000, &target, 0), Err(Errno::IO));
    disk.state().reading = None;
    disk.state().files[0].truncate(4999);
    assert_eq!(payload.bytes().err().map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof));
    assert_eq!(region.copy_to(0, 5000, &target, 0), Err(Errno::IO), "a file that was cut is no end of it");
}

#[test]
fn a_copy_that_is_refused_on_the_way_goes_on_through_memory() {
    let disk = Faulty::new();
    let bytes = pieces(&[600_000]);
    let payload = store(&mut disk.spill_file(), &bytes).expect("room");
    let Part::Stored(stored) = &payload.parts()[0] else { unreachable!("it was stored") };
    let region = stored.region.as_any().downcast_ref::<Region>().expect("its own");
    let mut target = tempfile::tempfile().expect("a file");
    disk.state().copies = 4000;
    region.copy_to(1000, 500_000, &target.try_clone().expect("a file").into(), 3).expect("room");
    let mut copied = Vec::new();
    target.read_to_end(&mut copied).expect("readable");
    assert!(copied[3..] == bytes[0][1000..501_000]);
}

#[test]
fn both_ways_of_copying_give_the_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut file = SpillFile::new(directory.path().to_owned());
    let bytes: Vec<u8> = (0..600_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let stored = file.store(&[&bytes]).expect("room").remove(0);
    let region = stored.region.as_any().downcast_ref::<Region>().expect("its own");
    let open_target = |name: &str| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        open(directory.path().join(name), flags, Mode::RUSR | Mode::WUSR).expect("a file")
    };
    region.copy_to(1000, 500_000, &open_target("kernel"), 3).expect("room");
    copy_through(region, 1000, 500_000, &open_target("buffer"), 3).expect("room");
    for name in ["kernel", "buffer"] {
        let copied = std::fs::read(directory.path().join(name)).expect("written");
        assert_eq!((&copied[..3], &copied[3..]), (&[0, 0, 0][..], &bytes[1000..501_000]), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_made_is_an_error_each_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut file = SpillFile::new(directory.path().join("later"));
    assert!(file.store(&[b"x"]).is_err());
    std::fs::create_dir(directory.path().join("later")).expect("room");
    assert!(file.store(&[b"x"]).is_ok());
}
