//! The hot paths of the core over fixed recordings, to count their instructions: `paths NAME` prepares an input, and then takes the path once
//! inside [`measured`], which is what a profiler counts (`valgrind --tool=callgrind --toggle-collect=*measured*`). Without a name it lists them.
//!
//! RTMP and HTTP are captures of real encoders; the rest is two seconds of a made-up layer of 6.6 Mbit/s with its sound. Both are the same at
//! every commit and on every machine.

use pypackager_core::bmff::scan::boxes;
use pypackager_core::bmff::stored::parse_all;
use pypackager_core::codec::{aac::AacConfig, avc::AvcConfig};
use pypackager_core::demux::cut::{CutOptions, Cutter, Output};
use pypackager_core::demux::fmp4::{self, Fmp4Reader};
use pypackager_core::demux::http::{self, HttpSession};
use pypackager_core::demux::rtmp::{self, RtmpSession};
use pypackager_core::media::{Chunk, Codec, Kind, Sample};
use pypackager_core::mux::cmaf::{retime, write_chunk_head, write_init};
use pypackager_core::mux::samples::Samples;
use pypackager_core::mux::{Piece, f4f, gzip::Block, progressive, smooth::Fragment, ts};
use std::error::Error;
use std::hint::black_box;
use std::io::Write;

type Outcome<T> = Result<T, Box<dyn Error>>;
/// Takes a path once; returns a count of what came out, so that nothing is left out.
type Path = Box<dyn FnMut() -> Outcome<usize>>;

/// Its name, and what prepares it.
type Named = (&'static str, fn() -> Path);

const PATHS: [Named; 11] = [
    ("box scan, 8 s", box_scan),
    ("RTMP session, 4 captures", rtmp_session),
    ("HTTP session, 6 captures", http_session),
    ("fMP4 session, 8 s", fmp4_session),
    ("CMAF fragment, 2 s", cmaf_fragment),
    ("TS segment v4, 2 s", ts_video),
    ("TS segment v3, 2 s", ts_both),
    ("Smooth fragment, 2 s", smooth_fragment),
    ("HDS fragment, 2 s", hds_fragment),
    ("progressive head, 1 h", progressive_head),
    ("deflated playlist, 100 kB", deflated_playlist),
];

fn main() -> Outcome<()> {
    let name = std::env::args().nth(1);
    if let Some((_, prepare)) = PATHS.iter().find(|(known, _)| Some(*known) == name.as_deref()) {
        return measured(&mut *prepare());
    }
    let names = PATHS.map(|(name, _)| name).join("\n");
    Ok(writeln!(std::io::stdout(), "{names}")?)
}

/// By this name it is found.
#[inline(never)]
fn measured(path: &mut dyn FnMut() -> Outcome<usize>) -> Outcome<()> {
    black_box(path()?);
    Ok(())
}

fn box_scan() -> Path {
    let body = recording();
    Box::new(move || {
        // A stored fragment is parsed for each remuxed segment.
        let media = boxes(&body).filter_map(Result::ok).find(|found| &found.kind == b"moof");
        let start = media.ok_or("a moof")?.offset as usize - 8;
        Ok(boxes(&body).count() + parse_all(&body[start..])?.len())
    })
}

fn rtmp_session() -> Path {
    Box::new(|| {
        let mut chunks = 0;
        for capture in RTMP {
            let (mut session, mut events) = (RtmpSession::new(rtmp::Limits::default()), Vec::new());
            for read in capture.chunks(READ) {
                session.feed(read, &mut events)?;
                while session.paused() {
                    if session.greeted() {
                        session.accept_connect();
                    } else {
                        session.accept_publish();
                    }
                    session.feed(&[], &mut events)?;
                }
                session.take_output();
            }
            let (mut cutter, mut out) = (Cutter::new(CutOptions::default()), Vec::new());
            for (_, event) in events {
                match event {
                    rtmp::Event::Track(track) => cutter.set_track(track.number.into(), track, &mut out),
                    rtmp::Event::Frame(frame) => cutter.push(frame.track.into(), frame, &mut out),
                    _ => {}
                }
            }
            chunks += out.iter().filter(|output| matches!(output, Output::Chunk { .. })).count();
        }
        Ok(chunks)
    })
}

fn http_session() -> Path {
    Box::new(|| {
        let mut events = Vec::new();
        for capture in HTTP {
            let mut session = HttpSession::new();
            for read in capture.chunks(READ) {
                session.feed(read, &mut events)?;
                while session.is_paused() && matches!(events.last(), Some(http::Event::Request(_))) {
                    session.accept(Fmp4Reader::new(fmp4::Limits::default()));
                    session.feed(&[], &mut events)?;
                }
            }
        }
        Ok(events.len())
    })
}

fn fmp4_session() -> Path {
    let body = recording();
    Box::new(move || Ok(read(&body)?.len()))
}

fn cmaf_fragment() -> Path {
    let chunks = read(&recording());
    Box::new(move || {
        let chunk = chunks.as_ref().ok().and_then(|chunks| chunks.last()).ok_or("a chunk")?;
        let (time, samples) = retime(chunk, 90_000, 3_600)?;
        Ok(write_chunk_head(1, 1, time, &samples, chunk.payload.len() as u64, Kind::Video).len())
    })
}

fn ts_video() -> Path {
    let video = pictures(0);
    Box::new(move || Ok(ts::write_segment(Some(&[video.piece()]), None)?.len()))
}

fn ts_both() -> Path {
    let (video, audio) = (pictures(0), sounds());
    Box::new(move || Ok(ts::write_segment(Some(&[video.piece()]), Some(&[audio.piece()]))?.len()))
}

fn smooth_fragment() -> Path {
    let video = pictures(0);
    Box::new(move || {
        let successors = [(20_000_000, 20_000_000), (40_000_000, 20_000_000)];
        let fragment = Fragment {
            track_id: 1,
            sequence: 1,
            time: 0,
            duration: 20_000_000,
            samples: &video.samples,
            composition_shift: 7200,
            successors: &successors,
        };
        Ok(fragment.write_head(video.payload.len() as u64)?.len())
    })
}

fn hds_fragment() -> Path {
    let (video, audio) = (pictures(0), sounds());
    Box::new(move || Ok(f4f::write_fragment(Some(&[video.piece()]), Some(&[audio.piece()]), 0)?.len()))
}

fn progressive_head() -> Path {
    let video = pictures(0);
    Box::new(move || {
        let init = write_init(&video.codec, 90_000, "und", BITRATE, 1);
        let mut samples = Samples::default();
        for fragment in 0..HOUR {
            samples.push(fragment * 180_000, &video.samples)?;
        }
        let track = progressive::Track { init: &init, timescale: 90_000, samples: &samples };
        Ok(progressive::write_head(&[track], &vec![0; HOUR as usize])?.len())
    })
}

fn deflated_playlist() -> Path {
    let line = |n: u64| format!("#EXTINF:2.000000,\nFragments(video={},format=m4s-cmaf)\n", n * 180_000);
    let text: String = (0..HOUR).map(line).collect();
    Box::new(move || Ok(Block::deflate(text.as_bytes())?.len()))
}

/// Four fragments behind their header, as they are posted and stored.
fn recording() -> Vec<u8> {
    let mut body = write_init(&pictures(0).codec, 90_000, "und", BITRATE, 1);
    for fragment in 0..4 {
        let video = pictures(fragment * 180_000);
        let (samples, size) = (&video.samples, video.payload.len() as u64);
        body.extend(write_chunk_head(1, fragment as u32 + 1, video.decode_time, samples, size, Kind::Video));
        body.extend(video.payload);
    }
    body
}

fn read(body: &[u8]) -> Outcome<Vec<Chunk>> {
    let (mut reader, mut events) = (Fmp4Reader::new(fmp4::Limits::default()), Vec::new());
    for read in body.chunks(READ) {
        reader.feed(read, &mut events)?;
    }
    reader.finish(&mut events)?;
    let chunks =
        events.into_iter().filter_map(|event| if let fmp4::Event::Chunk(chunk) = event { Some(chunk) } else { None });
    Ok(chunks.collect())
}

/// Samples of a fragment, held by value.
struct Media {
    codec: Codec,
    timescale: u32,
    decode_time: u64,
    samples: Vec<Sample>,
    payload: Vec<u8>,
}

impl Media {
    fn piece(&self) -> Piece<'_> {
        let Self { codec, timescale, decode_time, samples, payload } = self;
        Piece { codec, timescale: *timescale, decode_time: *decode_time, samples, payload }
    }
}

/// Fifty pictures in the order I P b b, the first of 130 kB.
fn pictures(decode_time: u64) -> Media {
    let (mut samples, mut payload) = (Vec::new(), Vec::new());
    for position in 0..50 {
        let (sync, size) = (position == 0, if position == 0 { 130_000 } else { 30_000 + position * 37 });
        payload.extend_from_slice(&(size as u32 - 4).to_be_bytes());
        payload.push(if sync { 0x65 } else { 0x41 });
        payload.extend((5..size).map(|at| (at as u8).wrapping_mul(31) | 4));
        let composition = [3600, 10_800, 0, 0][position % 4];
        samples.push(Sample { size: size as u32, duration: 3600, composition, sync });
    }
    let config = AvcConfig::from_parameter_sets(&[&SPS], &[&PPS]);
    Media {
        codec: Codec::Avc(config.unwrap_or_else(|error| unreachable!("a constant: {error}"))),
        timescale: 90_000,
        decode_time,
        samples,
        payload,
    }
}

/// Two seconds of AAC at 128 kbit/s.
fn sounds() -> Media {
    let samples: Vec<_> = (0..94)
        .map(|position| Sample { size: 320 + position % 40, duration: 1024, composition: 0, sync: true })
        .collect();
    let size = samples.iter().map(|sample| sample.size as usize).sum::<usize>();
    let config = AacConfig::parse(&[0x11, 0x90]);
    Media {
        codec: Codec::Aac(config.unwrap_or_else(|error| unreachable!("a constant: {error}"))),
        timescale: 48_000,
        decode_time: 0,
        samples,
        payload: (0..size).map(|at| (at % 251) as u8).collect(),
    }
}

const RTMP: [&[u8]; 4] = [
    include_bytes!("../tests/data/rtmp_ffmpeg5_wrap.bin"),
    include_bytes!("../tests/data/rtmp_gstreamer.bin"),
    include_bytes!("../tests/data/rtmp_librtmp.bin"),
    include_bytes!("../tests/data/rtmp_obs29.bin"),
];
const HTTP: [&[u8]; 6] = [
    include_bytes!("../tests/data/ffmpeg-5.1-ismv.http"),
    include_bytes!("../tests/data/ffmpeg-9.0-cmaf.http"),
    include_bytes!("../tests/data/ffmpeg-9.0-ismv-delay-moov.http"),
    include_bytes!("../tests/data/ffmpeg-9.0-ismv-frag-duration.http"),
    include_bytes!("../tests/data/ffmpeg-9.0-ismv.http"),
    include_bytes!("../tests/data/gstreamer-1.22-ismlmux.http"),
];
/// Bytes that a read of a socket brings.
const READ: usize = 64 << 10;
/// Fragments of two seconds.
const HOUR: u64 = 1800;
const BITRATE: u32 = 6_600_000;
/// 640x360, 25 pictures a second.
const SPS: [u8; 25] = [
    0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xca, 0x3c, 0x58,
    0xba, 0x80,
];
const PPS: [u8; 4] = [0x68, 0xce, 0x0f, 0xc8];
