//! The writer against real files: order, whole writes or none, no lost ticket.

#![allow(clippy::unwrap_used)]

use pypackager_core::media::Chunk;
use pypackager_pump::fragment::Fragment;
use pypackager_pump::writer::{Ticket, Writer};
use rustix::io::Errno;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn fragment(head: &[u8], payload: &[u8]) -> Fragment {
    let chunk = Chunk {
        track: 1,
        time: 0,
        timescale: 90_000,
        samples: Vec::new(),
        payload: payload.to_vec().into(),
        index: None,
        partial: false,
    };
    Fragment::new(head.to_vec(), Arc::new(chunk))
}

fn wait(writer: &Writer, last: Ticket) -> Vec<(Ticket, i32)> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut all = Vec::new();
    while all.last().is_none_or(|&(ticket, _)| ticket < last) {
        assert!(Instant::now() < deadline, "ticket {last} never finished: {all:?}");
        all.extend(writer.done());
        std::thread::yield_now();
    }
    all
}

fn wait_for(writer: &Writer, tickets: &[Ticket]) -> Vec<(Ticket, i32)> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut all: Vec<(Ticket, i32)> = Vec::new();
    while !tickets.iter().all(|wanted| all.iter().any(|(ticket, _)| ticket == wanted)) {
        assert!(Instant::now() < deadline, "{tickets:?} never finished: {all:?}");
        all.extend(writer.done());
        std::thread::yield_now();
    }
    all
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}

#[test]
fn writes_happen_in_the_order_of_the_calls() {
    let directory = tempfile::tempdir().unwrap();
    let (blob_path, journal_path) = (path(directory.path(), "blob"), path(directory.path(), "journal"));
    let writer = Writer::new().unwrap();
    let blob = writer.open(&blob_path).unwrap();
    let journal = writer.open(&journal_path).unwrap();
    writer.append(blob, b"init".to_vec());
    let mut offset = 4;
    let mut last = 0;
    let mut expected = b"init".to_vec();
    for number in 0..200u8 {
        let piece = fragment(b"head", &vec![number; usize::from(number) * 100]);
        let size = piece.size() as u64;
        last = writer.write_fragment(blob, offset, piece, journal, vec![number]);
        offset += size;
        expected.extend(b"head");
        expected.extend(vec![number; usize::from(number) * 100]);
    }
    let done = wait(&writer, last);
    assert!(done.iter().all(|&(_, errno)| errno == 0));
    assert!(done.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(done.len(), 201);
    assert_eq!(writer.queued_bytes(), 0);
    assert_eq!(fs::read(blob_path).unwrap(), expected);
    assert_eq!(fs::read(journal_path).unwrap(), (0..200u8).collect::<Vec<_>>());
}

#[test]
fn appending_goes_on_at_the_end_of_an_existing_file() {
    let directory = tempfile::tempdir().unwrap();
    let name = path(directory.path(), "journal");
    fs::write(&name, b"old ").unwrap();
    let writer = Writer::new().unwrap();
    let handle = writer.open(&name).unwrap();
    writer.append(handle, b"new ".to_vec());
    writer.append(handle, b"newer".to_vec());
    let synced = writer.sync(vec![handle]);
    let closed = writer.close(handle);
    // A write does not wait for a sync: their answers may come in any order.
    let mut done = wait_for(&writer, &[synced, closed]);
    done.sort_unstable();
    assert_eq!(done.split_off(2), [(synced, 0), (closed, 0)]);
    assert_eq!(fs::read(&name).unwrap(), b"old new newer");
    let after = writer.append(handle, b"lost".to_vec());
    assert_eq!(wait(&writer, after), [(after, Errno::BADF.raw_os_error())]);
}

#[test]
fn a_fragment_may_fill_space_that_was_reserved() {
    let directory = tempfile::tempdir().unwrap();
    let (blob_path, journal_path) = (path(directory.path(), "blob"), path(directory.path(), "journal"));
    let writer = Writer::new().unwrap();
    let blob = writer.open(&blob_path).unwrap();
    let journal = writer.open(&journal_path).unwrap();
    writer.append(blob, b"0123456789".to_vec());
    writer.write_fragment(blob, 2, fragment(b"ab", b"cd"), journal, b"r".to_vec());
    let last = writer.append(blob, b"!".to_vec());
    wait(&writer, last);
    assert_eq!(fs::read(blob_path).unwrap(), b"01abcd6789!");
}

#[test]
fn a_failed_payload_takes_its_record_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let journal_path = path(directory.path(), "journal");
    let writer = Writer::new().unwrap();
    let full = writer.open("/dev/full").unwrap();
    let journal = writer.open(&journal_path).unwrap();
    let failed = writer.write_fragment(full, 0, fragment(b"head", b"payload"), journal, b"never".to_vec());
    let fine = writer.append(journal, b"other".to_vec());
    assert_eq!(wait(&writer, fine), [(failed, Errno::NOSPC.raw_os_error()), (fine, 0)]);
    assert_eq!(fs::read(journal_path).unwrap(), b"other");
}

#[test]
fn nothing_is_written_to_a_blob_whose_journal_is_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let blob_path = path(directory.path(), "blob");
    let writer = Writer::new().unwrap();
    let blob = writer.open(&blob_path).unwrap();
    let ticket = writer.write_fragment(blob, 0, fragment(b"head", b"payload"), 99, b"record".to_vec());
    assert_eq!(wait(&writer, ticket), [(ticket, Errno::BADF.raw_os_error())]);
    assert_eq!(fs::read(blob_path).unwrap(), b"");
}

#[test]
fn stopping_finishes_what_is_queued_and_no_ticket_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let name = path(directory.path(), "blob");
    let writer = Writer::new().unwrap();
    let handle = writer.open(&name).unwrap();
    for _ in 0..500 {
        writer.append(handle, vec![7; 1000]);
    }
    writer.stop();
    assert_eq!(writer.done().len(), 500);
    assert_eq!(fs::metadata(&name).unwrap().len(), 500_000);
    let late = writer.append(handle, vec![7]);
    assert_eq!(writer.done(), [(late, Errno::CANCELED.raw_os_error())]);
    assert_eq!(writer.open(&name), Err(Errno::CANCELED));
}

#[test]
fn a_path_that_cannot_be_opened_is_refused_at_once() {
    let writer = Writer::new().unwrap();
    assert_eq!(writer.open("/dev/null/blob"), Err(Errno::NOTDIR));
}

#[test]
fn an_end_answers_for_everything_and_waits_for_no_sync_that_has_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Writer::new().unwrap();
    let mut tickets = Vec::new();
    let handles: Vec<_> = (0..20).map(|n| writer.open(&path(directory.path(), &n.to_string())).unwrap()).collect();
    for &handle in &handles {
        tickets.push(writer.append(handle, vec![1; 100_000]));
        tickets.push(writer.sync(vec![handle]));
    }
    writer.stop();
    let mut done = writer.done();
    done.sort_unstable();
    assert_eq!(done.iter().map(|&(ticket, _)| ticket).collect::<Vec<_>>(), tickets);
    assert!(done.iter().all(|&(_, errno)| errno == 0 || errno == Errno::CANCELED.raw_os_error()));
    assert!((0..20).all(|n| fs::metadata(directory.path().join(n.to_string())).unwrap().len() == 100_000));
}
