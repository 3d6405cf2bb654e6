//! Anything with an id, as its viewer may see it: what is invisible is not there.

use std::collections::HashMap;

use crate::{
    domain::ids::AnyId,
    repo::{
        access_token::{self, AccessToken},
        annotation::{self, Annotation},
        asset::{self, Asset},
        assignment::{self, Assignment},
        conflict::{self, Conflict},
        job::{self, Job},
        project::{self, Project},
        review::{self, Review},
        session::{self, Session},
        snapshot::{self, Snapshot},
        task::{self, Task},
        template::{self, Template},
        user::{self, User},
    },
    service::{App, ServiceError, Viewer},
};

/// A thing with an id.
#[derive(Clone, Debug)]
pub enum Node {
    /// A person.
    User(User),
    /// A token of the viewer's own.
    AccessToken(AccessToken),
    /// A project.
    Project(Project),
    /// A template version.
    Template(Template),
    /// A stored object.
    Asset(Asset),
    /// A task.
    Task(Task),
    /// One person's turn on one slot.
    Assignment(Assignment),
    /// A labeling session of the viewer's own.
    Session(Session),
    /// A verdict.
    Review(Review),
    /// A labeled object.
    Annotation(Annotation),
    /// A slot's work at some version.
    Snapshot(Snapshot),
    /// An edit kept beside the current state.
    Conflict(Conflict),
    /// An import or an export of a project that the viewer manages.
    Job(Job),
}

/// The visible ones among the things with these ids: one statement for each kind of id.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn find_all(app: &App, viewer: &Viewer, ids: &[AnyId]) -> Result<HashMap<AnyId, Node>, ServiceError> {
    let (db, scope) = (&app.db, viewer.scope());
    let mut found = HashMap::with_capacity(ids.len());
    let users = of_kind(ids, |id| if let AnyId::UserId(id) = id { Some(id) } else { None });
    if !users.is_empty() {
        let rows = user::find_visible(db, scope, &users).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::UserId(row.id), Node::User(row))));
    }
    let tokens = of_kind(ids, |id| if let AnyId::AccessTokenId(id) = id { Some(id) } else { None });
    if !tokens.is_empty() {
        let rows = access_token::find_own(db, viewer.user.id, &tokens).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::AccessTokenId(row.id), Node::AccessToken(row))));
    }
    let projects = of_kind(ids, |id| if let AnyId::ProjectId(id) = id { Some(id) } else { None });
    if !projects.is_empty() {
        let rows = project::find_visible(db, scope, &projects).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::ProjectId(row.id), Node::Project(row))));
    }
    let templates = of_kind(ids, |id| if let AnyId::TemplateId(id) = id { Some(id) } else { None });
    if !templates.is_empty() {
        let rows = template::find_visible(db, scope, &templates).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::TemplateId(row.id), Node::Template(row))));
    }
    let assets = of_kind(ids, |id| if let AnyId::AssetId(id) = id { Some(id) } else { None });
    if !assets.is_empty() {
        let rows = asset::find_all(db, scope, &assets).await?;
        found.extend(rows.into_values().map(|row| (AnyId::AssetId(row.id), Node::Asset(row))));
    }
    let tasks = of_kind(ids, |id| if let AnyId::TaskId(id) = id { Some(id) } else { None });
    if !tasks.is_empty() {
        let rows = task::find_all(db, scope, &tasks).await?;
        found.extend(rows.into_values().map(|row| (AnyId::TaskId(row.id), Node::Task(row))));
    }
    let turns = of_kind(ids, |id| if let AnyId::AssignmentId(id) = id { Some(id) } else { None });
    if !turns.is_empty() {
        let rows = assignment::find_all(db, scope, &turns).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::AssignmentId(row.id), Node::Assignment(row))));
    }
    let sessions = of_kind(ids, |id| if let AnyId::SessionId(id) = id { Some(id) } else { None });
    if !sessions.is_empty() {
        let rows = session::find_visible(db, scope, &sessions).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::SessionId(row.id), Node::Session(row))));
    }
    let reviews = of_kind(ids, |id| if let AnyId::ReviewId(id) = id { Some(id) } else { None });
    if !reviews.is_empty() {
        let rows = review::find_all(db, scope, &reviews).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::ReviewId(row.id), Node::Review(row))));
    }
    let annotations = of_kind(ids, |id| if let AnyId::AnnotationId(id) = id { Some(id) } else { None });
    if !annotations.is_empty() {
        let rows = annotation::find_visible(db, scope, &annotations).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::AnnotationId(row.id), Node::Annotation(row))));
    }
    let snapshots = of_kind(ids, |id| if let AnyId::SnapshotId(id) = id { Some(id) } else { None });
    if !snapshots.is_empty() {
        let rows = snapshot::find_visible(db, scope, &snapshots).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::SnapshotId(row.id), Node::Snapshot(row))));
    }
    let conflicts = of_kind(ids, |id| if let AnyId::ConflictId(id) = id { Some(id) } else { None });
    if !conflicts.is_empty() {
        let rows = conflict::find_visible(db, scope, &conflicts).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::ConflictId(row.id), Node::Conflict(row))));
    }
    let jobs = of_kind(ids, |id| if let AnyId::JobId(id) = id { Some(id) } else { None });
    if !jobs.is_empty() {
        let rows = job::find_managed(db, scope, &jobs).await?;
        found.extend(rows.into_iter().map(|row| (AnyId::JobId(row.id), Node::Job(row))));
    }
    Ok(found)
}

fn of_kind<T>(ids: &[AnyId], pick: impl Fn(AnyId) -> Option<T>) -> Vec<T> {
    ids.iter().copied().filter_map(pick).collect()
}
