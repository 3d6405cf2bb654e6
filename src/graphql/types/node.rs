//! The Relay node interface.

use std::sync::Arc;

use async_graphql::{ID, Interface};

use crate::{
    graphql::types::{
        annotation::Annotation,
        asset::Asset,
        conflict::Conflict,
        job::Job,
        project::Project,
        review::{Assignment, Review},
        session::LabelingSession,
        snapshot::Snapshot,
        task::Task,
        template::Template,
        user::{AccessToken, User},
    },
    service::node,
};

/// A thing with an id of its own. Fields of one name may differ in type between its implementations (`state`): give them
/// aliases in fragments.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Its id; the prefix says what it is."))]
pub(in crate::graphql) enum Node {
    User(User),
    AccessToken(AccessToken),
    Project(Project),
    Template(Template),
    Asset(Asset),
    Task(Task),
    Assignment(Assignment),
    LabelingSession(LabelingSession),
    Review(Review),
    Annotation(Annotation),
    Snapshot(Snapshot),
    Conflict(Conflict),
    Job(Job),
}

impl From<node::Node> for Node {
    fn from(node: node::Node) -> Self {
        match node {
            node::Node::User(user) => Self::User(User(user)),
            node::Node::AccessToken(token) => Self::AccessToken(AccessToken(token)),
            node::Node::Project(project) => Self::Project(Project(project)),
            node::Node::Template(template) => Self::Template(Template(Arc::new(template))),
            node::Node::Asset(asset) => Self::Asset(Asset(asset)),
            node::Node::Task(task) => Self::Task(Task(task)),
            node::Node::Assignment(turn) => Self::Assignment(Assignment(turn)),
            node::Node::Session(session) => Self::LabelingSession(LabelingSession(session)),
            node::Node::Review(review) => Self::Review(Review(review)),
            node::Node::Annotation(annotation) => Self::Annotation(Annotation(annotation)),
            node::Node::Snapshot(snapshot) => Self::Snapshot(Snapshot(snapshot)),
            node::Node::Conflict(conflict) => Self::Conflict(Conflict(conflict)),
            node::Node::Job(job) => Self::Job(Job(job)),
        }
    }
}
