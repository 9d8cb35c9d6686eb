//! The chunk stream (RTMP 1.0 5.3): chunks in, whole messages out; and the other way for our own small messages.
//!
//! In: bytes after the handshake, in any split. Out: [`Message`]s in the order in which their last chunks come. Never: the meaning of a
//! message, but for the two that change the chunk stream itself, which the session applies through [`ChunkReader::set_chunk_size`] and
//! [`ChunkReader::abort`].
//!
//! The reader alternates between a header (1 to 18 bytes) and a run of payload. A header cut by the end of the input waits in a small
//! stash; payload goes straight into the message, a run at a time, so nothing else is ever buffered.

use super::Limits;
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Message type id (RTMP 1.0 5.4, 7.1).
    pub kind: u8,
    /// Message stream id: 0 for the connection, else what createStream gave.
    pub stream: u32,
    /// Absolute time in milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Takes chunks apart and puts messages together.
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Index of the chunk stream whose payload comes next, with the bytes left of this chunk.
    run: Option<(usize, usize)>,
    /// Bytes of all unfinished messages.
    partial: usize,
    stash: Vec<u8>,
    position: u64,
}

#[derive(Debug, Default)]
struct ChunkStream {
    id: u32,
    kind: u8,
    stream: u32,
    timestamp: u32,
    /// What a type 3 chunk adds when it starts a message: the last timestamp field, also of a type 0 chunk (5.3.1.2.4).
    delta: u32,
    /// The extended field of the last type 0 to 2 header, when it had one.
    extended: Option<u32>,
    length: usize,
    payload: Vec<u8>,
    in_message: bool,
}

impl ChunkReader {
    /// A reader with the chunk size every connection starts with (128).
    pub fn new(limits: Limits) -> Self {
        let stash = Vec::with_capacity(MAX_HEADER);
        Self { limits, chunk_size: 128, streams: Vec::new(), run: None, partial: 0, stash, position: 0 }
    }

    /// Reads up to the end of the next message or of the input; `input` is moved over what was taken.
    pub fn next_message(&mut self, input: &mut &[u8]) -> Result<Option<Message>> {
        loop {
            if self.stash.is_empty() {
                let (taken, message) = self.step(input)?;
                self.position += taken as u64;
                if taken == 0 {
                    self.stash.extend_from_slice(input);
                    *input = &[];
                    return Ok(None);
                }
                *input = &input[taken..];
                if message.is_some() {
                    return Ok(message);
                }
            } else {
                let stashed = self.stash.len();
                let more = input.len().min(MAX_HEADER.saturating_sub(stashed));
                let mut joined = [0; MAX_HEADER];
                joined[..stashed].copy_from_slice(&self.stash);
                joined[stashed..stashed + more].copy_from_slice(&input[..more]);
                let (taken, message) = self.step(&joined[..stashed + more])?;
                self.position += taken as u64;
                if taken == 0 {
                    self.stash.extend_from_slice(&input[..more]);
                    *input = &input[more..];
                    return Ok(None);
                }
                // A type 3 header without the extended timestamp that was looked for leaves bytes in the stash.
                self.stash.drain(..taken.min(stashed));
                *input = &input[taken.saturating_sub(stashed)..];
                if message.is_some() {
                    return Ok(message);
                }
            }
        }
    }

    /// Bytes taken for whole headers and runs: after an error, where the faulty one starts.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Applies Set Chunk Size (5.4.1).
    pub fn set_chunk_size(&mut self, size: u32) -> Result<()> {
        if size == 0 || size > 0x7FFF_FFFF {
            return Err(Error::new("RTMP_CHUNK_SIZE", 0, format!("chunk size {size} is not in 1..=2147483647")));
        }
        self.chunk_size = size as usize;
        Ok(())
    }

    /// Applies Abort Message (5.4.2): drops what came of the message on this chunk stream.
    pub fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
            self.partial -= stream.payload.len();
            stream.payload = Vec::new();
            stream.in_message = false;
        }
    }

    /// Takes one header or one run of payload; 0 when a header is not whole yet.
    fn step(&mut self, input: &[u8]) -> Result<(usize, Option<Message>)> {
        if input.is_empty() {
            return Ok((0, None));
        }
        let Some((index, left)) = self.run else {
            let Some((taken, index)) = self.header(input)? else { return Ok((0, None)) };
            let stream = &self.streams[index];
            let run = (stream.length - stream.payload.len()).min(self.chunk_size);
            if run > 0 {
                self.run = Some((index, run));
                return Ok((taken, None));
            }
            return Ok((taken, Some(self.finish(index))));
        };
        let taken = left.min(input.len());
        self.partial += taken;
        let stream = &mut self.streams[index];
        if self.partial > self.limits.max_message + self.limits.max_unparsed {
            return Err(Error::new("RTMP_PARTIAL_LIMIT", 0, "too many bytes in unfinished messages"));
        }
        if stream.payload.capacity() - stream.payload.len() < taken {
            // The announced length is not trusted with memory before its bytes come.
            let wanted = taken.max(stream.payload.len()).max(FIRST_RESERVE);
            stream.payload.reserve_exact(wanted.min(stream.length - stream.payload.len()));
        }
        stream.payload.extend_from_slice(&input[..taken]);
        self.run = (taken < left).then_some((index, left - taken));
        let whole = stream.payload.len() == stream.length;
        Ok((taken, whole.then(|| self.finish(index))))
    }

    fn finish(&mut self, index: usize) -> Message {
        let stream = &mut self.streams[index];
        self.partial -= stream.payload.len();
        stream.in_message = false;
        let payload = std::mem::take(&mut stream.payload);
        Message { kind: stream.kind, stream: stream.stream, timestamp: stream.timestamp, payload }
    }

    /// Parses one chunk header (5.3.1); `None` when the input ends inside it.
    fn header(&mut self, input: &[u8]) -> Result<Option<(usize, usize)>> {
        let (format, low) = (input[0] >> 6, input[0] & 0x3F);
        let basic = match low {
            0 => 2,
            1 => 3,
            _ => 1,
        };
        let fields = [11, 7, 3, 0][usize::from(format)];
        if input.len() < basic + fields {
            return Ok(None);
        }
        let id = match low {
            0 => 64 + u32::from(input[1]),
            1 => 64 + u32::from(input[1]) + 256 * u32::from(input[2]),
            _ => u32::from(low),
        };
        let known = self.streams.iter().position(|stream| stream.id == id);
        let Some(index) = known else {
            if format != 0 && format != 1 {
                return Err(Error::new("RTMP_CHUNK_HEADER", 0, format!("chunk stream {id} starts with type {format}")));
            }
            if self.streams.len() >= self.limits.max_chunk_streams {
                return Err(Error::new("RTMP_CHUNK_STREAMS", 0, "too many chunk streams"));
            }
            self.streams.push(ChunkStream { id, ..ChunkStream::default() });
            let known = self.header(input)?;
            if known.is_none() {
                self.streams.pop();
            }
            return Ok(known);
        };
        let max_message = self.limits.max_message;
        let stream = &mut self.streams[index];
        let mut reader = Reader::new(&input[basic..]);
        let mut taken = basic + fields;
        if format == 3 {
            if let Some(expected) = stream.extended {
                // Most senders repeat the extended timestamp in type 3 chunks (5.3.1.3), some do not: what is there decides.
                let Ok(value) = reader.u32() else { return Ok(None) };
                if value == expected {
                    taken += 4;
                }
            }
            if !stream.in_message {
                stream.timestamp = stream.timestamp.wrapping_add(stream.delta);
                stream.in_message = true;
            }
            return Ok(Some((taken, index)));
        }
        if stream.in_message {
            return Err(Error::new("RTMP_CHUNK_HEADER", 0, format!("type {format} chunk inside a message")));
        }
        let short = reader.u24()?;
        let sized = if format < 2 { Some((reader.u24()? as usize, reader.u8()?)) } else { None };
        let message_stream = if format == 0 { Some(u32::from_le_bytes(reader.u32()?.to_be_bytes())) } else { None };
        let extended = if short == EXTENDED {
            let Ok(value) = reader.u32() else { return Ok(None) };
            taken += 4;
            Some(value)
        } else {
            None
        };
        if let Some((length, kind)) = sized {
            if length > max_message {
                let detail = format!("message of {length} bytes, at most {max_message} are taken");
                return Err(Error::new("RTMP_MESSAGE_TOO_LARGE", 0, detail));
            }
            if !KINDS.contains(&kind) {
                return Err(Error::new(
                    "RTMP_CHUNK_HEADER",
                    0,
                    format!("a message of type {kind}: bytes were lost before it"),
                ));
            }
            (stream.length, stream.kind) = (length, kind);
        }
        if let Some(id) = message_stream.filter(|id| (*id).min(id.swap_bytes()) > MAX_MESSAGE_STREAM) {
            return Err(Error::new("RTMP_CHUNK_HEADER", 0, format!("message stream {id}: bytes were lost before it")));
        }
        let field = extended.unwrap_or(short);
        stream.timestamp = if format == 0 { field } else { stream.timestamp.wrapping_add(field) };
        stream.delta = field;
        stream.extended = extended;
        stream.stream = message_stream.unwrap_or(stream.stream);
        stream.in_message = true;
        Ok(Some((taken, index)))
    }
}

/// Writes one message of ours in chunks of `chunk_size`, the first of type 0.
pub fn write_message(out: &mut Vec<u8>, chunk_size: usize, id: u8, kind: u8, stream: u32, payload: &[u8]) {
    out.put_u8(id);
    out.put_u24(0);
    out.put_u24(payload.len() as u32);
    out.put_u8(kind);
    out.put(&stream.to_le_bytes());
    for (index, run) in payload.chunks(chunk_size).enumerate() {
        if index > 0 {
            out.put_u8(0xC0 | id);
        }
        out.put(run);
    }
}

const EXTENDED: u32 = 0xFF_FFFF;
/// Types of messages (RTMP 1.0 5.4, 7.1), with those in between that nobody has described. RTMP has no check sums: where bytes are lost or
/// spoiled, what follows is taken for headers, and most of it is told from them by this alone.
const KINDS: std::ops::RangeInclusive<u8> = 1..=22;
/// Our answers to createStream count from 1; encoders that choose their own number are as modest, some in the wrong byte order.
const MAX_MESSAGE_STREAM: u32 = 0xFFFF;
/// Three bytes of basic header, eleven of message header, four of extended timestamp.
const MAX_HEADER: usize = 18;
const FIRST_RESERVE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A chunk stream of the sender: what is left, the last message with its timestamp field, and the one that is being sent.
    struct Sender<'a> {
        id: u32,
        left: std::slice::Iter<'a, Message>,
        before: Option<(&'a Message, u32)>,
        now: Option<(&'a Message, u32, usize)>,
    }

    /// Writes messages as ffmpeg does: the shortest header that says what changed, chunks of several chunk streams in turns.
    fn write_interleaved(queues: &[(u32, Vec<Message>)], chunk_size: usize, turns: &[usize], repeat: bool) -> Vec<u8> {
        let mut senders: Vec<_> =
            queues.iter().map(|(id, queue)| Sender { id: *id, left: queue.iter(), before: None, now: None }).collect();
        let mut out = Vec::new();
        let rest = (0..queues.len()).flat_map(|index| std::iter::repeat_n(index, 4000));
        for turn in turns.iter().copied().chain(rest) {
            let sender = &mut senders[turn];
            let (message, field, sent) = if let Some((message, field, sent)) = sender.now.take() {
                write_basic(&mut out, 3, sender.id);
                if field >= EXTENDED && repeat {
                    out.put_u32(field);
                }
                (message, field, sent)
            } else {
                let Some(message) = sender.left.next() else { continue };
                (message, write_first(&mut out, sender, message), 0)
            };
            let end = message.payload.len().min(sent + chunk_size);
            out.put(&message.payload[sent..end]);
            if end < message.payload.len() {
                sender.now = Some((message, field, end));
            } else {
                sender.before = Some((message, field));
            }
        }
        out
    }

    /// The header of a message's first chunk; returns its timestamp field.
    fn write_first(out: &mut Vec<u8>, sender: &Sender<'_>, message: &Message) -> u32 {
        let delta = sender.before.and_then(|(before, field)| {
            let delta = message.timestamp.checked_sub(before.timestamp)?;
            let same = before.kind == message.kind && before.payload.len() == message.payload.len();
            let format = match same {
                false => 1,
                true if delta == field && delta < EXTENDED => 3,
                true => 2,
            };
            Some((format, delta))
        });
        let (format, field) = delta.unwrap_or((0, message.timestamp));
        write_basic(out, format, sender.id);
        if format < 3 {
            out.put_u24(field.min(EXTENDED));
        }
        if format < 2 {
            out.put_u24(message.payload.len() as u32);
            out.put_u8(message.kind);
        }
        if format == 0 {
            out.put(&message.stream.to_le_bytes());
        }
        if format < 3 && field >= EXTENDED {
            out.put_u32(field);
        }
        field
    }

    fn write_basic(out: &mut Vec<u8>, format: u8, id: u32) {
        match id {
            2..64 => out.put_u8(format << 6 | id as u8),
            64..320 => out.put(&[format << 6, (id - 64) as u8]),
            _ => out.put(&[format << 6 | 1, (id - 64) as u8, ((id - 64) >> 8) as u8]),
        }
    }

    fn read(pieces: &[&[u8]], chunk_size: usize) -> Vec<Message> {
        let mut reader = ChunkReader::new(Limits::default());
        reader.set_chunk_size(chunk_size as u32).expect("in range");
        let mut messages = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(message) = reader.next_message(&mut piece).expect("valid chunks") {
                messages.push(message);
            }
        }
        messages
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            queues in prop::collection::vec(
                prop::collection::vec((0u8..3, prop_oneof![0u32..50, 0xFF_FFF0..0x100_0010u32], 0usize..60), 1..8), 1..4),
            chunk_size in prop_oneof![1usize..8, 1usize..100],
            turns in prop::collection::vec(0usize..3, 0..60),
            repeat: bool,
            piece in 1usize..40,
        ) {
            let queues: Vec<(u32, Vec<Message>)> = queues.into_iter().zip([3, 80, 400]).map(|(queue, id)| {
                let mut time = 0u32;
                let messages = queue.into_iter().map(|(kind, step, size)| {
                    time += step;
                    // Payload that cannot be taken for a repeated timestamp.
                    Message { kind: kind + 20, stream: 1, timestamp: time, payload: vec![0xA0 + kind; size] }
                });
                (id, messages.collect())
            }).collect();
            let turns: Vec<usize> = turns.into_iter().filter(|turn| *turn < queues.len()).collect();
            let mut bytes = write_interleaved(&queues, chunk_size, &turns, repeat);
            // Where the timestamp is not repeated, a type 3 chunk is only known to be whole by the four bytes after its header.
            bytes.extend([2, 0, 0, 0, 0, 0, 4, 22, 0, 0, 0, 0]);
            let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
            let messages = read(&pieces, chunk_size);
            prop_assert_eq!(&messages, &read(&[&bytes], chunk_size));
            let mut sent: Vec<&Message> = queues.iter().flat_map(|(_, queue)| queue).collect();
            let mut got: Vec<&Message> = messages.iter().collect();
            let order = |message: &&Message| (message.kind, message.timestamp, message.payload.len());
            sent.sort_by_key(order);
            got.sort_by_key(order);
            prop_assert_eq!(got, sent);
        }
    }
}
