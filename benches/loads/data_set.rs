//! A data set of 20,000 tasks: in as JSONL, out as COCO; on SQLite and on PostgreSQL. Once with five boxes on 60 of the tasks,
//! as the peer's was, and once with five on each.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use crate::{
    measure::{cpu_ms_of_postgres, cpu_ms_of_process, most_resident_mib},
    postgres::Postgres,
    print,
    server::{Client, Server},
};

/// Tasks of the data set; as many as the peers' loads have.
const TASKS: usize = 20_000;
/// On how many of them there are boxes: as in the peer's load, and on all.
const LABELED: [usize; 2] = [60, TASKS];

pub(crate) async fn run() {
    for labeled in LABELED {
        measure("SQLite", None, labeled).await;
        let database = Postgres::start(&[("shared_buffers", "512MB"), ("max_wal_size", "4GB")]);
        database.create("dataset", None);
        measure("PostgreSQL", Some(&database), labeled).await;
        database.stop();
    }
}

async fn measure(name: &str, database: Option<&Postgres>, labeled: usize) {
    let server = Server::start(database.map(|database| database.url("dataset")).as_deref()).await;
    let project = server.labeling_project("Data set", 0).await;
    let client = server.client();
    let db_cpu = || database.map_or(0.0, |database| cpu_ms_of_postgres(&database.folder));
    let title = |what: &str| format!("{what} {TASKS} tasks, boxes on {labeled}, {name}");
    for (what, peer) in [("import", "4.3-4.7 s"), ("export as COCO", "22.8-33.4 s; aim 1/20")] {
        let (mutation, input) = if what == "import" {
            let lines = lines(labeled).into_bytes();
            let asset = client.upload_file(&project, "tasks.jsonl", "application/x-ndjson", lines).await;
            let source = json!({ "assetId": asset });
            let input = json!({ "projectId": project, "format": "JSONL", "source": source, "annotations": "ACCEPT" });
            ("mutation($i: StartImportInput!) { made: startImport(input: $i) { job { id } } }", input)
        } else {
            let input = json!({ "projectId": project, "format": "COCO" });
            ("mutation($i: StartExportInput!) { made: startExport(input: $i) { job { id } } }", input)
        };
        let (cpu, db) = (cpu_ms_of_process(server.pid()), db_cpu());
        let job = client.send(mutation, json!({ "i": input })).await["data"]["made"]["job"]["id"].clone();
        ended(&client, &job).await;
        let cpu = (cpu_ms_of_process(server.pid()) - cpu) / 1_000.0;
        let db = (db_cpu() - db) / 1_000.0;
        let beside = format!("Label Studio {peer}, with its database (another run, boxes on 60 tasks)");
        print(&format!("{}: server CPU", title(what)), cpu, "s", &beside);
        if database.is_some() {
            print(&format!("{}: database CPU", title(what)), db, "s", "");
        }
    }
    print(&title("most memory with"), most_resident_mib(server.pid()), "MiB", "aim 150");
}

/// The file: tasks on the one picture of the project, the first ones with boxes.
fn lines(labeled: usize) -> String {
    let mut lines = String::new();
    for task in 0..TASKS {
        let boxes: Vec<Value> = (0..if task < labeled { 5 } else { 0 })
            .map(|n| {
                let geometry = json!({ "boundingBox": { "x": 10 + n, "y": task % 400, "width": 40, "height": 30 } });
                json!({ "tool": "Boxes", "label": "car", "geometry": geometry })
            })
            .collect();
        let slots = json!([{ "number": 1, "round": 1, "state": "ACCEPTED", "annotations": boxes }]);
        let assets = json!([{ "fileName": "cells.jpg" }]);
        let record = json!({ "externalId": format!("task-{task}"), "assets": assets, "slots": slots });
        writeln!(lines, "{record}").expect("a string grows");
    }
    lines
}

async fn ended(client: &Client, job: &Value) {
    const QUERY: &str = "query($id: ID!) { node(id: $id) { ... on Job { state message endedAt } } }";
    loop {
        let seen = client.send(QUERY, json!({ "id": job })).await;
        let job = &seen["data"]["node"];
        if !job["endedAt"].is_null() {
            assert_eq!(job["state"], "SUCCEEDED", "{job}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
