//! `onMetaData` as AMF0 (F4V E.5), for the `<metadata>` of a manifest.

use crate::wire::Writer;

/// The value of a property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Every quantity.
    Number(f64),
    /// A flag.
    Boolean(bool),
    /// A text of at most 65535 bytes; what is longer is cut.
    Text(&'a str),
}

/// Writes the name `onMetaData` and the properties in their order.
pub fn write_metadata(properties: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut out = vec![STRING];
    put_text("onMetaData", &mut out);
    out.put_u8(ECMA_ARRAY);
    out.put_u32(properties.len() as u32);
    for (name, value) in properties {
        put_text(name, &mut out);
        match value {
            Value::Number(number) => {
                out.put_u8(NUMBER);
                out.put(&number.to_be_bytes());
            }
            Value::Boolean(flag) => out.put(&[BOOLEAN, u8::from(*flag)]),
            Value::Text(text) => {
                out.put_u8(STRING);
                put_text(text, &mut out);
            }
        }
    }
    out.put(&[0, 0, OBJECT_END]);
    out
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut size = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    out.put_u16(size as u16);
    out.put(&text.as_bytes()[..size]);
}

const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const ECMA_ARRAY: u8 = 8;
const OBJECT_END: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_stand_in_an_array() {
        let metadata = write_metadata(&[
            ("width", Value::Number(640.0)),
            ("stereo", Value::Boolean(true)),
            ("encoder", Value::Text("x")),
        ]);
        let mut expected = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x03\x00\x05width\x00".to_vec();
        expected.extend(640.0f64.to_be_bytes());
        expected.extend(b"\x00\x06stereo\x01\x01\x00\x07encoder\x02\x00\x01x\x00\x00\x09");
        assert_eq!(metadata, expected);
    }

    #[test]
    fn a_text_too_long_is_cut_between_characters() {
        let long = "\u{e9}".repeat(40_000);
        let metadata = write_metadata(&[("a", Value::Text(&long))]);
        let text = &metadata[18 + 3..];
        assert_eq!(text[..3], [STRING, 0xff, 0xfe]);
        assert_eq!(text.len(), 3 + 65_534 + 3);
    }
}
