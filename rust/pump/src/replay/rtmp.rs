//! A publisher's side of RTMP 1.0: simple handshake, the commands as ffmpeg sends them, FLV tag bodies.

use super::client::{Client, Ending};
use super::login::Login;
use super::material::Track;
use super::source::Next;
use super::stats::Fault;
use super::target::Target;
use pypackager_core::demux::rtmp::Limits;
use pypackager_core::demux::rtmp::amf0::{self, Field, Value};
use pypackager_core::demux::rtmp::chunk::{ChunkReader, Message, write_message};
use pypackager_core::media::{Codec, Track as Header};
use pypackager_core::time::rescale;
use pypackager_core::wire::Writer;
use std::sync::Arc;

/// One publish.
#[derive(Debug)]
pub(super) struct RtmpClient {
    header: Header,
    app: String,
    stream: String,
    tc_url: String,
    login: Option<Arc<Login>>,
    wants_login: bool,
    phase: Phase,
    /// S0, S1 and S2 until they are whole.
    hello: Vec<u8>,
    reader: ChunkReader,
    /// Message stream that createStream gave.
    stream_id: u32,
    received: u64,
    window: u64,
    acknowledged: u64,
    /// Time of the last message of media.
    last: Option<u32>,
    /// Code of the last status.
    answer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Connecting,
    Creating,
    Publishing,
    Open,
    Closed,
}

impl RtmpClient {
    pub(super) fn new(target: &Target, track: &Track) -> Self {
        let (app, stream) = target.app_and_stream();
        let app = format!("{app}{}", target.login.as_ref().map(|login| login.query()).unwrap_or_default());
        let scheme = if target.tls.is_some() { "rtmps" } else { "rtmp" };
        Self {
            header: track.header.clone(),
            tc_url: format!("{scheme}://{}/{app}", target.authority),
            app,
            stream: stream.to_owned(),
            login: target.login.clone(),
            wants_login: false,
            phase: Phase::Handshake,
            hello: Vec::new(),
            reader: ChunkReader::new(Limits::default()),
            stream_id: 0,
            received: 0,
            window: 0,
            acknowledged: 0,
            last: None,
            answer: None,
        }
    }

    fn message(&mut self, message: &Message, out: &mut Vec<u8>) -> Result<(), Fault> {
        let number = |payload: &[u8]| payload.first_chunk().map_or(0, |field| u32::from_be_bytes(*field));
        match message.kind {
            SET_CHUNK_SIZE => self.reader.set_chunk_size(number(&message.payload)).map_err(|error| garbled(&error)),
            WINDOW_SIZE => {
                self.window = u64::from(number(&message.payload));
                Ok(())
            }
            USER_CONTROL if message.payload.starts_with(&PING_REQUEST) => {
                let pong = [&PING_RESPONSE[..], &message.payload[2..]].concat();
                write_message(out, CHUNK_SIZE, CONTROL_CHUNKS, USER_CONTROL, 0, &pong);
                Ok(())
            }
            COMMAND => self.command(&message.payload, out),
            _ => Ok(()),
        }
    }

    fn command(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let values = amf0::parse_values(payload).map_err(|error| garbled(&error))?;
        let name = values.first().and_then(Value::as_str).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let text =
            |field: &str| values.get(3).and_then(|info| info.get(field)).and_then(Value::as_str).unwrap_or_default();
        let ours = transaction == CONNECT || transaction == CREATE;
        if name == "_error"
            && transaction == CONNECT
            && self.login.as_ref().is_some_and(|l| l.asked(text("description")))
        {
            self.wants_login = true;
            return Ok(());
        }
        if name == "_error" && ours || name == "onStatus" && text("level") == "error" {
            let said = format!("{}: {}", text("code"), text("description"));
            self.answer = Some(said.clone());
            // A name that is wrong stays wrong; what is denied now may be allowed when the channel runs.
            let lasting = matches!(text("code"), "NetStream.Publish.BadName" | "NetConnection.Connect.Rejected");
            return Err(Fault { lasting, ..Fault::new("RTMP_REFUSED", said) });
        }
        if name == "_result" && self.phase == Phase::Connecting && transaction == CONNECT {
            for (id, command) in [(2.0, "releaseStream"), (3.0, "FCPublish")] {
                call(out, 0, command, id, |body| amf0::write_string(body, &self.stream));
            }
            call(out, 0, "createStream", CREATE, |_| {});
            self.phase = Phase::Creating;
        } else if name == "_result" && self.phase == Phase::Creating && transaction == CREATE {
            self.stream_id = values.get(3).and_then(Value::as_number).unwrap_or(1.0) as u32;
            call(out, self.stream_id, "publish", 5.0, |body| {
                amf0::write_string(body, &self.stream);
                amf0::write_string(body, "live");
            });
            self.phase = Phase::Publishing;
        } else if name == "onStatus" && self.phase == Phase::Publishing && text("code") == "NetStream.Publish.Start" {
            self.phase = Phase::Open;
            self.login.iter().for_each(|login| login.taken());
            self.answer = Some(text("code").to_owned());
            self.announce(out);
        }
        Ok(())
    }

    /// `onMetaData` and the sequence header.
    fn announce(&self, out: &mut Vec<u8>) {
        let kilobits = f64::from(self.header.bitrate) / 1000.0;
        let mut fields = Vec::new();
        match &self.header.codec {
            Codec::Avc(config) => {
                fields.push(("width", Field::Number(f64::from(config.width))));
                fields.push(("height", Field::Number(f64::from(config.height))));
                fields.push(("videocodecid", Field::Number(7.0)));
                fields.push(("videodatarate", Field::Number(kilobits)));
                let (rate, per) = self.header.frame_rate;
                if rate > 0 {
                    fields.push(("framerate", Field::Number(f64::from(rate) / f64::from(per.max(1)))));
                }
            }
            Codec::Aac(config) => {
                fields.push(("audiocodecid", Field::Number(10.0)));
                fields.push(("audiodatarate", Field::Number(kilobits)));
                fields.push(("audiosamplerate", Field::Number(f64::from(config.output_rate))));
            }
        }
        if self.header.language != "und" {
            fields.push(("language", Field::Text(&self.header.language)));
        }
        fields.push(("encoder", Field::Text(ENCODER)));
        let mut body = Vec::new();
        amf0::write_string(&mut body, "@setDataFrame");
        amf0::write_string(&mut body, "onMetaData");
        amf0::write_object(&mut body, &fields);
        write_message(out, CHUNK_SIZE, MEDIA_CHUNKS, DATA, self.stream_id, &body);
        // Both headers at time 0: a first frame later than that is nothing new to any server.
        let (kind, tag, record) = match &self.header.codec {
            Codec::Avc(config) => (VIDEO, &[0x17, 0, 0, 0, 0][..], &config.record),
            Codec::Aac(config) => (AUDIO, &[0xAF, 0][..], &config.record),
        };
        write_message(out, CHUNK_SIZE, MEDIA_CHUNKS, kind, self.stream_id, &[tag, record].concat());
    }

    /// A message of media in chunks: the first of them with its whole header (type 0), later ones with the difference (type 1), as a time
    /// needs four more bytes in every chunk from 4.6 hours on (5.3.1.3).
    fn media(&mut self, out: &mut Vec<u8>, kind: u8, time: u32, tag: &[u8], data: &[u8]) {
        let length = (tag.len() + data.len()) as u32;
        let (first, field) = match self.last {
            None => (0x00, time),
            Some(last) => (0x40, time.wrapping_sub(last)),
        };
        self.last = Some(time);
        let extended = (field >= 0xFF_FFFF).then_some(field);
        out.reserve(32 + data.len() + 8 * (data.len() / CHUNK_SIZE));
        out.put_u8(first | MEDIA_CHUNKS);
        out.put_u24(field.min(0xFF_FFFF));
        out.put_u24(length);
        out.put_u8(kind);
        if first == 0 {
            out.put(&self.stream_id.to_le_bytes());
        }
        extended.inspect(|time| out.put_u32(*time));
        out.put(tag);
        let (head, rest) = data.split_at(data.len().min(CHUNK_SIZE - tag.len()));
        out.put(head);
        for run in rest.chunks(CHUNK_SIZE) {
            out.put_u8(0xC0 | MEDIA_CHUNKS);
            extended.inspect(|time| out.put_u32(*time));
            out.put(run);
        }
    }
}

impl Client for RtmpClient {
    fn open(&mut self, out: &mut Vec<u8>) {
        out.put_u8(3);
        // Time 0 and version 0: the simple handshake (5.2.3); what the protocol calls random may be anything.
        out.resize(out.len() + PACKET, 0);
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.received += bytes.len() as u64;
        let mut input = bytes;
        if self.phase == Phase::Handshake {
            let (taken, rest) = input.split_at(input.len().min(1 + 2 * PACKET - self.hello.len()));
            self.hello.extend_from_slice(taken);
            input = rest;
            if self.hello.first().is_some_and(|version| *version != 3) {
                return Err(Fault::new("RTMP_VERSION", "the other side does not speak RTMP version 3"));
            }
            if self.hello.len() < 1 + 2 * PACKET {
                return Ok(());
            }
            out.put(&self.hello[1..=PACKET]);
            self.hello = Vec::new();
            write_message(out, 128, CONTROL_CHUNKS, SET_CHUNK_SIZE, 0, &(CHUNK_SIZE as u32).to_be_bytes());
            let mut body = Vec::new();
            amf0::write_string(&mut body, "connect");
            amf0::write_number(&mut body, CONNECT);
            let fields = [
                ("app", Field::Text(&self.app)),
                ("type", Field::Text("nonprivate")),
                ("flashVer", Field::Text(ENCODER)),
                ("tcUrl", Field::Text(&self.tc_url)),
            ];
            amf0::write_object(&mut body, &fields);
            write_message(out, CHUNK_SIZE, COMMAND_CHUNKS, COMMAND, 0, &body);
            self.phase = Phase::Connecting;
        }
        while let Some(message) = self.reader.next_message(&mut input).map_err(|error| garbled(&error))? {
            self.message(&message, out)?;
        }
        if self.window > 0 && self.received - self.acknowledged >= self.window {
            self.acknowledged = self.received;
            let sequence = (self.received as u32).to_be_bytes();
            write_message(out, CHUNK_SIZE, CONTROL_CHUNKS, ACKNOWLEDGEMENT, 0, &sequence);
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn send(&mut self, next: &Next<'_>, out: &mut Vec<u8>) {
        let (mut time, mut rest) = (next.time, next.payload);
        let milliseconds = |ticks: i64, timescale: u32| rescale(ticks, timescale, 1000);
        for sample in next.samples {
            let (data, behind) = rest.split_at(rest.len().min(sample.size as usize));
            rest = behind;
            let timescale = self.header.timescale;
            let decode = milliseconds(time, timescale);
            if matches!(self.header.codec, Codec::Avc(_)) {
                let shown = milliseconds(time.saturating_add(i64::from(sample.composition)), timescale);
                let [_, offset @ ..] = (shown.saturating_sub(decode) as i32).to_be_bytes();
                let frame = if sample.sync { 0x17 } else { 0x27 };
                self.media(out, VIDEO, decode as u32, &[frame, 1, offset[0], offset[1], offset[2]], data);
            } else {
                self.media(out, AUDIO, decode as u32, &[0xAF, 1], data);
            }
            time = time.saturating_add(i64::from(sample.duration));
        }
    }

    /// Bytes where a chunk's header is due.
    fn noise(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.put(bytes);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            call(out, 0, "FCUnpublish", 6.0, |body| amf0::write_string(body, &self.stream));
            call(out, 0, "deleteStream", 7.0, |body| amf0::write_number(body, f64::from(self.stream_id)));
        }
        self.phase = Phase::Closed;
    }

    fn hangs_up(&self) -> bool {
        true
    }

    fn ended(&mut self) -> Result<Ending, Fault> {
        match self.phase {
            _ if self.wants_login => Ok(Ending::Challenged),
            Phase::Closed => Ok(Ending::Done),
            _ => Err(Fault::new("CONNECTION_LOST", "the other side closed the connection")),
        }
    }

    /// Nobody answers the good-bye: the end of the connection does.
    fn is_done(&self) -> bool {
        false
    }

    fn wants_login(&self) -> bool {
        self.wants_login
    }

    fn answer(&mut self) -> Option<String> {
        self.answer.take()
    }
}

/// A command with null for its object.
fn call(out: &mut Vec<u8>, stream: u32, name: &str, id: f64, arguments: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    amf0::write_string(&mut body, name);
    amf0::write_number(&mut body, id);
    amf0::write_null(&mut body);
    arguments(&mut body);
    write_message(out, CHUNK_SIZE, COMMAND_CHUNKS, COMMAND, stream, &body);
}

fn garbled(error: &pypackager_core::error::Error) -> Fault {
    Fault::new("RTMP_GARBLED", format!("the other side's answer cannot be read: {error}"))
}

const ENCODER: &str = concat!("pypackager/", env!("CARGO_PKG_VERSION"));
const PACKET: usize = 1536;
/// Small enough that nobody refuses it, large enough that a frame is a few chunks.
const CHUNK_SIZE: usize = 4096;
const CONTROL_CHUNKS: u8 = 2;
const COMMAND_CHUNKS: u8 = 3;
const MEDIA_CHUNKS: u8 = 4;
/// Message type ids (5.4, 6.2, 7.1).
const SET_CHUNK_SIZE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 3;
const USER_CONTROL: u8 = 4;
const WINDOW_SIZE: u8 = 5;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;
const COMMAND: u8 = 20;
/// User control event types (6.2).
const PING_REQUEST: [u8; 2] = [0, 6];
const PING_RESPONSE: [u8; 2] = [0, 7];
/// Transaction ids.
const CONNECT: f64 = 1.0;
const CREATE: f64 = 4.0;
