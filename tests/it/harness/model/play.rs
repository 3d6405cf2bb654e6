//! One request after another, each thrown by dice, and what was answered, with names in the place of ids.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use crate::harness::{
    Answer, Media, Person, Project, Session, TestApp, id_of,
    labeling::Screen,
    load::Dice,
    model::{CONTENT, names::Names, tools},
    new_annotation,
};

/// People who label; one of them at a time holds the task.
const PEOPLE: [&str; 3] = ["ana", "ben", "cleo"];
/// Screens under one lease, far more than a vector keeps.
const CROWD: usize = 66;
/// Longer than a lease.
const LONG: Duration = Duration::from_secs(1_000);
/// Annotations that all of it is about.
const ANNOTATIONS: usize = 6;

/// What a play can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Somebody opens one more screen.
    Join,
    /// The lease ends, and the next person takes the task.
    NextLease,
    /// The lease runs out, and nobody takes it.
    RunOut,
    /// Many screens edit the first annotation.
    Crowd,
    /// The task is handed in, and its review begins.
    Review,
    /// Every conflict is decided, and the work accepted.
    Accept,
}

/// A task, its people, and what they were told so far.
pub(crate) struct Play<'a> {
    app: &'a TestApp,
    project: Project,
    task: String,
    people: Vec<Person>,
    reviewer: Person,
    /// Who holds the task, or else its review; the last one is in charge.
    holder: usize,
    in_charge: Session,
    /// Every screen there ever was, also those whose lease has ended.
    screens: Vec<Session>,
    annotations: Vec<String>,
    /// The vectors each annotation had, as they were shown.
    vectors: BTreeMap<String, Vec<Value>>,
    /// Everything that was sent, with the screen.
    sent: Vec<(usize, Value)>,
    open: Vec<Value>,
    dice: Dice,
    names: Names,
    trace: Vec<String>,
}

impl<'a> Play<'a> {
    pub(crate) async fn begin(app: &'a TestApp, seed: u64) -> Self {
        let settings = json!({ "collaboration": "SHARED" });
        let project = app.project_with(&app.admin().await, Media::Image, settings).await;
        project.publish_tools(tools()).await;
        let picture = include_bytes!("../../../data/bccd/BloodImage_00012.jpg");
        let picture = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
        let task = id_of(project.create_tasks(json!([{ "assetIds": [picture] }])).await.get("createTasks.tasks.0"));
        let mut names = Names::default();
        names.give(&task, "the task".into());
        names.give(&picture, "the picture".into());
        let mut people = Vec::new();
        for name in PEOPLE {
            let person = project.member(app, name, "ANNOTATOR").await;
            names.give(&person.id, name.into());
            people.push(person);
        }
        let reviewer = project.member(app, "rita", "REVIEWER").await;
        names.give(&reviewer.id, "rita".into());
        let in_charge = app.at_work(&project, &task, &people[0]).await;
        let mut play = Self {
            app,
            project,
            task,
            people,
            reviewer,
            holder: 0,
            in_charge: in_charge.clone(),
            screens: Vec::new(),
            annotations: Vec::new(),
            vectors: BTreeMap::new(),
            sent: Vec::new(),
            open: Vec::new(),
            dice: Dice::new(seed),
            names,
            trace: Vec::new(),
        };
        play.opened(in_charge);
        for _ in 0..ANNOTATIONS {
            let edit = play.create();
            play.save(0, vec![edit]).await;
        }
        play
    }

    fn opened(&mut self, session: Session) {
        let name = format!("{}{}", session.person.name(), self.screens.len());
        self.names.give(&session.actor, name);
        self.screens.push(session);
    }

    /// Something happens.
    pub(crate) async fn step(&mut self) {
        match self.dice.roll(100) {
            0..4 => self.take(Step::Join).await,
            4..6 => self.take(Step::NextLease).await,
            6..8 => self.take(Step::RunOut).await,
            8..20 => self.decide().await,
            20..27 => self.repeat().await,
            _ => {
                let screen = self.screen();
                let count = 1 + self.dice.roll(3);
                let mut edits = Vec::new();
                for _ in 0..count {
                    edits.push(self.edit(screen));
                }
                self.save(screen, edits).await;
            }
        }
    }

    /// That happens.
    pub(crate) async fn take(&mut self, step: Step) {
        let under_review = self.in_charge.person.id == self.reviewer.id;
        match step {
            Step::Join => {
                let one = self.pick(self.people.len());
                let person = if under_review { self.reviewer.clone() } else { self.people[one].clone() };
                let joined = person.join_with(&self.task, json!({})).await;
                self.note("join", &json!({ "code": joined.code(), "field": joined.field() }));
                if joined.code().is_empty() {
                    self.opened(Session::of(&person, Screen::read(joined.get("joinTask.session"))));
                }
            }
            Step::NextLease if under_review => {}
            Step::NextLease => {
                let ended = self.in_charge.person.release(&self.in_charge.screen).await;
                self.note("release", &json!(ended.code()));
                self.holder = (self.holder + 1) % self.people.len();
                let person = self.people[self.holder].clone();
                self.in_charge = self.app.at_work(&self.project, &self.task, &person).await;
                self.opened(self.in_charge.clone());
            }
            Step::RunOut if under_review => {}
            Step::RunOut => {
                self.app.advance(LONG);
                self.app.reap().await;
                let stands = self.project.stands(&self.task).await;
                self.note("time goes by", &json!(stands));
                if stands.starts_with("QUARANTINED") {
                    self.project.reopen(&self.task).await.get("reopenTask");
                }
            }
            Step::Crowd => {
                let first = self.annotations[0].clone();
                let edit = json!({ "restore": { "id": first, "base": self.vectors[&first].last() } });
                self.save(self.screens.len() - 1, vec![edit]).await;
                for n in 0..CROWD {
                    let person = self.people[n % self.people.len()].clone();
                    let session = self.app.joined(&self.task, &person).await;
                    self.opened(session);
                    let base = self.vectors[&first].last().unwrap().clone();
                    let note = json!({ "note": format!("note {n}") });
                    let edit = json!({ "update": { "id": first, "base": base, "attributes": note } });
                    self.save(self.screens.len() - 1, vec![edit]).await;
                }
            }
            Step::Review => {
                self.look().await;
                while let Some(conflict) = self.open.first().cloned() {
                    self.resolve(&conflict, "CURRENT", Value::Null).await;
                }
                let submitted = self.in_charge.person.submit(&self.in_charge.screen).await;
                self.note("submit", &json!([submitted.code(), submitted.field()]));
                let screen = self.reviewer.claim_review(&self.project).await;
                self.in_charge = Session::of(&self.reviewer, screen);
                self.opened(self.in_charge.clone());
            }
            Step::Accept => {
                self.look().await;
                while let Some(conflict) = self.open.first().cloned() {
                    self.resolve(&conflict, "CURRENT", Value::Null).await;
                }
                let judged = self.reviewer.judge(&self.in_charge.screen, "ACCEPT", json!({})).await;
                let stands = self.project.stands(&self.task).await;
                self.note("accept", &json!([judged.code(), stands]));
            }
        }
        self.look().await;
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.dice.roll(of as u64)).unwrap()
    }

    /// Some screen: one of the last, or any there ever was.
    fn screen(&mut self) -> usize {
        let among = if self.dice.percent(75) { self.screens.len().min(4) } else { self.screens.len() };
        self.screens.len() - 1 - self.pick(among)
    }

    fn create(&mut self) -> Value {
        let id = new_annotation();
        self.names.give(&id, format!("box {}", self.annotations.len()));
        self.annotations.push(id.clone());
        self.creation(&id)
    }

    fn creation(&mut self, id: &str) -> Value {
        let geometry = self.geometry();
        json!({ "create": { "id": id, "tool": "Boxes", "label": "car", "geometry": geometry } })
    }

    fn geometry(&mut self) -> Value {
        let x = 1 + self.dice.roll(12);
        json!({ "boundingBox": { "x": x, "y": 2, "width": 5, "height": 4 } })
    }

    /// An edit on something its author saw once, with a fault now and then.
    fn edit(&mut self, screen: usize) -> Value {
        if self.dice.percent(3) {
            return self.create();
        }
        let one = self.pick(self.annotations.len());
        let id = self.annotations[one].clone();
        if self.dice.percent(2) || !self.vectors.contains_key(&id) {
            return self.creation(&id);
        }
        let base = self.base(&id, screen);
        match self.dice.roll(100) {
            0..8 => json!({ "delete": { "id": id, "base": base } }),
            8..18 => json!({ "restore": { "id": id, "base": base } }),
            _ => {
                let mut update = self.change();
                update.insert("id".into(), json!(id));
                update.insert("base".into(), base);
                json!({ "update": update })
            }
        }
    }

    fn change(&mut self) -> Map<String, Value> {
        let (mut change, mut attributes) = (Map::new(), Map::new());
        if self.dice.percent(40) {
            change.insert("geometry".into(), self.geometry());
        }
        if self.dice.percent(30) {
            change.insert("label".into(), json!(["car", "van", "bus", "boat"][self.pick(4)]));
        }
        if self.dice.percent(30) {
            attributes.insert("side".into(), json!(["left", "right"].get(self.pick(3))));
        }
        if self.dice.percent(15) {
            attributes.insert("plate".into(), json!(["B 1", "B 2"].get(self.pick(3))));
        }
        if attributes.is_empty() {
            attributes.insert("note".into(), json!(format!("note {}", self.dice.roll(20))));
        }
        change.insert("attributes".into(), json!(attributes));
        change
    }

    /// A vector the annotation had lately, with the screen's own edits.
    fn base(&mut self, id: &str, screen: usize) -> Value {
        let had = self.vectors[id].len();
        let back = if self.dice.percent(50) { 0 } else { self.pick(had.min(12)) };
        let mut base = self.vectors[id][had - 1 - back].clone();
        let last = &self.vectors[id][had - 1];
        let actor = self.screens[screen].actor.clone();
        if base["#"] == last["#"] && last.get(&actor).is_some() {
            base[&actor] = last[&actor].clone();
        }
        if self.dice.percent(3) {
            base[&actor] = json!(base[&actor].as_i64().unwrap_or(0) + 3);
        } else if self.dice.percent(3) {
            base.as_object_mut().unwrap().remove(&actor);
        }
        base
    }

    /// An edit of before, once more.
    async fn repeat(&mut self) {
        let (screen, edit) = {
            let one = self.pick(self.sent.len());
            self.sent[one].clone()
        };
        self.save(screen, vec![edit]).await;
    }

    async fn save(&mut self, screen: usize, edits: Vec<Value>) {
        let selection = format!(
            "results {{ annotationId outcome repeated fields code field message annotation {{ {} }}
                conflict {{ {CONFLICT} base {{ {CONTENT} }} incoming {{ {CONTENT} }} current {{ {CONTENT} }} }} }}
             task {{ version state }}",
            shown()
        );
        let session = &self.screens[screen];
        let input = session.screen.with(json!({ "edits": edits }));
        let saved = session.person.mutate("saveAnnotations", input, &selection).await;
        for result in
            saved.body.pointer("/data/saveAnnotations/results").and_then(Value::as_array).into_iter().flatten()
        {
            self.learn(&result["annotation"]);
        }
        self.sent.extend(edits.iter().map(|edit| (screen, edit.clone())));
        let asked = json!({ "by": self.screens[screen].actor, "edits": edits });
        self.answered(&asked, &saved);
    }

    fn learn(&mut self, annotation: &Value) {
        let Some(id) = annotation["id"].as_str() else { return };
        let vectors = self.vectors.entry(id.to_owned()).or_default();
        if vectors.last() != Some(&annotation["versionVector"]) {
            vectors.push(annotation["versionVector"].clone());
        }
    }

    /// What is open, and what vectors are now: some of it was not an edit's doing.
    async fn look(&mut self) {
        let query = format!(
            "query($id: ID!) {{ task(id: $id) {{ annotations(first: 100, includeDeleted: true) {{ nodes {{ id versionVector }} }}
                openConflicts(first: 100) {{ nodes {{ {CONFLICT} annotation {{ id versionVector }} }} }} }} }}"
        );
        let seen = self.project.manager.send(&query, json!({ "id": self.task })).await;
        for annotation in seen.get("task.annotations.nodes").as_array().unwrap() {
            self.learn(annotation);
        }
        let mut open = seen.get("task.openConflicts.nodes").as_array().unwrap().clone();
        // By names: what was raised at the same moment has no order of its own.
        open.sort_by_cached_key(|conflict| self.names.in_place_of(conflict).to_string());
        self.open = open;
    }

    /// Somebody decides something, as it is or as it was.
    async fn decide(&mut self) {
        self.look().await;
        if self.open.is_empty() {
            return;
        }
        let one = self.pick(self.open.len());
        let mut conflict = self.open[one].clone();
        if self.dice.percent(20) {
            let id = conflict["annotation"]["id"].as_str().unwrap().to_owned();
            let vectors = &self.vectors[&id];
            conflict["annotation"]["versionVector"] = vectors[vectors.len().saturating_sub(2)].clone();
        }
        let choice = ["CURRENT", "INCOMING", "MERGED"][self.pick(3)];
        let merged = if choice == "MERGED" { json!(self.change()) } else { Value::Null };
        self.resolve(&conflict, choice, merged).await;
    }

    async fn resolve(&mut self, conflict: &Value, choice: &str, merged: Value) {
        let base = &conflict["annotation"]["versionVector"];
        let mut input = json!({ "conflictId": conflict["id"], "base": base, "choice": choice });
        if !merged.is_null() {
            input["merged"] = merged;
        }
        let selection = format!("conflict {{ {CONFLICT} }} annotation {{ {} }}", shown());
        let person = self.in_charge.person.clone();
        let decided = person.mutate("resolveConflict", input.clone(), &selection).await;
        self.answered(&input, &decided);
        self.look().await;
    }

    fn answered(&mut self, asked: &Value, answer: &Answer) {
        let refused = json!([answer.code(), answer.field(), answer.message()]);
        let answer = json!({ "refused": refused, "data": answer.body["data"] });
        self.note("asked", asked);
        self.note("answer", &answer);
    }

    fn note(&mut self, what: &str, value: &Value) {
        let value = self.names.in_place_of(value);
        self.trace.push(format!("{what}: {value}"));
    }

    /// The trace, and in its end every revision and every conflict.
    pub(crate) async fn end(mut self) -> Vec<String> {
        let query = format!(
            "query($id: ID!) {{ node(id: $id) {{ ... on Annotation {{ {} revisions(first: 200) {{
                nodes {{ revision outcome fields by {{ id }} content {{ {CONTENT} }} }} }} }} }} }}",
            shown()
        );
        for id in self.annotations.clone() {
            let seen = self.project.manager.send(&query, json!({ "id": id })).await;
            let node = seen.get("node").clone();
            self.note("annotation", &node);
        }
        let query = format!(
            "query($id: ID!) {{ conflicts(projectId: $id, first: 200) {{ nodes {{ {CONFLICT} annotation {{ id }}
                base {{ {CONTENT} }} incoming {{ {CONTENT} }} current {{ {CONTENT} }} }} }} }}"
        );
        let seen = self.project.manager.send(&query, json!({ "id": self.project.id })).await;
        let conflicts = seen.get("conflicts.nodes").as_array().unwrap();
        let mut lines: Vec<String> =
            conflicts.iter().map(|conflict| self.names.in_place_of(conflict).to_string()).collect();
        lines.sort();
        self.trace.extend(lines);
        self.trace
    }
}

/// What is asked of a conflict.
const CONFLICT: &str = "id state cause fields baseVector choice incomingBy { id } currentBy { id } resolvedBy { id }";

/// What is asked of an annotation.
fn shown() -> String {
    format!("id revision versionVector source author {{ id }} lastEditedBy {{ id }} {CONTENT}")
}
