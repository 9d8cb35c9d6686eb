//! Gzip bodies (RFC 1952) from blocks that are deflated once (RFC 1951) and used in many versions of a playlist.
//!
//! What comes in: the text of an immutable block of rows, or of a head or tail. What goes out: deflated blocks, and one gzip member of any
//! sequence of them. Never: inflating, or reading a block's text again.

use crate::error::{Error, Result};
use flate2::{Compress, Compression, Crc, FlushCompress};

/// A piece of text, deflated so that any other block can follow.
#[derive(Debug)]
pub struct Block {
    /// Raw deflate data that ends on a byte border with an empty stored block and refers to nothing before it.
    bytes: Vec<u8>,
    /// CRC and length of the text.
    crc: Crc,
}

impl Block {
    /// Deflates `text` at `level` (1 fastest to 9 smallest).
    pub fn deflate(text: &[u8], level: u32) -> Result<Self> {
        let mut crc = Crc::new();
        crc.update(text);
        if text.is_empty() {
            return Ok(Self { bytes: Vec::new(), crc });
        }
        let mut deflate = Compress::new(Compression::new(level.min(9)), false);
        let mut bytes = Vec::new();
        // The flush is complete when it leaves output space over (zlib's rule); all input is taken before that.
        while deflate.total_in() < text.len() as u64 || bytes.len() == bytes.capacity() {
            bytes.reserve(text.len() / 4 + 64);
            let rest = &text[deflate.total_in() as usize..];
            deflate
                .compress_vec(rest, &mut bytes, FlushCompress::Full)
                .map_err(|error| Error::new("DEFLATE", deflate.total_in(), error.to_string()).with_status(500))?;
        }
        Ok(Self { bytes, crc })
    }

    /// Bytes of the deflated form.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the block holds no text.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Writes one gzip member of the blocks in their order; costs a copy of the deflated bytes and a CRC combination per block.
pub fn assemble<'a>(blocks: impl IntoIterator<Item = &'a Block, IntoIter: Clone>) -> Vec<u8> {
    let blocks = blocks.into_iter();
    let size: usize = blocks.clone().map(Block::len).sum();
    let mut out = Vec::with_capacity(size + HEADER.len() + FINAL_BLOCK.len() + 8);
    out.extend_from_slice(&HEADER);
    let mut crc = Crc::new();
    for block in blocks {
        out.extend_from_slice(&block.bytes);
        crc.combine(&block.crc);
    }
    out.extend_from_slice(&FINAL_BLOCK);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    out
}

/// No name, no time (bytes depend on the content alone), unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty block with fixed codes and BFINAL set.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut decoder = GzDecoder::new(bytes);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).expect("a valid member");
        assert!(decoder.into_inner().is_empty(), "one member and nothing behind it");
        text
    }

    fn rows(first: u64, count: u64) -> Vec<u8> {
        (first..first + count)
            .flat_map(|i| format!("#EXTINF:2.000000,\nv1/{}.m4s\n", i * 180_000).into_bytes())
            .collect()
    }

    #[test]
    fn a_long_playlist_is_small_and_comes_back() {
        let blocks: Vec<_> = (0..88).map(|i| rows(i * 512, 512)).collect();
        let deflated: Vec<_> = blocks.iter().map(|text| Block::deflate(text, 1).expect("deflated")).collect();
        let member = assemble(&deflated);
        assert_eq!(gunzip(&member), blocks.concat());
        assert!(member.len() * 4 < blocks.concat().len());
        assert_eq!(member, assemble(&deflated), "the same bytes every time");
    }

    #[test]
    fn nothing_is_a_valid_member_too() {
        let empty = Block::deflate(b"", 1).expect("deflated");
        assert_eq!(gunzip(&assemble(&[])), b"");
        assert_eq!(gunzip(&assemble([&empty, &empty])), b"");
        assert!(empty.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_blocks_in_any_order_make_one_member(
            noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..6),
            order in prop::collection::vec(0usize..8, 0..12),
            level in 0u32..12,
        ) {
            let mut texts = noise;
            texts.push(rows(7, 300));
            texts.push(b"#EXTM3U\n".to_vec());
            let blocks: Vec<_> = texts.iter().map(|text| Block::deflate(text, level).expect("deflated")).collect();
            let order: Vec<_> = order.into_iter().map(|i| i % texts.len()).collect();
            let member = assemble(order.iter().map(|i| &blocks[*i]));
            prop_assert_eq!(gunzip(&member), order.iter().flat_map(|i| texts[*i].clone()).collect::<Vec<_>>());
        }
    }
}
