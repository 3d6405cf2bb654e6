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
    live::{Feed, Filter, Next, Notices, Reader, Standing},
    repo::{Conn, event::StoredEvent},
    service::{
        ServiceError, Viewer,
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
    let feed = app.hub.feed(wanted.project);
    let (mut standing, sees, reader, resync) = wait_out!(begin(api, &viewer, &feed, &wanted).await)?;
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
        let next = wait_out!(catching_up.reader.next().await.map_err(ServiceError::from))?;
        let now = feed.standing();
        if standing != Some(now) {
            let rights = wait_out!(catching_up.rights(now).await)?;
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

/// Looks whether the viewer may follow, and as what; and where to begin, and why there if it is not where they wanted.
async fn begin(
    api: &Api,
    viewer: &Viewer,
    feed: &Arc<Feed>,
    wanted: &Follow,
) -> Result<(Option<Standing>, Sees, Reader, Option<&'static str>), ServiceError> {
    // What the rights were looked up as of: whoever loses one after that is found by what follows.
    let standing = feed.known_standing();
    // Before the feed is read: nobody makes this process read what they do not see.
    let sees = event::admit(&api.app, viewer, wanted).await?;
    let (reader, resync) = Reader::begin(feed.clone(), wanted.after.clone()).await?;
    Ok((standing, sees, reader, resync))
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
    /// As what the viewer may follow, if they still may, as of a standing.
    async fn rights(&self, standing: Standing) -> Result<Rights, ServiceError> {
        self.api.app.attendance.know(&self.api.app, standing.sign_ins).await?;
        let rights = event::rights(&self.api.app, self.user, self.group.key.project).await?;
        rights.ok_or_else(|| project::no_project("projectId"))
    }

    async fn tell(&mut self, event: &Arc<StoredEvent>) -> Result<(), ServiceError> {
        if wait_out!(self.group.shows(self.api, event).await)? {
            let rendered = wait_out!(self.group.render(self.api, event).await)?;
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
        let rendered = wait_out!(self.group.notice(self.api, resync).await)?;
        self.notices.given(self.api.app.db.clock().uptime());
        self.operation.send(rendered.at(self.reader.cursor())).await;
        Ok(())
    }
}
