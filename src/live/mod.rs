//! Event streams: appending to them inside the transaction of a change, reading on from a cursor, and following them live.
//! Beside them who is in a task, which is in no stream.

mod append;
mod follow;
mod hub;
mod presence;
mod read;
mod sight;

pub use append::Changes;
pub use follow::{Filter, Follower, Told};
pub use hub::{Hub, Watch};
pub use presence::{Presence, PresenceWatch};
pub use read::{Position, Replay, cursor, replay};
pub use sight::{Sight, places_of};
