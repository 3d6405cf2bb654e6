//! Version vectors: how much of each author's work a state holds.
//!
//! A vector counts, per actor, the edits of that actor it has seen. Vectors have an epoch, raised when a long one is cut:
//! counters of different epochs say nothing about one another. Over (epoch, counters) vectors are ordered in part, and
//! [`VersionVector::join`] gives the least one that holds two others (a semilattice). In JSON, which is also how it is
//! stored: `{"#": epoch, "<actor>": counter}`.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::limits;

/// The key under which the epoch stands; no actor is called so.
const EPOCH: &str = "#";

/// The actor of what the server itself does: resolving a conflict, cutting a vector.
pub const SERVER: &str = "server";

/// One edit: the how manieth of which actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Whose edit.
    pub actor: String,
    /// From 1, without a gap.
    #[serde(rename = "n")]
    pub counter: i32,
}

impl Dot {
    /// The next edit of `actor`, who has seen `base`.
    #[must_use]
    pub fn after(base: &VersionVector, actor: &str) -> Self {
        Self { actor: actor.to_owned(), counter: base.counter(actor).saturating_add(1) }
    }
}

/// How many edits of each actor have been seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct VersionVector {
    epoch: i32,
    counters: BTreeMap<String, i32>,
}

/// The value is no version vector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VectorError(String);

impl VersionVector {
    /// The vector of the first epoch that has seen nothing.
    #[must_use]
    pub fn first() -> Self {
        Self { epoch: 1, counters: BTreeMap::new() }
    }

    /// From 1; raised when the vector is cut.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// How many edits of `actor` have been seen.
    #[must_use]
    pub fn counter(&self, actor: &str) -> i32 {
        self.counters.get(actor).copied().unwrap_or(0)
    }

    /// How many actors have a counter.
    #[must_use]
    pub fn actors(&self) -> usize {
        self.counters.len()
    }

    /// Whether the edit, of this vector's epoch, has been seen.
    #[must_use]
    pub fn holds(&self, dot: &Dot) -> bool {
        self.counter(&dot.actor) >= dot.counter
    }

    /// This vector, having seen one edit more.
    #[must_use]
    pub fn with(mut self, dot: &Dot) -> Self {
        self.add(dot);
        self
    }

    /// Sees one edit more.
    pub fn add(&mut self, dot: &Dot) {
        let counter = self.counters.entry(dot.actor.clone()).or_default();
        *counter = dot.counter.max(*counter);
    }

    /// The least vector that holds both. Of different epochs the newer one holds the other.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        match self.epoch.cmp(&other.epoch) {
            Ordering::Less => other,
            Ordering::Greater => self,
            Ordering::Equal => {
                other.counters.into_iter().fold(self, |joined, (actor, counter)| joined.with(&Dot { actor, counter }))
            }
        }
    }

    /// How many edits have been seen, of all actors together.
    #[must_use]
    pub fn edits(&self) -> i64 {
        self.counters.values().map(|counter| i64::from(*counter)).sum()
    }

    /// What this vector is cut to when it is too long: the first of the next epoch, which has seen one edit of the
    /// server's and with it all that this one has.
    #[must_use]
    pub fn cut(&self) -> Self {
        Self { epoch: self.epoch.saturating_add(1), counters: BTreeMap::new() }
            .with(&Dot { actor: SERVER.into(), counter: 1 })
    }

    /// This base of `actor`, where it has seen exactly the vector `before` and edits of the actor itself since, after
    /// `before` was [cut](Self::cut); any other base stays as it is.
    #[must_use]
    pub fn carried_over(self, before: &Self, actor: &str) -> Self {
        let own = self.counter(actor) - before.counter(actor);
        let mut seen = before.clone();
        if own > 0 {
            seen = seen.with(&Dot { actor: actor.to_owned(), counter: self.counter(actor) });
        }
        match (seen == self, own) {
            (true, 0) => before.cut(),
            (true, _) => before.cut().with(&Dot { actor: actor.to_owned(), counter: own }),
            (false, _) => self,
        }
    }

    /// The actors of whom this vector has seen more than `base`, and how many edits `base` has seen of each. Both are of
    /// one epoch.
    pub(crate) fn beyond<'v>(&'v self, base: &Self) -> Vec<(&'v str, i32)> {
        let more = self.counters.iter().map(|(actor, counter)| (actor.as_str(), base.counter(actor), *counter));
        more.filter(|(_, seen, counter)| counter > seen).map(|(actor, seen, _)| (actor, seen)).collect()
    }

    /// Whether `other` holds at least all that this one does.
    fn is_within(&self, other: &Self) -> bool {
        self.counters.iter().all(|(actor, counter)| other.counter(actor) >= *counter)
    }
}

/// In part: vectors that each hold something the other does not are not ordered.
impl PartialOrd for VersionVector {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.epoch != other.epoch {
            return Some(self.epoch.cmp(&other.epoch));
        }
        match (self.is_within(other), other.is_within(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

impl TryFrom<Value> for VersionVector {
    type Error = VectorError;

    /// Reads a vector strictly: an epoch, and at most [`limits::VECTOR_ACTORS`] actors and the server with counters, all
    /// from 1.
    fn try_from(value: Value) -> Result<Self, VectorError> {
        let wrong = |what: &str| VectorError(what.to_owned());
        let Value::Object(mut entries) = value else {
            return Err(wrong("must be a version vector such as {\"#\": 1, \"k3v9x2ab\": 4}"));
        };
        let number = |value: &Value| {
            let number = value.as_i64().and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 1);
            number.ok_or_else(|| VectorError(format!("must hold integers from 1 to {}", i32::MAX)))
        };
        let epoch = entries.remove(EPOCH).ok_or_else(|| wrong("must hold its epoch under \"#\""))?;
        let epoch = number(&epoch)?;
        // The server may be one more: a decision is made however many people there were.
        if entries.len() > limits::VECTOR_ACTORS + 1 {
            return Err(VectorError(format!("must hold at most {} actors", limits::VECTOR_ACTORS + 1)));
        }
        let mut counters = BTreeMap::new();
        for (actor, counter) in entries {
            if !is_actor(&actor) {
                let most = limits::ACTOR_CHARS;
                return Err(VectorError(format!("must name actors by 1 to {most} letters and digits")));
            }
            counters.insert(actor, number(&counter)?);
        }
        Ok(Self { epoch, counters })
    }
}

impl From<VersionVector> for Value {
    fn from(vector: VersionVector) -> Self {
        let epoch = (EPOCH.to_owned(), vector.epoch.into());
        let counters = vector.counters.into_iter().map(|(actor, counter)| (actor, counter.into()));
        Self::Object(std::iter::once(epoch).chain(counters).collect::<Map<_, _>>())
    }
}

fn is_actor(text: &str) -> bool {
    (1..=limits::ACTOR_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::cases;

    fn read(value: Value) -> Result<VersionVector, String> {
        VersionVector::try_from(value).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        let many: Map<String, Value> = (0..258).map(|n| (format!("a{n}"), 1.into())).collect();
        let many_with_epoch = |count: usize| {
            let entries = many.clone().into_iter().take(count).chain([("#".to_owned(), json!(1))]);
            Value::Object(entries.collect())
        };
        for (case, value, sound) in [
            ("nothing seen", json!({ "#": 1 }), true),
            ("two actors", json!({ "#": 2, "k3v9x2ab": 4, "server": 1 }), true),
            ("the largest numbers", json!({ "#": i32::MAX, "a": i32::MAX }), true),
            ("as many actors as there may be, and the server", many_with_epoch(257), true),
            ("one actor more", many_with_epoch(258), false),
            ("no epoch", json!({ "a": 1 }), false),
            ("an epoch of 0", json!({ "#": 0, "a": 1 }), false),
            ("a counter of 0", json!({ "#": 1, "a": 0 }), false),
            ("a negative counter", json!({ "#": 1, "a": -1 }), false),
            ("a fraction", json!({ "#": 1, "a": 1.5 }), false),
            ("a counter too large", json!({ "#": 1, "a": 2_147_483_648_i64 }), false),
            ("a text for a counter", json!({ "#": 1, "a": "1" }), false),
            ("an actor without a name", json!({ "#": 1, "": 1 }), false),
            ("an actor with a long name", json!({ "#": 1, "a".repeat(33): 1 }), false),
            ("an actor with a space", json!({ "#": 1, "a b": 1 }), false),
            ("a NUL", json!({ "#": 1, "a\0": 1 }), false),
            ("a list", json!([1, 2]), false),
            ("a text", json!("{\"#\": 1}"), false),
            ("null", json!(null), false),
        ] {
            assert_eq!(read(value.clone()).is_ok(), sound, "{case}");
            if sound {
                assert_eq!(Value::from(read(value.clone()).unwrap()), value, "{case}");
            }
        }
    }

    fn any_vector() -> impl Strategy<Value = VersionVector> {
        let counters = proptest::collection::btree_map("[a-d]", 1..5_i32, 0..4);
        (1..3_i32, counters).prop_map(|(epoch, counters)| VersionVector { epoch, counters })
    }

    proptest! {
        #![proptest_config(cases::many())]

        #[test]
        fn join_is_a_semilattice(a in any_vector(), b in any_vector(), c in any_vector()) {
            prop_assert_eq!(a.clone().join(a.clone()), a.clone());
            prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
            prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.join(b.join(c)));
        }

        #[test]
        fn comparing_is_a_partial_order_whose_least_upper_bound_is_the_join(
            a in any_vector(), b in any_vector(), c in any_vector()
        ) {
            prop_assert!(a <= a);
            prop_assert!(!(a <= b && b <= a) || a == b);
            prop_assert!(!(a <= b && b <= c) || a <= c);
            let joined = a.clone().join(b.clone());
            prop_assert!(a <= joined && b <= joined);
            prop_assert!(!(a <= c && b <= c) || joined <= c);
        }

        #[test]
        fn a_cut_vector_is_newer_than_all_it_had_seen_and_holds_one_edit(a in any_vector(), b in any_vector()) {
            let cut = a.cut();
            prop_assert!(a < cut && (cut.epoch(), cut.edits(), cut.counter(SERVER)) == (a.epoch() + 1, 1, 1));
            prop_assert_eq!(a.clone().join(cut.clone()), cut.clone());
            prop_assert_eq!(b <= a, b < cut && b <= a);
        }

        #[test]
        fn a_base_of_the_vector_that_was_cut_is_carried_over_with_its_actors_own_edits(
            before in any_vector(), actor in "[a-f]", own in 0..4_i32
        ) {
            let with_own = |vector: VersionVector, counter: i32| match counter {
                0 => vector,
                counter => vector.with(&Dot { actor: actor.clone(), counter }),
            };
            let base = with_own(before.clone(), before.counter(&actor) + own);
            prop_assert_eq!(base.carried_over(&before, &actor), with_own(before.cut(), own));
        }

        #[test]
        fn no_other_base_is_carried_over(before in any_vector(), other in any_vector(), actor in "[a-f]") {
            let differs = (0..6_u8).map(|n| char::from(b'a' + n).to_string()).any(|a| {
                if a == actor { other.counter(&a) < before.counter(&a) } else { other.counter(&a) != before.counter(&a) }
            });
            if differs || other.epoch() != before.epoch() {
                prop_assert_eq!(other.clone().carried_over(&before, &actor), other);
            }
        }

        #[test]
        fn what_lies_beyond_a_base_is_what_it_has_not_seen(a in any_vector(), b in any_vector()) {
            let b = VersionVector { epoch: a.epoch, ..b };
            let beyond = a.beyond(&b);
            prop_assert_eq!(beyond.is_empty(), a <= b);
            for (actor, seen) in beyond {
                prop_assert!(seen == b.counter(actor) && a.counter(actor) > seen);
            }
        }

        #[test]
        fn json_gives_the_vector_back(a in any_vector()) {
            prop_assert_eq!(read(Value::from(a.clone())), Ok(a));
        }
    }
}
