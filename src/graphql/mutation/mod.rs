//! Changing. Each mutation takes one `input` and answers a payload of its own.

mod annotation;
mod asset;
mod conflict;
mod identity;
mod job;
mod labeling;
mod project;
mod review;
mod task;

use async_graphql::MergedObject;

/// Changing.
#[derive(MergedObject, Default)]
pub(super) struct Mutation(
    identity::IdentityMutation,
    project::ProjectMutation,
    asset::AssetMutation,
    task::TaskMutation,
    labeling::LabelingMutation,
    review::ReviewMutation,
    annotation::AnnotationMutation,
    conflict::ConflictMutation,
    job::JobMutation,
);
