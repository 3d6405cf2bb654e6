//! Event streams: appending to them inside the transaction of a change, and reading on from a cursor.

mod append;
mod read;
mod sight;

pub use append::Changes;
pub use read::{Position, Replay, cursor, replay};
pub use sight::{Sight, places_of};
