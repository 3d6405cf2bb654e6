//! From a subscription's beginning to its seat in a group: what was missed is replayed at the pace of the one who reads it,
//! until it stands where its group does.

use std::sync::Arc;

use crate::{
    domain::limits,
    graphql::{
        Api, Caller,
        live::{
            Operation,
            group::{Group, Key},
            sharing::Plan,
        },
    },
    live::{Filter, Next, Notices, Reader},
    repo::{Conn, event::StoredEvent},
    service::{
        ServiceError, Viewer,
        event::{self, Follow, Sees},
        project,
    },
};

/// Follows a project for one operation, until its group does so.
pub(super) async fn follow(
    api: &Api,
    caller: Caller,
    operation: &Arc<Operation>,
    mut wanted: Follow,
    plan: Plan,
) -> Result<(), ServiceError> {
    let signed_out = ServiceError::Unauthenticated("sign in first: send a bearer token or the session cookie");
    let viewer = caller.viewer.ok_or(signed_out)?;
    let app = &api.app;
    let feed = app.hub.feed(wanted.project);
    // What the rights were looked up as of: whoever loses one after that is found by what follows.
    let mut standing = feed.known_standing();
    // Before the feed is read: nobody makes this process read what they do not see.
    let sees = event::admit(app, &viewer, &wanted).await?;
    let after = wanted.after.take();
    let (reader, resync) = Reader::begin(feed.clone(), after).await?;
    let person = (sees == Sees::Own || plan.is_personal).then_some(viewer.user.id);
    let key = Key { project: wanted.project, sees, person, question: plan.question.clone() };
    let filter = Filter { task: wanted.task, types: wanted.types };
    let mut seat = api.live.groups.seat(api, key, &feed, &filter, &plan, &viewer)?;
    let group = seat.group().clone();
    let notices = Notices::new(app.db.clock().uptime());
    let mut catching_up = CatchingUp { api, operation, group, reader, notices, viewer, sees };
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
            if !catching_up.still_sees().await? {
                operation.begin_anew();
                return Ok(());
            }
            standing = Some(now);
        }
        match next {
            Next::Event(event) => catching_up.tell(&event).await?,
            Next::Resync(reason) => catching_up.notice(Some(reason)).await?,
            Next::Nothing => {
                let Some(place) = catching_up.reader.place() else { continue };
                match catching_up.group.enter(seat, operation, catching_up.viewer.user.id, place).await {
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
    viewer: Viewer,
    sees: Sees,
}

impl CatchingUp<'_> {
    /// Whether the viewer sees what they did.
    async fn still_sees(&self) -> Result<bool, ServiceError> {
        let user = self.viewer.user.id;
        let sees = event::sees(&self.api.app, user, self.group.key.project).await?;
        Ok(sees.ok_or_else(|| project::no_project("projectId"))? == self.sees)
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
