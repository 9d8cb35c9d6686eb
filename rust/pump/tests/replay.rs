//! Recorded tracks over loopback to the server sessions of the core: what arrives is what was recorded.
#![allow(clippy::unwrap_used, missing_docs)] // a test that fails here says where

#[path = "support/recording.rs"]
mod recording;

use pypackager_core::demux::fmp4::{self, Fmp4Reader, Limits};
use pypackager_core::demux::http::{self, HttpSession};
use pypackager_core::demux::rtmp::{self, RtmpSession};
use pypackager_core::media::{Codec, Frame, Kind};
use pypackager_core::time::rescale;
use pypackager_pump::replay::{Options, Phase, Replay, Stream, Target, Track};
use recording::material;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

fn unpaced() -> Options {
    Options { speed: 0.0, ..Options::default() }
}

/// Samples of a track with their times from the first of all its tracks, as (decode ms, composition ms, sync, bytes).
type Sent = Vec<(i64, i64, bool, Vec<u8>)>;

fn recorded(track: &Track, origin: i64) -> Sent {
    let milliseconds = |ticks| rescale(ticks, track.header.timescale, 1000);
    let mut out = Vec::new();
    for chunk in &track.chunks {
        let (mut time, mut payload) = (chunk.time - origin, chunk.payload.contiguous().unwrap());
        for sample in &chunk.samples {
            let (data, rest) = payload.split_at(sample.size as usize);
            let shown = milliseconds(time + i64::from(sample.composition));
            out.push((milliseconds(time), shown - milliseconds(time), sample.sync, data.to_vec()));
            (time, payload) = (time + i64::from(sample.duration), rest);
        }
    }
    out
}

/// Accepts one publish and returns its frames.
fn rtmp_server(listener: TcpListener) -> JoinHandle<(Vec<rtmp::Event>, Vec<Frame>)> {
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut session, mut events) = (RtmpSession::new(rtmp::Limits::default()), Vec::new());
        let mut buffer = vec![0; 10_000];
        loop {
            let count = socket.read(&mut buffer).unwrap();
            session.feed(&buffer[..count], &mut events).unwrap();
            if session.paused() {
                session.accept_publish();
                session.feed(&[], &mut events).unwrap();
            }
            socket.write_all(&session.take_output()).unwrap();
            if count == 0 {
                break;
            }
        }
        let (frames, events): (Vec<_>, Vec<_>) =
            events.into_iter().map(|(_, event)| event).partition(|event| matches!(event, rtmp::Event::Frame(_)));
        let frames = frames.into_iter().filter_map(|event| match event {
            rtmp::Event::Frame(frame) => Some(frame),
            _ => None,
        });
        let frames = frames.collect();
        (events, frames)
    })
}

fn http_server(listener: TcpListener, status: u16) -> JoinHandle<Vec<http::Event>> {
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut session, mut events) = (HttpSession::new(), Vec::new());
        let mut buffer = vec![0; 10_000];
        loop {
            let count = socket.read(&mut buffer).unwrap();
            session.feed(&buffer[..count], &mut events).unwrap();
            if matches!(events.last(), Some(http::Event::Request(_))) && session.is_paused() {
                if status != 200 {
                    session.respond(status, "No", "text/plain", b"CHANNEL_UNKNOWN", true);
                    break;
                }
                session.accept(Fmp4Reader::new(Limits::default()));
                session.feed(&[], &mut events).unwrap();
            }
            if count == 0 {
                break;
            }
            if events.last() == Some(&http::Event::BodyEnd) {
                let probe = !events.iter().any(|event| matches!(event, http::Event::Media(_)));
                session.respond(status, "OK", "", b"", !probe);
                if !probe {
                    break;
                }
                socket.write_all(&session.take_output()).unwrap();
            }
        }
        socket.write_all(&session.take_output()).unwrap();
        // One that was refused may have closed its end by now.
        let _ = socket.shutdown(Shutdown::Write);
        while socket.read(&mut buffer).is_ok_and(|count| count > 0) {}
        events
    })
}

fn stream(listener: &TcpListener, scheme: &str, path: &str, track: &Arc<Track>) -> Stream {
    let url = format!("{scheme}://{}/{path}", listener.local_addr().unwrap());
    Stream {
        target: Target::parse(&url).unwrap(),
        track: Arc::clone(track),
        name: "layer & more".to_owned(),
        faults: Vec::new(),
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn video(tracks: &[Arc<Track>]) -> &Arc<Track> {
    tracks.iter().find(|track| track.header.codec.kind() == Kind::Video).unwrap()
}

#[test]
fn frames_over_rtmp_are_those_of_the_recording() {
    let tracks = material();
    let origin = video(&tracks).start();
    let (mut streams, mut servers) = (Vec::new(), Vec::new());
    for track in &tracks {
        let listener = listen();
        streams.push(stream(&listener, "rtmp", "news/secondary/v1?key=x", track));
        servers.push(rtmp_server(listener));
    }
    let replay = Replay::new(streams, unpaced()).unwrap();
    replay.run().unwrap();
    for ((track, server), stats) in tracks.iter().zip(servers).zip(replay.stats()) {
        let (events, frames) = server.join().unwrap();
        assert_eq!((stats.phase, stats.fault), (Phase::Done, None));
        assert_eq!(stats.samples, frames.len() as u64);
        let Some(rtmp::Event::Publish(publish)) = events.first() else { panic!("{:?}", events.first()) };
        assert_eq!(
            (publish.app.as_str(), publish.stream.as_str(), publish.query.as_str()),
            ("news/secondary", "v1", "key=x")
        );
        let found =
            events.iter().find_map(|event| if let rtmp::Event::Track(track) = event { Some(track) } else { None });
        let found = found.unwrap();
        assert_eq!((&found.codec, found.bitrate / 1000), (&track.header.codec, track.header.bitrate / 1000));
        assert!(events.contains(&rtmp::Event::End));
        let own_origin = rescale(origin, video(&tracks).header.timescale, track.header.timescale);
        let expected = recorded(track, own_origin);
        let first = expected[0].0;
        assert_eq!(frames.len(), expected.len());
        let lift = frames[0].time - first;
        assert!(lift >= 0);
        for (frame, (time, composition, sync, data)) in frames.iter().zip(&expected) {
            assert_eq!((frame.sync, &*frame.data), (*sync, data.as_slice()));
            assert!((frame.time - time - lift).abs() <= 1 && (i64::from(frame.composition) - composition).abs() <= 1);
        }
    }
}

#[test]
fn fragments_over_http_are_those_of_the_recording() {
    let tracks = material();
    let (mut streams, mut servers) = (Vec::new(), Vec::new());
    for track in &tracks {
        let listener = listen();
        streams.push(stream(&listener, "http", "news/ingest.isml/Streams(v1)", track));
        servers.push(http_server(listener, 200));
    }
    let replay = Replay::new(streams, unpaced()).unwrap();
    replay.run().unwrap();
    for ((track, server), stats) in tracks.iter().zip(servers).zip(replay.stats()) {
        let events = server.join().unwrap();
        assert_eq!((stats.phase, stats.fault), (Phase::Done, None));
        let Some(http::Event::Request(head)) = events.first() else { panic!("{:?}", events.first()) };
        assert_eq!(head.target, "/news/ingest.isml/Streams(v1)");
        let media =
            events.iter().filter_map(|event| if let http::Event::Media(event) = event { Some(event) } else { None });
        let (mut chunks, mut found) = (Vec::new(), None);
        for event in media {
            match event {
                fmp4::Event::Chunk(chunk) => chunks.push(chunk),
                fmp4::Event::Track(track) => found = Some(track),
                other => panic!("{other:?}"),
            }
        }
        let found = found.unwrap();
        assert_eq!((&found.codec, found.name.as_str()), (&track.header.codec, "layer & more"));
        assert_eq!((found.bitrate, found.timescale), (track.header.bitrate, track.header.timescale));
        assert_eq!(chunks.len(), track.chunks.len());
        for (chunk, expected) in chunks.iter().zip(&track.chunks) {
            assert_eq!((&chunk.samples, &chunk.payload), (&expected.samples, &expected.payload));
            assert_eq!(chunk.time - chunks[0].time, expected.time - track.start());
        }
    }
}

#[test]
fn rounds_follow_each_other_without_a_seam() {
    let tracks = material();
    let track = video(&tracks);
    let listener = listen();
    let streams = vec![stream(&listener, "rtmp", "news/v1", track)];
    let server = rtmp_server(listener);
    let duration = Duration::from_secs(20);
    Replay::new(streams, Options { repeat: true, duration: Some(duration), ..unpaced() }).unwrap().run().unwrap();
    let (_, frames) = server.join().unwrap();
    let (first, last) = (frames.first().unwrap().time, frames.last().unwrap().time);
    assert!(last - first < 20_000 && last - first > 19_900, "{first} to {last}");
    let steps: Vec<i64> = frames.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
    let (shortest, longest) = (steps.iter().min().unwrap(), steps.iter().max().unwrap());
    assert!(longest - shortest <= 1, "{shortest} to {longest} ms");
}

#[test]
fn sound_goes_on_without_a_step_where_rounds_are_no_whole_frames() {
    let tracks = material();
    let sound = tracks.iter().find(|track| track.header.codec.kind() == Kind::Audio).unwrap();
    // Pictures end before the sound does, as most recordings have it.
    let mut pictures = Track::clone(video(&tracks));
    pictures.chunks.pop();
    let (mut streams, mut servers) = (Vec::new(), Vec::new());
    for track in [&Arc::new(pictures), sound] {
        let listener = listen();
        streams.push(stream(&listener, "http", "news/ingest.isml/Streams(v1)", track));
        servers.push(http_server(listener, 200));
    }
    let duration = Duration::from_secs(30);
    Replay::new(streams, Options { repeat: true, duration: Some(duration), ..unpaced() }).unwrap().run().unwrap();
    let mut ends = Vec::new();
    for server in servers {
        let mut end = None;
        let mut seconds = 0.0;
        for event in server.join().unwrap() {
            let http::Event::Media(fmp4::Event::Chunk(chunk)) = event else { continue };
            let before = end.replace(chunk.time + chunk.duration() as i64).unwrap_or(chunk.time);
            // This recording's sound begins two frames behind its pictures: that hole is its own.
            assert_eq!(
                (chunk.time - before) % i64::from(chunk.samples[0].duration),
                0,
                "{} behind {before}",
                chunk.time
            );
            seconds = (chunk.time as f64 + chunk.duration() as f64) / f64::from(chunk.timescale);
        }
        ends.push(seconds);
    }
    // Ten rounds later sound is still with its pictures.
    assert!((ends[0] - ends[1]).abs() < 1.1, "{ends:?}");
}

#[test]
fn pace_is_media_time_over_speed() {
    let tracks = material();
    let listener = listen();
    let streams = vec![stream(&listener, "rtmp", "news/v1", video(&tracks))];
    let server = rtmp_server(listener);
    let options = Options { speed: 10.0, repeat: true, duration: Some(Duration::from_secs(4)), ..Options::default() };
    let began = Instant::now();
    let replay = Replay::new(streams, options).unwrap();
    replay.run().unwrap();
    let took = began.elapsed();
    server.join().unwrap();
    assert!(took >= Duration::from_millis(390), "4 s of media at tenfold speed took {took:?}");
}

#[test]
fn a_stream_that_is_refused_does_not_hold_the_others() {
    let tracks = material();
    let (taken, refusing, closed) = (listen(), listen(), listen());
    let streams = vec![
        stream(&taken, "rtmp", "news/v1", video(&tracks)),
        stream(&refusing, "http", "nobody/ingest.isml/Streams(v1)", video(&tracks)),
        stream(&closed, "rtmp", "news/v2", video(&tracks)),
    ];
    drop(closed);
    let (server, refuser) = (rtmp_server(taken), http_server(refusing, 404));
    let replay = Replay::new(streams, unpaced()).unwrap();
    replay.run().unwrap();
    assert!(!server.join().unwrap().1.is_empty());
    refuser.join().unwrap();
    let stats = replay.stats();
    assert_eq!(stats[0].phase, Phase::Done);
    let fault = stats[1].fault.as_ref().unwrap();
    assert_eq!((fault.code, fault.detail.as_str()), ("HTTP_REFUSED", "404 CHANNEL_UNKNOWN"));
    assert_eq!(stats[2].fault.as_ref().unwrap().code, "CONNECT_FAILED");
}

#[test]
fn a_publish_that_is_refused_says_why() {
    let listener = listen();
    let streams = vec![stream(&listener, "rtmp", "news/v1", &material()[0])];
    let server = thread::spawn(move || {
        let (mut socket, _): (TcpStream, _) = listener.accept().unwrap();
        let (mut session, mut events) = (RtmpSession::new(rtmp::Limits::default()), Vec::new());
        let mut buffer = vec![0; 1000];
        while !session.should_close() {
            let count = socket.read(&mut buffer).unwrap();
            session.feed(&buffer[..count], &mut events).unwrap();
            if session.paused() {
                session.refuse_publish(0, "NetStream.Publish.BadName", "no such channel");
            }
            socket.write_all(&session.take_output()).unwrap();
        }
    });
    let replay = Replay::new(streams, Options::default()).unwrap();
    replay.run().unwrap();
    server.join().unwrap();
    let fault = replay.stats().remove(0).fault.unwrap();
    assert_eq!((fault.code, fault.detail.as_str()), ("RTMP_REFUSED", "NetStream.Publish.BadName: no such channel"));
}

#[test]
fn patience_ends_with_a_peer_that_says_nothing() {
    let listener = listen();
    let streams = vec![stream(&listener, "rtmp", "news/v1", &material()[0])];
    let options = Options { patience: Duration::from_millis(50), give_up: Some(Duration::ZERO), ..Options::default() };
    let replay = Replay::new(streams, options).unwrap();
    replay.run().unwrap();
    assert_eq!(replay.stats().remove(0).fault.unwrap().code, "TIMEOUT");
}

#[test]
fn a_stop_ends_streams_in_good_order() {
    let tracks = material();
    let listener = listen();
    let streams = vec![stream(&listener, "rtmp", "news/v1", video(&tracks))];
    let server = rtmp_server(listener);
    let replay = Arc::new(Replay::new(streams, Options { repeat: true, ..Options::default() }).unwrap());
    let running = thread::spawn({
        let replay = Arc::clone(&replay);
        move || replay.run().unwrap()
    });
    while replay.stats()[0].samples == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    replay.stop();
    running.join().unwrap();
    assert_eq!(replay.stats()[0].phase, Phase::Done);
    assert!(server.join().unwrap().0.contains(&rtmp::Event::End));
}

#[test]
fn the_capture_has_what_the_tests_need() {
    let tracks = material();
    assert!(tracks.iter().any(|track| matches!(track.header.codec, Codec::Aac(_))));
    let samples = video(&tracks).chunks.iter().flat_map(|chunk| &chunk.samples);
    assert!(samples.map(|sample| sample.composition).collect::<std::collections::BTreeSet<_>>().len() > 1);
}
