//! AMF0 values (Action Message Format 0, Adobe 2007), as commands and metadata carry them.
//!
//! In: the payload of a command or data message. Out: owned values, bounded in depth and number. Never: AMF3 bodies, references.

use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// One AMF0 value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Marker 0.
    Number(f64),
    /// Marker 1.
    Boolean(bool),
    /// Markers 2 (short), 12 (long) and 15 (XML); bytes that are not UTF-8 are replaced.
    String(String),
    /// Markers 3, 8 (ECMA array) and 16 (typed object, its class name dropped).
    Object(Vec<(String, Value)>),
    /// Marker 10.
    Array(Vec<Value>),
    /// Marker 11: milliseconds since 1970; the reserved time zone is dropped.
    Date(f64),
    /// Markers 5, 6 (undefined) and 13 (unsupported).
    Null,
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a number.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The first field of an object with this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Parses all values of one message.
pub fn parse_values(data: &[u8]) -> Result<Vec<Value>> {
    let mut parser = Parser { reader: Reader::new(data), left: MAX_VALUES };
    let mut values = Vec::new();
    while parser.reader.remaining() > 0 {
        values.push(parser.value(0)?);
    }
    Ok(values)
}

/// Writes a number.
pub fn write_number(out: &mut Vec<u8>, number: f64) {
    out.put_u8(NUMBER);
    out.put(&number.to_be_bytes());
}

/// Writes a string, cut to the 65,535 bytes that its length field can say.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.put_u8(STRING);
    write_name(out, text);
}

/// Writes null.
pub fn write_null(out: &mut Vec<u8>) {
    out.put_u8(NULL);
}

/// Writes an object whose fields are strings or numbers.
pub fn write_object(out: &mut Vec<u8>, fields: &[(&str, Field<'_>)]) {
    out.put_u8(OBJECT);
    for (name, field) in fields {
        write_name(out, name);
        match field {
            Field::Text(text) => write_string(out, text),
            Field::Number(number) => write_number(out, *number),
        }
    }
    out.put(&[0, 0, OBJECT_END]);
}

/// What [`write_object`] puts in a field.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// A string.
    Text(&'a str),
    /// A number.
    Number(f64),
}

fn write_name(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    out.put_u16(bytes.len() as u16);
    out.put(bytes);
}

struct Parser<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Result<Value> {
        let offset = self.reader.position() as u64;
        if depth > MAX_DEPTH {
            return Err(Error::new("AMF_TOO_DEEP", offset, format!("values nest deeper than {MAX_DEPTH}")));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::new("AMF_TOO_MANY_VALUES", offset, format!("more than {MAX_VALUES} values in one message"))
        })?;
        Ok(match self.reader.u8()? {
            NUMBER => Value::Number(self.number()?),
            BOOLEAN => Value::Boolean(self.reader.u8()? != 0),
            STRING => Value::String(self.short_string()?),
            OBJECT => Value::Object(self.fields(depth, false)?),
            NULL | UNDEFINED | UNSUPPORTED => Value::Null,
            ECMA_ARRAY => {
                // The count is a hint only: encoders write 0 or a wrong one; the end marker decides.
                self.reader.u32()?;
                Value::Object(self.fields(depth, true)?)
            }
            STRICT_ARRAY => {
                let count = self.reader.u32()?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(depth + 1)?);
                }
                Value::Array(items)
            }
            DATE => {
                let milliseconds = self.number()?;
                self.reader.u16()?;
                Value::Date(milliseconds)
            }
            LONG_STRING | XML => {
                let length = self.reader.u32()? as usize;
                Value::String(String::from_utf8_lossy(self.reader.bytes(length)?).into_owned())
            }
            TYPED_OBJECT => {
                self.short_string()?;
                Value::Object(self.fields(depth, false)?)
            }
            marker => {
                return Err(Error::new("AMF_MARKER", offset, format!("AMF0 marker {marker} is not supported")));
            }
        })
    }

    fn number(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.reader.u64()?))
    }

    fn short_string(&mut self) -> Result<String> {
        let length = usize::from(self.reader.u16()?);
        Ok(String::from_utf8_lossy(self.reader.bytes(length)?).into_owned())
    }

    /// `may_end_early`: some encoders leave out the end marker of an ECMA array that ends its message.
    fn fields(&mut self, depth: usize, may_end_early: bool) -> Result<Vec<(String, Value)>> {
        let mut fields = Vec::new();
        loop {
            if may_end_early && self.reader.remaining() == 0 {
                return Ok(fields);
            }
            let mut ahead = self.reader;
            if ahead.u24().is_ok_and(|end| end == u32::from(OBJECT_END)) {
                self.reader = ahead;
                return Ok(fields);
            }
            let name = self.short_string()?;
            fields.push((name, self.value(depth + 1)?));
        }
    }
}

const MAX_DEPTH: usize = 32;
const MAX_VALUES: usize = 4096;

const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const ECMA_ARRAY: u8 = 8;
const OBJECT_END: u8 = 9;
const STRICT_ARRAY: u8 = 10;
const DATE: u8 = 11;
const LONG_STRING: u8 = 12;
const UNSUPPORTED: u8 = 13;
const XML: u8 = 15;
const TYPED_OBJECT: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_marker_is_read() {
        let mut data = Vec::new();
        write_number(&mut data, 2.5);
        data.put(&[BOOLEAN, 1]);
        write_string(&mut data, "ab");
        write_object(&mut data, &[("x", Field::Number(1.0)), ("y", Field::Text("z"))]);
        data.put(&[NULL, UNDEFINED, UNSUPPORTED]);
        data.put(&[ECMA_ARRAY, 0, 0, 0, 9, 0, 1, b'k', BOOLEAN, 0, 0, 0, OBJECT_END]);
        data.put(&[STRICT_ARRAY, 0, 0, 0, 2, NULL, BOOLEAN, 1]);
        data.put(&[DATE, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        data.put(&[LONG_STRING, 0, 0, 0, 1, b'L', XML, 0, 0, 0, 1, b'X']);
        data.put(&[TYPED_OBJECT, 0, 1, b'C', 0, 1, b'f', NULL, 0, 0, OBJECT_END]);
        let text = |s: &str| Value::String(s.to_owned());
        assert_eq!(
            parse_values(&data).expect("valid"),
            [
                Value::Number(2.5),
                Value::Boolean(true),
                text("ab"),
                Value::Object(vec![("x".into(), Value::Number(1.0)), ("y".into(), text("z"))]),
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Object(vec![("k".into(), Value::Boolean(false))]),
                Value::Array(vec![Value::Null, Value::Boolean(true)]),
                Value::Date(2.0),
                text("L"),
                text("X"),
                Value::Object(vec![("f".into(), Value::Null)]),
            ]
        );
    }

    #[test]
    fn an_ecma_array_may_end_with_its_message() {
        let data = [ECMA_ARRAY, 0, 0, 0, 1, 0, 1, b'k', BOOLEAN, 1];
        assert_eq!(parse_values(&data).expect("tolerated")[0].get("k"), Some(&Value::Boolean(true)));
        assert_eq!(parse_values(&[OBJECT, 0, 1, b'k', BOOLEAN, 1]).expect_err("cut").code, "TRUNCATED");
    }

    #[test]
    fn deep_and_wide_values_are_refused() {
        let deep_objects = [OBJECT, 0, 1, b'a'].repeat(10_000);
        assert_eq!(parse_values(&deep_objects).expect_err("deep").code, "AMF_TOO_DEEP");
        let deep_arrays = [STRICT_ARRAY, 0, 0, 0, 1].repeat(10_000);
        assert_eq!(parse_values(&deep_arrays).expect_err("deep").code, "AMF_TOO_DEEP");
        let mut wide = vec![STRICT_ARRAY, 0xFF, 0xFF, 0xFF, 0xFF];
        wide.resize(100_000, NULL);
        assert_eq!(parse_values(&wide).expect_err("wide").code, "AMF_TOO_MANY_VALUES");
        assert_eq!(parse_values(&[0x11]).expect_err("AMF3").code, "AMF_MARKER");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_values(&data);
        }
    }
}
