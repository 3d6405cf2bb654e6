//! The tour of the README, executed as it stands there: what a reader pastes is what runs.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::{Database, lines_of, on_both_databases, output_of, wait_until};

on_both_databases![the_tour_works_as_it_stands_in_the_readme];

/// The blocks of shell commands of the README's section "Five minutes".
fn blocks() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Five minutes\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block ends").0.to_owned()).collect()
}

/// Looks again and again whether a condition holds, for a minute, and does something in between.
fn until(condition: &str, meanwhile: &str) -> String {
    format!("for look in $(seq 600); do if {condition}; then break; fi; {meanwhile}; sleep 0.1; done\n{condition}\n")
}

async fn the_tour_works_as_it_stands_in_the_readme(database: Database) {
    let folder = database.folder().to_owned();
    if !database.is_sqlite() {
        assert!(database.migrate().await.status.success());
    }
    let server = database.serve();
    wait_until("the server to be ready", async || {
        server.readiness().await.is_some_and(|(status, _)| status == reqwest::StatusCode::OK)
    })
    .await;
    let address = server.url.strip_prefix("http://").unwrap();
    // The program is built already, the server is another one, and files go to the test's folder: nothing else differs.
    let program = format!("{:?}", env!("CARGO_BIN_EXE_concord"));
    let tour = folder.join("tour").to_str().unwrap().to_owned();
    let adapted = |block: &str| {
        let replaced = [("cargo run --quiet --", program.as_str()), ("127.0.0.1:8080", address), ("data/tour", &tour)];
        replaced.iter().fold(block.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let blocks = blocks();
    let is_watch = |block: &&String| block.contains(" watch --project");
    assert_eq!((blocks.iter().filter(is_watch).count(), blocks.len()), (1, 8), "the tour has changed its shape");

    // One shell, as a reader has it; the third terminal is a job in the background of it.
    let watched = folder.join("watched.jsonl");
    let mut script = "set -eu\n".to_owned();
    for block in &blocks {
        if is_watch(&block) {
            script += &format!("{} > {} &\nwatch=$!\n", adapted(block).trim_end(), watched.display());
            // It listens once it tells of something: until then something happens.
            let rename = "mutation { updateProject(input: {projectId: \\\"'$PROJECT'\\\", name: \\\"Tour\\\"}) { project { id } } }";
            let rename = format!("gql \"$MANAGER\" '{{\"query\": \"{rename}\"}}' > /dev/null");
            script += &until(&format!("[ -s {} ]", watched.display()), &rename);
        } else {
            script += &adapted(block);
        }
    }
    script += &until(&format!("grep -q REVIEW_RECORDED {}", watched.display()), ":");
    script += "kill $watch\n";
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).env("DATABASE_URL", &database.url);
    shell.env("STORAGE_URL", format!("file://{}", folder.join("files").display())).env("LOG_LEVEL", "warn");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output_of(shell).await;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("\"errors\""), "{said}");
    for expected in [
        "2 tasks made",
        "\"results\":[{\"outcome\":\"APPLIED\",\"repeated\":false}]",
        "{\"externalId\":\"BloodImage_00000\",\"state\":\"SUBMITTED\"}",
        "\"task\":{\"state\":\"ACCEPTED\"}",
        "1 task exported",
    ] {
        assert!(said.contains(expected), "{expected} is missing in: {said}");
    }

    let coco: Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(&tour).join("cells.json")).unwrap()).unwrap();
    let list = |name: &str| coco[name].as_array().unwrap().clone();
    assert_eq!(list("images").len(), 1);
    assert_eq!(list("images")[0]["file_name"], "BloodImage_00000.jpg");
    let drawn: Vec<_> = list("annotations").iter().map(|it| (it["annotator"].clone(), it["bbox"].clone())).collect();
    let place = serde_json::json!([10.0, 20.5, 90.0, 80.0]);
    assert_eq!(drawn, [("lena".into(), place.clone()), ("omar".into(), place)]);

    let watched = lines_of(&std::fs::read_to_string(&watched).unwrap());
    let types: Vec<_> = watched.iter().filter_map(|event| event["type"].as_str()).collect();
    for expected in ["SESSION_CHANGED", "ANNOTATION_SAVED", "TASK_STATE_CHANGED", "REVIEW_RECORDED"] {
        assert!(types.contains(&expected), "{expected} is missing in {types:?}");
    }
}
