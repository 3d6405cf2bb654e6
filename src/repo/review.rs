//! Verdicts: what reviewers said of slots. Never changed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::review::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, EntityTrait,
    sea_query::{ExprTrait, Order},
};

use crate::{
    domain::{
        ids::{ReviewId, TaskId, UserId},
        words::ReviewVerdict,
    },
    repo::{
        Conn, RepoError, Scope, scope,
        sql::{self, FilterBy, value, word},
        task::Task,
    },
};

/// What a reviewer said of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// The task.
    pub task: TaskId,
    /// The slot's number.
    pub slot: i32,
    /// Right or wrong.
    pub verdict: ReviewVerdict,
    /// What the annotator should know.
    pub comment: Option<String>,
    /// Who judged.
    pub reviewer: UserId,
    /// The round that was judged.
    pub round: i32,
    /// The fence of the review.
    pub fence: i32,
    /// When.
    pub at: DateTime<Utc>,
}

impl TryFrom<Model> for Review {
    type Error = RepoError;

    fn try_from(row: Model) -> Result<Self, RepoError> {
        Ok(Self {
            id: ReviewId(row.id),
            task: TaskId(row.task_id),
            slot: row.slot,
            verdict: word(&row.verdict)?,
            comment: row.comment,
            reviewer: UserId(row.reviewer_id),
            round: row.round,
            fence: row.review_epoch,
            at: row.at,
        })
    }
}

/// Keeps verdicts of one task.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn insert_all(conn: &impl Conn, task: &Task, reviews: &[Review]) -> Result<(), RepoError> {
    let columns = [
        Column::Id,
        Column::TaskId,
        Column::Slot,
        Column::ProjectId,
        Column::Verdict,
        Column::Comment,
        Column::ReviewerId,
        Column::Round,
        Column::ReviewEpoch,
        Column::At,
    ];
    let row = |review: &Review| {
        [
            value(review.id.0),
            value(review.task.0),
            value(review.slot),
            value(task.project.0),
            value(review.verdict.as_str()),
            value(review.comment.clone()),
            value(review.reviewer.0),
            value(review.round),
            value(review.fence),
            value(review.at),
        ]
    };
    sql::insert_all(conn, Entity, columns, reviews.iter().map(row).collect()).await
}

/// The verdicts one person gave in one review of a task, by slot.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn given(conn: &impl Conn, task: TaskId, fence: i32, by: UserId) -> Result<Vec<Review>, RepoError> {
    let given = Column::TaskId.eq(task.0).and(Column::ReviewEpoch.eq(fence)).and(Column::ReviewerId.eq(by.0));
    let select = Entity::find().filter_by(given).order_by(Column::Slot, Order::Asc).to_owned();
    sql::all::<Model, _>(conn, &select).await
}

/// The verdicts of tasks that the asker may see, oldest first.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn of_tasks(
    conn: &impl Conn,
    scope: Scope,
    tasks: &[TaskId],
) -> Result<HashMap<TaskId, Vec<Review>>, RepoError> {
    let among = scope::visible(scope, Column::ProjectId)
        .add(scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot))
        .add(Column::TaskId.is_in(tasks.iter().map(|id| id.0)));
    let select = Entity::find().filter_by(among).order_by(Column::Id, Order::Asc).to_owned();
    let mut reviews: HashMap<TaskId, Vec<Review>> = HashMap::new();
    for review in sql::all::<Model, Review>(conn, &select).await? {
        reviews.entry(review.task).or_default().push(review);
    }
    Ok(reviews)
}

/// Visible verdicts by id.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn find_all(conn: &impl Conn, scope: Scope, ids: &[ReviewId]) -> Result<Vec<Review>, RepoError> {
    let among = scope::visible(scope, Column::ProjectId)
        .add(scope::visible_slot(scope, Column::ProjectId, Column::TaskId, Column::Slot))
        .add(Column::Id.is_in(ids.iter().map(|id| id.0)));
    sql::all::<Model, _>(conn, &Entity::find().filter_by(among)).await
}
