//! AMF0 values.

use pypackager_core::demux::rtmp::amf0::{Value, parse_values};

/// Parses; what was understood and is written again is understood the same.
pub fn run(data: &[u8]) {
    let Ok(values) = parse_values(data) else { return };
    let mut again = Vec::new();
    values.iter().for_each(|value| write(value, &mut again));
    let read = parse_values(&again).expect("what is written is read");
    // NaN is not equal to itself, the text of it is.
    assert_eq!(format!("{values:?}"), format!("{read:?}"));
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => put(out, 0, &number.to_be_bytes()),
        Value::Boolean(flag) => put(out, 1, &[u8::from(*flag)]),
        Value::String(text) => {
            put(out, 12, &(text.len() as u32).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Value::Object(fields) => {
            out.push(3);
            for (name, value) in fields {
                // Replaced characters can make a name too long to be written.
                let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
                out.extend_from_slice(&(name.len() as u16).to_be_bytes());
                out.extend_from_slice(name);
                write(value, out);
            }
            out.extend_from_slice(&[0, 0, 9]);
        }
        Value::Array(items) => {
            put(out, 10, &(items.len() as u32).to_be_bytes());
            items.iter().for_each(|item| write(item, out));
        }
        Value::Date(milliseconds) => {
            put(out, 11, &milliseconds.to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
        Value::Null => out.push(5),
    }
}

fn put(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    out.push(marker);
    out.extend_from_slice(bytes);
}
