//! What the pump costs when nothing happens: no wake-ups but those of media.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_pump::pump::Protocol;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::{Bench, ISMV, send};

/// How often the thread went to sleep.
fn sleeps() -> u64 {
    let thread = loop {
        let mut threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
        let named = |path: &PathBuf| fs::read_to_string(path.join("comm")).unwrap_or_default().trim() == "pump";
        // A thread gives itself its name once it runs.
        if let Some(path) = threads.find(named) {
            break path;
        }
    };
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn during(time: Duration) -> u64 {
    let before = sleeps();
    std::thread::sleep(time);
    sleeps() - before
}

/// Whether it comes to rest: on a busy machine what was sent may take its time to be read.
fn rests() -> bool {
    (0..20).any(|_| during(Duration::from_millis(200)) == 0)
}

#[test]
fn only_media_makes_it_tick() {
    let mut bench = Bench::quick();
    assert!(rests(), "without connections");
    let (mut client, number) = bench.connect(Protocol::Http);
    send(&mut client, &ISMV[..200]);
    assert!(rests(), "in front of a request");
    send(&mut client, &ISMV[200..1000]);
    bench.request(number);
    bench.pump.accept(number, None);
    assert!(rests(), "in a body of which nothing comes");
    let before = sleeps();
    // Packets come closer to each other than ticks (5 ms): none of them wakes it.
    for packet in ISMV[1000..].chunks(ISMV.len() / 400) {
        send(&mut client, packet);
        std::thread::sleep(Duration::from_millis(1));
    }
    let ticks = sleeps() - before;
    assert!((8..=250).contains(&ticks), "woken {ticks} times by 400 packets");
    bench.body_end(number);
    assert!(rests(), "behind the body");
}
