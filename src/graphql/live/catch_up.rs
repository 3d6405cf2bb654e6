//! From a subscription's beginning to its seat in a group: what was missed is replayed at the pace of the one who reads it,
//! until it stands where its group does.

use std::sync::Arc;

use crate::{
    domain::{ids::UserId, limits},
    graphql::{
        Api, Caller,
        live::{
            Operation,
            group::{Group, Key, Member, Person},
            sharing::Plan,
        },
    },
    live::{Filter, Next, Notices, Reader},
    repo::{Conn, event::StoredEvent},
    service::{
        ServiceError,
        event::{self, Follow, Rights, Sees},
        project,
    },
};

/// Follows a project for one operation, until its group does so.
pub(super) async fn follow(
    api: &Api,
    caller: Caller,
    operation: &Arc<Operation>,
    wanted: Follow,
    plan: Plan,
) -> Result<(), ServiceError> {
    let signed_out = ServiceError::Unauthenticated("sign in first: send a bearer token or the session cookie");
    let viewer = caller.viewer.ok_or(signed_out)?;
    let app = &api.app;
    let turn = api.live.turns.acquire().await;
    let feed = app.hub.feed(wanted.project);
    // What the rights were looked up as of: whoever loses one after that is found by what follows.
    let mut standing = feed.known_standing();
    // Before the feed is read: nobody makes this process read what they do not see.
    let sees = event::admit(app, &viewer, &wanted).await?;
    let after = wanted.after.take();
    let (reader, resync) = Reader::begin(feed.clone(), after).await?;
    drop(turn);
    let is_personal = sees == Sees::Own || plan.is_personal;
    let mut admin = viewer.user.admin;
    let person = is_personal.then_some(Person { user: viewer.user.id, admin });
    let key = Key { project: wanted.project, sees, person, question: plan.question.clone() };
    let filter = Filter { task: wanted.task, types: wanted.types };
    let mut seat = api.live.groups.seat(api, key, &feed, &filter, &plan, &viewer)?;
    let group = seat.group().clone();
    let notices = Notices::new(app.db.clock().uptime());
    let mut catching_up = CatchingUp { api, operation, group, reader, notices, user: viewer.user.id };
    if let Some(reason) = resync {
        catching_up.notice(Some(reason)).await?;
    }
    loop {
        let next = match catching_up.reader.next().await.map_err(ServiceError::from) {
            Ok(next) => next,
            Err(error) => {
                wait_out(error).await?;
                continue;
            }
        };
        let now = feed.standing();
        if standing != Some(now) {
            app.attendance.know(app, now.sign_ins).await?;
            let rights = catching_up.rights().await?;
            if !catching_up.group.key.suits(rights) {
                operation.begin_anew();
                return Ok(());
            }
            admin = rights.admin;
            standing = Some(now);
        }
        match next {
            Next::Event(event) => catching_up.tell(&event).await?,
            Next::Resync(reason) => catching_up.notice(Some(reason)).await?,
            Next::Nothing => {
                let Some(place) = catching_up.reader.place() else { continue };
                let member = Member { operation: operation.clone(), user: viewer.user.id, admin, seen: place };
                match catching_up.group.enter(seat, &member, now).await {
                    Ok(()) => return Ok(()),
                    Err(given_back) => seat = given_back,
                }
            }
        }
    }
}

struct CatchingUp<'a> {
    api: &'a Api,
    operation: &'a Arc<Operation>,
    group: Arc<Group>,
    reader: Reader,
    notices: Notices,
    user: UserId,
}

impl CatchingUp<'_> {
    /// As what the viewer may follow now.
    async fn rights(&self) -> Result<Rights, ServiceError> {
        let rights = event::who_sees(&self.api.app, self.group.key.project, &[self.user]).await?;
        rights.get(&self.user).copied().ok_or_else(|| project::no_project("projectId"))
    }

    async fn tell(&mut self, event: &Arc<StoredEvent>) -> Result<(), ServiceError> {
        let is_shown = loop {
            match self.group.shows(self.api, event).await {
                Ok(is_shown) => break is_shown,
                Err(error) => wait_out(error).await?,
            }
        };
        if is_shown {
            let rendered = loop {
                match self.group.render(self.api, event).await {
                    Ok(rendered) => break rendered,
                    Err(error) => wait_out(error).await?,
                }
            };
            self.notices.told();
            self.api.app.metrics.events_delivered.inc();
            self.operation.send(rendered.at(self.reader.cursor())).await;
        } else {
            self.notices.filtered();
        }
        if self.notices.is_due(self.api.app.db.clock().uptime()) {
            self.notice(None).await?;
        }
        Ok(())
    }

    async fn notice(&mut self, resync: Option<&'static str>) -> Result<(), ServiceError> {
        let rendered = loop {
            match self.group.notice(self.api, resync).await {
                Ok(rendered) => break rendered,
                Err(error) => wait_out(error).await?,
            }
        };
        self.notices.given(self.api.app.db.clock().uptime());
        self.operation.send(rendered.at(self.reader.cursor())).await;
        Ok(())
    }
}

/// While something needed is away it is waited for: an event is not skipped.
async fn wait_out(error: ServiceError) -> Result<(), ServiceError> {
    match error {
        ServiceError::Unavailable(_) => {
            tokio::time::sleep(limits::EVENT_POLL).await;
            Ok(())
        }
        error => Err(error),
    }
}
