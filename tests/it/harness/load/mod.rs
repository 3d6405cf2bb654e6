//! People at work in numbers: clients that never give up, what they were told, and whether the database keeps it.
//!
//! Clients write into one [`Ledger`] whatever an answer said. Three checkers look for broken promises: the ledger in itself
//! (who held what when), the rows of one moment in themselves ([`Facts`]), and those rows against the ledger. They know
//! the promises, not the code that keeps them.

mod client;
mod dice;
mod facts;
mod habits;
mod ledger;
mod promises;
mod saves;
mod witness;

use std::collections::HashMap;

pub(crate) use client::{Client, Door};
pub(crate) use dice::Dice;
pub(crate) use facts::Facts;
pub(crate) use habits::{Crowd, Habits};
pub(crate) use ledger::Ledger;
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;
pub(crate) use witness::Witness;

/// Whether tests under load run in full length: `make faults` says so.
pub(crate) fn in_full() -> bool {
    std::env::var_os("CONCORD_FAULTS").is_some_and(|value| value == "full")
}

/// What people call tasks and one another, for messages.
pub(crate) type Names = HashMap<Uuid, String>;

fn called(names: &Names, id: Uuid) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

/// The UUID in an id of the API.
fn uuid(id: &str) -> Uuid {
    let id: TypeSafeId<DynamicType> = id.parse().unwrap_or_else(|_| panic!("{id} is no id"));
    id.uuid()
}

/// Fails with the first of many broken promises.
#[track_caller]
pub(crate) fn assert_kept(when: &str, broken: &[String]) {
    const SHOWN: usize = 20;
    let first = broken[..broken.len().min(SHOWN)].join("\n  ");
    assert!(broken.is_empty(), "{when}: {} broken promises, the first of them:\n  {first}", broken.len());
}
