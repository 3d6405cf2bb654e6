//! Concord: a live labeling server. The rooms and who may use whom are drawn in CONTRIBUTING.md and held by
//! `tests/layering.rs`.

pub mod app;
pub mod backend;
pub mod cli;
pub mod config;
pub mod domain;
pub mod format;
pub mod graphql;
pub mod http;
pub mod kind;
pub mod live;
pub mod repo;
pub mod service;
pub mod telemetry;
pub mod worker;
