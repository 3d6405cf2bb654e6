//! The page behind the sign-in link: GraphiQL with examples in its tabs, in a real browser, and the examples themselves.

use std::{path::Path, process::Command};

use concord::service::{demo, sign_in};
use serde_json::{Value, json};

use crate::harness::{Browser, Database, Person, Project, TestApp, on_one_database, wait_until};

on_one_database![
    sqlite: the_link_leads_to_examples_that_run,
    sqlite: every_example_does_what_it_says,
    sqlite: the_pages_say_what_to_try,
];

const TABS: [&str; 10] =
    ["LookAround", "Tasks", "Claim", "Save", "Submit", "ClaimReview", "Review", "Live", "Export", "Exported"];

/// Runs the tab, unless it runs.
const RUN: &str = "(document.querySelector('.graphiql-execute-button').ariaLabel.startsWith('Stop'))
    || document.querySelector('.graphiql-execute-button').click()";

async fn go_to(browser: &mut Browser, tab: usize) {
    browser.eval(&format!("document.querySelectorAll('.graphiql-tab-button')[{tab}].click()")).await;
    let query = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.getValue()";
    browser.until(&format!("{query}.includes(' {}')", TABS[tab])).await;
}

/// Runs a tab until the answer has this text: for a moment the page still runs the operation of the tab before.
async fn run_until(browser: &mut Browser, tab: usize, answer: &str) {
    go_to(browser, tab).await;
    wait_until(answer, async || {
        browser.eval(RUN).await;
        browser.eval(&has(answer)).await == true
    })
    .await;
}

fn has(answer: &str) -> String {
    format!("document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue().includes('{answer}')")
}

async fn the_link_leads_to_examples_that_run(database: Database) {
    let app = TestApp::new(database).await;
    let demo = demo::make(app.use_cases()).await.unwrap();
    let project = demo.project.id.to_string();
    let link = sign_in::link_for(app.use_cases(), &demo.manager).await.unwrap().url;
    let mut browser = Browser::start(&app.http).await;
    browser.open(&link).await;
    browser.eval("document.querySelector('form button').click()").await;
    browser.until("document.querySelectorAll('.graphiql-tab').length > 1").await;
    let tabs = "[...document.querySelectorAll('.graphiql-tab-button')].map((tab) => tab.textContent)";
    assert_eq!(browser.eval(tabs).await, json!(TABS));
    let try_it = browser.eval("document.getElementById('try').textContent").await;
    assert!(try_it.as_str().unwrap().contains(&format!("concord watch --project {project}")), "{try_it}");

    run_until(&mut browser, 0, "Demo: blood cells").await;
    // Its variable is filled in.
    run_until(&mut browser, 1, "BloodImage_00055").await;
    // The socket, too; the page does not show from when on it listens.
    let ana = app.known("ana@demo.localhost").await;
    let project = Project { id: project, manager: ana.clone() };
    go_to(&mut browser, 7).await;
    wait_until("an event arrives in the tab", async || {
        browser.eval(RUN).await;
        ana.release(&ana.claim(&project).await).await.get("releaseTask");
        browser.eval(&has("SESSION_CHANGED")).await == true
    })
    .await;
    assert_eq!(browser.complaints, [] as [Value; 0]);
}

/// The tabs as the page makes them: name, query, variables.
fn examples(project: &str) -> Vec<(String, String, Value)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/graphiql/examples.js");
    let script = format!(
        "globalThis.crypto ??= require('node:crypto').webcrypto;
         require('node:vm').runInThisContext(require('node:fs').readFileSync({file:?}, 'utf8'));
         console.log(JSON.stringify(concordExamples({project:?})))"
    );
    let output = Command::new("node").args(["-e", &script]).output();
    let output = output.expect("Node.js starts; when it is missing: run 'make setup'");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tabs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let tabs = tabs.iter().map(|tab| {
        let query = tab["query"].as_str().unwrap().to_owned();
        let operation = query.lines().find(|line| !line.starts_with('#')).unwrap();
        let name = operation.split([' ', '(']).nth(1).unwrap().to_owned();
        (name, query, serde_json::from_str(tab["variables"].as_str().unwrap()).unwrap())
    });
    tabs.collect()
}

async fn every_example_does_what_it_says(database: Database) {
    let app = TestApp::new(database).await;
    let demo = demo::make(app.use_cases()).await.unwrap();
    let admin: Person = app.known("admin@localhost").await;
    let mut live = None;
    let mut session = Value::Null;
    let mut examples = examples(&demo.project.id.to_string());
    let all: Vec<String> = examples.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(all, TABS);
    // What it tells is what the others do.
    let follower = examples.remove(all.iter().position(|name| name == "Live").unwrap());
    examples.insert(0, follower);
    app.running.work();
    for (name, query, mut variables) in examples {
        if variables.get("session").is_some() {
            (variables["session"], variables["fence"]) = (session["id"].clone(), session["fence"].clone());
        }
        if name == "Live" {
            let mut socket = admin.socket().await;
            socket.subscribe("1", &query, variables).await;
            live = Some(socket);
            continue;
        }
        let answer = admin.send(&query, variables.clone()).await;
        match name.as_str() {
            "LookAround" => assert_eq!(answer.get("projects.nodes.0.name"), "Demo: blood cells"),
            "Tasks" => assert_eq!(answer.get("tasks.totalCount"), 12),
            "Claim" => session = answer.get("claimTask.session").clone(),
            "Save" => {
                assert_eq!(answer.get("saveAnnotations.results.0.outcome"), "APPLIED", "{:#}", answer.body);
                let again = admin.send(&query, variables).await;
                assert_eq!(again.get("saveAnnotations.results.0.repeated"), true);
            }
            "Submit" => assert_eq!(answer.get("submitTask.task.state"), "SUBMITTED"),
            "ClaimReview" => session = answer.get("claimReview.session").clone(),
            "Review" => assert_eq!(answer.get("reviewTask.task.state"), "ACCEPTED"),
            "Export" => {
                admin.ended(&answer.text("startExport.job.id")).await;
            }
            "Exported" => assert_eq!(answer.get("project.jobs.nodes.0.message"), "3 tasks exported"),
            _ => panic!("{name} is not played"),
        }
    }
    let mut live = live.expect("a tab follows");
    let mut told = Vec::new();
    while !told.contains(&json!("REVIEW_RECORDED")) {
        told.push(live.event().await["type"].clone());
    }
    assert!(told.contains(&json!("ANNOTATION_SAVED")) && told.contains(&json!("SESSION_CHANGED")), "{told:?}");
}

async fn the_pages_say_what_to_try(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let ana = app.person("ana").await;
    let page = async |person: Option<&Person>, path: &str| {
        let request = app.http.get(app.url(path));
        let request = if let Some(person) = person { request.bearer_auth(&person.token) } else { request };
        request.send().await.unwrap().text().await.unwrap()
    };
    let tab_of = |project: &str| format!("data-project=\"{project}\"");
    let own = boss.mutate("createProject", json!({ "name": "Cats", "mediaType": "IMAGE" }), "project { id }").await;
    let own = own.text("createProject.project.id");
    let seen = page(Some(&boss), "/graphiql").await;
    assert!(seen.contains(&tab_of(&own)) && seen.contains("concord serve --demo"), "{seen}");
    let demo = demo::make(app.use_cases()).await.unwrap().project.id.to_string();
    for path in ["/graphiql", "/"] {
        let seen = page(Some(&boss), path).await;
        assert!(
            seen.contains(&format!("concord watch --project {demo}")) && seen.contains("Demo: blood cells"),
            "{seen}"
        );
        for (case, person, want) in
            [("a stranger to it", Some(&ana), "concord serve --demo"), ("nobody", None, "Sign in")]
        {
            let seen = page(person, path).await;
            assert!(seen.contains(want) && !seen.contains(&demo), "{case}: {seen}");
        }
    }
    assert!(page(Some(&boss), "/graphiql").await.contains(&tab_of(&demo)), "rather than what is older");
    assert!(page(Some(&ana), "/graphiql").await.contains(&tab_of("")));
    let renamed = json!({ "projectId": demo, "name": "<b>Cells</b> & \"more\"" });
    boss.mutate("updateProject", renamed, "project { id }").await.get("updateProject");
    let seen = page(Some(&boss), "/").await;
    assert!(seen.contains("&lt;b&gt;Cells&lt;/b&gt; &amp; &quot;more&quot;"), "{seen}");
}
