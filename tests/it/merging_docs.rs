//! docs/merging.md says what the server does: its examples are played against one, its table names tests that are there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, Session, TestApp, id_of, new_annotation, on_both_databases, tests_named_in,
};

on_both_databases![every_row_names_the_tests_that_check_it, every_example_is_answered_as_it_says];

const DOCUMENT: &str = include_str!("../../docs/merging.md");
/// Rows of the table.
const ROWS: usize = 11;
/// Screens of one person and lease, fewer than there may be.
const SCREENS: usize = 40;

async fn every_row_names_the_tests_that_check_it(_: Database) {
    let rows: Vec<Vec<&str>> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| ["))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), ROWS);
    for (n, row) in rows.iter().enumerate() {
        let number = n + 1;
        assert!(row[0].starts_with(&format!("[{number}](#{number}-")), "{row:?}");
        assert!(tests_named_in(row[3]) > 0, "row {number} names no test");
    }
}

/// The examples, each with the heading it stands under.
fn examples() -> Vec<(&'static str, &'static str)> {
    let (_, section) = DOCUMENT.split_once("\n## Row by row\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.split("\n### ").skip(1).map(|row| row.split_once('\n').expect("a heading ends"));
    let blocks = rows.flat_map(|(row, text)| text.split("```json\n").skip(1).map(move |block| (row, block)));
    blocks.map(|(row, block)| (row, block.split("```").next().unwrap())).collect()
}

/// What is asked for of annotations and conflicts.
const CONTENT: &str = "label attributes deleted geometry { ... on BoundingBox { x y width height } }";

fn annotation() -> String {
    format!("annotation {{ revision versionVector {CONTENT} }}")
}

fn conflict() -> String {
    let contents = ["base", "current", "incoming"].map(|which| format!("{which} {{ {CONTENT} }}")).join(" ");
    format!("conflict {{ id state cause choice fields {contents} }}")
}

/// Ana at work on a task of its own, ben beside her, and a box of hers that both see.
struct Scene<'a> {
    app: &'a TestApp,
    project: &'a Project,
    task: String,
    ana: Session,
    ben: Session,
    names: Vec<(&'static str, String)>,
}

impl<'a> Scene<'a> {
    async fn new(app: &'a TestApp, project: &'a Project, asset: &str, people: &[Person; 2]) -> Self {
        let task = id_of(project.create_tasks(json!([{ "assetIds": [asset] }])).await.get("createTasks.tasks.0"));
        let [ana, ben] = people;
        let (ana, ben) = (app.at_work(project, &task, ana).await, app.joined(&task, ben).await);
        let names = vec![
            ("ANA", ana.actor.clone()),
            ("BEN", ben.actor.clone()),
            ("BOX", new_annotation()),
            ("ANOTHER", new_annotation()),
        ];
        let scene = Self { app, project, task, ana, ben, names };
        let geometry = json!({ "boundingBox": { "x": 10, "y": 10, "width": 20, "height": 20 } });
        let made = json!({ "create": { "id": "BOX", "tool": "Boxes", "label": "cell", "geometry": geometry } });
        let result = scene.play("ana", &made).await;
        let want = json!({ "outcome": "APPLIED", "annotation": { "versionVector": { "#": 1, "ANA": 1 } } });
        scene.assert_holds("the box", &result, &want);
        scene
    }

    /// With the names of the document replaced by what they stand for here.
    fn named(&self, value: &Value) -> Value {
        let text = value.to_string();
        let quoted = |name: &str| format!("\"{name}\"");
        let text = self.names.iter().fold(text, |text, (name, is)| text.replace(&quoted(name), &quoted(is)));
        serde_json::from_str(&text).unwrap()
    }

    /// What somebody gets who sends an edit or a decision.
    async fn play(&self, who: &str, what: &Value) -> Value {
        let session = if who == "ana" { &self.ana } else { &self.ben };
        let what = self.named(what);
        if let Some(input) = what.get("resolveConflict") {
            let selection = format!("{} {}", conflict(), annotation());
            let answer = session.person.mutate("resolveConflict", input.clone(), &selection).await;
            return match answer.code() {
                "" => answer.get("resolveConflict").clone(),
                code => json!({ "code": code }),
            };
        }
        let selection = format!("results {{ outcome repeated fields code message {} {} }}", annotation(), conflict());
        let input = session.screen.with(json!({ "edits": [what] }));
        let saved = session.person.mutate("saveAnnotations", input, &selection).await;
        saved.get("saveAnnotations.results.0").clone()
    }

    /// `found` holds all that `expected` says.
    fn assert_holds(&self, case: &str, found: &Value, expected: &Value) {
        let expected = self.named(expected);
        assert!(holds(found, &expected), "{case}: {found:#} instead of {expected:#}");
    }

    /// So many screens edit the box that its vector is cut when the slot is leased next, by ana.
    async fn many_screens(&mut self) {
        let mut seen = self.named(&json!({ "#": 1, "ANA": 1 }));
        let id = self.named(&json!("BOX"));
        for first in [&self.ana, &self.ben] {
            for _ in 0..SCREENS {
                let another = self.app.joined(&self.task, &first.person).await;
                let edit = json!({ "update": { "id": id, "base": seen, "attributes": { "size": 1 } } });
                assert_eq!(another.edit(edit).await["outcome"], "APPLIED");
                seen[&another.actor] = json!(1);
            }
        }
        self.ana.person.release(&self.ana.screen).await.get("releaseTask");
        self.ana = self.app.at_work(self.project, &self.task, &self.ana.person).await;
        self.ben = self.app.joined(&self.task, &self.ben.person).await;
        let actors = [("ANA", self.ana.actor.clone()), ("BEN", self.ben.actor.clone())];
        self.names.retain(|(name, _)| !["ANA", "BEN"].contains(name));
        self.names.extend(actors);
    }
}

/// Whether a value says all that the other one does; vectors have to be the same.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected.iter().all(|(key, expected)| {
            let found = found.get(key).unwrap_or(&Value::Null);
            if key == "versionVector" { found == expected } else { holds(found, expected) }
        }),
        (found, expected) if found.is_number() => found.as_f64() == expected.as_f64(),
        (found, expected) => found == expected,
    }
}

async fn every_example_is_answered_as_it_says(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "collaboration": "SHARED" })).await;
    let attributes = json!([
        { "name": "size", "type": "NUMBER" },
        { "name": "plate", "type": "TEXT", "appliesTo": ["cell"] },
    ]);
    let labels = json!([{ "name": "cell" }, { "name": "dust" }, { "name": "dirt" }]);
    project
        .publish_tools(json!([{ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": labels, "attributes": attributes }]))
        .await;
    let picture = include_bytes!("../data/bccd/BloodImage_00012.jpg");
    let asset = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
    let people = [project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await];
    let mut played = BTreeSet::new();
    for (n, (row, example)) in examples().into_iter().enumerate() {
        let mut scene = Scene::new(&app, &project, &asset, &people).await;
        let steps: Vec<Value> =
            serde_json::from_str(example).unwrap_or_else(|error| panic!("{row}: {error} in {example}"));
        for (step, said) in steps.iter().enumerate() {
            let case = format!("{row}, example {n}, step {step}");
            let who = ["ana", "ben"].into_iter().find(|who| said.get(who).is_some());
            if let Some(who) = who {
                let result = scene.play(who, &said[who]).await;
                scene.assert_holds(&case, &result, &said["gets"]);
                if let Some(id) = result["conflict"]["id"].as_str() {
                    scene.names.retain(|(name, _)| *name != "CONF");
                    scene.names.push(("CONF", id.to_owned()));
                }
            } else if said.get("the manager").is_some() {
                scene.project.revoke(&scene.task, Some(1)).await.get("revokeLease");
            } else if said.get("many screens").is_some() {
                scene.many_screens().await;
            } else {
                panic!("{case}: nobody knows what {said} is");
            }
        }
        // Nobody holds too many; where the slot was taken away, this is refused.
        scene.ana.person.release(&scene.ana.screen).await;
        played.insert(row.split('.').next().unwrap().to_owned());
    }
    assert_eq!(played.len(), ROWS, "{played:?}");
}
