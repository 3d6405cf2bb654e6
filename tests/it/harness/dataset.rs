//! Data sets: files that go in and come out, by jobs of the API or by the command line.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Database, Person, Project, TestApp, eventually, process::output_of};

/// What a job is asked for.
pub(crate) const JOB: &str = "id kind state step done total message resultUrl errorsUrl losses createdAt endedAt";

impl TestApp {
    /// Uploads a file and imports it; gives the job once it has ended. Somebody has to work: `running.work()`.
    pub(crate) async fn import(&self, project: &Project, format: &str, annotations: &str, file: &str) -> Value {
        let job = self.begin_import(project, format, annotations, file).await;
        project.manager.ended(&job).await
    }

    /// As [`TestApp::import`], without waiting; gives the job's id.
    pub(crate) async fn begin_import(&self, project: &Project, format: &str, annotations: &str, file: &str) -> String {
        let asset = self.upload(project, "data", "application/json", file.as_bytes()).await;
        let source = json!({ "assetId": asset });
        let input = json!({ "projectId": project.id, "format": format, "annotations": annotations, "source": source });
        let selection = format!("job {{ {JOB} }}");
        project.manager.mutate("startImport", input, &selection).await.text("startImport.job.id")
    }

    /// Exports; gives the job once it has ended, and the file.
    pub(crate) async fn export(&self, project: &Project, format: &str, overlap: &str) -> (Value, String) {
        let input = json!({ "projectId": project.id, "format": format, "options": { "overlap": overlap } });
        let selection = format!("job {{ {JOB} }}");
        let job = project.manager.mutate("startExport", input, &selection).await.text("startExport.job.id");
        let job = project.manager.ended(&job).await;
        assert_eq!(job["state"], "SUCCEEDED", "{job}");
        let file = self.http.get(job["resultUrl"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(file.status(), 200);
        (job, file.text().await.unwrap())
    }

    /// What a job's list of errors holds.
    pub(crate) async fn errors_of(&self, job: &Value) -> Vec<Value> {
        let file = self.http.get(job["errorsUrl"].as_str().expect("there are errors")).send().await.unwrap();
        lines_of(&file.text().await.unwrap())
    }
}

impl Person {
    /// A job as it is now.
    pub(crate) async fn job(&self, id: &str) -> Value {
        let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Job {{ {JOB} }} }} }}");
        self.send(&query, json!({ "id": id })).await.get("node").clone()
    }

    /// A job once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        eventually("the job to end", async || Some(self.job(id).await).filter(|job| !job["endedAt"].is_null())).await
    }
}

impl Database {
    /// Runs `concord import`; gives whether it succeeded, and all it printed.
    pub(crate) async fn import(&self, project: &str, format: &str, annotations: &str, rest: &[&str]) -> (bool, String) {
        let arguments = ["import", "--project", project, "--format", format, "--annotations", annotations];
        self.ran(&[&arguments, rest].concat()).await
    }

    /// Runs `concord export` into a file of the database's folder; gives what is in it.
    pub(crate) async fn export(&self, project: &str, format: &str, rest: &[&str]) -> String {
        let output = self.folder().join(format!("export.{format}"));
        let path = output.to_str().unwrap();
        let arguments = ["export", "--project", project, "--format", format, "--output", path];
        let (succeeded, said) = self.ran(&[&arguments, rest].concat()).await;
        assert!(succeeded, "{said}");
        std::fs::read_to_string(&output).unwrap()
    }

    async fn ran(&self, arguments: &[&str]) -> (bool, String) {
        let output = output_of(self.concord(arguments)).await;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.success(), said)
    }
}

/// The JSON values of a file of lines.
pub(crate) fn lines_of(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A file of lines.
pub(crate) fn file_of(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A real file of the tests.
pub(crate) fn data(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path).to_str().unwrap().to_owned()
}
