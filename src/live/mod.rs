//! Event streams: appending to them inside the transaction of a change, reading on from a cursor, and following them live.

mod append;
mod follow;
mod hub;
mod read;
mod sight;

pub use append::Changes;
pub use follow::{Filter, Follower, Told};
pub use hub::{Hub, Watch};
pub use read::{Position, Replay, cursor, replay};
pub use sight::{Sight, places_of};
