//! The real binary as a process of its own, and a client that fills and asks it.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A running server with a token of its first admin.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    url: String,
    token: String,
    environment: Vec<(String, String)>,
    _folder: TempDir,
    /// From the start of the process to the first 200 of /readyz.
    pub(crate) ready_after: Duration,
}

/// Sends GraphQL over one kept connection.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What a load reads.
pub(crate) struct Seeded {
    pub(crate) tasks: Arc<Vec<String>>,
    template: String,
    user: String,
    token: String,
}

impl Server {
    /// Starts on SQLite, or on a PostgreSQL whose schema is brought up first.
    pub(crate) async fn start(database: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || format!("127.0.0.1:{}", crate::keeper::free_port());
        let (listen, admin) = (free(), free());
        let sqlite = format!("sqlite://{}", folder.path().join("concord.db").display());
        let environment: Vec<(String, String)> = [
            ("DATABASE_URL", database.unwrap_or(&sqlite)),
            ("STORAGE_URL", &format!("file://{}", folder.path().join("files").display())),
            ("LISTEN_ADDR", &listen),
            ("ADMIN_ADDR", &admin),
            ("CONCORD_MODE", "release"),
            ("LOG_LEVEL", "warn"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        if database.is_some() {
            run(&environment, &["migrate"]);
        }
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_concord"));
        let process = command.arg("serve").envs(environment.iter().cloned()).stdout(Stdio::null()).spawn().unwrap();
        let http = reqwest::Client::new();
        let ready = format!("http://{listen}/readyz");
        while !http.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server gets ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ready_after = begun.elapsed();
        let token = run(&environment, &["token", "create", "--email", "admin@localhost"]);
        let address = listen.parse().unwrap();
        Self {
            process,
            address,
            url: format!("http://{listen}/graphql"),
            token,
            environment,
            _folder: folder,
            ready_after,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client { http: reqwest::Client::new(), url: self.url.clone(), token: self.token.clone() }
    }

    /// A project of text tasks with a template, three assets each.
    pub(crate) async fn seed(&self, tasks: usize) -> Seeded {
        let user = self.viewer_id().await;
        let client = self.client();
        let project = "mutation { createProject(input: {name: \"Bench\", mediaType: TEXT}) { project { id } } }";
        let project = client.send(project, json!({})).await["data"]["createProject"]["project"]["id"].clone();
        let publish = "mutation($i: TemplateInput!) { publishTemplate(input: {template: $i}) { template { id } } }";
        let labels: Vec<Value> = (0..4).map(|n| json!({ "name": format!("label {n}"), "color": "#336699" })).collect();
        let tool = json!({ "name": "Words", "kind": "TEXT_SPAN", "labels": labels });
        let template = json!({ "i": { "projectId": project, "name": "Bench", "tools": [tool] } });
        let template = client.send(publish, template).await["data"]["publishTemplate"]["template"]["id"].clone();
        let assets = client.upload(&project, 3).await;
        let create = "mutation($i: CreateTasksInput!) { createTasks(input: $i) { tasks { id } } }";
        let mut ids = Vec::with_capacity(tasks);
        for _ in 0..tasks / 1_000 {
            let batch: Vec<Value> = (0..1_000).map(|n| json!({ "assetIds": assets, "data": { "page": n } })).collect();
            let made = client.send(create, json!({ "i": { "projectId": project, "tasks": batch } })).await;
            let made = made["data"]["createTasks"]["tasks"].as_array().expect("the batch is made").clone();
            ids.extend(made.iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        }
        let template = template.as_str().unwrap().to_owned();
        Seeded { tasks: Arc::new(ids), template, user, token: self.token.clone() }
    }

    /// A project of picture tasks that take boxes, all of them waiting.
    pub(crate) async fn labeling_project(&self, name: &str, tasks: usize) -> String {
        let client = self.client();
        let create = "mutation($i: CreateProjectInput!) { createProject(input: $i) { project { id } } }";
        let made = client.send(create, json!({ "i": { "name": name, "mediaType": "IMAGE" } })).await;
        let project = made["data"]["createProject"]["project"]["id"].clone();
        let publish = "mutation($i: TemplateInput!) { publishTemplate(input: {template: $i}) { template { id } } }";
        let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "car" }] });
        client.send(publish, json!({ "i": { "projectId": project, "name": name, "tools": [tool] } })).await;
        let picture = include_bytes!("../../tests/data/bccd/BloodImage_00012.jpg");
        let assets = client.upload_all(&project, "cells.jpg", "image/jpeg", picture, 1).await;
        let create = "mutation($i: CreateTasksInput!) { createTasks(input: $i) { created } }";
        for _ in 0..tasks.div_ceil(1_000) {
            let batch: Vec<Value> = (0..1_000).map(|_| json!({ "assetIds": assets })).collect();
            let made = client.send(create, json!({ "i": { "projectId": project, "tasks": batch } })).await;
            assert_eq!(made["data"]["createTasks"]["created"], 1_000, "{made}");
        }
        project.as_str().unwrap().to_owned()
    }

    /// People who label in a project, each with a token and a connection of their own.
    pub(crate) async fn annotators(&self, project: &str, count: usize) -> Vec<Client> {
        let client = self.client();
        let mut people = Vec::with_capacity(count);
        for n in 0..count {
            let email = format!("{n}-{}@example.com", &project[project.len() - 6..]);
            let create = "mutation($i: CreateUserInput!) { createUser(input: $i) { user { id } } }";
            let made = client.send(create, json!({ "i": { "email": email, "name": email } })).await;
            let user = &made["data"]["createUser"]["user"]["id"];
            let member = "mutation($i: SetMemberInput!) { setMember(input: $i) { member { role } } }";
            let member = client
                .send(member, json!({ "i": { "projectId": project, "userId": user, "role": "ANNOTATOR" } }))
                .await;
            assert_eq!(member["data"]["setMember"]["member"]["role"], "ANNOTATOR", "{member}");
            let token = run(&self.environment, &["token", "create", "--email", &email]);
            people.push(Client { http: reqwest::Client::new(), url: self.url.clone(), token });
        }
        people
    }

    async fn viewer_id(&self) -> String {
        let answer = self.client().send("{ viewer { id } }", json!({})).await;
        answer["data"]["viewer"]["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Client {
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Sends a document.
    pub(crate) async fn send(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(&self.url).bearer_auth(&self.token).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Uploads one file; gives its asset's id.
    pub(crate) async fn upload_file(&self, project: &str, name: &str, content_type: &str, bytes: Vec<u8>) -> Value {
        let request = "mutation($i: RequestUploadsInput!) { requestUploads(input: $i) { uploads { assetId url } } }";
        let complete = "mutation($i: CompleteUploadsInput!) { completeUploads(input: $i) { assets { state } } }";
        let file = json!({ "fileName": name, "contentType": content_type, "sizeBytes": bytes.len() });
        let asked = self.send(request, json!({ "i": { "projectId": project, "files": [file] } })).await;
        let upload = &asked["data"]["requestUploads"]["uploads"][0];
        let sent = self.http.put(upload["url"].as_str().expect("a URL is given")).body(bytes).send().await.unwrap();
        assert_eq!(sent.status(), 204);
        self.send(complete, json!({ "i": { "assetIds": [upload["assetId"]] } })).await;
        upload["assetId"].clone()
    }

    async fn upload(&self, project: &Value, count: usize) -> Vec<Value> {
        self.upload_all(project, "page.txt", "text/plain", b"hello", count).await
    }

    async fn upload_all(
        &self,
        project: &Value,
        name: &str,
        content_type: &str,
        bytes: &'static [u8],
        count: usize,
    ) -> Vec<Value> {
        let request = "mutation($i: RequestUploadsInput!) { requestUploads(input: $i) { uploads { assetId url } } }";
        let complete = "mutation($i: CompleteUploadsInput!) { completeUploads(input: $i) { assets { state } } }";
        let file = json!({ "fileName": name, "contentType": content_type, "sizeBytes": bytes.len() });
        let asked = self.send(request, json!({ "i": { "projectId": project, "files": vec![file; count] } })).await;
        let uploads = asked["data"]["requestUploads"]["uploads"].as_array().expect("uploads are given").clone();
        for upload in &uploads {
            let sent = self.http.put(upload["url"].as_str().unwrap()).body(bytes).send().await.unwrap();
            assert_eq!(sent.status(), 204);
        }
        let ids: Vec<Value> = uploads.iter().map(|upload| upload["assetId"].clone()).collect();
        self.send(complete, json!({ "i": { "assetIds": ids } })).await;
        ids
    }
}

impl Seeded {
    /// A table that gives the reference a task by number.
    pub(crate) fn number_tasks(&self, url: &str) {
        let sql = "CREATE TABLE bench_task AS SELECT row_number() OVER (ORDER BY id) AS n, id AS task_id FROM task; \
                   CREATE UNIQUE INDEX ON bench_task (n); ANALYZE bench_task";
        psql(url, sql);
    }

    /// What the reference's statements are bound to.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let hash: String = Sha256::digest(&self.token).iter().map(|byte| format!("{byte:02x}")).collect();
        let uuid = |id: &str| id.parse::<concord::domain::ids::AnyId>().map(uuid_of).unwrap().to_string();
        vec![
            ("tasks".to_owned(), self.tasks.len().to_string()),
            ("hash".to_owned(), hash),
            ("user".to_owned(), uuid(&self.user)),
            ("template".to_owned(), uuid(&self.template)),
        ]
    }
}

fn uuid_of(id: concord::domain::ids::AnyId) -> uuid::Uuid {
    use concord::domain::ids::AnyId;
    match id {
        AnyId::UserId(id) => id.0,
        AnyId::TemplateId(id) => id.0,
        other => panic!("{other:?} is not bound by the reference"),
    }
}

/// Runs SQL in a database of PostgreSQL.
pub(crate) fn psql(url: &str, sql: &str) {
    let status = Command::new(crate::postgres::programs().join("psql")).args(["-qc", sql, url]).status();
    assert!(status.is_ok_and(|status| status.success()), "{sql}");
}

fn run(environment: &[(String, String)], arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_concord"))
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
