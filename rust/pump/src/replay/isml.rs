//! A sender's side of fragmented MP4 ingest: one long POST of `ftyp`, live manifest, `moov`, and fragments with `tfxd`.

use super::client::Client;
use super::material::Track;
use super::source::Next;
use super::stats::Fault;
use super::target::Target;
use pypackager_core::bmff::btrt::Btrt;
use pypackager_core::bmff::tfhd::{Base, Tfhd};
use pypackager_core::bmff::tfxd::Tfxd;
use pypackager_core::bmff::trun::{self, Columns, SYNC_FLAGS};
use pypackager_core::bmff::{live_manifest, mfhd, moov};
use pypackager_core::media::{Codec, Kind, Track as Header};
use pypackager_core::wire::Writer;
use std::fmt::Write;

/// One POST.
#[derive(Debug)]
pub(super) struct IsmlClient {
    header: Header,
    name: String,
    request: String,
    sequence: u32,
    answer: Vec<u8>,
    status: Option<u16>,
    closed: bool,
}

impl IsmlClient {
    pub(super) fn new(target: &Target, track: &Track, name: &str) -> Self {
        let request = format!(
            "POST /{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {AGENT}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            target.path, target.authority
        );
        let header = track.header.clone();
        Self { header, name: name.to_owned(), request, sequence: 0, answer: Vec::new(), status: None, closed: false }
    }

    fn write_headers(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_box(*b"ftyp", |out| {
            out.put(b"isml");
            out.put_u32(1);
            out.put(b"pifs");
            out.put(b"iso2");
        });
        out.put_box(*b"uuid", |out| {
            out.put(&live_manifest::UUID);
            out.put_u32(0);
            out.put(self.live_manifest().as_bytes());
        });
        let rate =
            (self.header.bitrate != 0).then_some(Btrt { max: self.header.bitrate, average: self.header.bitrate });
        moov::write(&mut out, TRACK_ID, self.header.timescale, &self.header.language, &self.header.codec, rate);
        out
    }

    fn live_manifest(&self) -> String {
        let Header { language, bitrate, timescale, .. } = &self.header;
        let (element, specific) = match &self.header.codec {
            Codec::Avc(config) => {
                let size = format!("{}{}", param("MaxWidth", config.width), param("MaxHeight", config.height));
                let private = hexadecimal(&config.codec_private_data());
                ("video", format!("{}{}{size}", param("FourCC", "H264"), param("CodecPrivateData", private)))
            }
            Codec::Aac(config) => {
                let rate =
                    format!("{}{}", param("SamplingRate", config.output_rate), param("Channels", config.channels));
                (
                    "audio",
                    format!(
                        "{}{}{rate}",
                        param("FourCC", "AACL"),
                        param("CodecPrivateData", hexadecimal(&config.record))
                    ),
                )
            }
        };
        let name = self.name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let common =
            format!("{}{}{}", param("trackID", TRACK_ID), param("trackName", name), param("timescale", timescale));
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\"><head>\
             <meta name=\"creator\" content=\"{AGENT}\"/></head><body><switch><{element} src=\"\" systemBitrate=\"{bitrate}\" \
             systemLanguage=\"{language}\">{common}{specific}</{element}></switch></body></smil>"
        )
    }
}

impl Client for IsmlClient {
    fn open(&mut self, out: &mut Vec<u8>) {
        out.put(self.request.as_bytes());
        put_chunk(out, &self.write_headers());
    }

    fn read(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> Result<(), Fault> {
        if self.answer.len() < MAX_ANSWER {
            self.answer.extend_from_slice(bytes);
        }
        while let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") {
            let status = self.answer.get(9..12).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            match status {
                Some(100..=199) => drop(self.answer.drain(..end + 4)),
                Some(status @ 200..=299) => {
                    self.status = Some(status);
                    return if self.closed { Ok(()) } else { Err(Fault::new("HTTP_ENDED", "answered before the end")) };
                }
                status => {
                    let body = String::from_utf8_lossy(&self.answer[end + 4..]);
                    let detail = format!("{} {}", status.unwrap_or(0), body.trim());
                    return Err(Fault::new("HTTP_REFUSED", detail.trim()));
                }
            }
        }
        Ok(())
    }

    /// Media may follow the headers at once; a refusal comes when it comes.
    fn is_open(&self) -> bool {
        true
    }

    fn send(&mut self, next: &Next<'_>, out: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let video = self.header.codec.kind() == Kind::Video;
        let header = Tfhd {
            track_id: TRACK_ID,
            base: Base::Moof,
            sample_description_index: None,
            duration: None,
            size: None,
            flags: (!video).then_some(SYNC_FLAGS),
        };
        let composition = next.samples.iter().any(|sample| sample.composition != 0);
        let columns = Columns { duration: true, size: true, flags: video, first_flags: None, composition };
        let duration = next.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        let mut head = Vec::with_capacity(160 + 16 * next.samples.len());
        let mut run = 0;
        head.put_box(*b"moof", |out| {
            mfhd::write(out, self.sequence);
            out.put_box(*b"traf", |out| {
                header.write(out);
                run = out.len();
                trun::write(out, next.samples, columns);
                Tfxd { time: next.time, duration, index: None }.write(out);
            });
        });
        let data_offset = (head.len() + 8) as u32;
        let at = run + trun::DATA_OFFSET_AT;
        head[at..at + 4].copy_from_slice(&data_offset.to_be_bytes());
        head.put_u32(next.payload.len() as u32 + 8);
        head.put(b"mdat");
        put_chunk(out, &head);
        put_chunk(out, next.payload);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.closed {
            // An empty mfra ends the file, as encoders send it.
            put_chunk(out, b"\0\0\0\x08mfra");
            out.put(b"0\r\n\r\n");
            self.closed = true;
        }
    }

    /// A body whose end is announced needs no other; a server may take a closed side for a sender that gave up.
    fn hangs_up(&self) -> bool {
        false
    }

    fn ended(&mut self) -> Result<(), Fault> {
        match self.status {
            Some(_) => Ok(()),
            None => Err(Fault::new("CONNECTION_LOST", "the other side closed the connection without an answer")),
        }
    }

    fn is_done(&self) -> bool {
        self.status.is_some()
    }
}

/// A chunk of the body (RFC 9112 7.1); an empty one would end it.
fn put_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        out.put(format!("{:x}\r\n", data.len()).as_bytes());
        out.put(data);
        out.put(b"\r\n");
    }
}

fn param(name: &str, value: impl std::fmt::Display) -> String {
    format!("<param name=\"{name}\" value=\"{value}\" valuetype=\"data\"/>")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

const AGENT: &str = concat!("pypackager/", env!("CARGO_PKG_VERSION"));
const TRACK_ID: u32 = 1;
const MAX_ANSWER: usize = 16 << 10;
