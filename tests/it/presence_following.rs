//! Who has a task open, as those see it who follow it: people come, select, fall silent and leave.

use std::time::{Duration, Instant};

use concord::domain::limits;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, Socket, TestApp, box_at, eventually, labeling::Screen,
    new_annotation, on_both_databases, span,
};

on_both_databases![
    people_come_select_and_leave_together,
    a_selection_is_named_kept_or_taken_back,
    who_falls_silent_is_gone_after_half_a_minute,
    a_save_is_a_sign_of_life_and_brings_back,
    a_page_loaded_anew_is_a_screen_of_its_own,
    reviewers_are_shown_with_their_slot_or_with_all,
    whoever_loses_the_lease_is_gone_at_once,
    what_another_process_ends_is_gone_soon,
    who_labels_blind_sees_their_own_slot_only,
    many_changes_are_told_in_few_lists,
    it_makes_no_event_and_no_version,
    who_may_see_the_task_no_more_is_told_nothing_more,
];

const FOLLOW: &str = "subscription($task: ID!) { presence(taskId: $task) {
    user { id name } sessionId role slot selectedAnnotationId since } }";

/// What is told of one screen: name, role, slot, selection.
pub(crate) type Shown = (String, String, i64, Value);

impl Person {
    /// Follows who is in a task.
    pub(crate) async fn follow_presence(&self, task: &str) -> Socket {
        self.subscribe(FOLLOW, json!({ "task": task })).await
    }

    /// Who is in a task now.
    pub(crate) async fn sees_present(&self, task: &str) -> Vec<Shown> {
        self.follow_presence(task).await.present().await
    }
}

impl Socket {
    /// The next list of who is in a task.
    async fn list(&mut self) -> Vec<Value> {
        let message = self.next().await;
        assert_eq!((&message["type"], message["payload"].get("errors")), (&json!("next"), None), "{message}");
        message["payload"]["data"]["presence"].as_array().unwrap_or_else(|| panic!("no list: {message}")).clone()
    }

    pub(crate) async fn present(&mut self) -> Vec<Shown> {
        self.list().await.iter().map(shown).collect()
    }

    /// Takes lists until there is this one: several changes may come in one, or one by one.
    pub(crate) async fn until_present(&mut self, want: &[Shown]) {
        eventually("the list", async || (self.present().await == want).then_some(())).await;
    }
}

fn shown(entry: &Value) -> Shown {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let name = text(&entry["user"]["name"]);
    (name, text(&entry["role"]), entry["slot"].as_i64().unwrap(), entry["selectedAnnotationId"].clone())
}

fn entry(name: &str, role: &str, slot: i64, selected: impl Into<Value>) -> Shown {
    (name.to_owned(), role.to_owned(), slot, selected.into())
}

/// Somebody who has selected nothing, in the first slot.
pub(crate) fn idle(name: &str, role: &str) -> Shown {
    entry(name, role, 1, Value::Null)
}

impl Session {
    async fn beat(&self) -> Answer {
        self.person.heartbeat(&self.screen).await
    }

    async fn select(&self, annotation: Value) {
        let input = self.screen.with(json!({ "selectedAnnotationId": annotation }));
        self.person.mutate("heartbeat", input, "expiresAt").await.text("heartbeat.expiresAt");
    }
}

const TTL: Duration = limits::PRESENCE_TTL;
const NEARLY: Duration = Duration::from_secs(TTL.as_secs() - 10);

async fn team(app: &TestApp) -> (Project, String, Person, Person) {
    let settings = json!({ "collaboration": "SHARED" });
    let project = app.project_with(&app.admin().await, Media::Text, settings).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let (ana, ben) = (project.member(app, "ana", "ANNOTATOR").await, project.member(app, "ben", "ANNOTATOR").await);
    (project, task, ana, ben)
}

async fn people_come_select_and_leave_together(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, ben) = team(&app).await;
    let vic = project.member(&app, "vic", "VIEWER").await;
    let mut sockets = [project.manager.follow_presence(&task).await, vic.follow_presence(&task).await];
    for socket in &mut sockets {
        assert_eq!(socket.present().await, [], "the list as it is comes first");
    }
    let ana = app.at_work(&project, &task, &ana).await;
    for socket in &mut sockets {
        let list = socket.list().await;
        assert_eq!(list.iter().map(shown).collect::<Vec<_>>(), [idle("ana", "HOLDER")]);
        assert_eq!((&list[0]["sessionId"], &list[0]["user"]["id"]), (&json!(ana.id), &json!(ana.person.id)));
    }
    let ben = app.joined(&task, &ben).await;
    let both = |anas: Value, bens: Value| [entry("ana", "HOLDER", 1, anas), entry("ben", "COLLABORATOR", 1, bens)];
    for socket in &mut sockets {
        assert_eq!(socket.present().await, both(Value::Null, Value::Null));
    }
    // One that only his screen knows yet.
    let selected = new_annotation();
    ben.select(json!(selected)).await;
    for socket in &mut sockets {
        assert_eq!(socket.present().await, both(Value::Null, json!(selected)));
    }
    assert_eq!(ana.person.sees_present(&task).await, both(Value::Null, json!(selected)), "who comes late");
    ana.person.submit(&ana.screen).await.get("submitTask");
    for socket in &mut sockets {
        assert_eq!(socket.present().await, [], "with the lease ends everybody's fence");
    }
}

async fn a_selection_is_named_kept_or_taken_back(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    let ana = app.at_work(&project, &task, &ana).await;
    let mut socket = project.manager.follow_presence(&task).await;
    let (one, other) = (new_annotation(), new_annotation());
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
    let since = project.manager.follow_presence(&task).await.list().await[0]["since"].clone();
    for selected in [json!(one), json!(other), Value::Null, json!(one)] {
        ana.select(selected.clone()).await;
        // None of these is another list.
        ana.beat().await.get("heartbeat");
        ana.edit(span(&new_annotation(), 0, "cell")).await;
        ana.select(selected.clone()).await;
        let list = socket.list().await;
        assert_eq!(list.iter().map(shown).collect::<Vec<_>>(), [entry("ana", "HOLDER", 1, selected)]);
        assert_eq!(list[0]["since"], since, "she has been there all the time");
    }
}

async fn who_falls_silent_is_gone_after_half_a_minute(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, ben) = team(&app).await;
    let ana = app.at_work(&project, &task, &ana).await;
    ana.select(json!(new_annotation())).await;
    let ben = app.joined(&task, &ben).await;
    let mut socket = project.manager.follow_presence(&task).await;
    assert_eq!(socket.present().await.len(), 2);
    app.advance(NEARLY);
    assert_eq!(project.manager.sees_present(&task).await.len(), 2);
    ben.beat().await.get("heartbeat");
    app.advance(NEARLY);
    assert_eq!(socket.present().await, [idle("ben", "COLLABORATOR")], "nothing woke it: it looks by itself");
    app.advance(TTL);
    assert_eq!(socket.present().await, []);
    // The lease runs for a quarter of an hour: she is at work all the same, and is seen again with her next sign of life.
    ana.beat().await.get("heartbeat");
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")], "what she had selected is forgotten");
}

async fn a_save_is_a_sign_of_life_and_brings_back(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    let ana = app.at_work(&project, &task, &ana).await;
    let save = async || ana.edit(span(&new_annotation(), 0, "cell")).await;
    app.advance(NEARLY);
    assert_eq!(save().await["outcome"], "APPLIED");
    app.advance(NEARLY);
    assert_eq!(project.manager.sees_present(&task).await, [idle("ana", "HOLDER")]);
    app.advance(TTL);
    let mut socket = project.manager.follow_presence(&task).await;
    assert_eq!(socket.present().await, []);
    save().await;
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
    // A lease that ran out and is revived by a save.
    app.advance(Duration::from_secs(901));
    app.reap().await;
    assert_eq!(socket.present().await, []);
    assert_eq!(save().await["outcome"], "APPLIED");
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
}

async fn a_page_loaded_anew_is_a_screen_of_its_own(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    let first = app.at_work(&project, &task, &ana).await;
    let selected = new_annotation();
    first.select(json!(selected)).await;
    app.advance(NEARLY);
    let second = app.second_screen(&project, &task, &first).await;
    let mut socket = project.manager.follow_presence(&task).await;
    let list = socket.list().await;
    let sessions: Vec<&Value> = list.iter().map(|entry| &entry["sessionId"]).collect();
    assert_eq!(sessions, [&first.id, &second.id], "oldest first");
    let shows: Vec<Shown> = list.iter().map(shown).collect();
    assert_eq!(shows, [entry("ana", "HOLDER", 1, selected), idle("ana", "HOLDER")]);
    app.advance(Duration::from_secs(15));
    let list = socket.list().await;
    assert_eq!(list.len(), 1, "the page that is gone gives no sign of life");
    assert_eq!(list[0]["sessionId"], second.id);
}

async fn reviewers_are_shown_with_their_slot_or_with_all(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    for (overlap, waiting, slot) in [(1, 1, 1), (3, 2, 0)] {
        let name = |who: &str| format!("{who}{overlap}");
        let project = app.project_with(&boss, Media::Image, json!({ "overlap": overlap })).await;
        let assets = app.ready_images(&project, 1).await;
        let made = project.create_tasks(json!([{ "assetIds": assets }])).await;
        let task = made.text("createTasks.tasks.0.id");
        let mut at_work = Vec::new();
        for annotator in ["ana", "ben"].iter().take(waiting) {
            let person = project.member(&app, &name(annotator), "ANNOTATOR").await;
            let session = app.at_work(&project, &task, &person).await;
            session.edit(box_at(&new_annotation(), 1.0)).await;
            at_work.push(session);
        }
        let rita = project.member(&app, &name("rita"), "REVIEWER").await;
        let rolf = project.member(&app, &name("rolf"), "REVIEWER").await;
        for session in &at_work {
            session.person.submit(&session.screen).await.get("submitTask");
        }
        if overlap > waiting {
            let screen = boss.try_claim_task(&project, &task).await.expect("the third slot is free");
            boss.skip(&screen, "two are enough").await.get("skipTask");
        }
        let screen = rita.try_claim_review(&project, json!({ "taskId": task })).await.expect("it waits for a review");
        let mut socket = boss.follow_presence(&task).await;
        let ritas = entry(&name("rita"), "REVIEWER", slot, Value::Null);
        assert_eq!(socket.present().await, std::slice::from_ref(&ritas));
        let joined = rolf.join_with(&task, json!({ "slot": 1 })).await;
        let rolfs = Session::of(&rolf, Screen::read(joined.get("joinTask.session")));
        let selected = new_annotation();
        rolfs.select(json!(selected)).await;
        socket.until_present(&[ritas, entry(&name("rolf"), "REVIEWER", 1, selected)]).await;
        rita.judge(&screen, "ACCEPT", json!({})).await.get("reviewTask");
        assert_eq!(socket.present().await, []);
    }
}

async fn whoever_loses_the_lease_is_gone_at_once(database: Database) {
    let app = TestApp::new(database).await;
    let (project, _, ana, ben) = team(&app).await;
    let (mut waited, mut lists) = (Duration::ZERO, 0);
    for case in ["released", "skipped", "revoked", "archived", "ran out", "taken by another"] {
        let [task] = project.named_tasks(case, 1).await.try_into().unwrap();
        let session = app.at_work(&project, &task, &ana).await;
        let mut socket = project.manager.follow_presence(&task).await;
        assert_eq!(socket.present().await, [idle("ana", "HOLDER")], "{case}");
        match case {
            "released" => drop(ana.release(&session.screen).await),
            "skipped" => drop(ana.skip(&session.screen, "blurred").await),
            "revoked" => drop(project.revoke(&task, Some(1)).await),
            "archived" => drop(project.archive(vec![task.clone()], true).await),
            _ => {
                let ran_out = format!(
                    "UPDATE task_slot SET lease_expires_at = '2020-01-01T00:00:00+00:00' WHERE task_id = {}",
                    app.literal(&task)
                );
                app.sql(&ran_out).await;
                app.reap().await;
            }
        }
        if case == "taken by another" {
            app.at_work(&project, &task, &ben).await;
            socket.until_present(&[idle("ben", "HOLDER")]).await;
        } else {
            let ended = Instant::now();
            assert_eq!(socket.present().await, [], "{case}");
            (waited, lists) = (waited + ended.elapsed(), lists + 1);
        }
        // She does not know yet.
        session.beat().await;
        let left = project.manager.sees_present(&task).await;
        let is_revived = case == "ran out";
        assert_eq!(left.iter().any(|(name, ..)| name == "ana"), is_revived, "{case}");
        if is_revived {
            let revived = Instant::now();
            assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
            (waited, lists) = (waited + revived.elapsed(), lists + 1);
        }
    }
    // Who only looked every few seconds would be told far later.
    assert!(waited < lists * limits::PRESENCE_POLL / 4, "{waited:?}");
}

async fn what_another_process_ends_is_gone_soon(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    app.at_work(&project, &task, &ana).await;
    let mut socket = project.manager.follow_presence(&task).await;
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
    let other = TestApp::new(Database::at(app.database.url.clone())).await;
    let mia = other.person("mia").await;
    project.set_member(&mia, json!("MANAGER")).await.get("setMember");
    let elsewhere = Project { id: project.id.clone(), manager: mia };
    elsewhere.revoke(&task, Some(1)).await.get("revokeLease");
    assert_eq!(socket.present().await, []);
}

async fn who_labels_blind_sees_their_own_slot_only(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 3 })).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let member = async |name: &str, role: &str| project.member(&app, name, role).await;
    let (ana, ben) = (member("ana", "ANNOTATOR").await, member("ben", "ANNOTATOR").await);
    let ana = app.at_work(&project, &task, &ana).await;
    let mut anas = ana.person.follow_presence(&task).await;
    let [own, other] = [entry("ana", "HOLDER", 1, Value::Null), entry("ben", "HOLDER", 2, Value::Null)];
    assert_eq!(anas.present().await, std::slice::from_ref(&own));
    let ben = app.at_work(&project, &task, &ben).await;
    ben.select(json!(new_annotation())).await;
    ben.select(Value::Null).await;
    for (name, role) in [("vic", "VIEWER"), ("rita", "REVIEWER"), ("mia", "MANAGER")] {
        let person = member(name, role).await;
        assert_eq!(person.sees_present(&task).await, [own.clone(), other.clone()], "{role}");
    }
    assert_eq!(member("eva", "ANNOTATOR").await.sees_present(&task).await, [], "who has no slot of it");
    assert_eq!(ben.person.sees_present(&task).await, [other]);
    let selected = new_annotation();
    ana.select(json!(selected)).await;
    assert_eq!(anas.present().await, [entry("ana", "HOLDER", 1, selected)], "and nothing of ben before");
}

async fn many_changes_are_told_in_few_lists(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    let ana = app.at_work(&project, &task, &ana).await;
    let mut socket = project.manager.follow_presence(&task).await;
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
    const CHANGES: u128 = 200;
    let begun = Instant::now();
    let mut last = String::new();
    for _ in 0..CHANGES {
        last = new_annotation();
        ana.select(json!(last)).await;
    }
    let mut lists = 0;
    while socket.present().await != [entry("ana", "HOLDER", 1, last.clone())] {
        lists += 1;
    }
    let most = begun.elapsed().as_millis() / limits::PRESENCE_PACE.as_millis() + 1;
    assert!(lists < CHANGES.min(most), "{lists} lists in {:?}", begun.elapsed());
}

async fn it_makes_no_event_and_no_version(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    let ana = app.at_work(&project, &task, &ana).await;
    let before = (project.cursor().await, project.version(&task).await);
    let mut socket = project.manager.follow_presence(&task).await;
    assert_eq!(socket.present().await, [idle("ana", "HOLDER")]);
    let selected = new_annotation();
    ana.select(json!(selected)).await;
    assert_eq!(socket.present().await, [entry("ana", "HOLDER", 1, selected)]);
    assert_eq!((project.cursor().await, project.version(&task).await), before);
}

async fn who_may_see_the_task_no_more_is_told_nothing_more(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana, _) = team(&app).await;
    let ana = app.at_work(&project, &task, &ana).await;
    let boss = &project.manager;
    let change = async |who: &Person, mut change: Value| {
        change["userId"] = json!(who.id);
        boss.mutate("updateUser", change, "user { id }").await.get("updateUser");
    };
    for (case, code, field, closed) in [
        ("taken out", "NOT_FOUND", "taskId", None),
        ("disabled", "UNAUTHENTICATED", "", Some(4403)),
        ("no admin any more", "FORBIDDEN", "", Some(1013)),
    ] {
        let who = project.member(&app, &case.replace(' ', "-"), "VIEWER").await;
        if case == "no admin any more" {
            change(&who, json!({ "admin": true })).await;
        }
        let mut socket = who.follow_presence(&task).await;
        assert_eq!(socket.present().await.len(), 1, "{case}");
        match case {
            "taken out" => drop(project.set_member(&who, Value::Null).await),
            "disabled" => change(&who, json!({ "disabled": true })).await,
            _ => change(&who, json!({ "admin": false })).await,
        }
        // Time passes in which rights are trusted; then she selects something.
        app.advance(limits::ACCESS_TRUST);
        ana.select(json!(new_annotation())).await;
        socket.ends_with(case, closed, [code, field]).await;
        ana.select(Value::Null).await;
    }
}
