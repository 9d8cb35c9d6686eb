//! Frames (CRC32C, length, payload; little-endian) and the MessagePack of four kinds of records.

/// The bytes of a fragment are in the blob; eleven numbers in the order of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Number of its track.
    pub track: i64,
    /// Start in ticks of the track.
    pub time: i64,
    /// Duration in ticks.
    pub duration: i64,
    /// Number of its blob.
    pub blob: i64,
    /// Place in the blob.
    pub offset: i64,
    /// Bytes.
    pub size: i64,
    /// Configuration number.
    pub config: i64,
    /// FLAG_* of the journal.
    pub flags: i64,
    /// CRC32C of its bytes.
    pub crc: i64,
    /// Number of samples.
    pub samples: i64,
    /// Index that the encoder gave it; -1 without one, as in records of older versions.
    pub index: i64,
}

/// A blob begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its number.
    pub number: i64,
    /// Number of its track.
    pub track: i64,
    /// File name relative to the channel's directory.
    pub name: String,
    /// Configuration of its header.
    pub config: i64,
}

/// One published fragment or gap.
pub struct Row {
    pub track: i64,
    pub time: i64,
    pub duration: i64,
    pub segment: i64,
    pub flags: i64,
}

/// A record that is folded here.
pub enum Record {
    Fragment(Fragment),
    Edge(Vec<Row>),
    Blob(Blob),
    Checkpoint(i64),
}

/// The record at `at` and where it ends; None when there is no whole and sound one of these kinds.
pub fn read(data: &[u8], at: usize) -> Option<(usize, Record)> {
    let head = data.get(at..at.checked_add(8)?)?;
    let checksum = u32::from_le_bytes(head[..4].try_into().ok()?);
    let length = u32::from_le_bytes(head[4..].try_into().ok()?);
    if length > MAX_RECORD {
        return None;
    }
    let end = at + 8 + length as usize;
    let payload = data.get(at + 8..end)?;
    let record = decode(payload)?;
    (crc32c::crc32c(&data[at + 4..end]) == checksum).then_some((end, record))
}

fn decode(payload: &[u8]) -> Option<Record> {
    let mut pack = Pack(payload);
    let fields = pack.array()?;
    let record = match (pack.text()?, fields) {
        ("fragment", 11 | 12) => Record::Fragment(Fragment {
            track: pack.number()?,
            time: pack.number()?,
            duration: pack.number()?,
            blob: pack.number()?,
            offset: pack.number()?,
            size: pack.number()?,
            config: pack.number()?,
            flags: pack.number()?,
            crc: pack.number()?,
            samples: pack.number()?,
            index: if fields > 11 { pack.number()? } else { -1 },
        }),
        ("edge", 2) => {
            let rows = pack.array()?;
            Record::Edge((0..rows).map(|_| pack.row()).collect::<Option<_>>()?)
        }
        ("blob", 5) => Record::Blob(Blob {
            number: pack.number()?,
            track: pack.number()?,
            name: pack.text()?.to_owned(),
            config: pack.number()?,
        }),
        ("checkpoint", 2) => Record::Checkpoint(pack.number()?),
        _ => return None,
    };
    pack.0.is_empty().then_some(record)
}

/// What is left of a MessagePack value.
struct Pack<'a>(&'a [u8]);

impl<'a> Pack<'a> {
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    fn unsigned(&mut self, size: usize) -> Option<u64> {
        Some(self.take(size)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// An integer; what could overflow when two are added is left to the caller's arithmetic.
    fn number(&mut self) -> Option<i64> {
        let value = match self.take(1)?[0] {
            small @ 0..=0x7f => small as i64,
            small @ 0xe0..=0xff => (small as i8).into(),
            0xcc => self.unsigned(1)? as i64,
            0xcd => self.unsigned(2)? as i64,
            0xce => self.unsigned(4)? as i64,
            0xcf => i64::try_from(self.unsigned(8)?).ok()?,
            0xd0 => (self.unsigned(1)? as i8).into(),
            0xd1 => (self.unsigned(2)? as i16).into(),
            0xd2 => (self.unsigned(4)? as i32).into(),
            0xd3 => self.unsigned(8)? as i64,
            _ => return None,
        };
        (-LARGEST..=LARGEST).contains(&value).then_some(value)
    }

    fn array(&mut self) -> Option<u64> {
        match self.take(1)?[0] {
            short @ 0x90..=0x9f => Some((short & 0x0f).into()),
            0xdc => self.unsigned(2),
            0xdd => self.unsigned(4),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let size = match self.take(1)?[0] {
            short @ 0xa0..=0xbf => (short & 0x1f).into(),
            0xd9 => self.unsigned(1)?,
            0xda => self.unsigned(2)?,
            0xdb => self.unsigned(4)?,
            _ => return None,
        };
        std::str::from_utf8(self.take(size as usize)?).ok()
    }

    fn row(&mut self) -> Option<Row> {
        if self.array()? != 5 {
            return None;
        }
        Some(Row {
            track: self.number()?,
            time: self.number()?,
            duration: self.number()?,
            segment: self.number()?,
            flags: self.number()?,
        })
    }
}

/// A length beyond this is damage, not a record.
const MAX_RECORD: u32 = 16 * 1024 * 1024;
const LARGEST: i64 = i64::MAX / 4;
