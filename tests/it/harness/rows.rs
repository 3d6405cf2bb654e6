//! Rows that only later use cases write, put in by SQL; and the text of ids in it.

use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

use crate::harness::{Person, TestApp};

/// Some id of the kind of `id` that nothing has.
pub(crate) fn random_like(id: &str) -> String {
    let (prefix, _) = id.split_once('_').unwrap_or_else(|| panic!("{id} is no id"));
    let random = TypeSafeId::from_type_and_uuid(DynamicType::new(prefix).unwrap(), Uuid::now_v7());
    random.to_string()
}

impl TestApp {
    /// An id as SQL writes it: a blob in SQLite, a uuid in PostgreSQL.
    pub(crate) fn literal(&self, id: &str) -> String {
        let id: TypeSafeId<DynamicType> = id.parse().unwrap_or_else(|_| panic!("{id} is no id"));
        self.uuid_literal(id.uuid())
    }

    fn uuid_literal(&self, id: Uuid) -> String {
        if self.database.is_sqlite() { format!("X'{}'", id.simple()) } else { format!("'{id}'") }
    }

    /// Changes columns of a task.
    pub(crate) async fn set_task(&self, task: &str, columns: &str) {
        self.sql(&format!("UPDATE task SET {columns} WHERE id = {}", self.literal(task))).await;
    }

    /// Changes columns of the first slot of a task.
    pub(crate) async fn set_slot(&self, task: &str, columns: &str) {
        self.sql(&format!("UPDATE task_slot SET {columns} WHERE task_id = {} AND number = 1", self.literal(task)))
            .await;
    }

    /// Remembers that somebody held the first slot of a task and gave it back.
    pub(crate) async fn held_by(&self, task: &str, person: &Person) {
        let (id, user, task) = (self.uuid_literal(Uuid::now_v7()), self.literal(&person.id), self.literal(task));
        self.sql(&format!(
            "INSERT INTO assignment (id, task_id, slot, project_id, annotator_id, state, round, lease_epoch, started_at, ended_at)
             SELECT {id}, id, 1, project_id, {user}, 'RELEASED', 1, 1, created_at, created_at FROM task WHERE id = {task}"
        ))
        .await;
    }

    /// Puts an annotation into the first slot of a task.
    pub(crate) async fn annotated_by(&self, task: &str, person: &Person, annotation: Drawn) {
        let Drawn { kind, label, source, deleted } = annotation;
        let (id, user, task) = (self.uuid_literal(Uuid::now_v7()), self.literal(&person.id), self.literal(task));
        self.sql(&format!(
            "INSERT INTO annotation (id, task_id, slot, project_id, kind, tool, label, geometry, attributes,
               version_vector, last_dots, actors, revision, deleted, source, author_id, last_edited_by, created_at, updated_at)
             SELECT {id}, id, 1, project_id, '{kind}', 'Words', '{label}', '{{}}', '{{}}', '{{\"#\": 1}}', '{{}}', 0, 1, {deleted},
               '{source}', {user}, {user}, created_at, created_at FROM task WHERE id = {task}"
        ))
        .await;
        self.sql(&format!(
            "INSERT INTO task_label (task_id, label, project_id, annotations)
             SELECT id, '{label}', project_id, {} FROM task WHERE id = {task}",
            u8::from(!deleted)
        ))
        .await;
    }
}

/// What matters of an annotation in a list of tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) kind: &'static str,
    pub(crate) label: &'static str,
    pub(crate) source: &'static str,
    pub(crate) deleted: bool,
}
