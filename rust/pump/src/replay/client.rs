//! The encoder's side of an ingest protocol, sans-IO.

use super::source::Next;
use super::stats::Fault;

/// One connection's protocol. `out` takes what is to be sent.
pub(super) trait Client {
    /// Says hello.
    fn open(&mut self, out: &mut Vec<u8>);

    /// Reads what the other side says.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault>;

    /// Whether media may be sent.
    fn is_open(&self) -> bool;

    /// Sends samples.
    fn send(&mut self, next: &Next<'_>, out: &mut Vec<u8>);

    /// Sends what is no media.
    fn noise(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// Says good-bye.
    fn close(&mut self, out: &mut Vec<u8>);

    /// Whether our side of the connection ends with the good-bye; else the last answer comes on it.
    fn hangs_up(&self) -> bool;

    /// The other side closed the connection: whether all was well.
    fn ended(&mut self) -> Result<Ending, Fault>;

    /// Whether the other side said its last word after [`Self::close`].
    fn is_done(&self) -> bool;

    /// Whether the other side asked who pushes, and a new connection can say so.
    fn wants_login(&self) -> bool;

    /// What the other side answered since the last call, for a person.
    fn answer(&mut self) -> Option<String>;
}

/// An end of a connection that is no fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The stream's.
    Done,
    /// The hello was taken; the stream wants a connection of its own.
    Probed,
    /// The other side wants to know who pushes: a new connection says so.
    Challenged,
}
