//! Event streams: appending to them inside the transaction of a change, and reading on from a cursor.

mod append;
mod read;

pub use append::Changes;
pub use read::{Position, Replay, cursor, replay};
