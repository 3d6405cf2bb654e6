//! The pure rules: what the words mean and what may happen. No I/O, no async, no clock; randomness and time come in as
//! parameters. Everything here is tested by tables and properties.

#[cfg(test)]
mod cases;
pub mod counter;
pub mod cursor;
pub mod edit;
pub mod event_id;
pub mod ids;
pub mod life_cycle;
pub mod limits;
pub mod merge;
pub mod page;
pub mod permission;
pub mod template;
pub mod text;
pub mod version_vector;
pub mod words;
