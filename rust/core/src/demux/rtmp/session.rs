//! One connection: handshake, then messages; replies and flow control.

use super::chunk::{ChunkReader, Message, write_message};
use super::command::{self, Command};
use super::handshake::{self, PACKET};
use super::media::MediaReader;
use super::{Event, Limits, Publish, message};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// The server's side of one RTMP connection that publishes.
#[derive(Debug)]
pub struct RtmpSession {
    limits: Limits,
    phase: Phase,
    handshake: Vec<u8>,
    reader: ChunkReader,
    /// Bytes that came while the session is paused.
    held: Vec<u8>,
    output: Vec<u8>,
    received: u64,
    /// The acknowledgement window that the peer asked for, and what was last acknowledged.
    window: u32,
    acknowledged: u64,
    connection: Option<Publish>,
    /// The transaction of the `connect` that waits for the decision.
    connect: f64,
    next_stream: u32,
    /// Message stream of the publish.
    stream: u32,
    media: MediaReader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the end of C1.
    Hello,
    /// Before the end of C2.
    Echo,
    /// A connect waits for the decision.
    Greeted,
    /// Commands before the publish.
    Open,
    /// A publish waits for the decision.
    Asked,
    /// Media flows.
    Publishing,
    /// The encoder ended its publish and says good-bye: commands are answered, the rest is ignored until it closes the connection.
    Ended,
    /// Nothing more is read.
    Closing,
}

impl RtmpSession {
    /// A session at the first byte of its connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Hello,
            handshake: Vec::new(),
            reader: ChunkReader::new(limits),
            held: Vec::new(),
            output: Vec::new(),
            received: 0,
            window: 0,
            acknowledged: 0,
            connection: None,
            connect: 0.0,
            next_stream: 1,
            stream: 0,
            media: MediaReader::new(),
        }
    }

    /// Reads what came. An error ends the session; bytes after it are ignored.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        self.received += bytes.len() as u64;
        let result = match self.phase {
            Phase::Closing => return Ok(()),
            Phase::Greeted | Phase::Asked if self.held.len() > self.limits.max_unparsed => {
                Err(Error::new("RTMP_INPUT_LIMIT", self.offset(), "too many bytes before the publish was answered"))
            }
            Phase::Greeted | Phase::Asked => {
                self.held.extend_from_slice(bytes);
                Ok(())
            }
            _ if self.held.is_empty() => self.parse(bytes, events),
            _ => {
                self.held.extend_from_slice(bytes);
                let held = std::mem::take(&mut self.held);
                self.parse(&held, events)
            }
        };
        self.acknowledge();
        if result.is_ok() && self.output.len() > self.limits.max_output {
            self.phase = Phase::Closing;
            return Err(Error::new("RTMP_OUTPUT_LIMIT", self.offset(), "the peer does not read its answers"));
        }
        result.inspect_err(|error| self.report(error))
    }

    /// The bytes to send to the peer since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Grants the connection that [`Event::Connect`] asked for; the next [`Self::feed`] reads what was held.
    pub fn accept_connect(&mut self) {
        if self.phase == Phase::Greeted {
            self.welcome();
            self.phase = Phase::Open;
        }
    }

    /// Refuses the connection with a text that some encoders act on (Adobe's `authmod`).
    pub fn refuse_connect(&mut self, description: &str) {
        if self.phase == Phase::Greeted {
            self.set_bounds();
            self.reply(&command::connect_refused(self.connect, description));
            self.phase = Phase::Closing;
            self.held = Vec::new();
        }
    }

    /// Grants the publish that [`Event::Publish`] asked for; the next [`Self::feed`] reads what was held.
    pub fn accept_publish(&mut self) {
        if self.phase != Phase::Asked {
            return;
        }
        let mut begin = Vec::new();
        begin.put_u16(message::STREAM_BEGIN);
        begin.put_u32(self.stream);
        self.send(CONTROL_CHUNKS, message::USER_CONTROL, 0, &begin);
        self.on_status("status", "NetStream.Publish.Start", "Publishing.");
        self.phase = Phase::Publishing;
    }

    /// Refuses or ends the publish with a code of the protocol (`NetStream.Publish.BadName`, …) and a reason for the operator of the encoder.
    pub fn refuse_publish(&mut self, code: &str, description: &str) {
        if self.phase != Phase::Closing {
            self.on_status("error", code, description);
            self.phase = Phase::Closing;
            self.held = Vec::new();
        }
    }

    /// Whether a connect or publish waits for its decision: bytes fed meanwhile are held, so the socket is better left unread.
    pub fn paused(&self) -> bool {
        matches!(self.phase, Phase::Greeted | Phase::Asked)
    }

    /// Whether it is the connect that waits.
    pub fn greeted(&self) -> bool {
        self.phase == Phase::Greeted
    }

    /// Whether the connection has no more use once the output is sent.
    pub fn should_close(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Bytes fed so far.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    fn parse(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<()> {
        let mut input = bytes;
        while !input.is_empty() {
            match self.phase {
                Phase::Hello | Phase::Echo => self.shake_hands(&mut input)?,
                Phase::Open | Phase::Publishing | Phase::Ended => {
                    let read = self.reader.next_message(&mut input);
                    let found = read.map_err(|error| error.at(self.offset()))?;
                    if let Some(found) = found {
                        // Exact where the message came in one chunk; else too late by the headers between.
                        let base = self.offset().saturating_sub(found.payload.len() as u64);
                        self.message(found, events).map_err(|error| error.at(base))?;
                    }
                }
                Phase::Greeted | Phase::Asked => {
                    self.held.extend_from_slice(input);
                    break;
                }
                Phase::Closing => break,
            }
        }
        Ok(())
    }

    fn shake_hands(&mut self, input: &mut &[u8]) -> Result<()> {
        let (wanted, first) = if self.phase == Phase::Hello { (1 + PACKET, true) } else { (PACKET, false) };
        let (taken, rest) = input.split_at(input.len().min(wanted - self.handshake.len()));
        self.handshake.extend_from_slice(taken);
        *input = rest;
        if first && self.handshake[0] != 3 {
            let what =
                if self.handshake[0] == TLS_HANDSHAKE { ": is it TLS? rtmps:// has a port of its own" } else { "" };
            let detail = format!("not RTMP version 3 but {}{what}", self.handshake[0]);
            return Err(Error::new("RTMP_VERSION", 0, detail));
        }
        if self.handshake.len() == wanted {
            if let (true, Some(c1)) = (first, self.handshake.last_chunk()) {
                self.output.extend_from_slice(&handshake::answer(c1));
            }
            self.phase = if first { Phase::Echo } else { Phase::Open };
            self.handshake = Vec::new();
        }
        Ok(())
    }

    fn message(&mut self, found: Message, events: &mut Vec<Event>) -> Result<()> {
        let publishing = self.phase == Phase::Publishing;
        if self.phase == Phase::Open && found.payload.len() > self.limits.max_unparsed {
            return Err(Error::new("RTMP_MESSAGE_TOO_LARGE", 0, "a message of this size needs an accepted publish"));
        }
        let Message { kind, stream, timestamp, payload } = found;
        match kind {
            message::VIDEO if publishing => self.media.video(payload, timestamp, events),
            message::AUDIO if publishing => self.media.audio(payload, timestamp, events),
            message::AGGREGATE if publishing => self.aggregate(&payload, timestamp, events),
            message::DATA | message::DATA_AMF3 if publishing => {
                self.media.data(&payload, kind == message::DATA_AMF3, timestamp, events);
                Ok(())
            }
            message::COMMAND | message::COMMAND_AMF3 => {
                let command = Command::parse(&payload, kind == message::COMMAND_AMF3);
                self.command(&command.map_err(|error| error.within("command"))?, stream, events)
            }
            _ => self.control(kind, &payload).map_err(|error| error.within("control")),
        }
    }

    /// Protocol control and user control messages (5.4, 6.2); what is not known is ignored.
    fn control(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let mut reader = Reader::new(payload);
        match kind {
            message::SET_CHUNK_SIZE => self.reader.set_chunk_size(reader.u32()?)?,
            message::ABORT => self.reader.abort(reader.u32()?),
            message::WINDOW_SIZE => self.window = reader.u32()?,
            message::PEER_BANDWIDTH => {
                // Answered with our window, as 5.4.5 asks for.
                let window = reader.u32()?;
                self.send(CONTROL_CHUNKS, message::WINDOW_SIZE, 0, &window.to_be_bytes());
            }
            message::USER_CONTROL if reader.u16()? == message::PING_REQUEST => {
                let mut pong = Vec::new();
                pong.put_u16(message::PING_RESPONSE);
                pong.put_u32(reader.u32()?);
                self.send(CONTROL_CHUNKS, message::USER_CONTROL, 0, &pong);
            }
            _ => {}
        }
        Ok(())
    }

    /// An aggregate message (7.1.6): FLV tags whose times count from that of the first.
    fn aggregate(&mut self, payload: &[u8], timestamp: u32, events: &mut Vec<Event>) -> Result<()> {
        let mut reader = Reader::new(payload);
        let mut first = None;
        while reader.remaining() > 0 {
            let (kind, size, low, high) = (reader.u8()?, reader.u24()?, reader.u24()?, reader.u8()?);
            reader.skip(3)?;
            let body = reader.bytes(size as usize)?;
            reader.skip(4)?;
            let own = low | u32::from(high) << 24;
            let time = timestamp.wrapping_add(own.wrapping_sub(*first.get_or_insert(own)));
            match kind {
                message::VIDEO => self.media.video(body.to_vec(), time, events)?,
                message::AUDIO => self.media.audio(body.to_vec(), time, events)?,
                message::DATA => self.media.data(body, false, time, events),
                _ => {}
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &Command, stream: u32, events: &mut Vec<Event>) -> Result<()> {
        let id = command.transaction;
        match command.name.as_str() {
            "connect" => self.connect(command, events)?,
            "createStream" => {
                self.reply(&command::result(id, Some(f64::from(self.next_stream))));
                self.next_stream = self.next_stream.saturating_add(1);
            }
            "publish" if matches!(command.values.get(1), Some(super::Value::Boolean(false))) => self.end(events),
            "publish" => self.publish(command, stream, events)?,
            "FCPublish" => {
                self.reply(&command::result(id, None));
                let name = command.text(0).unwrap_or_default();
                self.reply(&command::status("onFCPublish", "status", "NetStream.Publish.Start", name));
            }
            "getStreamLength" => self.reply(&command::result(id, Some(0.0))),
            "FCUnpublish" => {
                self.reply(&command::result(id, None));
                let name = command.text(0).unwrap_or_default();
                self.reply(&command::status("onFCUnpublish", "status", "NetStream.Unpublish.Success", name));
            }
            "releaseStream" | "_checkbw" => self.reply(&command::result(id, None)),
            "closeStream" => self.end(events),
            "deleteStream" => {
                let which = command.values.get(1).and_then(super::Value::as_number);
                if which.is_none_or(|which| which as u32 == self.stream) {
                    self.end(events);
                }
            }
            "play" | "play2" => {
                self.stream = stream;
                self.on_status("error", "NetStream.Play.Failed", "this server only takes publishers");
                self.phase = Phase::Closing;
                return Err(Error::new("RTMP_PLAY_REFUSED", 0, "the peer wants to play").with_status(403));
            }
            // Answers to what the server never asked, and handlers such as onStatus, want no reply.
            _ if id > 0.0 && !command.name.starts_with('_') => self.reply(&command::call_failed(id)),
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command, events: &mut Vec<Event>) -> Result<()> {
        if self.connection.is_some() {
            return Err(Error::new("RTMP_SEQUENCE", 0, "a second connect"));
        }
        let connection = command::connection(command);
        check_length("app", connection.app.len() + connection.query.len())?;
        self.connection = Some(connection.clone());
        self.connect = command.transaction;
        if self.limits.ask_connect {
            self.phase = Phase::Greeted;
            events.push(Event::Connect(connection));
        } else {
            self.welcome();
        }
        Ok(())
    }

    fn welcome(&mut self) {
        self.set_bounds();
        self.reply(&command::connected(self.connect));
    }

    /// Says how much may be on its way, and in which chunks answers come.
    fn set_bounds(&mut self) {
        self.send(CONTROL_CHUNKS, message::WINDOW_SIZE, 0, &WINDOW.to_be_bytes());
        let mut bandwidth = WINDOW.to_be_bytes().to_vec();
        bandwidth.push(BANDWIDTH_DYNAMIC);
        self.send(CONTROL_CHUNKS, message::PEER_BANDWIDTH, 0, &bandwidth);
        self.send(CONTROL_CHUNKS, message::SET_CHUNK_SIZE, 0, &(OUT_CHUNK_SIZE as u32).to_be_bytes());
    }

    fn publish(&mut self, command: &Command, stream: u32, events: &mut Vec<Event>) -> Result<()> {
        let Some(mut publish) = self.connection.clone() else {
            return Err(Error::new("RTMP_SEQUENCE", 0, "publish before connect"));
        };
        if self.phase != Phase::Open {
            let text = "one publish a connection: open another connection for this stream";
            let refused = command::status("onStatus", "error", "NetStream.Publish.BadName", text);
            self.send(STATUS_CHUNKS, message::COMMAND, stream, &refused);
            events.push(Event::Warning(Error::new("RTMP_SECOND_PUBLISH", 0, text)));
            return Ok(());
        }
        self.stream = stream;
        let (name, query) = command::split_query(command.text(0).unwrap_or_default());
        check_length("stream name", name.len() + query.len())?;
        publish.stream = name;
        if !query.is_empty() {
            let joint = if publish.query.is_empty() { "" } else { "&" };
            publish.query = format!("{}{joint}{query}", publish.query);
        }
        self.phase = Phase::Asked;
        events.push(Event::Publish(publish));
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        if self.phase == Phase::Publishing {
            self.on_status("status", "NetStream.Unpublish.Success", "Stopped publishing.");
            self.phase = Phase::Ended;
            events.push(Event::End);
        }
    }

    /// Tells the encoder what was wrong, where the protocol has a place for it, and reads no more.
    fn report(&mut self, error: &Error) {
        let code = match self.phase {
            Phase::Asked | Phase::Publishing | Phase::Ended => "NetStream.Publish.Rejected",
            Phase::Greeted | Phase::Open => "NetConnection.Connect.Rejected",
            Phase::Hello | Phase::Echo | Phase::Closing => "",
        };
        if !code.is_empty() {
            self.on_status("error", code, &error.to_string());
        }
        self.phase = Phase::Closing;
        self.held = Vec::new();
    }

    /// Where in the connection the chunk reader is.
    fn offset(&self) -> u64 {
        (1 + 2 * PACKET) as u64 + self.reader.position()
    }

    fn acknowledge(&mut self) {
        if self.window > 0 && self.received - self.acknowledged >= u64::from(self.window) {
            self.acknowledged = self.received;
            // The sequence number counts modulo 2^32 (5.4.3).
            let sequence = self.received as u32;
            self.send(CONTROL_CHUNKS, message::ACKNOWLEDGEMENT, 0, &sequence.to_be_bytes());
        }
    }

    fn on_status(&mut self, level: &str, code: &str, description: &str) {
        let body = command::status("onStatus", level, code, description);
        self.send(STATUS_CHUNKS, message::COMMAND, self.stream, &body);
    }

    fn reply(&mut self, body: &[u8]) {
        self.send(COMMAND_CHUNKS, message::COMMAND, 0, body);
    }

    fn send(&mut self, chunks: u8, kind: u8, stream: u32, body: &[u8]) {
        // Before connect is answered the peer still reads with the size every connection starts with.
        let size = if self.connection.is_some() { OUT_CHUNK_SIZE } else { 128 };
        write_message(&mut self.output, size, chunks, kind, stream, body);
    }
}

fn check_length(what: &str, length: usize) -> Result<()> {
    if length > MAX_NAME {
        let detail = format!("{what} of {length} bytes, at most {MAX_NAME} are taken");
        return Err(Error::new("RTMP_NAME_TOO_LONG", 0, detail));
    }
    Ok(())
}

/// Our window and bandwidth: what encoders expect, far above what a publisher's answers need.
const WINDOW: u32 = 5_000_000;
/// The first byte of TLS (RFC 8446 5.1).
const TLS_HANDSHAKE: u8 = 22;
const BANDWIDTH_DYNAMIC: u8 = 2;
const OUT_CHUNK_SIZE: usize = 4096;
const MAX_NAME: usize = 1024;
const CONTROL_CHUNKS: u8 = 2;
const COMMAND_CHUNKS: u8 = 3;
const STATUS_CHUNKS: u8 = 5;
