//! Those who asked the same about a project's events and see the same: an event is executed once for all of them.
//!
//! A group has one way through the events, on the path that the project's feed has in this process. Whoever stands where
//! the group stands can sit down in it; from then on they are told what it is told. It ends with its last member.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use prometheus::IntGauge;
use tokio::sync::Notify;

use crate::{
    domain::{
        ids::{ProjectId, UserId},
        limits,
    },
    graphql::{
        Api, error,
        live::{
            Operation, Part,
            render::{Rendered, Renderer},
            sharing::{Plan, Question},
        },
        types::event::Event,
    },
    live::{Feed, Filter, Next, Notices, Reader, Sight, Standing},
    repo::{Conn, Scope, event::StoredEvent},
    service::{
        ServiceError, Viewer,
        event::{self, Rights, Sees},
        project,
    },
};

/// Which group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) project: ProjectId,
    pub(super) sees: Sees,
    /// Whose own it is: of who sees not what others see, and of what depends on who asks.
    pub(super) person: Option<Person>,
    pub(super) question: Question,
}

/// Somebody as whom events are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Person {
    pub(super) user: UserId,
    pub(super) admin: bool,
}

impl Key {
    /// Whether somebody with these rights is told here what they would be told alone.
    pub(super) fn suits(&self, rights: Rights) -> bool {
        rights.sees == self.sees && self.person.is_none_or(|person| person.admin == rights.admin)
    }
}

/// The groups of this process.
pub(super) struct Groups {
    alive: Arc<Mutex<HashMap<Key, Arc<Group>>>>,
    /// What was executed lately, by group, event, and how much was known of the project then.
    rendered: Cache<(u64, i32, i64, u64), Arc<Rendered>>,
    names: AtomicU64,
}

impl Default for Groups {
    fn default() -> Self {
        let weight = |_: &_, rendered: &Arc<Rendered>| u32::try_from(rendered.len() + 200).unwrap_or(u32::MAX);
        let rendered = Cache::builder().max_capacity(limits::RENDERED_BYTES).weigher(weight);
        Self {
            alive: Arc::default(),
            rendered: rendered.time_to_idle(Duration::from_secs(60)).build(),
            names: AtomicU64::new(0),
        }
    }
}

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    name: u64,
    pub(super) key: Key,
    pub(super) filter: Filter,
    feed: Arc<Feed>,
    renderer: tokio::sync::Mutex<Renderer>,
    hall: Mutex<Hall>,
    /// The last member has left.
    empty: Notify,
    /// It is on the path again.
    back: Notify,
}

/// Who is in a group, and where the group stands.
#[derive(Debug)]
struct Hall {
    /// How many events of the path are behind it; none while it is so slow that it has left the path.
    at: Option<u64>,
    /// By seat: in the order in which they came, in which their connections lie in memory.
    members: BTreeMap<u64, Member>,
    /// The number of the standing that the rights of all members were looked at as of.
    looked: u64,
    /// Members and those who are on their way here.
    seats: usize,
    /// The last one has left: nobody may come any more.
    ended: bool,
    next_seat: u64,
}

impl Hall {
    fn operations(&self, which: impl Fn(&Member) -> bool) -> Vec<Arc<Operation>> {
        self.members.values().filter(|member| which(member)).map(|member| member.operation.clone()).collect()
    }
}

/// Who is told what a group is told.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) operation: Arc<Operation>,
    pub(super) user: UserId,
    /// Whether it was as an admin that they were last let in.
    pub(super) admin: bool,
    /// How many events of the path they have seen.
    pub(super) seen: u64,
}

/// A place in a group, for somebody on their way and then in it.
#[derive(Debug)]
pub(super) struct Seat {
    group: Arc<Group>,
    number: u64,
    alive: Arc<Mutex<HashMap<Key, Arc<Group>>>>,
    taken: IntGauge,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.dec();
        let member;
        {
            let mut alive = lock(&self.alive);
            let mut hall = self.group.hall();
            member = hall.members.remove(&self.number);
            hall.seats -= 1;
            if hall.seats == 0 && !hall.ended {
                hall.ended = true;
                alive.remove(&self.group.key);
                self.group.empty.notify_one();
            }
        }
        drop(member);
    }
}

impl Seat {
    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Groups {
    /// A seat in the group of that key, which begins with its first.
    pub(super) fn seat(
        &self,
        api: &Api,
        key: Key,
        feed: &Arc<Feed>,
        filter: &Filter,
        plan: &Plan,
        viewer: &Viewer,
    ) -> Result<Seat, ServiceError> {
        let mut alive = lock(&self.alive);
        let group = match alive.get(&key) {
            Some(group) => group.clone(),
            None => {
                let reader = Reader::at_present(feed.clone()).ok_or_else(|| project::no_project("projectId"))?;
                let standing = feed.standing();
                let (person, scope) = match key.person {
                    Some(_) => (Some(viewer.clone()), viewer.scope()),
                    None => (None, Scope::all_of(key.project)),
                };
                let group = Arc::new(Group {
                    name: self.names.fetch_add(1, Ordering::Relaxed),
                    filter: filter.clone(),
                    feed: feed.clone(),
                    renderer: tokio::sync::Mutex::new(Renderer::new(plan.clone(), person, scope)),
                    hall: Mutex::new(Hall {
                        at: reader.place(),
                        members: BTreeMap::new(),
                        looked: standing.number,
                        seats: 0,
                        ended: false,
                        next_seat: 0,
                    }),
                    empty: Notify::new(),
                    back: Notify::new(),
                    key: key.clone(),
                });
                alive.insert(key, group.clone());
                tokio::spawn(go_on(api.clone(), group.clone(), reader, standing));
                group
            }
        };
        let number = {
            let mut hall = group.hall();
            hall.seats += 1;
            hall.next_seat += 1;
            hall.next_seat
        };
        let taken = api.app.metrics.subscriptions.clone();
        taken.inc();
        Ok(Seat { group, number, alive: self.alive.clone(), taken })
    }
}

/// Tells a part to many. What it writes it writes here: others have their turn in between.
async fn tell(operations: &[Arc<Operation>], part: &Part) {
    for (turn, some) in operations.chunks(limits::TOLD_IN_A_TURN).enumerate() {
        if turn > 0 {
            tokio::task::yield_now().await;
        }
        some.iter().for_each(|operation| operation.tell(part.clone()));
    }
}

impl Group {
    fn hall(&self) -> MutexGuard<'_, Hall> {
        lock(&self.hall)
    }

    /// Sits down, if the group is not further on and has not looked at rights since the member's were, as of `standing`;
    /// else the seat is given back, to go on reading.
    pub(super) async fn enter(&self, seat: Seat, member: &Member, standing: Standing) -> Result<(), Seat> {
        loop {
            let back = self.back.notified();
            tokio::pin!(back);
            back.as_mut().enable();
            {
                let mut hall = self.hall();
                if standing.number < hall.looked {
                    return Err(seat);
                }
                match hall.at {
                    Some(at) if member.seen < at => return Err(seat),
                    Some(_) => {
                        hall.members.insert(seat.number, member.clone());
                        break;
                    }
                    None => {}
                }
            }
            back.await;
        }
        member.operation.sits(seat);
        Ok(())
    }

    /// Whether an event is shown here.
    pub(super) async fn shows(&self, api: &Api, event: &StoredEvent) -> Result<bool, ServiceError> {
        if !self.filter.passes(event) {
            return Ok(false);
        }
        let sight = match (self.key.sees, self.key.person) {
            (Sees::Own, Some(person)) => event::own_sight(&api.app, person.user, &[event]).await?,
            _ => Sight::All,
        };
        Ok(sight.shows(event))
    }

    /// Executes an event, or takes what was executed of it while the project was as it is now.
    pub(super) async fn render(&self, api: &Api, event: &Arc<StoredEvent>) -> Result<Arc<Rendered>, ServiceError> {
        let key = (self.name, event.stream, event.position, self.feed.end());
        // Boxed: of all who catch up few execute.
        let execute = Box::pin(async { self.renderer.lock().await.event(api, event).await.map(Arc::new) });
        let rendered = api.live.groups.rendered.try_get_with(key, execute).await;
        rendered.map_err(|error: Arc<ServiceError>| error::shared(&error))
    }

    /// Executes what is no event: a position, or that it had to be given up.
    pub(super) async fn notice(&self, api: &Api, resync: Option<&'static str>) -> Result<Rendered, ServiceError> {
        let notice = Event::notice(self.key.project, api.app.db.clock().process_now(), resync);
        let mut renderer = self.renderer.lock().await;
        Box::pin(renderer.notice(api, notice)).await
    }

    /// Moves to a place on the path, or off it, and tells those who have not seen it yet what happened there.
    /// Gives how many were told.
    async fn move_to(&self, place: Option<u64>, part: Option<&Part>) -> u64 {
        let mut left = Vec::new();
        let mut to_tell = Vec::new();
        {
            let mut hall = self.hall();
            if let (Some(at), None) = (hall.at, place) {
                // Where the others are going they would miss what is between.
                left = hall.operations(|member| member.seen > at);
            }
            if part.is_some() {
                to_tell = hall.operations(|member| place.is_none_or(|place| member.seen < place));
            }
            let is_back = hall.at.is_none() && place.is_some();
            hall.at = place;
            if is_back {
                self.back.notify_waiters();
            }
        }
        left.iter().for_each(|operation| operation.give_up());
        if let Some(part) = part {
            tell(&to_tell, part).await;
        }
        to_tell.len() as u64
    }

    /// Tells those who are where it is something that is no event.
    async fn announce(&self, part: &Part) {
        let here = {
            let hall = self.hall();
            hall.operations(|member| hall.at.is_none_or(|at| member.seen <= at))
        };
        tell(&here, part).await;
    }

    /// Tells everybody why they are told nothing more.
    fn fail(&self, api: &Api, error: ServiceError) {
        let members = std::mem::take(&mut self.hall().members);
        if !members.is_empty() {
            let error = error::of(error);
            members.into_values().for_each(|member| member.operation.refuse(api, error.clone()));
        }
    }

    /// The members whose rights have to be looked at again. From now on nobody is let in whose rights were last looked at
    /// before `standing`.
    fn members_as_of(&self, standing: Standing, only_admins: bool) -> BTreeSet<UserId> {
        let mut hall = self.hall();
        hall.looked = standing.number;
        // Who waits here goes and looks.
        self.back.notify_waiters();
        let members = hall.members.values().filter(|member| member.admin || !only_admins);
        members.map(|member| member.user).collect()
    }

    /// Looks at rights again, of everybody or of those who are here as admins; who has lost them is told so and nothing
    /// more.
    async fn look_at_rights(&self, api: &Api, standing: Standing, only_admins: bool) -> Result<(), ServiceError> {
        let users = self.members_as_of(standing, only_admins);
        if users.is_empty() {
            return Ok(());
        }
        let rights = Vec::from_iter(users.iter().copied());
        let rights = event::who_sees(&api.app, self.key.project, &rights).await?;
        let mut gone = Vec::new();
        {
            let mut hall = self.hall();
            // Who came meanwhile was looked at then.
            for member in hall.members.values_mut().filter(|member| users.contains(&member.user)) {
                match rights.get(&member.user) {
                    Some(rights) if self.key.suits(*rights) => member.admin = rights.admin,
                    others => gone.push((member.operation.clone(), others.is_some())),
                }
            }
        }
        for (operation, sees_otherwise) in gone {
            if sees_otherwise {
                // They begin anew with what they see now.
                operation.begin_anew();
            } else {
                let error = error::of(project::no_project("projectId"));
                operation.refuse(api, error);
            }
        }
        Ok(())
    }
}

/// The way of a group through the events.
async fn go_on(api: Api, group: Arc<Group>, reader: Reader, standing: Standing) {
    let clock = api.app.db.clock();
    let notices = Notices::new(clock.uptime());
    let mut way = Way { api: &api, group: &group, reader, standing, notices, next: None };
    loop {
        let step = tokio::select! {
            () = group.empty.notified() => return,
            step = way.step() => step,
        };
        match step {
            Ok(true) => {}
            Ok(false) => tokio::select! {
                () = group.empty.notified() => return,
                () = way.reader.wait() => {}
                () = clock.sleep_until(way.notices.due()) => {}
            },
            Err(error) => {
                match error {
                    ServiceError::Unavailable(_) => {
                        tracing::debug!(%error, project = %group.key.project, "a subscription waits");
                    }
                    error => group.fail(&api, error),
                }
                tokio::select! {
                    () = group.empty.notified() => return,
                    () = tokio::time::sleep(limits::EVENT_POLL) => {}
                }
            }
        }
    }
}

struct Way<'g> {
    api: &'g Api,
    group: &'g Group,
    reader: Reader,
    /// The rights of all members were looked at as of then.
    standing: Standing,
    notices: Notices,
    /// What was read and not told.
    next: Option<Next>,
}

impl Way<'_> {
    /// One thing told to all; whether there was one. After an error it is tried again.
    async fn step(&mut self) -> Result<bool, ServiceError> {
        let Self { api, group, .. } = *self;
        if self.next.is_none() && self.notices.is_due(api.app.db.clock().uptime()) {
            let rendered = group.notice(api, None).await?;
            self.notices.given(api.app.db.clock().uptime());
            group.announce(&rendered.at(self.reader.cursor())).await;
        }
        let next = match self.next.take() {
            Some(next) => next,
            None => self.reader.next().await?,
        };
        let next = self.next.insert(next);
        let now = group.feed.standing();
        if now.sign_ins != self.standing.sign_ins {
            api.app.attendance.know(&api.app, now.sign_ins).await?;
        }
        if now != self.standing {
            // With sign-ins an admin's rights may have ended, and nobody else's in a project.
            group.look_at_rights(api, now, now.rights == self.standing.rights).await?;
        }
        self.standing = now;
        let mut part = None;
        let was_nothing = match next {
            Next::Nothing => true,
            Next::Resync(reason) => {
                let rendered = group.notice(api, Some(reason)).await?;
                part = Some(rendered.at(self.reader.cursor()));
                false
            }
            Next::Event(event) => {
                if group.shows(api, event).await? {
                    part = Some(group.render(api, event).await?.at(self.reader.cursor()));
                }
                false
            }
        };
        match (&part, was_nothing) {
            (Some(_), _) => self.notices.told(),
            (None, false) => self.notices.filtered(),
            (None, true) => {}
        }
        let told = group.move_to(self.reader.place(), part.as_ref()).await;
        api.app.metrics.events_delivered.inc_by(told);
        self.next = None;
        if was_nothing {
            group.feed.goes_on()?;
        }
        Ok(!was_nothing)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use async_graphql::Variables;
    use futures::poll;

    use super::*;
    use crate::{
        backend::bus::Alone,
        graphql::Outbox,
        live::Hub,
        repo::{Connect, Db},
    };

    const FIRST: Standing = Standing { number: 1, rights: 1, sign_ins: 0 };
    const SECOND: Standing = Standing { number: 2, rights: 2, sign_ins: 0 };

    /// A group that stands somewhere, with a seat for each of so many.
    async fn group(at: Option<u64>, seats: u64) -> (Arc<Group>, Vec<Seat>) {
        let db = Db::connect(&Connect { url: "sqlite::memory:".to_owned(), max_connections: 1, pooled: false })
            .await
            .unwrap();
        let project = ProjectId::generate();
        let question = Question { query: String::new(), operation: None, variables: String::new() };
        let plan = Plan { question: question.clone(), is_personal: false, variables: Variables::default() };
        let group = Arc::new(Group {
            name: 0,
            key: Key { project, sees: Sees::All, person: None, question },
            filter: Filter::default(),
            feed: Hub::new(db, Arc::new(Alone)).feed(project),
            renderer: tokio::sync::Mutex::new(Renderer::new(plan, None, Scope::all_of(project))),
            hall: Mutex::new(Hall {
                at,
                members: BTreeMap::new(),
                looked: FIRST.number,
                seats: usize::try_from(seats).unwrap(),
                ended: false,
                next_seat: seats,
            }),
            empty: Notify::new(),
            back: Notify::new(),
        });
        let taken = IntGauge::new("seats", "Seats.").unwrap();
        let seat = |number| Seat { group: group.clone(), number, alive: Arc::default(), taken: taken.clone() };
        let seats = (0..seats).map(seat).collect();
        (group, seats)
    }

    fn member(seen: u64, admin: bool) -> Member {
        Member { operation: Operation::new("1", Outbox::new(1_000)), user: UserId::generate(), admin, seen }
    }

    #[tokio::test]
    async fn whose_rights_were_looked_at_before_the_group_looked_is_not_let_in() {
        let (group, mut seats) = group(None, 3).await;
        let (early, late) = (member(5, false), member(5, false));
        // Waits until the group is back on the path.
        let mut entering = Box::pin(group.enter(seats.pop().unwrap(), &early, FIRST));
        assert!(poll!(&mut entering).is_pending());
        assert!(group.members_as_of(SECOND, false).is_empty());
        let entered = poll!(&mut entering);
        assert!(matches!(entered, Poll::Ready(Err(_))), "nobody has looked at what they lost since: {entered:?}");
        group.move_to(Some(1), None).await;
        assert!(group.enter(seats.pop().unwrap(), &early, FIRST).await.is_err());
        assert!(group.enter(seats.pop().unwrap(), &late, SECOND).await.is_ok());
        assert_eq!(group.members_as_of(SECOND, false), BTreeSet::from([late.user]));
    }

    #[tokio::test]
    async fn with_sign_ins_only_the_rights_of_admins_are_looked_at() {
        let (group, mut seats) = group(Some(0), 2).await;
        let (admin, other) = (member(0, true), member(0, false));
        for member in [&admin, &other] {
            assert!(group.enter(seats.pop().unwrap(), member, FIRST).await.is_ok());
        }
        assert_eq!(group.members_as_of(SECOND, true), BTreeSet::from([admin.user]));
        assert_eq!(group.members_as_of(SECOND, false), BTreeSet::from([admin.user, other.user]));
    }

    #[test]
    fn what_is_executed_as_somebody_suits_them_only_while_they_are_the_same() {
        let key = |person| Key {
            project: ProjectId::generate(),
            sees: Sees::All,
            person,
            question: Question { query: String::new(), operation: None, variables: String::new() },
        };
        let (admin, other) = (Rights { sees: Sees::All, admin: true }, Rights { sees: Sees::All, admin: false });
        let own = key(Some(Person { user: UserId::generate(), admin: true }));
        assert!(own.suits(admin) && !own.suits(other));
        assert!(key(None).suits(admin) && key(None).suits(other));
        assert!(!key(None).suits(Rights { sees: Sees::Own, admin: false }));
    }
}
