//! A channel's journal, as replay reads it: the records that there are hundreds of thousands of, decoded and folded without Python.
//!
//! What comes in: bytes of a journal file, and how the ledger stands. What goes out: how it stands behind a stretch of them. Never: a file,
//! a record of another kind, a judgement of damage: the fold ends before what it does not know or can't read, and the caller goes on there.

mod fold;
mod lane;
mod record;

pub use fold::{Fold, Part};
pub use lane::Lane;
pub use record::{Blob, Fragment};
