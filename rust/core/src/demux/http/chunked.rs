//! The chunked transfer coding (RFC 9112 7.1): extensions and trailers are read over, everything else must be exact.

use crate::error::{Error, Result};

/// Decoder of one body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of the chunk-size line or of the trailer section so far: both are bounded.
    line: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size { value: u64, digits: bool },
    Extension { value: u64 },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { value: 0, digits: false }
    }
}

impl Chunked {
    /// Consumes framing and at most one run of data: the number of bytes consumed, and the data at their end.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<(usize, &'a [u8])> {
        let mut at = 0;
        while at < input.len() && !self.ended() {
            if let State::Data { left } = self.state {
                let taken = usize::try_from(left).map_or(input.len() - at, |left| left.min(input.len() - at));
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                return Ok((at + taken, &input[at..at + taken]));
            }
            self.state = self.take(input[at]).map_err(|error| error.at(at as u64))?;
            at += 1;
        }
        Ok((at, &[]))
    }

    /// Whether the last chunk and the trailer section have been read.
    pub fn ended(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// One byte of framing.
    fn take(&mut self, byte: u8) -> Result<State> {
        self.line += 1;
        if self.line > LINE_LIMIT {
            return Err(Error::new(
                "HTTP_CHUNK",
                0,
                format!("a chunk header or trailer of more than {LINE_LIMIT} bytes"),
            ));
        }
        let state = match (self.state, byte) {
            (State::Size { value, .. }, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16).unwrap_or(0);
                let value = value.checked_mul(16).and_then(|value| value.checked_add(u64::from(digit)));
                let value = value.ok_or_else(|| Error::new("HTTP_CHUNK", 0, "a chunk size beyond 64 bits"))?;
                State::Size { value, digits: true }
            }
            (State::Size { value, digits: true } | State::Extension { value }, b'\r') => State::SizeLf { value },
            // RFC 9112 7.1.1 with the blanks some senders put in front of the semicolon.
            (State::Size { value, digits: true }, b';' | b' ' | b'\t') => State::Extension { value },
            (State::Extension { value }, byte) if byte != b'\n' => State::Extension { value },
            (State::SizeLf { value: 0 } | State::TrailerLf, b'\n') => State::TrailerStart,
            (State::SizeLf { value }, b'\n') => {
                self.line = 0;
                State::Data { left: value }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.line = 0;
                State::default()
            }
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::Trailer, byte) if byte != b'\n' && byte != b'\r' => State::Trailer,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::EndLf, b'\n') => State::End,
            (state, byte) => return Err(Error::new("HTTP_CHUNK", 0, format!("byte {byte:#04x} in {}", state.name()))),
        };
        Ok(state)
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Size { .. } | Self::Extension { .. } | Self::SizeLf { .. } => "a chunk size line",
            Self::Data { .. } | Self::DataCr | Self::DataLf => "the line end behind a chunk",
            Self::TrailerStart | Self::Trailer | Self::TrailerLf | Self::EndLf | Self::End => "the trailer section",
        }
    }
}

const LINE_LIMIT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8]) -> Result<(Vec<u8>, usize, bool)> {
        let (mut chunked, mut data, mut at) = (Chunked::default(), Vec::new(), 0);
        while at < input.len() && !chunked.ended() {
            let (taken, piece) = chunked.next(&input[at..])?;
            data.extend_from_slice(piece);
            at += taken;
        }
        Ok((data, at, chunked.ended()))
    }

    #[test]
    fn bodies_end_exactly_where_they_end() {
        let table: [(&[u8], &[u8]); 4] = [
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"005;name=\"v\"\r\nhello\r\n1 ;x\r\n!\r\n0;last\r\nDigest: x\r\nA: b\r\n\r\n", b"hello!"),
            (b"0\r\n\r\n", b""),
            (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
        ];
        for (input, data) in table {
            let followed = [input, b"POST"].concat();
            assert_eq!(decode(&followed).unwrap(), (data.to_vec(), input.len(), true));
            assert!(!decode(&input[..input.len() - 1]).unwrap().2);
        }
    }

    #[test]
    fn inexact_framing_is_refused() {
        let long = [b"1;".as_slice(), &[b'x'; 5000]].concat();
        let table: [&[u8]; 12] = [
            b"\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"5\nhello",
            b"5;x\nhello",
            b"1\r\nhi\r\n",
            b"1\r\nh\n",
            b"10000000000000000\r\n",
            b"0\r\n\n",
            &long,
        ];
        for input in table {
            assert_eq!(decode(input).unwrap_err().code, "HTTP_CHUNK", "{input:?}");
        }
    }
}
