//! A project whose people follow it, and one of them who saves.

use concord::domain::ids::AnnotationId;
use serde_json::{Value, json};

use super::sockets::{Speech, mark};
use crate::server::{Client, Server};

/// People whose sockets follow.
const PEOPLE: usize = 20;
/// Characters of what is saved besides its mark: makes an event of about 1 KiB.
const FILLING: usize = 400;

const CREATE: &str = "mutation($i: CreateProjectInput!) { createProject(input: $i) { project { id } } }";
const PUBLISH: &str = "mutation($i: PublishTemplateInput!) { publishTemplate(input: $i) { template { id } } }";
const TASKS: &str = "mutation($i: CreateTasksInput!) { createTasks(input: $i) { tasks { id } } }";
const CLAIM: &str = "mutation($i: ClaimTaskInput!) { claimTask(input: $i) { session { id fence } } }";
const SAVE: &str = "mutation($i: SaveAnnotationsInput!) { saveAnnotations(input: $i) {
    results { outcome code annotation { versionVector } } } }";
/// What a labeling UI asks to keep a picture's boxes as they are.
const FOLLOW: &str = "subscription($project: ID!) { taskEvents(projectId: $project) {
    __typename id type cursor at
    ... on AnnotationEvent { taskId outcome by { id name }
        annotation { id tool label revision versionVector attributes geometry {
            ... on BoundingBox { x y width height rotation } } } } } }";

/// The project.
pub(super) struct Room {
    project: String,
    people: Vec<Client>,
}

/// Whoever saves: one box whose note changes, over and over.
pub(super) struct Saver {
    client: Client,
    session: Value,
    annotation: String,
    base: Value,
}

impl Room {
    pub(super) async fn open(server: &Server) -> Self {
        let client = server.client();
        let made = client.send(CREATE, json!({ "i": { "name": "Live", "mediaType": "IMAGE" } })).await;
        let project = made["data"]["createProject"]["project"]["id"].as_str().expect("the project is made").to_owned();
        let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "car" }],
            "attributes": [{ "name": "note", "type": "TEXT" }] });
        let template = json!({ "projectId": project, "name": "Live", "tools": [tool] });
        client.send(PUBLISH, json!({ "i": { "template": template } })).await;
        let picture = include_bytes!("../../../tests/data/bccd/BloodImage_00012.jpg").to_vec();
        let asset = client.upload_file(&project, "cells.jpg", "image/jpeg", picture).await;
        let tasks = json!({ "i": { "projectId": project, "tasks": [{ "assetIds": [asset] }] } });
        client.send(TASKS, tasks).await;
        let people = server.annotators(&project, PEOPLE).await;
        Self { project, people }
    }

    /// What is said on the sockets of its people.
    pub(super) fn speech(&self) -> Speech {
        let tokens = self.people.iter().map(|person| person.token().to_owned()).collect();
        Speech::GraphQl { tokens, subscribe: json!({ "query": FOLLOW, "variables": { "project": self.project } }) }
    }

    /// The first of its people, with the task open and a box in it.
    pub(super) async fn saver(&self) -> Saver {
        let client = self.people[0].clone();
        let opened = client.send(CLAIM, json!({ "i": { "projectId": self.project } })).await;
        let session = opened["data"]["claimTask"]["session"].clone();
        let annotation = AnnotationId::generate().to_string();
        let mut saver = Saver { client, session, annotation, base: Value::Null };
        let geometry = json!({ "boundingBox": { "x": 1, "y": 1, "width": 40, "height": 30 } });
        saver
            .save(
                json!({ "create": { "id": saver.annotation, "tool": "Boxes", "label": "car", "geometry": geometry } }),
            )
            .await;
        saver
    }
}

impl Saver {
    /// Saves what makes the event of a round.
    pub(super) async fn publish(&mut self, round: usize) {
        let note = format!("{}{}", mark(round), "x".repeat(FILLING));
        self.save(json!({ "update": { "id": self.annotation, "base": self.base, "attributes": { "note": note } } }))
            .await;
    }

    async fn save(&mut self, edit: Value) {
        let input = json!({ "sessionId": self.session["id"], "fence": self.session["fence"], "edits": [edit] });
        let saved = self.client.send(SAVE, json!({ "i": input })).await;
        let result = &saved["data"]["saveAnnotations"]["results"][0];
        assert_eq!(result["outcome"], "APPLIED", "{saved}");
        self.base = result["annotation"]["versionVector"].clone();
    }
}
