//! People who edit the same annotations at the same time, and a checker of what became of it.
//!
//! Each [`Client`] works on a bad line to two servers and keeps notes: the [`Book`]. The checker reads the notes of all and
//! what is there in the end, and knows the promises, not the code that keeps them.

mod book;
mod checker;
mod client;
mod line;
mod names;
mod play;
mod replica;
mod words;

pub(crate) use book::{Book, End};
pub(crate) use checker::broken_promises;
pub(crate) use client::{Client, tools};
pub(crate) use line::Line;
pub(crate) use play::{Play, Step};
pub(crate) use replica::{Replica, Shared};
pub(crate) use words::{CONTENT, annotation};
