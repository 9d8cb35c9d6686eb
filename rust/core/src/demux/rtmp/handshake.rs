//! The handshake (RTMP 1.0 5.2) from the server's side, plain or with the digest of Flash-era clients.
//!
//! In: C0, C1, C2. Out: S0, S1, S2. Never: encryption (RTMPE), a clock or a source of chance: what the protocol calls random is derived
//! from C1, since neither side uses it as a secret.
//!
//! A client that wants the digest sets a version in C1 and hides an HMAC-SHA256 of the rest of C1 in it, at a place that four bytes name,
//! in the second half (schema 0) or in the first (schema 1). The answer uses the schema of the client. A C1 whose digest does not verify
//! gets the plain answer, an echo, as from a server that knows no digest.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Length of C1, S1, C2 and S2.
pub const PACKET: usize = 1536;

/// The answer to C1: S0, S1 and S2 in one.
pub fn answer(c1: &[u8; PACKET]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 2 * PACKET);
    out.push(3);
    let mut s1 = derived_bytes(c1);
    s1[..8].fill(0);
    match find_digest(c1) {
        None => {
            out.extend_from_slice(&s1);
            out.extend_from_slice(c1);
        }
        Some((scheme, digest)) => {
            s1[4..8].copy_from_slice(&SERVER_VERSION);
            let at = digest_position(&s1, scheme);
            let own = digest_without(&s1, at, &SERVER_KEY[..SERVER_NAME]);
            s1[at..at + DIGEST].copy_from_slice(&own);
            out.extend_from_slice(&s1);
            let mut s2 = derived_bytes(&s1);
            let key = hmac(&SERVER_KEY, &[&digest]);
            let proof = hmac(&key, &[&s2[..PACKET - DIGEST]]);
            s2[PACKET - DIGEST..].copy_from_slice(&proof);
            out.extend_from_slice(&s2);
        }
    }
    out
}

/// Which of the two places of C1 holds its digest, as the offset of the four bytes that name the place, with the digest.
fn find_digest(c1: &[u8; PACKET]) -> Option<(usize, [u8; DIGEST])> {
    if c1[4..8] == [0; 4] {
        return None;
    }
    SCHEMES.into_iter().find_map(|scheme| {
        let at = digest_position(c1, scheme);
        let expected = digest_without(c1, at, CLIENT_NAME);
        (c1[at..at + DIGEST] == expected).then_some((scheme, expected))
    })
}

fn digest_position(packet: &[u8; PACKET], scheme: usize) -> usize {
    let sum: usize = packet[scheme..scheme + 4].iter().map(|&byte| usize::from(byte)).sum();
    scheme + 4 + sum % 728
}

fn digest_without(packet: &[u8; PACKET], at: usize, key: &[u8]) -> [u8; DIGEST] {
    hmac(key, &[&packet[..at], &packet[at + DIGEST..]])
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    // Keys longer than a block are hashed first (RFC 2104 2), so every length is accepted.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn derived_bytes(seed: &[u8]) -> [u8; PACKET] {
    let mut bytes = [0; PACKET];
    let mut block: [u8; DIGEST] = Sha256::digest(seed).into();
    for part in bytes.chunks_exact_mut(DIGEST) {
        part.copy_from_slice(&block);
        block = Sha256::digest(block).into();
    }
    bytes
}

const DIGEST: usize = 32;
/// Offsets of the four bytes that name the place of the digest: schema 0 (key block first), schema 1 (digest block first).
const SCHEMES: [usize; 2] = [772, 8];
/// A version from which clients expect a digest in S1 (they compare it with 3).
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];
const SERVER_NAME: usize = 36;
const CLIENT_NAME: &[u8] = b"Genuine Adobe Flash Player 001";
/// The server's name, then the 32 bytes that both sides' keys end with.
const SERVER_KEY: [u8; 68] = *b"Genuine Adobe Flash Media Server 001\
    \xF0\xEE\xC2\x4A\x80\x68\xBE\xE8\x2E\x00\xD0\xD1\x02\x9E\x7E\x57\
    \x6E\xEC\x5D\x2D\x29\x80\x6F\xAB\x93\xB8\xE6\x36\xCF\xEB\x31\xAE";

#[cfg(test)]
mod tests {
    use super::*;

    fn client_packet(scheme: Option<usize>) -> [u8; PACKET] {
        let mut c1 = derived_bytes(b"client");
        c1[..4].copy_from_slice(&[0, 0, 1, 2]);
        c1[4..8].copy_from_slice(&[0; 4]);
        if let Some(scheme) = scheme {
            c1[4..8].copy_from_slice(&[9, 0, 124, 2]);
            let at = digest_position(&c1, scheme);
            let digest = digest_without(&c1, at, CLIENT_NAME);
            c1[at..at + DIGEST].copy_from_slice(&digest);
        }
        c1
    }

    #[test]
    fn a_plain_client_gets_its_echo() {
        let c1 = client_packet(None);
        let out = answer(&c1);
        assert_eq!(out.len(), 1 + 2 * PACKET);
        assert_eq!((out[0], &out[1..9], &out[1 + PACKET..]), (3, &[0; 8][..], &c1[..]));
    }

    #[test]
    fn a_digest_client_gets_a_digest_in_its_schema_and_a_proof() {
        for scheme in SCHEMES {
            let c1 = client_packet(Some(scheme));
            let out = answer(&c1);
            let s1: &[u8; PACKET] = out[1..=PACKET].try_into().expect("length");
            let at = digest_position(s1, scheme);
            assert_eq!(s1[at..at + DIGEST], digest_without(s1, at, &SERVER_KEY[..SERVER_NAME]));
            let at = digest_position(&c1, scheme);
            let key = hmac(&SERVER_KEY, &[&c1[at..at + DIGEST]]);
            let s2 = &out[1 + PACKET..];
            assert_eq!(s2[PACKET - DIGEST..], hmac(&key, &[&s2[..PACKET - DIGEST]]));
        }
    }

    #[test]
    fn a_wrong_digest_gets_the_plain_answer() {
        let mut c1 = client_packet(Some(8));
        c1[1000] ^= 1;
        assert_eq!(answer(&c1)[1 + PACKET..], c1);
    }
}
