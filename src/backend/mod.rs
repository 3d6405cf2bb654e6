//! What has several bodies: the contract in prose, one file a body, one conformance suite that every body passes.

pub mod bus;
pub mod presence;
pub mod queue;
pub mod redis;
pub mod session;
pub mod storage;

#[cfg(test)]
pub(crate) mod servers;
