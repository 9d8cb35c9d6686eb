//! TLS between a socket and its session.
//!
//! What comes in: bytes of the socket, bytes of the session. What goes out: each in the other's form. Never: a look at a socket or the clock.

use pypackager_core::error::{Error, Result};
use rustls::{AlertDescription, ServerConfig, ServerConnection};
use std::io::{BufRead, Write};
use std::sync::Arc;

/// One connection's TLS.
pub(super) struct Tls {
    connection: ServerConnection,
    /// Whether a byte came.
    heard: bool,
    /// A fault or our own farewell: the peer is told nothing more.
    over: bool,
    /// The peer said farewell: of what the socket still brings nothing is the session's.
    ended: bool,
}

impl Tls {
    pub(super) fn new(config: Arc<ServerConfig>) -> std::result::Result<Self, rustls::Error> {
        let mut connection = ServerConnection::new(config)?;
        // What is written goes out at once, and the connection bounds what its peer leaves unread.
        connection.set_buffer_limit(None);
        Ok(Self { connection, heard: false, over: false, ended: false })
    }

    /// Whether the handshake is still under way.
    pub(super) fn is_shaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether any byte came.
    pub(super) fn heard(&self) -> bool {
        self.heard
    }

    /// Whether the peer has said that nothing more comes (close_notify, RFC 8446 6.1).
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes what the socket brought. What is for the session is appended to `plain`, also before a fault; what is for the peer to `output`.
    pub(super) fn read(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<()> {
        self.heard = true;
        let read = self.unseal(&mut sealed, plain);
        self.pull(output);
        self.over |= read.is_err();
        read
    }

    /// What the session has for its peer, appended to `output` as it is to be sent.
    pub(super) fn write(&mut self, bytes: &[u8], output: &mut Vec<u8>) {
        // Before the end of the handshake there is nobody to tell.
        if bytes.is_empty() || self.over || self.is_shaking() {
            return;
        }
        // It writes to memory.
        let _ = self.connection.writer().write_all(bytes);
        self.pull(output);
    }

    /// Says that nothing more comes from here.
    pub(super) fn close(&mut self, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.over, true) {
            self.connection.send_close_notify();
            self.pull(output);
        }
    }

    fn unseal(&mut self, sealed: &mut &[u8], plain: &mut Vec<u8>) -> Result<()> {
        while !sealed.is_empty() && !self.ended {
            let shaking = self.is_shaking();
            if let Err(error) = self.connection.read_tls(sealed) {
                let code = if shaking { "TLS_HANDSHAKE" } else { "TLS_RECORD" };
                return Err(Error::new(code, 0, error.to_string()));
            }
            let result = self.connection.process_new_packets();
            let mut reader = self.connection.reader();
            while let Ok(content @ [_, ..]) = reader.fill_buf() {
                plain.extend_from_slice(content);
                let count = content.len();
                reader.consume(count);
            }
            let state = result.map_err(|error| judge(&error, shaking))?;
            self.ended = state.peer_has_closed();
        }
        Ok(())
    }

    fn pull(&mut self, output: &mut Vec<u8>) {
        // It writes to memory.
        while self.connection.wants_write() && self.connection.write_tls(output).is_ok() {}
    }
}

/// Refuses what does not begin as TLS does: a record begins with its type, and the first one is of a handshake (RFC 8446 5.1).
pub(super) fn refuse_plain(begin: &[u8]) -> Result<()> {
    let detail = match begin {
        [] | [HANDSHAKE, ..] => return Ok(()),
        [RTMP, ..] => {
            "not TLS but RTMP in the clear came to a port of RTMPS: push to rtmps://, or to a port of listen.rtmp"
        }
        [b'A'..=b'Z', ..] => {
            "not TLS but HTTP in the clear came to a port of HTTPS: push to https://, or to a port of listen.ingest"
        }
        [other, ..] => return Err(Error::new("TLS_HANDSHAKE", 0, format!("not TLS: the first byte is {other}"))),
    };
    Err(Error::new("TLS_HANDSHAKE", 0, detail))
}

fn judge(error: &rustls::Error, shaking: bool) -> Error {
    use AlertDescription as Alert;
    match error {
        rustls::Error::NoCertificatesPresented => Error::new(
            "TLS_CLIENT_CERTIFICATE",
            0,
            "the encoder shows no certificate, and ingest_client_ca demands one",
        ),
        rustls::Error::InvalidCertificate(reason) => {
            let detail = format!("the encoder's certificate is none that ingest_client_ca vouches for: {reason}");
            Error::new("TLS_CLIENT_CERTIFICATE", 0, detail)
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown),
        ) => Error::new("TLS_HANDSHAKE", 0, format!("the encoder does not accept our certificate ({alert:?})")),
        other => Error::new(if shaking { "TLS_HANDSHAKE" } else { "TLS_RECORD" }, 0, other.to_string()),
    }
}

/// First byte of a record of the handshake.
const HANDSHAKE: u8 = 22;
/// First byte of RTMP: its version.
const RTMP: u8 = 3;
