//! Hints between the replicas of one installation: that something was committed, or that who is in a task has changed.
//!
//! Contract: a hint is told to the others, not to whoever tells it, and only to those who follow its topic at the time. It
//! comes at most once and may be lost; several of one topic may come as one. Nothing is true because a hint says so: it says
//! where to look. Whoever may have missed some hears [`Heard::Gap`] as soon as that is known, also after it began to follow;
//! beside that everybody looks by themselves every few seconds, so a lost hint costs seconds and nothing else. Telling
//! never waits.

mod alone;
#[cfg(test)]
mod conformance;
mod redis;

use std::collections::BTreeMap;

pub use alone::Alone;
pub use redis::RedisBus;

use crate::domain::ids::{ProjectId, TaskId};

/// What hints are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The event streams of a project.
    Events(ProjectId),
    /// Who is in a task.
    Presence(TaskId),
    /// Ways in, of everybody.
    SignIns,
}

/// A hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The project's streams have events up to these positions, by the stream's number.
    Events(ProjectId, BTreeMap<i32, i64>),
    /// Somebody came, went or selected something else.
    Presence {
        /// In this task.
        task: TaskId,
        /// Whether other fences may hold, too.
        turned: bool,
    },
    /// Somebody's way in ended, or their rights on the whole server changed.
    SignIns,
}

impl Hint {
    /// What it is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Self::Events(project, _) => Topic::Events(*project),
            Self::Presence { task, .. } => Topic::Presence(*task),
            Self::SignIns => Topic::SignIns,
        }
    }

    /// This one and another of the same topic, as one.
    #[must_use]
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Events(project, mut tops), Self::Events(_, others)) => {
                for (stream, top) in others {
                    tops.entry(stream).and_modify(|is| *is = top.max(*is)).or_insert(top);
                }
                Self::Events(project, tops)
            }
            (Self::Presence { task, turned }, Self::Presence { turned: also, .. }) => {
                Self::Presence { task, turned: turned || also }
            }
            (_, other) => other,
        }
    }
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Another replica told it.
    Hint(Hint),
    /// Hints may have been lost, of any topic.
    Gap,
}

/// Who is called with what is heard. Must not block.
pub type Listener = Box<dyn Fn(Heard) + Send + Sync>;

/// The way to the other replicas.
pub trait Bus: Send + Sync {
    /// From now on `listener` is called with what is heard. The first one stays.
    fn hear(&self, listener: Listener);

    /// Hears of a topic, until it was left as often as it was followed.
    fn follow(&self, topic: Topic);

    /// Follows a topic no longer.
    fn leave(&self, topic: Topic);

    /// Tells the others.
    fn tell(&self, hint: Hint);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_of_one_topic_become_one() {
        let project = ProjectId::generate();
        let events = |tops: &[(i32, i64)]| Hint::Events(project, tops.iter().copied().collect());
        assert_eq!(
            events(&[(0, 3), (1, 9)]).joined(events(&[(0, 5), (1, 2), (7, 1)])),
            events(&[(0, 5), (1, 9), (7, 1)])
        );
        let task = TaskId::generate();
        let presence = |turned| Hint::Presence { task, turned };
        assert_eq!(presence(true).joined(presence(false)), presence(true));
        assert_eq!(presence(false).joined(presence(false)), presence(false));
    }
}
