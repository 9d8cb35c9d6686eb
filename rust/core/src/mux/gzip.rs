//! Gzip bodies (RFC 1952) of text that is deflated once (RFC 1951) and used in many versions of a playlist.
//!
//! What comes in: the text of immutable blocks of rows, and of heads and tails. What goes out: deflated blocks, and one gzip member of any
//! sequence of texts and blocks, in pieces. Never: inflating, or reading or copying a block again.

use crate::error::{Error, Result};
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use std::cell::RefCell;

/// A piece of text, deflated so that anything can follow.
#[derive(Debug)]
pub struct Block {
    /// Raw deflate data that ends on a byte border with an empty stored block and refers to nothing before it.
    bytes: Bytes,
    /// CRC and length of the text.
    crc: Crc,
}

/// A gzip member in the making. Its bytes are those that the calls return and those of the blocks, in the order of the calls.
#[derive(Debug)]
pub struct Member {
    /// What was not returned yet.
    bytes: Vec<u8>,
    crc: Crc,
}

impl Block {
    /// Deflates `text`.
    pub fn deflate(text: &[u8]) -> Result<Self> {
        let mut bytes = Vec::new();
        deflate(text, &mut bytes)?;
        bytes.shrink_to_fit();
        let mut crc = Crc::new();
        crc.update(text);
        Ok(Self { bytes: bytes.into(), crc })
    }

    /// One block of several in their order, and these again as parts of it, so that their bytes are in memory once; `own` says where.
    pub fn join(blocks: &[&Self], own: impl FnOnce(Vec<u8>) -> Bytes) -> (Self, Vec<Self>) {
        let mut joined = Vec::with_capacity(blocks.iter().map(|block| block.len()).sum());
        let mut crc = Crc::new();
        for block in blocks {
            joined.extend_from_slice(&block.bytes);
            crc.combine(&block.crc);
        }
        let bytes = own(joined);
        let mut rest = bytes.clone();
        let part = |block: &&Self| {
            let mut same = Crc::new();
            same.combine(&block.crc);
            Self { bytes: rest.split_to(block.len()), crc: same }
        };
        let parts = blocks.iter().map(part).collect();
        (Self { bytes, crc }, parts)
    }

    /// The deflated form.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
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

impl Default for Member {
    fn default() -> Self {
        Self { bytes: HEADER.to_vec(), crc: Crc::new() }
    }
}

impl Member {
    /// Deflates `text` as what comes next.
    pub fn add_text(&mut self, text: &[u8]) -> Result<()> {
        deflate(text, &mut self.bytes)?;
        self.crc.update(text);
        Ok(())
    }

    /// Takes `block` as what comes next, for the price of a CRC combination; returns what goes before its bytes.
    pub fn add_block(&mut self, block: &Block) -> Vec<u8> {
        self.crc.combine(&block.crc);
        std::mem::take(&mut self.bytes)
    }

    /// The end.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&FINAL_BLOCK);
        self.bytes.extend_from_slice(&self.crc.sum().to_le_bytes());
        self.bytes.extend_from_slice(&self.crc.amount().to_le_bytes());
        self.bytes
    }
}

/// Appends `text` in the form that a block has.
fn deflate(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    DEFLATE.with_borrow_mut(|deflate| {
        // It forgets the text before, so what comes out depends on this text alone.
        deflate.reset();
        // The flush is complete when it leaves output space over (zlib's rule); all input is taken before that.
        while deflate.total_in() < text.len() as u64 || out.len() == out.capacity() {
            out.reserve(room(text));
            let rest = &text[deflate.total_in() as usize..];
            deflate
                .compress_vec(rest, out, FlushCompress::Sync)
                .map_err(|error| Error::new("DEFLATE", deflate.total_in(), error.to_string()).with_status(500))?;
        }
        Ok(())
    })
}

/// Space that the deflated form of any text fits in: the fixed codes have nine bits at most. With less, the bytes would show where it ended.
fn room(text: &[u8]) -> usize {
    text.len() + text.len() / 8 + 64
}

thread_local! {
    /// It has 300 KiB of tables: making them would cost more than deflating the few KiB of a playlist's head.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
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

    enum Part<'a> {
        Text(&'a [u8]),
        Block(&'a Block),
    }

    fn member(parts: &[Part<'_>]) -> Vec<u8> {
        let mut member = Member::default();
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => member.add_text(text).expect("deflated"),
                Part::Block(block) => bytes.extend([&member.add_block(block), block.bytes()].concat()),
            }
        }
        bytes.extend(member.finish());
        bytes
    }

    fn join(blocks: &[Block]) -> (Block, Vec<Block>) {
        Block::join(&blocks.iter().collect::<Vec<_>>(), Bytes::from)
    }

    #[test]
    fn a_long_playlist_is_small_and_comes_back() {
        let texts: Vec<_> = (0..88).map(|i| rows(i * 512, 512)).collect();
        let blocks: Vec<_> = texts.iter().map(|text| Block::deflate(text).expect("deflated")).collect();
        let (joined, parts) = join(&blocks);
        let separately: Vec<_> = blocks.iter().map(Part::Block).collect();
        let bytes = member(&separately);
        assert_eq!(gunzip(&bytes), texts.concat());
        assert!(bytes.len() * 4 < texts.concat().len());
        assert_eq!(bytes, member(&[Part::Block(&joined)]), "joined before or now");
        let shared: Vec<_> = parts.iter().map(Part::Block).collect();
        assert_eq!(bytes, member(&shared), "the parts are what they were");
        assert_eq!(parts[1].bytes.as_ptr(), joined.bytes[blocks[0].len()..].as_ptr(), "and in memory once");
    }

    #[test]
    fn nothing_is_a_valid_member_too() {
        let empty = Block::deflate(b"").expect("deflated");
        assert_eq!(gunzip(&member(&[])), b"");
        assert_eq!(gunzip(&member(&[Part::Block(&empty), Part::Text(b""), Part::Block(&join(&[]).0)])), b"");
        assert!(empty.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_parts_in_any_order_make_one_member(
            noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..6),
            order in prop::collection::vec((0usize..8, 0u8..3), 0..12),
        ) {
            let mut texts = noise;
            texts.push(rows(7, 300));
            texts.push(b"#EXTM3U\n".to_vec());
            let blocks: Vec<_> = texts.iter().map(|text| Block::deflate(text).expect("deflated")).collect();
            let (all, shared) = join(&blocks);
            let order: Vec<_> = order.into_iter().map(|(i, form)| (i % texts.len(), form)).collect();
            let mut parts = vec![Part::Block(&all)];
            parts.extend(order.iter().map(|(i, form)| match form {
                0 => Part::Text(&texts[*i]),
                1 => Part::Block(&blocks[*i]),
                _ => Part::Block(&shared[*i]),
            }));
            let bytes = member(&parts);
            let mut text = texts.concat();
            text.extend(order.iter().flat_map(|(i, _)| texts[*i].clone()));
            prop_assert_eq!(gunzip(&bytes), text);
            let mut separately: Vec<_> = blocks.iter().map(Part::Block).collect();
            separately.extend(order.iter().map(|(i, _)| Part::Block(&blocks[*i])));
            prop_assert_eq!(bytes, member(&separately), "the bytes depend on the text and its borders alone");
        }
    }
}
