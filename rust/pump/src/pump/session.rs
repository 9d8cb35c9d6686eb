//! What the loop needs of a protocol.

use super::clocks::Clocks;
use super::event::{Answer, Event, Number, Protocol};
use super::further::Further;
use super::shared::Shared;
use pypackager_core::error::{Error, Result};
use pypackager_core::payload::Spill;
use std::io;

/// Where a connection stands; decides how its socket is read and how long that may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Handshake, commands, request heads: read as soon as something comes, answered at once.
    Talking {
        /// Nothing is begun: between requests, or after a publish.
        quiet: bool,
    },
    /// A decision is due; nothing is read.
    Waiting,
    /// Media flows: read at the tick.
    Media,
    /// Nothing more is read; the output is still to be sent.
    Closing,
}

/// Bytes of a connection's open fragments that are in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) total: usize,
    pub(super) largest: usize,
}

/// The way out of a session.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    /// Whom the call is about: the connection, or a further publish of it.
    pub(super) conn: Number,
    pub(super) further: &'a mut Further,
    pub(super) shared: &'a Shared,
    /// Milliseconds since the pump started.
    pub(super) now_ms: u64,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) clocks: &'a mut Clocks,
}

/// How far a connection has come, where a decision on it is due: what another session needs to go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// What it sent.
    pub(super) bytes: Vec<u8>,
    /// How many decisions were taken before.
    pub(super) decided: usize,
}

/// One connection's protocol. Calls that do not fit its state do nothing: the caller may be late.
pub(super) trait Session: Send {
    /// Reads what came.
    fn feed(&mut self, bytes: &[u8], out: &mut Outlet<'_>) -> Result<()>;
    /// Lets the request or publish go on.
    fn accept(&mut self, out: &mut Outlet<'_>) -> Result<()>;
    /// Says on which clock the frames run.
    fn bind(&mut self, _clock: u64, _out: &mut Outlet<'_>) -> Result<()> {
        Ok(())
    }
    /// Answers the request.
    fn respond(&mut self, _answer: &Answer, _out: &mut Outlet<'_>) -> Result<()> {
        Ok(())
    }
    /// Refuses in the words of the protocol.
    fn refuse(&mut self, code: &str, description: &str, out: &mut Outlet<'_>) -> Result<()>;
    /// Ends a further publish in good order.
    fn end(&mut self, _out: &mut Outlet<'_>) -> Result<()> {
        Ok(())
    }
    /// How far it has come, where that can be said again to another session.
    fn opening(&self) -> Option<Opening> {
        None
    }
    /// Bytes of open fragments in memory: of all together and of the largest.
    fn held(&self, _clocks: &Clocks) -> Held {
        Held::default()
    }
    /// Stores the largest and gives the bytes stored; when that fails the fragment is given up with a warning, and the rest goes on.
    fn spill(&mut self, _spill: &mut dyn Spill, _out: &mut Outlet<'_>) -> usize {
        0
    }
    /// Takes the end of the input; an error when it is not the place for it.
    fn end_of_input(&mut self, out: &mut Outlet<'_>) -> Result<()>;
    /// Tells the peer what went wrong, where the protocol has a place for it.
    fn fail(&mut self, error: &Error);
    /// Hands over what is complete and lets go of everything shared.
    fn detach(&mut self, out: &mut Outlet<'_>);
    /// Bytes for the peer.
    fn take_output(&mut self) -> Vec<u8>;
    /// Where it stands.
    fn state(&self) -> State;
}

/// A fragment for which there is neither memory nor disk.
pub(super) fn spill_failed(bytes: usize, error: &io::Error) -> Error {
    let detail = format!("{bytes} bytes of an open fragment are above max_held and could not be stored: {error}");
    Error::new("SPILL_FAILED", 0, detail).with_status(507)
}
