//! Open fragments beyond their channel's budget: what comes out is the same, what has no room is said.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_core::media::Chunk;
use pypackager_pump::fragment::Fragment;
use pypackager_pump::pump::{Budget, Event, Number, Options, Protocol};
use pypackager_pump::writer::Writer;
use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::big::{Layer, status_of};
use support::{Bench, ISMV, RTMP, quick, read_all, send};

/// What a recorded session becomes, read in small pieces.
fn story(protocol: Protocol, capture: &[u8], budget: Option<&Arc<Budget>>) -> (Vec<String>, Vec<Arc<Chunk>>) {
    let mut bench = Bench::new(Options { buffer_bytes: 700, ..quick() });
    let (mut client, number) = bench.connect(protocol);
    send(&mut client, capture);
    if protocol == Protocol::Http {
        bench.request(number);
        bench.pump.accept(number, budget.cloned());
        bench.body_end(number);
        bench.ok(number, true);
    } else {
        bench.next("PublishRequested", |event| matches!(event, Event::PublishRequested { .. }));
        bench.pump.accept(number, budget.cloned());
        bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
        bench.pump.bind(number, 1);
        client.shutdown(Shutdown::Write).unwrap();
    }
    read_all(&mut client);
    assert_eq!(bench.closed(number).0, "");
    (bench.story(number), chunks(&bench, number))
}

fn chunks(bench: &Bench, number: Number) -> Vec<Arc<Chunk>> {
    let chunk = |event: &Event| match event {
        Event::ChunkReady { conn, chunk, .. } if *conn == number => Some(Arc::clone(chunk)),
        _ => None,
    };
    bench.events.iter().filter_map(chunk).collect()
}

/// A file that the writer made of fragments, and the same put together in memory; every record is the fragment's CRC.
fn written(directory: &Path, chunks: &[Arc<Chunk>]) -> (Vec<u8>, Vec<u8>) {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let writer = Writer::new().unwrap();
    let (blob, journal) = (writer.open(&path("blob")).unwrap(), writer.open(&path("journal")).unwrap());
    let (mut expected, mut tickets) = (Vec::new(), Vec::new());
    for (number, chunk) in chunks.iter().enumerate() {
        let head = vec![number as u8; number % 40];
        let fragment = Fragment::new(head.clone(), Arc::clone(chunk));
        let offset = expected.len() as u64;
        expected.extend([head, chunk.payload.bytes().unwrap().into_owned()].concat());
        assert_eq!(fragment.crc(), crc32c::crc32c(&expected[offset as usize..]));
        tickets.push((writer.write_fragment(blob, offset, fragment, journal, b"r".to_vec()), 0));
    }
    writer.stop();
    assert_eq!(writer.done(), tickets);
    (std::fs::read(path("blob")).unwrap(), expected)
}

#[test]
fn feeds_come_out_the_same_when_nothing_may_stay_in_memory() {
    for (protocol, capture) in [(Protocol::Http, ISMV), (Protocol::Rtmp, RTMP)] {
        let budget = Arc::new(Budget::new(0));
        let (plain, _) = story(protocol, capture, None);
        let (spilled, chunks) = story(protocol, capture, Some(&budget));
        assert_eq!(spilled, plain);
        assert!(budget.spilled() as usize > capture.len() / 2, "{budget:?}");
        assert_eq!(budget.held(), 0, "all is given back");
        assert!(chunks.iter().any(|chunk| chunk.payload.held() * 2 < chunk.payload.len()));
        let directory = tempfile::tempdir().unwrap();
        let (file, expected) = written(directory.path(), &chunks);
        assert!(file == expected);
    }
}

#[test]
fn a_budget_that_is_not_exceeded_costs_nothing() {
    for (protocol, capture) in [(Protocol::Http, ISMV), (Protocol::Rtmp, RTMP)] {
        let budget = Arc::new(Budget::new(16 << 20));
        let (_, chunks) = story(protocol, capture, Some(&budget));
        assert_eq!((budget.spilled(), budget.held()), (0, 0));
        assert!(budget.peak() > 0);
        let frames = |chunk: &Chunk| if protocol == Protocol::Rtmp { chunk.samples.len() } else { 1 };
        assert!(chunks.iter().all(|chunk| chunk.payload.parts().len() == frames(chunk)), "as they were received");
    }
}

#[test]
fn without_room_on_the_disk_the_largest_fragment_is_refused_and_the_others_go_on() {
    let mut bench = Bench::new(Options { spill_directory: "/nonexistent/spill".into(), ..quick() });
    let budget = Arc::new(Budget::new(1 << 20));
    let large = Layer { count: 30, size: 50_000, salt: 1 };
    let small = Layer { count: 10, size: 20_000, salt: 2 };
    let mut open = Vec::new();
    for layer in [small, large] {
        let (mut client, number) = bench.connect(Protocol::Http);
        send(&mut client, &layer.opening(2));
        bench.request(number);
        bench.pump.accept(number, Some(Arc::clone(&budget)));
        send(&mut client, &layer.head(0));
        // All but the last picture: the small one fits, the large one does not.
        layer.send(&mut client, 0..layer.count - 1);
        open.push((client, number, layer));
        let due = Instant::now() + Duration::from_secs(20);
        while layer.salt == 2 && budget.held() < layer.bytes() - layer.size {
            assert!(Instant::now() < due, "{budget:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let warned = bench.next("Warned", |event| matches!(event, Event::Warned { .. }));
    let Event::Warned { conn, error } = warned else { unreachable!() };
    assert_eq!((conn, error.code), (open[1].1, "SPILL_FAILED"), "{error}");
    for (client, _, layer) in &mut open {
        layer.send(client, layer.count - 1..layer.count);
        // The second fragments come one after the other: each has room.
        send(client, &layer.head(1));
        let part = Layer { count: layer.count.min(15), ..*layer };
        part.send(client, 0..part.count);
    }
    let (mut client, number, layer) = open.remove(0);
    bench.body_end(number);
    bench.ok(number, true);
    assert_eq!(status_of(&mut client), "200");
    let got: Vec<u32> =
        chunks(&bench, number).iter().map(|chunk| crc32c::crc32c(&chunk.payload.bytes().unwrap())).collect();
    assert_eq!(got, [layer.crc(), layer.crc()]);
    assert_eq!(chunks(&bench, open[0].1).len(), 0);
    assert!(budget.peak() <= (1 << 20) + (256 << 10), "{budget:?}");
}

#[test]
fn a_body_with_a_refused_fragment_is_not_answered_as_taken() {
    let mut bench = Bench::new(Options { spill_directory: "/nonexistent/spill".into(), ..quick() });
    let budget = Arc::new(Budget::new(500_000));
    let layer = Layer { count: 30, size: 50_000, salt: 1 };
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, &layer.opening(1));
    bench.request(number);
    bench.pump.accept(number, Some(budget));
    send(&mut client, &layer.head(0));
    layer.send(&mut client, 0..layer.count);
    assert_eq!(status_of(&mut client), "507");
    assert_eq!(bench.closed(number).0, "SPILL_FAILED");
    assert_eq!(chunks(&bench, number).len(), 0);
}

#[test]
fn without_room_a_publish_loses_what_waits_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let later = directory.path().join("later");
    let mut bench = Bench::new(Options { buffer_bytes: 700, spill_directory: later.clone(), ..quick() });
    let (mut client, number) = bench.connect(Protocol::Rtmp);
    let (first, second) = RTMP.split_at(RTMP.len() / 3);
    send(&mut client, first);
    bench.next("PublishRequested", |event| matches!(event, Event::PublishRequested { .. }));
    let budget = Arc::new(Budget::new(2000));
    bench.pump.accept(number, Some(Arc::clone(&budget)));
    bench.next("NeedClock", |event| matches!(event, Event::NeedClock { .. }));
    bench.pump.bind(number, 1);
    bench.next("SPILL_FAILED", |event| matches!(event, Event::Warned { error, .. } if error.code == "SPILL_FAILED"));
    std::fs::create_dir(&later).unwrap();
    send(&mut client, second);
    client.shutdown(Shutdown::Write).unwrap();
    read_all(&mut client);
    assert_eq!(bench.closed(number).0, "");
    let (plain, _) = story(Protocol::Rtmp, RTMP, None);
    let got = bench.story(number);
    let whole: Vec<&String> = got.iter().filter(|line| line.starts_with("chunk 1")).collect();
    assert!(!whole.is_empty(), "{got:#?}");
    assert!(plain.iter().filter(|line| whole.contains(line)).count() >= 1, "{got:#?} {plain:#?}");
}
