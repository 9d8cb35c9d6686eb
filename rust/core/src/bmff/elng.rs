//! `elng` (ISO 14496-12 8.4.6): the language as a BCP 47 tag, where three letters are not enough.

use super::{put_full_box, version_and_flags};
use crate::error::{Error, Result};
use crate::wire::{Reader, Writer};

/// The language tag.
pub fn parse(body: &[u8]) -> Result<String> {
    let mut reader = Reader::new(body);
    version_and_flags(&mut reader)?;
    let text = reader.rest();
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() || text.len() > 64 || !text.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::new("LANGUAGE", 4, "not a BCP 47 tag"));
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Writes the box.
pub fn write(out: &mut Vec<u8>, language: &str) {
    put_full_box(out, *b"elng", 0, 0, |out| {
        out.put(language.as_bytes());
        out.put_u8(0);
    });
}
