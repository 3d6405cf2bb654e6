//! Making annotations of suggestions: as if somebody had drawn them, by the same rules, in one write.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    domain::{
        edit::{Change, Content, Edit, EditHash},
        ids::{AnnotationId, ProjectId, TaskId, UserId},
        merge::{self, Fence, Meeting, Outcome},
        version_vector::VersionVector,
        words::{EditOutcome, EventType},
    },
    live::Changes,
    repo::{
        RepoError, Txn,
        annotation::{self, Annotation},
        label,
        revision::{self, Revision},
        suggestion::{self, Suggestion},
        task::Task,
    },
    service::{ServiceError, locked},
};

/// Names the import as the author of edits in version vectors.
const ACTOR: &str = "import";

/// Where suggestions are made annotations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) project: ProjectId,
    pub(crate) task: TaskId,
    /// The slot's number.
    pub(crate) slot: i32,
}

/// Annotations that are to be written, of any number of tasks.
#[derive(Default)]
pub(crate) struct Made {
    annotations: Vec<Annotation>,
    revisions: Vec<Revision>,
    /// How the numbers of live annotations move, by label.
    labels: HashMap<TaskId, BTreeMap<String, i32>>,
}

impl Made {
    /// Adds an annotation at `place`.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when the rules of edits do not take it: the caller has checked it.
    pub(crate) fn add(
        &mut self,
        place: Place,
        suggestion: Suggestion,
        by: UserId,
        at: DateTime<Utc>,
    ) -> Result<(), ServiceError> {
        let asset = suggestion.asset();
        let Suggestion { tool, label, geometry, attributes, source, score, .. } = suggestion;
        let kind = geometry.kind();
        let content = Content { label: label.clone(), geometry, attributes, deleted: false };
        let said = json!({
            "tool": tool, "label": label, "geometry": content.geometry, "attributes": content.attributes,
        });
        let edit = Edit {
            actor: ACTOR.to_owned(),
            base: VersionVector::first(),
            change: Change::Create(content),
            hash: EditHash::of(&json!({ "import": said })),
        };
        // What it says was checked before, all of the file together.
        let meeting =
            Meeting { fence: Fence::Holds, known: None, seen: None, siblings: &[], has_room: true, may_wait: true };
        let mut made = None;
        let outcome = merge::decide(&mut made, &edit, &meeting, |_| Ok(()));
        let (Outcome::Accepted(accepted), Some(state)) = (outcome, made) else {
            return Err(RepoError::Corrupt("a new annotation was not applied".to_owned()).into());
        };
        let id = AnnotationId::generate();
        let applied = EditOutcome::Applied;
        self.revisions.push(Revision::of(id, &edit, &state, applied, &accepted.written, (by, at)));
        *self.labels.entry(place.task).or_default().entry(label).or_default() += 1;
        let Place { project, task, slot } = place;
        self.annotations.push(Annotation {
            id,
            task,
            slot,
            project,
            asset,
            kind,
            tool,
            state,
            source,
            score,
            author: by,
            last_edited_by: by,
            created_at: at,
            updated_at: at,
        });
        Ok(())
    }

    /// Writes them all.
    pub(crate) async fn write(&self, txn: &Txn, project: ProjectId) -> Result<(), ServiceError> {
        annotation::insert_all(txn, &self.annotations).await?;
        revision::insert_many(txn, &self.revisions).await?;
        Ok(label::add(txn, project, &self.labels).await?)
    }
}

/// Copies the suggestions of a task into a slot that is leased for the first time; its events go to `changes`.
///
/// # Errors
/// [`ServiceError`] of the database.
pub(crate) async fn copy(txn: &Txn, changes: &mut Changes, task: &Task, slot: i32) -> Result<(), ServiceError> {
    let (by, suggestions) = suggestion::of_task(txn, task.id).await?;
    let place = Place { project: task.project, task: task.id, slot };
    let mut made = Made::default();
    for suggestion in suggestions {
        made.add(place, suggestion, by, task.updated_at)?;
    }
    made.write(txn, task.project).await?;
    for (annotation, revision) in made.annotations.iter().zip(&made.revisions) {
        let payload = locked::saved_payload(annotation, revision);
        changes.task(EventType::AnnotationSaved, task, payload);
    }
    Ok(())
}
