//! Who asks the same about a project's events and sees the same is told the same bytes. Nobody is told by that what they
//! would not be told alone: whatever is asked, each gets what the `events` query gives them, which shares nothing.

use std::collections::{BTreeMap, HashMap};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, Session, Socket, TestApp, box_at, id_of, load::Dice, new_annotation,
    on_both_databases, wait_until,
};

on_both_databases![
    what_is_shared_is_what_each_would_be_given_alone,
    an_event_is_executed_once_for_all_who_ask_the_same,
    what_depends_on_who_asks_is_executed_for_each,
];

/// Documents tried.
const DOCUMENTS: usize = 25;
const TYPES: &str = "{ __schema { types { name kind
    fields { name args { name type { kind } } type { kind name ofType { kind name ofType { kind name ofType { name } } } } }
    possibleTypes { name } } } }";
/// Of the reader, or of the moment it is asked for.
const NOT_THE_SAME_TWICE: [&str; 6] = ["cursor", "url", "stats", "startCursor", "endCursor", "payload"];

/// A field and the type of what it gives, lists and all taken off.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    gives: String,
    is_page: bool,
}

/// What may be selected, by type.
struct Schema {
    fields: HashMap<String, Vec<Field>>,
    events: Vec<String>,
    /// Interfaces and unions other than events.
    others: HashMap<String, Vec<String>>,
}

impl Schema {
    async fn read(person: &Person) -> Self {
        let answer = person.send(TYPES, json!({})).await;
        let (mut fields, mut events, mut others) = (HashMap::new(), Vec::new(), HashMap::new());
        for kind in answer.get("__schema.types").as_array().unwrap() {
            let name = kind["name"].as_str().unwrap().to_owned();
            let possible = kind["possibleTypes"].as_array().into_iter().flatten();
            let possible: Vec<String> = possible.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            match (name.as_str(), possible.is_empty()) {
                ("Event", _) => events = possible,
                (_, false) => drop(others.insert(name.clone(), possible)),
                _ => {}
            }
            let own = kind["fields"].as_array().into_iter().flatten().filter_map(field);
            fields.insert(name, own.collect::<Vec<_>>());
        }
        Self { fields, events, others }
    }

    /// Some fields of a type, some levels deep.
    fn select(&self, dice: &mut Dice, of: &str, depth: u32) -> String {
        if let Some(possible) = self.others.get(of) {
            let each = possible.iter().map(|one| format!("... on {one} {{ {} }}", self.select(dice, one, depth)));
            return format!("__typename {}", each.collect::<Vec<_>>().join(" "));
        }
        let mut selected = vec!["__typename".to_owned()];
        for field in self.fields.get(of).into_iter().flatten() {
            if NOT_THE_SAME_TWICE.contains(&field.name.as_str()) || !dice.percent(if depth > 2 { 50 } else { 35 }) {
                continue;
            }
            let arguments = if field.is_page { "(first: 3)" } else { "" };
            let is_leaf =
                self.fields.get(&field.gives).is_none_or(Vec::is_empty) && !self.others.contains_key(&field.gives);
            if is_leaf {
                selected.push(field.name.clone() + arguments);
            } else if depth > 0 {
                let below = self.select(dice, &field.gives, depth - 1);
                selected.push(format!("{}{arguments} {{ {below} }}", field.name));
            }
        }
        selected.join(" ")
    }

    /// What is asked of events. A field that two types of events have is given a name of each type's own.
    fn selection(&self, dice: &mut Dice) -> String {
        let of_type = |dice: &mut Dice, name: &String| format!("... on {name} {{ {} }}", self.select(dice, name, 3));
        let each: Vec<String> = self.events.iter().map(|name| of_type(dice, name)).collect();
        format!("id {}", each.join(" "))
    }
}

fn field(field: &Value) -> Option<Field> {
    let arguments = field["args"].as_array()?;
    if arguments.iter().any(|argument| argument["type"]["kind"] == "NON_NULL") {
        return None;
    }
    let mut gives = &field["type"];
    while gives["ofType"].is_object() {
        gives = &gives["ofType"];
    }
    let is_page = arguments.iter().any(|argument| argument["name"] == "first");
    Some(Field { name: field["name"].as_str()?.to_owned(), gives: gives["name"].as_str()?.to_owned(), is_page })
}

/// A project in which two label blind, with something of every kind having happened.
async fn history(app: &TestApp) -> (Project, Session, Session) {
    let settings = json!({ "overlap": 2, "review": "REQUIRED" });
    let project = app.project_with(&app.admin().await, Media::Image, settings).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let mut sessions = Vec::new();
    for (n, name) in [(1, "ana"), (2, "ben")] {
        let person = project.member(app, name, "ANNOTATOR").await;
        let session = app.at_work(&project, &task, &person).await;
        for x in 1..=2 {
            session.edit(box_at(&new_annotation(), f64::from(n * x))).await;
        }
        sessions.push(session);
    }
    let [ana, ben] = sessions.try_into().unwrap();
    ana.person.submit(&ana.screen).await.get("submitTask");
    (project, ana, ben)
}

async fn what_is_shared_is_what_each_would_be_given_alone(database: Database) {
    let app = TestApp::new(database).await;
    let (project, ana, ben) = history(&app).await;
    let mut people = vec![project.manager.clone(), ana.person.clone(), ben.person.clone()];
    for (name, role) in [("rita", "REVIEWER"), ("mia", "MANAGER"), ("vic", "VIEWER"), ("eva", "ANNOTATOR")] {
        people.push(project.member(&app, name, role).await);
    }
    let schema = Schema::read(&project.manager).await;
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..DOCUMENTS as u64 {
        let selection = schema.selection(&mut Dice::new(seed));
        let subscription = format!(
            "subscription($id: ID!, $after: EventCursor) {{ taskEvents(projectId: $id, after: $after) {{ {selection} }} }}"
        );
        let query = format!(
            "query($id: ID!, $after: EventCursor) {{ events(projectId: $id, after: $after, first: 3) {{ nodes {{ {selection} }} }} }}"
        );
        // A stretch of what happened, another each time.
        let all = project.all_events(None, 200).await;
        let after = &all[usize::try_from(seed).unwrap() % (all.len() - 3)]["cursor"];
        let variables = json!({ "id": project.id, "after": after });
        let alone = join_all(people.iter().map(|person| person.send(&query, variables.clone()))).await;
        let together = join_all(people.iter().map(|person| person.subscribe(&subscription, variables.clone()))).await;
        for ((person, alone), mut together) in people.iter().zip(alone).zip(together) {
            let case = format!("seed {seed}, {}: {subscription}", person.name());
            // Of what is refused, the code alone.
            let Some(nodes) = alone.body.pointer("/data/events/nodes").and_then(Value::as_array) else {
                assert_eq!(together.next().await["type"], "error", "{case}: {}", alone.body);
                continue;
            };
            for node in nodes {
                let message = together.next().await;
                assert_eq!(message["payload"]["data"]["taskEvents"], *node, "{case}: {message}");
                *compared.entry(person.name().to_owned()).or_default() += 1;
            }
        }
    }
    for person in &people {
        assert!(compared.get(person.name()).is_some_and(|n| *n > DOCUMENTS), "{compared:?}");
    }
}

const FOLLOW: &str = "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) {
    id cursor ... on TaskEvent { task { id priority slots { number } } by { name } } } }";

/// Opens sockets that follow, each told one event since.
async fn follow_all(project: &Project, document: &str, people: &[&Person]) -> Vec<Socket> {
    let variables = json!({ "id": project.id, "after": project.cursor().await });
    let mut sockets = join_all(people.iter().map(|person| person.subscribe(document, variables.clone()))).await;
    project.manager.mutate("updateProject", json!({ "projectId": project.id, "name": "A" }), "project { id }").await;
    join_all(sockets.iter_mut().map(Socket::event)).await;
    sockets
}

/// The statements that one change costs, and what each follower is told of it, but for what is before the result.
async fn cost_of_an_event(app: &TestApp, project: &Project, task: &str, sockets: &mut [Socket]) -> (u64, Vec<Value>) {
    // Whoever came last has sat down with the others when nothing is read any more.
    let mut before = app.statements();
    wait_until("everybody to have sat down", async || {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        std::mem::replace(&mut before, app.statements()) == app.statements()
    })
    .await;
    let before = app.statements();
    let change = json!({ "taskIds": [task], "priority": 7 });
    project.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
    let told = join_all(sockets.iter_mut().map(Socket::event)).await;
    (app.statements() - before, told)
}

async fn an_event_is_executed_once_for_all_who_ask_the_same(database: Database) {
    let app = TestApp::new(database).await;
    let (project, ana, _) = history(&app).await;
    let rita = project.member(&app, "rita", "REVIEWER").await;
    let task = &ana.screen.task;
    let mut costs = Vec::new();
    for followers in [1, 30] {
        let people: Vec<&Person> = [&project.manager, &rita].into_iter().cycle().take(followers).collect();
        let mut sockets = follow_all(&project, FOLLOW, &people).await;
        let (cost, told) = cost_of_an_event(&app, &project, task, &mut sockets).await;
        assert!(told.iter().all(|one| *one == told[0]), "all are told the same, positions too: {told:?}");
        assert_eq!(told[0]["task"]["priority"], 7);
        costs.push(cost);
    }
    // A poll may have come in between.
    assert!(costs[1] <= costs[0] + 2, "statements of an event by the number of followers: {costs:?}");
}

async fn what_depends_on_who_asks_is_executed_for_each(database: Database) {
    let app = TestApp::new(database).await;
    let (project, ana, _) = history(&app).await;
    let rita = project.member(&app, "rita", "REVIEWER").await;
    let document = "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) {
        id ... on TaskEvent { task { project { viewerRole } } by { name email } } } }";
    let people = [&project.manager, &rita, &project.manager, &rita];
    let mut sockets = follow_all(&project, document, &people).await;
    let (_, told) = cost_of_an_event(&app, &project, &ana.screen.task, &mut sockets).await;
    for (person, event) in people.into_iter().zip(told) {
        let is_boss = person.id == project.manager.id;
        assert_eq!(event["by"]["email"].is_string(), is_boss, "{event}");
        let role = if is_boss { project.manager_role().await } else { json!("REVIEWER") };
        assert_eq!(event["task"]["project"]["viewerRole"], role, "{event}");
    }
}

impl Project {
    async fn manager_role(&self) -> Value {
        let query = "query($id: ID!) { project(id: $id) { viewerRole } }";
        self.manager.send(query, json!({ "id": self.id })).await.get("project.viewerRole").clone()
    }
}
