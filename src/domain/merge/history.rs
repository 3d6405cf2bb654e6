//! For tests: what several people do to one annotation, as it comes. They look or do not, send edits before the answers to
//! those in front of them, send again what they sent, come late, and decide about siblings; now and then the vector is cut.

use std::fmt;

use proptest::{collection, option, prelude::*, sample::select};
use serde_json::json;

use super::{
    ledger::{Ledger, Number, content, edit, patch},
    *,
};

const ACTORS: [&str; 12] = ["ana", "ben", "eva", "ida", "jan", "kim", "leo", "mia", "noa", "oda", "pia", "zoe"];

/// What somebody does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Sends an edit.
    Edit { actor: usize, look: Look, change: Change<Number>, fence: Fence },
    /// Sends again one of the edits sent so far.
    Again(usize),
    /// Decides about one of the open siblings.
    Resolve { which: usize, decision: Decision<Number>, back: usize },
    /// Cuts the vector.
    Cut,
}

/// What the author of an edit looks at before it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// The state as it is now.
    AtNow,
    /// Nothing new.
    Away,
    /// The state so many revisions ago, which somebody had kept.
    Back(usize),
}

/// What is there at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moment {
    pub(super) stored: Option<Stored<Number>>,
    pub(super) siblings: Vec<Sibling<Number>>,
}

impl Moment {
    fn of(ledger: &Ledger) -> Self {
        Self { stored: ledger.stored.clone(), siblings: ledger.siblings.clone() }
    }
}

/// What was done.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are edits")]
pub(super) enum Deed {
    Edit { edit: Edit<Number>, fence: Fence, outcome: Outcome<Number> },
    Resolve { index: usize, patch: Patch<Number>, answer: Result<(Dot, Vec<Field>), Rejection> },
    Cut,
}

/// An edit as its author sent it, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) actor: &'static str,
    pub(super) base: VersionVector,
    pub(super) change: Change<Number>,
    /// The edit as it was understood.
    pub(super) edit: Edit<Number>,
    pub(super) outcome: Outcome<Number>,
}

/// Deeds, each between two moments, and all that is known after them.
#[derive(Clone, Default)]
pub(super) struct History {
    steps: Vec<Step>,
    pub(super) ledger: Ledger,
    deeds: Vec<Deed>,
    /// Before the first deed and after each.
    moments: Vec<Moment>,
    pub(super) sent: Vec<Sent>,
    /// What each actor has seen, with the edits it sent since.
    views: [Option<VersionVector>; ACTORS.len()],
}

/// What led to all the rest.
impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.fmt(f)
    }
}

impl History {
    fn of(steps: Vec<Step>) -> Self {
        let mut history = Self { steps: steps.clone(), moments: vec![Moment::default()], ..Self::default() };
        steps.into_iter().for_each(|step| history.take(step));
        history
    }

    /// Each deed with the moments before and after it.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Moment, &Deed, &Moment)> {
        let moments = self.moments.iter().zip(self.moments.iter().skip(1));
        moments.zip(&self.deeds).map(|((before, after), deed)| (before, deed, after))
    }

    /// Each edit that was accepted, with the moments before and after it.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (&Moment, &Edit<Number>, &Accepted<Number>, &Moment)> {
        self.each().filter_map(|(before, deed, after)| match deed {
            Deed::Edit { edit, outcome: Outcome::Accepted(accepted), .. } => Some((before, edit, accepted, after)),
            _ => None,
        })
    }

    /// The state, where there is an annotation.
    pub(super) fn stored(&self) -> Option<Stored<Number>> {
        self.ledger.stored.clone()
    }

    /// The base of an edit of `actor` who looked as said. Nobody forgets an edit of their own, or an epoch.
    fn base(&self, actor: usize, look: Look) -> VersionVector {
        let (name, view) = (ACTORS[actor], self.views[actor].as_ref());
        let seen = match (look, view) {
            (Look::Away, Some(view)) => return view.clone(),
            (Look::AtNow, _) => self.ledger.vector_back(0),
            (Look::Back(back), _) => self.ledger.vector_back(back),
            (Look::Away, None) => self.ledger.vector_back(usize::MAX),
        };
        let seen = self.ledger.known_to(name, &seen);
        match view {
            Some(view) if view.epoch() > seen.epoch() => view.clone(),
            Some(view) if view.epoch() == seen.epoch() && view.counter(name) > 0 => {
                seen.with(&Dot { actor: name.into(), counter: view.counter(name) })
            }
            _ => seen,
        }
    }

    /// Whether an actor of that name has gone on to a later epoch: what was refused in `epoch` is then taken back for good.
    fn has_left(&self, name: &str, epoch: i32) -> bool {
        let view =
            ACTORS.iter().zip(&self.views).find(|(actor, _)| **actor == name).and_then(|(_, view)| view.as_ref());
        view.is_some_and(|view| view.epoch() > epoch)
    }

    /// An edit of `actor`, who looked as said, as the service understands it.
    pub(super) fn edit(&self, actor: usize, look: Look, change: &Change<Number>) -> Edit<Number> {
        self.ledger.edit(ACTORS[actor], &self.base(actor, look), change.clone())
    }

    fn take(&mut self, step: Step) {
        let siblings = &self.ledger.siblings;
        let deed = match step {
            Step::Edit { actor, look, change, fence } => {
                let base = match change {
                    Change::Create(_) => VersionVector::first(),
                    Change::Write(_) => self.base(actor, look),
                };
                let is_write = matches!(change, Change::Write(_));
                let deed = self.send(ACTORS[actor], &base, change, fence);
                if matches!(deed, Deed::Edit { outcome: Outcome::Accepted(_), .. }) {
                    let dot = Dot::after(&base, ACTORS[actor]);
                    self.views[actor] = Some(base.with(&dot));
                } else if is_write {
                    // Who is refused has seen what they wrote on all the same.
                    self.views[actor] = Some(base);
                }
                deed
            }
            Step::Again(which) => {
                let Some(at) = which.checked_rem(self.sent.len()) else { return };
                let Sent { actor, base, change, outcome, .. } = self.sent[at].clone();
                if matches!(outcome, Outcome::Rejected(_)) && self.has_left(actor, base.epoch()) {
                    return;
                }
                self.send(actor, &base, change, Fence::Holds)
            }
            Step::Resolve { which, decision, back } => {
                let Some(index) = which.checked_rem(siblings.len()) else { return };
                let base = self.ledger.vector_back(back);
                let patch = decision.patch(&siblings[index].patch);
                let answer = self.ledger.resolve(index, &base, &patch);
                Deed::Resolve { index, patch, answer }
            }
            Step::Cut if self.ledger.stored.is_none() => return,
            Step::Cut => {
                self.ledger.cut();
                Deed::Cut
            }
        };
        self.deeds.push(deed);
        self.moments.push(Moment::of(&self.ledger));
    }

    fn send(&mut self, actor: &'static str, base: &VersionVector, change: Change<Number>, fence: Fence) -> Deed {
        let edit = match change {
            Change::Create(_) => edit(actor, base, change.clone()),
            Change::Write(_) => self.ledger.edit(actor, base, change.clone()),
        };
        let outcome = self.ledger.take_under(&edit, fence);
        self.sent.push(Sent { actor, base: base.clone(), change, edit: edit.clone(), outcome: outcome.clone() });
        Deed::Edit { edit, fence, outcome }
    }
}

/// A patch of some fields. A geometry of 100 breaks the rules, one of 50 does not go with the label "dot".
pub(super) fn any_patch() -> BoxedStrategy<Patch<Number>> {
    let label = option::weighted(0.4, select(vec!["car", "van", "dot"]));
    let geometry = option::of(select(vec![1, 2, 3, 4, 50, 100]));
    let attribute = || option::weighted(0.3, select(vec![json!("A"), json!("B"), json!(null)]));
    let fields = (label, geometry, attribute(), attribute()).prop_map(|(label, geometry, plate, parked)| {
        let named = [("plate", plate), ("parked", parked)];
        let attributes = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let patch = Patch { label: label.map(str::to_owned), geometry, attributes, deleted: None };
        if patch.is_empty() { Patch { geometry: Some(5), ..patch } } else { patch }
    });
    fields.boxed()
}

/// An edit of what is there.
pub(super) fn any_write() -> BoxedStrategy<Change<Number>> {
    let patch = prop_oneof![
        8 => any_patch(),
        1 => Just(Patch::deleted(true)),
        1 => Just(Patch::deleted(false)),
    ];
    patch.prop_map(Change::Write).boxed()
}

fn any_creation() -> BoxedStrategy<Change<Number>> {
    let said = (select(vec!["car", "dot"]), select(vec![1, 2, 50]));
    said.prop_map(|(label, geometry)| Change::Create(content(label, geometry))).boxed()
}

pub(super) fn any_look() -> impl Strategy<Value = Look> {
    prop_oneof![3 => Just(Look::AtNow), 4 => Just(Look::Away), 2 => (0..5_usize).prop_map(Look::Back)]
}

pub(super) fn any_fence() -> impl Strategy<Value = Fence> {
    select(vec![Fence::Holds, Fence::Holds, Fence::Holds, Fence::Holds, Fence::Holds, Fence::Ended, Fence::Closed])
}

fn any_step(actors: usize) -> impl Strategy<Value = Step> {
    let edit = |change| {
        let edit = (0..actors, any_look(), change, any_fence());
        edit.prop_map(|(actor, look, change, fence)| Step::Edit { actor, look, change, fence }).boxed()
    };
    let decision = prop_oneof![
        1 => Just(Decision::Current),
        2 => Just(Decision::Incoming),
        1 => any_patch().prop_map(Decision::Merged),
    ];
    let resolve = (0..8_usize, decision, select(vec![0, 0, 0, 1, 2]))
        .prop_map(|(which, decision, back)| Step::Resolve { which, decision, back })
        .boxed();
    prop_oneof![
        12 => edit(any_write()),
        1 => edit(any_creation()),
        2 => (0..16_usize).prop_map(Step::Again),
        2 => resolve,
        1 => Just(Step::Cut),
    ]
}

/// What some of three people do, from a creation on.
pub(super) fn any_history() -> impl Strategy<Value = History> {
    any_history_of(3, 12)
}

/// What some of so many people do, in at most so many steps after a creation.
pub(super) fn any_history_of(actors: usize, steps: usize) -> impl Strategy<Value = History> {
    let fence = select(vec![Fence::Holds, Fence::Holds, Fence::Holds, Fence::Holds, Fence::Ended]);
    (any_creation(), fence, collection::vec(any_step(actors), 1..=steps)).prop_map(|(change, fence, mut steps)| {
        steps.insert(0, Step::Edit { actor: 0, look: Look::AtNow, change, fence });
        History::of(steps)
    })
}

/// A rename, to something that is everywhere in order.
pub(super) fn rename(label: &str) -> Change<Number> {
    patch(Some(label), None, &json!({}))
}
