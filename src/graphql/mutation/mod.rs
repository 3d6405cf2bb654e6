//! Changing. Each mutation takes one `input` and answers a payload of its own.

mod annotation;
mod asset;
mod identity;
mod project;
mod task;

use async_graphql::MergedObject;

/// Changing.
#[derive(MergedObject, Default)]
pub(super) struct Mutation(
    identity::IdentityMutation,
    project::ProjectMutation,
    asset::AssetMutation,
    task::TaskMutation,
    annotation::AnnotationMutation,
);
