//! The object types of the API, one file a noun. A resolver's docs are the API's docs.

pub(super) mod annotation;
pub(super) mod asset;
pub(super) mod conflict;
pub(super) mod connection;
pub(super) mod event;
pub(super) mod geometry;
pub(super) mod job;
pub(super) mod kind;
pub(super) mod node;
pub(super) mod presence;
pub(super) mod project;
pub(super) mod review;
pub(super) mod scalars;
pub(super) mod session;
pub(super) mod snapshot;
pub(super) mod task;
pub(super) mod template;
pub(super) mod user;
pub(super) mod words;
