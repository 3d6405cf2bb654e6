//! What a manager does before others can work: a project with a template, assets and tasks.

use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp};

/// What a project of a test shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Text,
    Image,
}

/// A project and its manager.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) manager: Person,
}

impl TestApp {
    /// A project with one template version, run by `manager`, who has to be an admin.
    pub(crate) async fn project(&self, manager: &Person, media: Media) -> Project {
        self.project_with(manager, media, json!({})).await
    }

    /// As [`TestApp::project`], with more settings.
    pub(crate) async fn project_with(&self, manager: &Person, media: Media, settings: Value) -> Project {
        let media_type = if media == Media::Text { "TEXT" } else { "IMAGE" };
        let mut input = json!({ "name": "Cells", "mediaType": media_type });
        input.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let made = manager.mutate("createProject", input, "project { id }").await;
        let project = Project { id: made.text("createProject.project.id"), manager: manager.clone() };
        project.publish(media).await;
        project
    }

    /// READY pictures without any bytes, for tests that only look at their rows.
    pub(crate) async fn ready_images(&self, project: &Project, count: usize) -> Vec<String> {
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            let file = json!({ "fileName": "cell.png", "contentType": "image/png", "sizeBytes": 1 });
            let input = json!({ "projectId": project.id, "files": vec![file; 100.min(count - ids.len())] });
            let asked = project.manager.mutate("requestUploads", input, "uploads { assetId }").await;
            let uploads = asked.get("requestUploads.uploads").as_array().unwrap();
            ids.extend(uploads.iter().map(|upload| upload["assetId"].as_str().unwrap().to_owned()));
        }
        let ready = "state = 'READY', media_type = 'IMAGE', content_type = 'image/png', size_bytes = 1";
        self.sql(&format!("UPDATE asset SET {ready} WHERE id IN ({})", self.literals(&ids))).await;
        ids
    }

    /// Sends bytes to an upload URL.
    pub(crate) async fn put(&self, url: &str, bytes: impl Into<reqwest::Body>) -> reqwest::Response {
        self.http.put(url).body(bytes).send().await.unwrap()
    }

    /// Uploads bytes into a project as a READY asset; gives its id.
    pub(crate) async fn upload(&self, project: &Project, name: &str, content_type: &str, bytes: &[u8]) -> String {
        let upload = project.request_upload(name, content_type, bytes.len()).await;
        let sent = self.put(&upload.text("requestUploads.uploads.0.url"), bytes.to_vec()).await;
        assert_eq!(sent.status(), 204);
        let id = upload.text("requestUploads.uploads.0.assetId");
        let completed = project.complete(&[&id]).await;
        assert_eq!(completed.get("completeUploads.assets.0.state"), "READY", "{:#}", completed.body);
        id
    }
}

impl Project {
    /// Publishes a template that suits the medium.
    pub(crate) async fn publish(&self, media: Media) -> Answer {
        let (name, kind) = if media == Media::Text { ("Words", "TEXT_SPAN") } else { ("Boxes", "BOUNDING_BOX") };
        let tool = json!({ "name": name, "kind": kind, "labels": [{ "name": "cell", "color": "#ff0000" }, { "name": "dust" }] });
        let template = json!({ "projectId": self.id, "name": "What to label", "tools": [tool] });
        let published =
            self.manager.mutate("publishTemplate", json!({ "template": template }), "template { id version }").await;
        published.get("publishTemplate.template.id");
        published
    }

    /// Publishes a template with these tools.
    pub(crate) async fn publish_tools(&self, tools: Value) {
        let template = json!({ "projectId": self.id, "name": "What to label", "tools": tools });
        let published =
            self.manager.mutate("publishTemplate", json!({ "template": template }), "template { id }").await;
        published.get("publishTemplate.template.id");
    }

    /// Gives somebody a role, or takes them out (null).
    pub(crate) async fn set_member(&self, person: &Person, role: Value) -> Answer {
        let input = json!({ "projectId": self.id, "userId": person.id, "role": role });
        self.manager.mutate("setMember", input, "member { role user { id } }").await
    }

    /// Asks for a place to send one file to.
    pub(crate) async fn request_upload(&self, name: &str, content_type: &str, size: usize) -> Answer {
        let file = json!({ "fileName": name, "contentType": content_type, "sizeBytes": size });
        let input = json!({ "projectId": self.id, "files": [file] });
        self.manager.mutate("requestUploads", input, "uploads { assetId method url headers expiresAt }").await
    }

    /// Says that uploads have been sent.
    pub(crate) async fn complete(&self, assets: &[&str]) -> Answer {
        let selection = "assets { id state reason contentType mediaType sizeBytes sha256 width height url fileName }";
        self.manager.mutate("completeUploads", json!({ "assetIds": assets }), selection).await
    }

    /// Makes `count` tasks with a text of their own; gives their ids in order.
    pub(crate) async fn text_tasks(&self, count: usize) -> Vec<String> {
        self.named_tasks("text", count).await
    }

    /// As [`Project::text_tasks`], beside others of another name.
    pub(crate) async fn named_tasks(&self, name: &str, count: usize) -> Vec<String> {
        let tasks: Vec<Value> = (0..count)
            .map(|n| json!({ "externalId": format!("{name}-{n}"), "data": { "text": format!("cell {n}") } }))
            .collect();
        self.create_tasks(json!(tasks)).await.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect()
    }

    /// Puts tasks away, or takes them out again.
    pub(crate) async fn archive(&self, tasks: Vec<String>, archived: bool) -> Answer {
        let input = json!({ "taskIds": tasks, "archived": archived });
        self.manager.mutate("archiveTasks", input, "tasks { id state version }").await
    }

    /// Makes tasks as given.
    pub(crate) async fn create_tasks(&self, tasks: Value) -> Answer {
        let input = json!({ "projectId": self.id, "tasks": tasks });
        self.manager.mutate("createTasks", input, "created existing tasks { id externalId state }").await
    }
}

/// The id of a node.
pub(crate) fn id_of(node: &Value) -> String {
    node["id"].as_str().unwrap_or_else(|| panic!("no id in {node}")).to_owned()
}
