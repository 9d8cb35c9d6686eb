//! One connection: handshake, then messages; replies and flow control.

use super::chunk::{ChunkReader, Message, write_message};
use super::command::{self, Command};
use super::handshake::{self, PACKET};
use super::media::MediaReader;
use super::publishes::{Publishes, Publishing};
use super::{Event, Limits, Mark, Publish, message};
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
    /// All bytes so far, as long as they are kept.
    opening: Option<Vec<u8>>,
    output: Vec<u8>,
    received: u64,
    /// The acknowledgement window that the peer asked for, and what was last acknowledged.
    window: u32,
    acknowledged: u64,
    connection: Option<Publish>,
    /// The transaction of the `connect` that waits for the decision.
    connect: f64,
    next_stream: u32,
    /// Message stream of the newest publish: where what is of none of them is told.
    stream: u32,
    /// Publishes that were asked for so far.
    begun: u32,
    /// The publish that waits for the decision.
    asked: Option<Publishing>,
    publishes: Publishes,
    strays_told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the end of C1.
    Hello,
    /// Before the end of C2.
    Echo,
    /// A connect waits for the decision.
    Greeted,
    /// Commands, and the media of the publishes that run. When none runs any more the encoder says good-bye: commands are answered, the rest
    /// is ignored until it closes the connection.
    Open,
    /// A publish waits for the decision.
    Asked,
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
            opening: limits.keep_opening.then(Vec::new),
            output: Vec::new(),
            received: 0,
            window: 0,
            acknowledged: 0,
            connection: None,
            connect: 0.0,
            next_stream: 1,
            stream: 0,
            begun: 0,
            asked: None,
            publishes: Publishes::default(),
            strays_told: false,
        }
    }

    /// Reads what came. An error ends the session; bytes after it are ignored.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<(Mark, Event)>) -> Result<()> {
        self.received += bytes.len() as u64;
        self.keep(bytes);
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
            self.close();
        }
    }

    /// Grants the publish that [`Event::Publish`] asked for; the next [`Self::feed`] reads what was held.
    pub fn accept_publish(&mut self) {
        let Some(asked) = self.asked.take() else { return };
        let mut begin = Vec::new();
        begin.put_u16(message::STREAM_BEGIN);
        begin.put_u32(asked.stream);
        self.send(CONTROL_CHUNKS, message::USER_CONTROL, 0, &begin);
        self.on_status(asked.stream, "status", "NetStream.Publish.Start", "Publishing.");
        self.publishes.add(asked);
        self.phase = Phase::Open;
        self.opening = None;
    }

    /// Refuses or ends one publish with a code of the protocol (`NetStream.Publish.BadName`, …) and a reason for the operator of the encoder.
    /// The connection ends with it when nothing else of it publishes, or will: a refused encoder that has created further streams goes on.
    pub fn refuse_publish(&mut self, mark: Mark, code: &str, description: &str) {
        if let Some(asked) = self.asked.take_if(|asked| asked.id == mark) {
            self.on_status(asked.stream, "error", code, description);
            self.phase = Phase::Open;
            if self.publishes.count() == 0 && self.next_stream <= self.begun.saturating_add(1) {
                self.close();
            }
        } else if let Some(ended) = self.publishes.remove(mark) {
            self.on_status(ended.stream, "error", code, description);
            if self.publishes.count() == 0 && self.asked.is_none() {
                self.close();
            }
        }
    }

    /// Refuses or ends all publishes alike, and the connection.
    pub fn refuse_all(&mut self, code: &str, description: &str) {
        if self.phase != Phase::Closing {
            for stream in self.told() {
                self.on_status(stream, "error", code, description);
            }
            self.close();
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

    /// Everything that came, where a connect or the first publish waits for its decision: a session that begins with these bytes, and is told
    /// the same of the connect, is where this one is. `None` where it is not kept ([`Limits::keep_opening`]), or is more than a mebibyte.
    pub fn opening(&self) -> Option<&[u8]> {
        self.opening.as_deref().filter(|_| self.paused())
    }

    /// Whether the connection has no more use once the output is sent.
    pub fn should_close(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Bytes fed so far.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(opening) = &mut self.opening {
            if opening.len() + bytes.len() > MAX_OPENING {
                self.opening = None;
            } else {
                opening.extend_from_slice(bytes);
            }
        }
    }

    fn parse(&mut self, bytes: &[u8], events: &mut Vec<(Mark, Event)>) -> Result<()> {
        let mut input = bytes;
        while !input.is_empty() {
            match self.phase {
                Phase::Hello | Phase::Echo => self.shake_hands(&mut input)?,
                Phase::Open => {
                    let read = self.reader.next_message(&mut input);
                    let found = read.map_err(|error| error.at(self.offset()))?;
                    if let Some(found) = found {
                        // Exact where the message came in one chunk; else too late by the headers between.
                        let base = self.offset().saturating_sub(found.payload.len() as u64);
                        self.message(found, base, events)?;
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

    /// Acts on one message, which starts at byte `base` of the connection.
    fn message(&mut self, found: Message, base: u64, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        if self.begun == 0 && found.payload.len() > self.limits.max_unparsed {
            let error = Error::new("RTMP_MESSAGE_TOO_LARGE", 0, "a message of this size needs an accepted publish");
            return Err(error.at(base));
        }
        let Message { kind, stream, timestamp, payload } = found;
        let done = match kind {
            message::VIDEO | message::AUDIO | message::AGGREGATE | message::DATA | message::DATA_AMF3 => {
                return self.media(Message { kind, stream, timestamp, payload }, base, events);
            }
            message::COMMAND | message::COMMAND_AMF3 => Command::parse(&payload, kind == message::COMMAND_AMF3)
                .map_err(|error| error.within("command"))
                .and_then(|command| self.command(&command, stream, events)),
            _ => self.control(kind, &payload).map_err(|error| error.within("control")),
        };
        done.map_err(|error| error.at(base))
    }

    /// Gives a message to the publish that it belongs to. What is wrong with it ends that publish, and the connection where it is the only one.
    fn media(&mut self, found: Message, base: u64, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        let Message { kind, stream, timestamp, payload } = found;
        let others = self.publishes.count() > 1;
        let Some(publish) = self.publishes.on(stream, (1..self.next_stream).contains(&stream)) else {
            if self.publishes.count() > 0 && !std::mem::replace(&mut self.strays_told, true) {
                let detail = format!("media on message stream {stream}, where nothing is published, is dropped");
                events.push((0, Event::Warning(Error::new("RTMP_STREAM_UNKNOWN", base, detail))));
            }
            return Ok(());
        };
        let media = &mut publish.media;
        let read = match kind {
            message::VIDEO => media.video(payload, timestamp, events),
            message::AUDIO => media.audio(payload, timestamp, events),
            message::AGGREGATE => media.aggregate(&payload, timestamp, events),
            _ => {
                media.data(&payload, kind == message::DATA_AMF3, timestamp, events);
                Ok(())
            }
        };
        let Err(error) = read.map_err(|error| error.at(base)) else { return Ok(()) };
        if !others {
            return Err(error);
        }
        let (mark, stream) = (publish.id, publish.stream);
        self.publishes.remove(mark);
        self.on_status(stream, "error", "NetStream.Publish.Rejected", &error.to_string());
        events.push((mark, Event::Failed(error)));
        Ok(())
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

    fn command(&mut self, command: &Command, stream: u32, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        let id = command.transaction;
        match command.name.as_str() {
            "connect" => self.connect(command, events)?,
            "createStream" => {
                self.reply(&command::result(id, Some(f64::from(self.next_stream))));
                self.next_stream = self.next_stream.saturating_add(1);
            }
            "publish" if matches!(command.values.get(1), Some(super::Value::Boolean(false))) => {
                self.end(stream, events);
            }
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
                if let Some(ended) = self.publishes.remove_named(name) {
                    self.ended(&ended, events);
                }
            }
            "releaseStream" | "_checkbw" => self.reply(&command::result(id, None)),
            "closeStream" => self.end(stream, events),
            "deleteStream" => {
                let which = command.values.get(1).and_then(super::Value::as_number);
                self.end(which.map_or(stream, |which| which as u32), events);
            }
            "play" | "play2" => {
                self.on_status(stream, "error", "NetStream.Play.Failed", "this server only takes publishers");
                if self.publishes.count() > 0 {
                    self.refuse_all("NetStream.Publish.Rejected", "the connection wants to play");
                }
                self.close();
                return Err(Error::new("RTMP_PLAY_REFUSED", 0, "the peer wants to play").with_status(403));
            }
            // Answers to what the server never asked, and handlers such as onStatus, want no reply.
            _ if id > 0.0 && !command.name.starts_with('_') => self.reply(&command::call_failed(id)),
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        if self.connection.is_some() {
            return Err(Error::new("RTMP_SEQUENCE", 0, "a second connect"));
        }
        let connection = command::connection(command);
        check_length("app", connection.app.len() + connection.query.len())?;
        self.connection = Some(connection.clone());
        self.connect = command.transaction;
        if self.limits.ask_connect {
            self.phase = Phase::Greeted;
            events.push((0, Event::Connect(connection)));
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

    fn publish(&mut self, command: &Command, stream: u32, events: &mut Vec<(Mark, Event)>) -> Result<()> {
        let Some(mut publish) = self.connection.clone() else {
            return Err(Error::new("RTMP_SEQUENCE", 0, "publish before connect"));
        };
        let refusal = if self.publishes.runs_on(stream) {
            Some(("RTMP_SECOND_PUBLISH", "this message stream publishes already: create another for each publish"))
        } else if self.publishes.count() >= self.limits.max_publishes {
            Some(("RTMP_TOO_MANY_PUBLISHES", "the connection has too many publishes: open another"))
        } else {
            None
        };
        if let Some((code, text)) = refusal {
            self.on_status(stream, "error", "NetStream.Publish.BadName", text);
            events.push((0, Event::Warning(Error::new(code, 0, text))));
            return Ok(());
        }
        self.stream = stream;
        let sent = command.text(0).unwrap_or_default();
        let (name, query) = command::split_query(sent);
        check_length("stream name", name.len() + query.len())?;
        publish.stream = name;
        if !query.is_empty() {
            let joint = if publish.query.is_empty() { "" } else { "&" };
            publish.query = format!("{}{joint}{query}", publish.query);
        }
        let id = self.begun;
        self.begun += 1;
        self.asked = Some(Publishing { id, stream, name: sent.to_owned(), media: MediaReader::new(id) });
        self.phase = Phase::Asked;
        events.push((id, Event::Publish(publish)));
        Ok(())
    }

    /// The encoder ends what it publishes on a message stream.
    fn end(&mut self, stream: u32, events: &mut Vec<(Mark, Event)>) {
        let found = self.publishes.on(stream, (1..self.next_stream).contains(&stream)).map(|publish| publish.id);
        if let Some(ended) = found.and_then(|id| self.publishes.remove(id)) {
            self.ended(&ended, events);
        }
    }

    fn ended(&mut self, publish: &Publishing, events: &mut Vec<(Mark, Event)>) {
        self.on_status(publish.stream, "status", "NetStream.Unpublish.Success", "Stopped publishing.");
        events.push((publish.id, Event::End));
    }

    /// Tells the encoder what was wrong, where the protocol has a place for it, and reads no more.
    fn report(&mut self, error: &Error) {
        match self.phase {
            Phase::Hello | Phase::Echo | Phase::Closing => self.close(),
            _ if self.begun > 0 => self.refuse_all("NetStream.Publish.Rejected", &error.to_string()),
            _ => self.refuse_all("NetConnection.Connect.Rejected", &error.to_string()),
        }
    }

    /// Message streams on which something is, or was last.
    fn told(&mut self) -> Vec<u32> {
        let streams: Vec<u32> = self.publishes.drain().chain(self.asked.take()).map(|publish| publish.stream).collect();
        if streams.is_empty() { vec![self.stream] } else { streams }
    }

    fn close(&mut self) {
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

    fn on_status(&mut self, stream: u32, level: &str, code: &str, description: &str) {
        let body = command::status("onStatus", level, code, description);
        self.send(STATUS_CHUNKS, message::COMMAND, stream, &body);
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
/// A connection that sends more before it publishes is served where it came.
const MAX_OPENING: usize = 1 << 20;
const CONTROL_CHUNKS: u8 = 2;
const COMMAND_CHUNKS: u8 = 3;
const STATUS_CHUNKS: u8 = 5;
