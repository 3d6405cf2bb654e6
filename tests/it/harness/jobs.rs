//! Imports and exports: asked for as a manager does, put where a test wants them by SQL.

use concord::domain::ids::JobId;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Project, TestApp};

impl Project {
    /// Asks for an export; gives its id.
    pub(crate) async fn export(&self) -> String {
        self.manager.start_export(self, json!({})).await.text("startExport.job.id")
    }

    /// Asks for an import of an asset; gives its id.
    pub(crate) async fn import(&self, source: &str) -> String {
        self.manager.start_import(self, source).await.text("startImport.job.id")
    }

    /// The state of a job.
    pub(crate) async fn job_state(&self, job: &str) -> String {
        let query = "query($id: ID!) { node(id: $id) { ... on Job { state } } }";
        self.manager.send(query, json!({ "id": job })).await.text("node.state")
    }
}

impl Person {
    /// Asks for an export, with more than what is required.
    pub(crate) async fn start_export(&self, project: &Project, more: Value) -> Answer {
        let mut input = json!({ "projectId": project.id, "format": "JSONL" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.mutate("startExport", input, "job { id kind state }").await
    }

    /// Asks for an import of an asset.
    pub(crate) async fn start_import(&self, project: &Project, source: &str) -> Answer {
        let input = json!({
            "projectId": project.id, "format": "JSONL", "source": { "assetId": source }, "annotations": "IGNORE",
        });
        self.mutate("startImport", input, "job { id kind state }").await
    }

    /// Cancels a job.
    pub(crate) async fn cancel(&self, job: &str) -> Answer {
        self.mutate("cancelJob", json!({ "jobId": job }), "job { id state message endedAt }").await
    }
}

impl TestApp {
    /// A READY asset to import: a line that is a task.
    pub(crate) async fn source(&self, project: &Project) -> String {
        self.upload(project, "data.jsonl", "text/plain", b"{\"data\":{\"text\":\"cell\"}}\n").await
    }

    /// Changes columns of a job.
    pub(crate) async fn set_job(&self, job: &str, columns: &str) {
        self.sql(&format!("UPDATE job SET {columns} WHERE id = {}", self.literal(job))).await;
    }

    /// Ends a job well: with this file as what it made.
    pub(crate) async fn succeed(&self, project: &Project, job: &str, name: &str, bytes: &[u8]) {
        let key = self.stored(project, job, name, bytes);
        self.set_job(
            job,
            &format!("state = 'SUCCEEDED', message = 'done', result_key = '{key}', ended_at = created_at"),
        )
        .await;
    }

    /// Ends a job badly: with this file as what was wrong.
    pub(crate) async fn fail(&self, project: &Project, job: &str, name: &str, bytes: &[u8]) {
        let key = self.stored(project, job, name, bytes);
        self.set_job(job, &format!("state = 'FAILED', message = 'wrong', errors_key = '{key}', ended_at = created_at"))
            .await;
    }

    /// A file of a job in the storage; gives its key.
    fn stored(&self, project: &Project, job: &str, name: &str, bytes: &[u8]) -> String {
        let key = format!("{}/{job}/{name}", project.id);
        let path = self.storage_folder().join(&key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        key
    }
}

/// The id as use cases take it.
pub(crate) fn job_id(job: &str) -> JobId {
    job.parse().unwrap()
}
