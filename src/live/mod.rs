//! Event streams: appending to them inside the transaction of a change, reading on from a cursor, and following them live.
//! Beside them who is in a task, which is in no stream.

mod append;
mod feed;
mod hub;
mod pages;
mod presence;
mod read;
mod reader;
mod sight;
mod tell;

pub use append::Changes;
pub use feed::{Feed, Standing};
pub use hub::Hub;
pub use presence::{Presence, PresenceWatch};
pub use read::{Position, Replay, cursor, replay};
pub use reader::{Next, Reader};
pub use sight::{Sight, places_of};
pub use tell::{Filter, Notices, Told};
