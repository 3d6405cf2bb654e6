//! Anything with an id, as its viewer may see it: what is invisible is not there.

use crate::{
    domain::ids::AnyId,
    repo::{
        access_token::{self, AccessToken},
        asset::{self, Asset},
        project::Project,
        task::{self, Task},
        template::{self, Template},
        user::User,
    },
    service::{App, ServiceError, Viewer, project, user},
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
}

/// The visible thing with this id.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn find(app: &App, viewer: &Viewer, id: AnyId) -> Result<Option<Node>, ServiceError> {
    let (db, scope) = (&app.db, viewer.scope());
    Ok(match id {
        AnyId::UserId(id) => user::find(app, viewer, id).await?.map(Node::User),
        AnyId::AccessTokenId(id) => access_token::find(db, viewer.user.id, id).await?.map(Node::AccessToken),
        AnyId::ProjectId(id) => project::find(app, viewer, id).await?.map(|(project, _)| Node::Project(project)),
        AnyId::TemplateId(id) => template::find(db, scope, id).await?.map(Node::Template),
        AnyId::AssetId(id) => asset::find(db, scope, id).await?.map(Node::Asset),
        AnyId::TaskId(id) => task::find(db, scope, id).await?.map(Node::Task),
    })
}
