//! Ten layers of 25 MB that are all open at once: memory stays within the budget. A process of its own, because its size is measured.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_pump::fragment::Fragment;
use pypackager_pump::pump::{Budget, Event, Protocol};
use pypackager_pump::writer::Writer;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use support::Bench;
use support::big::{Layer, status_of};

const LAYERS: u8 = 10;
const LIMIT: usize = 16 << 20;
const ROOM: usize = 2 * LIMIT + (8 << 20);
const READ: usize = 256 << 10;

fn resident(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn ten_fragments_of_25_mb_stay_within_the_budget() {
    let directory = tempfile::tempdir().unwrap();
    let spill_directory = directory.path().to_owned();
    let mut bench = Bench::new(pypackager_pump::pump::Options { spill_directory, ..support::quick() });
    let budget = Arc::new(Budget::new(LIMIT));
    let before = resident("VmRSS");
    let barrier = Arc::new(Barrier::new(usize::from(LAYERS) + 1));
    let layers: Vec<Layer> = (0..LAYERS).map(|salt| Layer { count: 500, size: 50_000, salt }).collect();
    let mut senders = Vec::new();
    let mut numbers = Vec::new();
    for &layer in &layers {
        let (mut client, number) = bench.connect(Protocol::Http);
        let barrier = Arc::clone(&barrier);
        numbers.push(number);
        senders.push(std::thread::spawn(move || {
            support::send(&mut client, &layer.opening(1));
            support::send(&mut client, &layer.head(0));
            layer.send(&mut client, 0..layer.count - 1);
            barrier.wait();
            layer.send(&mut client, layer.count - 1..layer.count);
            status_of(&mut client)
        }));
        bench.request(number);
        bench.pump.accept(number, Some(Arc::clone(&budget)));
    }
    let (open, due) = (layers.iter().map(|layer| layer.bytes() - layer.size).sum::<usize>(), Instant::now());
    while budget.held() + (budget.spilled() as usize) < open {
        assert!(due.elapsed() < Duration::from_secs(120), "{budget:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(budget.held() <= LIMIT, "{budget:?}");
    // Freed memory of other sizes that the allocator keeps is as much again, not a tenth of what is open.
    let grown = resident("VmHWM") - before;
    assert!(grown < ROOM, "{} MiB for {open} open bytes, {budget:?}", grown >> 20);
    barrier.wait();

    let writer = Writer::new().unwrap();
    let path = |name: String| directory.path().join(name).to_str().unwrap().to_owned();
    let journal = writer.open(&path("journal".to_owned())).unwrap();
    for _ in &layers {
        let ended = bench.next("BodyEnd", |event| matches!(event, Event::BodyEnd { .. }));
        let Event::BodyEnd { conn } = ended else { unreachable!() };
        bench.ok(conn, true);
    }
    for event in std::mem::take(&mut bench.events) {
        let Event::ChunkReady { conn, chunk, .. } = event else { continue };
        let layer = layers[numbers.iter().position(|&number| number == conn).unwrap()];
        let fragment = Fragment::new(Vec::new(), chunk);
        assert_eq!(fragment.crc(), layer.crc());
        let blob = writer.open(&path(format!("blob{conn}"))).unwrap();
        writer.write_fragment(blob, 0, fragment, journal, b"r".to_vec());
    }
    writer.stop();
    let done = writer.done();
    assert!(done.len() == layers.len() && done.iter().all(|&(_, errno)| errno == 0));
    let grown = resident("VmHWM") - before;
    assert!(grown < ROOM, "{} MiB, {budget:?}", grown >> 20);
    assert!(budget.peak() <= LIMIT + READ && budget.held() == 0, "{budget:?}");
    for (number, layer) in numbers.iter().zip(&layers) {
        assert_eq!(crc32c::crc32c(&std::fs::read(path(format!("blob{number}"))).unwrap()), layer.crc());
    }
    for sender in senders {
        assert_eq!(sender.join().unwrap(), "200");
    }
}
