//! The use cases, by aggregate. Each is one function: it looks at the asker's rights, opens the one transaction, asks the
//! pure rules, writes, appends the events and commits. Resolvers, handlers and commands only parse, call and wrap.

pub mod access_token;
pub mod annotation;
pub mod asset;
mod asset_facts;
pub mod attendance;
mod canvas;
pub mod claim;
pub mod conflict;
pub mod demo;
mod edit_batch;
mod error;
pub mod event;
pub mod export;
mod gather;
pub mod identity;
pub mod import;
pub mod job;
pub mod join;
pub mod labeling_session;
pub mod lease;
mod locked;
pub mod node;
pub mod password;
pub mod presence;
pub mod project;
pub mod retention;
pub mod review;
mod secret;
pub mod sign_in;
mod signed_url;
pub mod snapshot;
pub mod stats;
mod suggested;
pub mod task;
mod task_input;
pub mod template;
pub mod turn;
pub mod upkeep;
pub mod user;
mod validate;
mod vector_epoch;

use std::sync::Arc;

use attendance::Attendance;
pub use error::ServiceError;
use gather::Gather;
pub use identity::Viewer;

use tokio::sync::OnceCell;

use crate::{
    backend::{
        bus::{Bus, Heard, Hint, Topic},
        presence::PresenceStore,
        queue::ClaimQueue,
        redis::Redis,
        session::SessionStore,
        storage::Storage,
    },
    config::EventRetention,
    domain::ids::{ProjectId, TaskId, UserId},
    live::{Hub, Presence},
    repo::{Db, News, instance, slot::Slot, user::User},
    telemetry::Metrics,
};

/// What the use cases work with. Made once, by the composition root.
pub struct App {
    /// The database: the only truth.
    pub db: Db,
    /// Where the bytes of assets are.
    pub storage: Arc<dyn Storage>,
    /// How a claim finds its slot.
    pub queue: Arc<dyn ClaimQueue>,
    /// What is kept of labeling sessions beside their rows.
    pub sessions: Arc<dyn SessionStore>,
    /// The Redis that some of these use; nothing needs it.
    pub redis: Option<Redis>,
    /// The address people reach this server at, without a slash at its end.
    pub public_url: String,
    /// What is counted: use cases add to it after their commit.
    pub metrics: Metrics,
    /// What is kept of the event streams.
    pub(crate) retention: retention::Retention,
    /// Signs URLs of files, with a key that the database has once there is a schema.
    urls: OnceCell<signed_url::Signer>,
    /// Bounds password hashing, which is made to be slow.
    pub(crate) passwords: password::Hasher,
    /// Statistics that are costly to compute.
    pub(crate) stats: stats::Cache,
    /// What annotations are held against.
    pub(crate) canvas: canvas::Cache,
    /// Who is in which task, and who wants to know.
    pub(crate) presence: Arc<Presence>,
    /// The project's events as this process reads them; every commit that appends some wakes it.
    pub hub: Arc<Hub>,
    /// What stays open, and for whom.
    pub attendance: Arc<Attendance>,
    /// Who carries a credential.
    carriers: Gather<identity::Credential, User>,
    /// What of a project's events somebody sees.
    rights: Gather<(ProjectId, UserId), event::Rights>,
    /// Which project a task is of.
    projects: Gather<TaskId, ProjectId>,
    /// The slots of a task.
    slots: Gather<TaskId, Arc<[Slot]>>,
}

/// What has several bodies, each the one that was chosen.
pub struct Backends {
    /// Where the bytes of assets are.
    pub storage: Arc<dyn Storage>,
    /// How a claim finds its slot.
    pub queue: Arc<dyn ClaimQueue>,
    /// What is kept of labeling sessions beside their rows.
    pub sessions: Arc<dyn SessionStore>,
    /// Who is in which task.
    pub presence: Arc<dyn PresenceStore>,
    /// The way to other replicas.
    pub bus: Arc<dyn Bus>,
    /// The Redis that some of these use.
    pub redis: Option<Redis>,
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl App {
    /// Puts the use cases together over their backends.
    #[must_use]
    pub fn new(
        db: Db,
        backends: Backends,
        public_url: String,
        event_retention: EventRetention,
        metrics: Metrics,
    ) -> Self {
        let Backends { storage, queue, sessions, presence, bus, redis } = backends;
        let (hub, attendance) = (Hub::new(db.clone(), bus.clone()), Arc::<Attendance>::default());
        let presence = Arc::new(Presence::new(presence, bus.clone()));
        tell_of_commits(&db, &queue, &bus, &hub, &attendance);
        hear_of_others(&bus, &hub, &attendance, &presence);
        Self {
            hub,
            attendance,
            presence,
            retention: retention::Retention::new(event_retention),
            urls: OnceCell::new(),
            passwords: password::Hasher::default(),
            stats: stats::Cache::default(),
            canvas: canvas::Cache::default(),
            carriers: identity::carriers(db.clone()),
            rights: event::all_rights(db.clone()),
            projects: event::projects(db.clone()),
            slots: event::slots(db.clone()),
            db,
            redis,
            storage,
            queue,
            sessions,
            public_url,
            metrics,
        }
    }

    /// The signer of file URLs; makes the installation's key when it is first wanted.
    pub(crate) async fn urls(&self) -> Result<&signed_url::Signer, ServiceError> {
        let make = || async {
            let key = instance::signing_key(&self.db, &secret::random_bytes()?).await?;
            Ok(signed_url::Signer::new(&key, &self.public_url))
        };
        self.urls.get_or_try_init(make).await
    }
}

/// Tells of each commit whoever waits for it, here and in other processes.
fn tell_of_commits(
    db: &Db,
    queue: &Arc<dyn ClaimQueue>,
    bus: &Arc<dyn Bus>,
    hub: &Arc<Hub>,
    attendance: &Arc<Attendance>,
) {
    // Weak: the hub and the queue have the database, which has this.
    let (queue, hub, attendance) = (Arc::downgrade(queue), Arc::downgrade(hub), Arc::downgrade(attendance));
    let bus = bus.clone();
    db.on_commit(move |news| match news {
        News::Waiting(project, tasks) => {
            if let Some(queue) = queue.upgrade() {
                queue.offer(project, tasks);
            }
        }
        News::Leased(project, position) => {
            if let Some(queue) = queue.upgrade() {
                queue.forget(project, position);
            }
        }
        News::Events(project, tops) => {
            if let Some(hub) = hub.upgrade() {
                hub.committed(project, tops);
            }
        }
        News::SignIns => {
            if let Some(attendance) = attendance.upgrade() {
                attendance.hurry();
            }
            bus.tell(Hint::SignIns);
        }
    });
}

/// Wakes whoever waits for what another process did.
fn hear_of_others(bus: &Arc<dyn Bus>, hub: &Arc<Hub>, attendance: &Arc<Attendance>, presence: &Arc<Presence>) {
    let (hub, attendance, presence) = (Arc::downgrade(hub), Arc::downgrade(attendance), Arc::downgrade(presence));
    bus.hear(Box::new(move |heard| {
        let (Some(hub), Some(attendance), Some(presence)) = (hub.upgrade(), attendance.upgrade(), presence.upgrade())
        else {
            return;
        };
        match heard {
            Heard::Hint(Hint::Events(project, tops)) => hub.heard(project, &tops),
            Heard::Hint(Hint::Presence { task, turned }) => presence.heard(task, turned),
            // The feeds say to those who follow that sign-ins have ended: they are told nothing before it was looked at.
            Heard::Hint(Hint::SignIns) => {
                attendance.hurry();
                hub.hurry();
            }
            Heard::Gap => hub.hurry(),
        }
    }));
    bus.follow(Topic::SignIns);
}
