//! The contract of the schema.
fn main() {}
