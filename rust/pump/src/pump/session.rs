//! What the loop needs of a protocol.

use super::clocks::Clocks;
use super::event::{Answer, Event, Number};
use pypackager_core::error::{Error, Result};

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

/// The way out of a session.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    pub(super) conn: Number,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) clocks: &'a mut Clocks,
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
    fn refuse(&mut self, code: &str, description: &str);
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
