//! Placeholder.
/// s
#[derive(Clone, Debug)]
pub struct Snapshot;
