//! What Redis holds of the queue of a project, all under one hash tag, and the scripts that change it.
//!
//! `front`: the first slots of the queue. `flight`: slots that a claim took out, by the time at which they come back.
//! `state`: `extent`, up to where the front is complete, with the flight: what waits before it is in them, what waits
//! behind it is not. `offered` and `forgotten`: what changed while somebody looks at the database.

use std::{collections::HashSet, time::Duration};

use deadpool_redis::redis::{Cmd, Script, ScriptInvocation, cmd};

use super::member;
use crate::{
    backend::redis::{Away, Redis, millis},
    domain::{ids::ProjectId, limits},
    repo::queue::Position,
};

/// Up to where the front is complete when it holds all that waits: behind every member.
const ALL: &str = "z";

/// What a claim took out of the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// In the queue's order.
    pub(super) positions: Vec<Position>,
    /// Slots that are left in the front.
    pub(super) left: usize,
    /// Whether more wait than the front holds.
    pub(super) is_part: bool,
}

/// How much of the queue the front holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Nobody knows.
    Unknown,
    /// Its first part.
    Part,
    /// All that waits.
    All,
}

/// A look at the database, under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look<'a> {
    pub(super) project: ProjectId,
    /// Whose it is: no other look has the same.
    pub(super) token: &'a str,
}

/// Up to where a front is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// As far as it was before.
    Before,
    /// With the slot that waits here.
    Here(Position),
    /// All that waits.
    End,
}

/// One part of what a look found.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    /// Members of the front that do not wait.
    pub(super) ghosts: &'a [String],
    /// Slots that wait, in the queue's order.
    pub(super) missing: &'a [Position],
    /// Up to where the front is complete with this part.
    pub(super) until: Until,
    /// Whether it is the last one.
    pub(super) is_last: bool,
}

/// The index of all projects.
#[derive(Debug)]
pub(super) struct Index {
    redis: Redis,
    scripts: Scripts,
}

#[derive(Debug)]
struct Scripts {
    take: Script,
    offer: Script,
    forget: Script,
    begin: Script,
    mend: Script,
}

impl Index {
    pub(super) fn new(redis: Redis) -> Self {
        let scripts = Scripts {
            take: Script::new(include_str!("take.lua")),
            offer: Script::new(include_str!("offer.lua")),
            forget: Script::new(include_str!("forget.lua")),
            begin: Script::new(include_str!("begin.lua")),
            mend: Script::new(include_str!("mend.lua")),
        };
        Self { redis, scripts }
    }

    /// Takes the first slots out; none when nobody knows what waits.
    pub(super) async fn take(&self, project: ProjectId, slots: usize) -> Result<Option<Taken>, Away> {
        let mut call = of_project(&self.scripts.take, project);
        call.arg(slots).arg(millis(limits::FRONT_FLIGHT)).arg(limits::FRONT_COME_BACK).arg(millis(limits::FRONT_KEPT));
        let answer: Option<Vec<String>> = self.redis.run_once(&call).await?;
        let Some(answer) = answer else { return Ok(None) };
        let [left, extent, members @ ..] = answer.as_slice() else { return Ok(None) };
        Ok(Some(Taken {
            positions: members.iter().filter_map(|member| member::read(member)).collect(),
            left: left.parse().unwrap_or(0),
            is_part: extent != ALL,
        }))
    }

    /// Puts slots that wait in their places.
    pub(super) async fn offer(&self, project: ProjectId, positions: &[Position]) -> Result<(), Away> {
        for positions in positions.chunks(limits::FRONT_BATCH) {
            let mut call = of_project(&self.scripts.offer, project);
            call.arg(limits::FRONT_SLOTS).arg(millis(limits::FRONT_KEPT)).arg(members(positions));
            self.redis.run::<i64>(&call).await?;
        }
        Ok(())
    }

    /// Takes slots out that do not wait there any more.
    pub(super) async fn forget(&self, project: ProjectId, positions: &[Position]) -> Result<(), Away> {
        for positions in positions.chunks(limits::FRONT_BATCH) {
            let mut call = of_project(&self.scripts.forget, project);
            call.arg(limits::FRONT_SLOTS).arg(members(positions));
            self.redis.run::<i64>(&call).await?;
        }
        Ok(())
    }

    /// Begins a look, unless another one is under way or ended less than `pause` ago.
    pub(super) async fn begin(&self, look: Look<'_>, pause: Duration) -> Result<bool, Away> {
        let mut call = of_project(&self.scripts.begin, look.project);
        call.arg(look.token).arg(millis(limits::FRONT_LOOK_TIME)).arg(millis(pause));
        // Once: when it ran without an answer, the repetition would find a look under way.
        Ok(self.redis.run_once::<i64>(&call).await? == 1)
    }

    /// Puts a part of what a look found in; whether it is still this look's turn.
    pub(super) async fn mend(&self, look: Look<'_>, part: &Part<'_>) -> Result<bool, Away> {
        let mut call = of_project(&self.scripts.mend, look.project);
        call.arg(look.token).arg(limits::FRONT_SLOTS).arg(millis(limits::FRONT_KEPT)).arg(i32::from(part.is_last));
        call.arg(match part.until {
            Until::Before => String::new(),
            Until::Here(position) => member::write(&position),
            Until::End => ALL.to_owned(),
        });
        call.arg(part.ghosts.len()).arg(part.ghosts).arg(members(part.missing));
        Ok(self.redis.run_once::<i64>(&call).await? == 1)
    }

    /// What the front holds, as it is written.
    pub(super) async fn front(&self, project: ProjectId) -> Result<HashSet<String>, Away> {
        self.redis.ask(&all_of("front", project)).await
    }

    /// What is in flight, as it is written.
    pub(super) async fn flight(&self, project: ProjectId) -> Result<HashSet<String>, Away> {
        self.redis.ask(&all_of("flight", project)).await
    }

    /// How many slots are in the front and in flight.
    pub(super) async fn sizes(&self, project: ProjectId) -> Result<(i64, i64), Away> {
        let size = |part| cmd("ZCARD").arg(key(project, part)).to_owned();
        Ok((self.redis.ask(&size("front")).await?, self.redis.ask(&size("flight")).await?))
    }

    /// How much of the queue the front holds, and up to where.
    pub(super) async fn extent(&self, project: ProjectId) -> Result<(Extent, Option<Position>), Away> {
        let extent = cmd("HGET").arg(key(project, "state")).arg("extent").to_owned();
        let extent: Option<String> = self.redis.ask(&extent).await?;
        Ok(match extent.as_deref() {
            None => (Extent::Unknown, None),
            Some(ALL) => (Extent::All, None),
            Some(member) => (Extent::Part, member::read(member)),
        })
    }

    /// Forgets all of a project.
    pub(super) async fn drop_all(&self, project: ProjectId) -> Result<(), Away> {
        let keys: Vec<String> = PARTS.iter().map(|part| key(project, part)).collect();
        self.redis.ask::<i64>(cmd("DEL").arg(keys)).await?;
        Ok(())
    }
}

const PARTS: [&str; 5] = ["front", "flight", "state", "offered", "forgotten"];

fn key(project: ProjectId, part: &str) -> String {
    format!("queue:{{{project}}}:{part}")
}

fn of_project(script: &Script, project: ProjectId) -> ScriptInvocation<'_> {
    let mut call = script.prepare_invoke();
    for part in PARTS {
        call.key(key(project, part));
    }
    call
}

fn all_of(part: &str, project: ProjectId) -> Cmd {
    cmd("ZRANGE").arg(key(project, part)).arg(0).arg(-1).to_owned()
}

fn members(positions: &[Position]) -> Vec<String> {
    positions.iter().map(member::write).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        backend::servers::redis::{shared, shared_cluster},
        config::RedisAddress,
        domain::ids::TaskId,
    };

    /// The index in one node and in a Cluster, and a project of the test's own.
    fn indexes() -> [(Index, ProjectId); 2] {
        [shared().url(), shared_cluster().url()].map(|url| {
            let redis = Redis::new(&RedisAddress::parse(&url).unwrap()).unwrap();
            (Index::new(redis), ProjectId::generate())
        })
    }

    fn at(queue_number: i64) -> Position {
        Position { priority: 0, queue_number, task: TaskId(Uuid::from_u128(7)), number: 1 }
    }

    fn places(positions: &[Position]) -> Vec<i64> {
        positions.iter().map(|position| position.queue_number).collect()
    }

    /// What is in the front, in its order.
    async fn front(index: &Index, project: ProjectId) -> Vec<i64> {
        let mut members: Vec<String> = index.front(project).await.unwrap().into_iter().collect();
        members.sort();
        places(&members.iter().map(|member| member::read(member).unwrap()).collect::<Vec<_>>())
    }

    async fn take(index: &Index, project: ProjectId, slots: usize) -> Vec<i64> {
        places(&index.take(project, slots).await.unwrap().unwrap().positions)
    }

    /// A look that finds these, and no more.
    async fn fill(index: &Index, project: ProjectId, found: &[i64], until: Until) {
        let look = Look { project, token: "fill" };
        assert!(index.begin(look, Duration::ZERO).await.unwrap());
        let missing: Vec<Position> = found.iter().copied().map(at).collect();
        assert!(index.mend(look, &Part { ghosts: &[], missing: &missing, until, is_last: true }).await.unwrap());
    }

    #[tokio::test]
    async fn slots_are_taken_in_the_order_of_the_queue_and_by_one_alone() {
        for (index, project) in indexes() {
            assert_eq!(index.take(project, 1).await.unwrap(), None, "nobody knows what waits");
            fill(&index, project, &[3, 1, 2], Until::End).await;
            let urgent = Position { priority: 1, ..at(4) };
            index.offer(project, &[urgent]).await.unwrap();
            let taken = index.take(project, 2).await.unwrap().unwrap();
            assert_eq!(taken, Taken { positions: vec![urgent, at(1)], left: 2, is_part: false });
            assert_eq!(take(&index, project, 5).await, [2, 3]);
            assert_eq!(take(&index, project, 5).await, [0; 0]);
            assert_eq!(index.sizes(project).await.unwrap(), (0, 4));
            index.offer(project, &[at(2)]).await.unwrap();
            index.forget(project, &[at(1), at(3), urgent]).await.unwrap();
            assert_eq!(index.sizes(project).await.unwrap(), (1, 0), "one was given back, three are done with");
        }
    }

    #[tokio::test]
    async fn what_is_not_heard_of_comes_back_in_time() {
        for (index, project) in indexes() {
            fill(&index, project, &[1, 2], Until::End).await;
            assert_eq!(take(&index, project, 1).await, [1]);
            // Its time is over.
            let long_ago = cmd("ZADD").arg(key(project, "flight")).arg(1).arg(member::write(&at(1))).to_owned();
            index.redis.ask::<i64>(&long_ago).await.unwrap();
            assert_eq!(take(&index, project, 2).await, [1, 2]);
        }
    }

    #[tokio::test]
    async fn what_waits_behind_a_part_stays_out_of_it() {
        for (index, project) in indexes() {
            fill(&index, project, &[1, 5], Until::Here(at(5))).await;
            index.offer(project, &[at(3), at(6)]).await.unwrap();
            assert_eq!(front(&index, project).await, [1, 3, 5]);
            assert_eq!(index.extent(project).await.unwrap(), (Extent::Part, Some(at(5))));
            // Also when its last one has gone.
            index.forget(project, &[at(5)]).await.unwrap();
            index.offer(project, &[at(4), at(6)]).await.unwrap();
            assert_eq!(front(&index, project).await, [1, 3, 4]);
            fill(&index, project, &[6], Until::End).await;
            index.offer(project, &[at(7)]).await.unwrap();
            assert_eq!(front(&index, project).await, [1, 3, 4, 6, 7]);
        }
    }

    #[tokio::test]
    async fn a_front_never_holds_more_than_it_may() {
        for (index, project) in indexes() {
            fill(&index, project, &[], Until::End).await;
            let many: Vec<Position> = (0..=limits::FRONT_SLOTS as i64).map(at).collect();
            index.offer(project, &many).await.unwrap();
            let last = at(limits::FRONT_SLOTS as i64 - 1);
            assert_eq!(index.extent(project).await.unwrap(), (Extent::Part, Some(last)));
            index.offer(project, &[at(-1)]).await.unwrap();
            assert_eq!(index.sizes(project).await.unwrap(), (limits::FRONT_SLOTS as i64, 0));
            assert_eq!(take(&index, project, 1).await, [-1], "the last one made room");
        }
    }

    #[tokio::test]
    async fn a_look_keeps_what_changed_while_it_looked() {
        for (index, project) in indexes() {
            fill(&index, project, &[1, 2, 3, 9], Until::Here(at(9))).await;
            let look = Look { project, token: "first" };
            assert!(index.begin(look, Duration::ZERO).await.unwrap());
            assert!(!index.begin(Look { token: "second", ..look }, Duration::ZERO).await.unwrap(), "one at a time");
            // The database is read here: 1, 2, 3 and 8 wait, nothing else; then this happens.
            assert_eq!(take(&index, project, 1).await, [1]);
            index.forget(project, &[at(2)]).await.unwrap();
            index.offer(project, &[at(9), at(10), at(12)]).await.unwrap();
            let ghosts = [member::write(&at(9))];
            let missing = [1, 2, 3, 8].map(at);
            let part = |token, is_last| {
                let part = Part { ghosts: &ghosts, missing: &missing, until: Until::Here(at(11)), is_last };
                let index = &index;
                async move { index.mend(Look { token, ..look }, &part).await.unwrap() }
            };
            assert!(!part("second", true).await, "it is not theirs");
            assert!(part("first", false).await);
            assert!(part("first", true).await);
            assert_eq!(front(&index, project).await, [3, 8, 9, 10], "1 is in flight, 2 is leased, 12 is behind");
            assert!(!part("first", true).await, "it has ended");
            assert!(!index.begin(look, Duration::from_secs(60)).await.unwrap(), "one ended a moment ago");
        }
    }

    #[tokio::test]
    async fn what_another_left_without_a_state_is_not_believed() {
        for (index, project) in indexes() {
            fill(&index, project, &[1], Until::End).await;
            index.redis.ask::<i64>(cmd("DEL").arg(key(project, "state"))).await.unwrap();
            assert_eq!(index.take(project, 1).await.unwrap(), None);
            index.offer(project, &[at(2)]).await.unwrap();
            fill(&index, project, &[3], Until::End).await;
            assert_eq!(front(&index, project).await, [3]);
        }
    }

    #[tokio::test]
    async fn nothing_is_kept_for_ever() {
        for (index, project) in indexes() {
            fill(&index, project, &[1, 2], Until::End).await;
            take(&index, project, 1).await;
            for part in ["front", "flight", "state"] {
                let left: i64 = index.redis.ask(cmd("PTTL").arg(key(project, part))).await.unwrap();
                assert!(left > 0, "{part}: {left}");
            }
        }
    }
}
