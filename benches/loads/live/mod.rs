//! Live delivery: what an event costs for each who follows, what following costs while nothing happens, and how long an
//! event takes. Servers, references and those who follow are processes of their own, so that each one's CPU time is its own.

mod delivery;
mod fan_out;
mod frame;
mod idle;
mod part;
mod reference;
mod room;
mod sockets;

pub(crate) use delivery::run as delivery;
pub(crate) use fan_out::run as fan_out;
pub(crate) use idle::run as idle;
pub(crate) use part::play;
