//! The queue with its front in Redis: claims take from it in the queue's order, and what it holds is never believed.

use concord::{
    backend::queue::{Extent, Inspection},
    domain::limits,
};
use serde_json::json;

use crate::harness::{
    Answer, Database, Media, Person, Project, TestApp, assert_counters, labeling::Screen, on_both_databases, redis,
    wait_until,
};

on_both_databases![
    claims_come_from_the_front_in_the_order_of_the_queue,
    a_claim_sees_at_once_what_its_server_changed,
    what_one_person_may_not_have_stays_for_others_in_its_place,
    somebody_for_whom_the_front_has_nothing_is_answered_by_the_database,
    a_ghost_is_dropped_and_the_next_one_served,
    what_moved_in_the_queue_is_not_handed_out_in_its_old_place,
    a_claim_from_the_front_takes_no_more_statements,
    what_nobody_told_of_is_found_by_the_reconciler,
    a_front_holds_the_first_part_of_a_long_queue_and_is_filled_again;
    only postgres:
    a_claim_from_the_front_is_planned_once,
    two_servers_hand_out_five_hundred_slots_once,
    two_servers_on_a_cluster_hand_out_their_slots_once,
];

/// A server with the front in Redis, and a project.
async fn start(database: Database, overlap: i32) -> (TestApp, Project) {
    let app = TestApp::new(database.beside(redis::shared().url())).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": overlap })).await;
    (app, project)
}

/// The same, with so many tasks in the front.
async fn start_full(database: Database, overlap: i32, tasks: usize) -> (TestApp, Project, Vec<String>) {
    let (app, project) = start(database, overlap).await;
    let tasks = project.text_tasks(tasks).await;
    app.fill(&project).await;
    app.front_holds(&project, tasks.len() * overlap as usize).await;
    (app, project, tasks)
}

async fn set_priority(project: &Project, tasks: &[&String], priority: i32) {
    let input = json!({ "taskIds": tasks, "priority": priority });
    project.manager.mutate("updateTasks", input, "tasks { id }").await.get("updateTasks");
}

/// Claims and hands in.
async fn do_next(person: &Person, project: &Project) -> String {
    let screen = person.claim(project).await;
    person.submit(&screen).await.get("submitTask");
    screen.task
}

async fn claims_come_from_the_front_in_the_order_of_the_queue(database: Database) {
    let (app, project) = start(database, 1).await;
    let tasks = project.text_tasks(6).await;
    set_priority(&project, &[&tasks[4]], 3).await;
    app.is_told(&project).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    assert_eq!(do_next(&ana, &project).await, tasks[4], "nobody has filled the front yet");
    assert_eq!(app.found(), (0, 1));
    app.front_holds(&project, 5).await;
    set_priority(&project, &[&tasks[2]], -1).await;
    set_priority(&project, &[&tasks[5]], i32::from(i16::MAX)).await;
    // Where they were before they have left ghosts, until somebody meets them.
    wait_until("all to be there", async || app.inspect(&project).await.missing == 0).await;
    app.fill(&project).await;
    app.front_holds(&project, 5).await;
    let mut order = Vec::new();
    for left in (0..5).rev() {
        order.push(do_next(&ana, &project).await);
        app.front_holds(&project, left).await;
    }
    assert_eq!(order, [5, 0, 1, 3, 2].map(|index| tasks[index].clone()));
    assert_eq!(app.found(), (5, 1));
    assert_eq!(ana.try_claim(&project).await, Err("QUEUE_EMPTY".into()));
    assert_counters(&app, &project).await;
}

async fn a_claim_sees_at_once_what_its_server_changed(database: Database) {
    let (app, project, tasks) = start_full(database, 1, 4).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    for priority in 1..=3 {
        let urgent = project.create_tasks(json!([{ "data": { "text": "cell" }, "priority": priority }])).await;
        assert_eq!(ana.claim(&project).await.task, urgent.text("createTasks.tasks.0.id"));
    }
    let screen = ben.claim(&project).await;
    assert_eq!(screen.task, tasks[0]);
    ben.release(&screen).await.get("releaseTask");
    assert_eq!(ana.claim(&project).await.task, tasks[0], "what comes back keeps its place");
    project.archive(vec![tasks[1].clone()], true).await.get("archiveTasks");
    assert_eq!(ana.claim(&project).await.task, tasks[2]);
    assert_counters(&app, &project).await;
}

async fn what_one_person_may_not_have_stays_for_others_in_its_place(database: Database) {
    let (app, project, tasks) = start_full(database, 3, 4).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    for (nth, task) in (1..).zip(&tasks) {
        assert_eq!(&do_next(&ana, &project).await, task, "never two slots of a task");
        app.front_holds(&project, 12 - nth).await;
    }
    assert_eq!(ana.try_claim(&project).await, Err("ALL_DONE_BY_YOU".into()));
    for (nth, task) in (0..).zip(&tasks) {
        app.front_holds(&project, 8 - nth).await;
        let screen: Screen = ben.claim(&project).await;
        assert_eq!((&screen.task, screen.slot), (task, Some(2)));
        ben.submit(&screen).await.get("submitTask");
    }
    assert_eq!(app.found(), (8, 0));
    app.front_holds(&project, 4).await;
    assert_counters(&app, &project).await;
}

async fn somebody_for_whom_the_front_has_nothing_is_answered_by_the_database(database: Database) {
    // Half of the tasks are more than one claim looks at.
    let (app, project, tasks) = start_full(database, 2, 2 * limits::FRONT_LOOKED_AT + 4).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let (done, free) = tasks.split_at(limits::FRONT_LOOKED_AT + 1);
    let (done_tasks, done) = (done.len(), app.literals(done));
    app.sql(&format!(
        "UPDATE task_slot SET state = 'SUBMITTED', submitted_by = {} WHERE number = 1 AND task_id IN ({done})",
        app.literal(&ana.id)
    ))
    .await;
    app.fill(&project).await;
    let plain = TestApp::new(Database::at(app.database.url.clone())).await;
    assert_eq!(ana.claim(&project).await.task, free[0]);
    app.is_told(&project).await;
    let mut taken = Vec::new();
    for (server, task) in [(&app, &free[1]), (&plain, &free[2])] {
        let before = server.statements();
        assert_eq!(&ana.using(server).claim(&project).await.task, task);
        taken.push(server.statements() - before);
    }
    assert_eq!(taken[0], taken[1], "it is remembered that the front has nothing for ana");
    assert_eq!(app.found(), (0, 2));
    // Those of ana are ghosts: the database found them.
    app.fill(&project).await;
    app.front_holds(&project, 2 * tasks.len() - done_tasks - 3).await;
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    assert_eq!(ben.claim(&project).await.task, tasks[0]);
    assert_eq!(app.found(), (1, 2));
}

async fn a_ghost_is_dropped_and_the_next_one_served(database: Database) {
    let (app, project, tasks) = start_full(database, 1, 5).await;
    app.set_slot(&tasks[0], "claimable = false").await;
    app.set_slot(&tasks[1], "state = 'SKIPPED'").await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    app.set_slot(&tasks[2], &format!("reserved_for = {}", app.literal(&project.manager.id))).await;
    assert_eq!(app.inspect(&project).await.ghosts, 3);
    assert_eq!(ana.claim(&project).await.task, tasks[3]);
    app.front_holds(&project, 1).await;
    assert_eq!(ana.claim(&project).await.task, tasks[4]);
    assert_eq!(app.found(), (2, 0));
    assert_eq!(ana.try_claim(&project).await, Err("QUEUE_EMPTY".into()));
}

async fn what_moved_in_the_queue_is_not_handed_out_in_its_old_place(database: Database) {
    let (app, project, tasks) = start_full(database, 1, 3).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    app.set_slot(&tasks[0], "priority = -5").await;
    app.set_task(&tasks[0], "priority = -5").await;
    assert_eq!(ana.claim(&project).await.task, tasks[1]);
    app.front_holds(&project, 2).await;
    assert_eq!(ana.claim(&project).await.task, tasks[2]);
    assert_eq!(ana.claim(&project).await.task, tasks[0]);
}

async fn a_claim_from_the_front_takes_no_more_statements(database: Database) {
    let (app, project, _) = start_full(database, 1, 5).await;
    let plain = TestApp::new(Database::at(app.database.url.clone())).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let counted = async |app: &TestApp| {
        let before = app.statements();
        let answer: Answer = ana.using(app).claim_with(&project, json!({})).await;
        answer.get("claimTask.session.id");
        app.statements() - before
    };
    // The first one also writes when the token was used.
    counted(&plain).await;
    let by_sql = counted(&plain).await;
    app.fill(&project).await;
    app.front_holds(&project, 3).await;
    let by_front = counted(&app).await;
    assert_eq!((by_front, app.found()), (by_sql, (1, 0)));
}

/// As claims of the database are: one plan for all, which looks at the named slots alone.
async fn a_claim_from_the_front_is_planned_once(database: Database) {
    let database = database.beside(redis::shared().url());
    let app = TestApp::with(database, &[("DATABASE_CONNECTIONS", "1")]).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    for name in ["first", "second", "third"] {
        project.named_tasks(name, 1_000).await;
    }
    app.sql("ANALYZE").await;
    app.fill(&project).await;
    app.front_holds(&project, 3_000).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    for _ in 0..12 {
        do_next(&ana, &project).await;
    }
    assert_eq!(app.found(), (12, 0));
    let sql = "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement LIKE 'WITH \"pick\"%'";
    let plans: Vec<(i64, i64)> = app.rows(sql).await;
    assert_eq!(plans, [(5, 7)], "made for the values, and the one for all");
}

async fn what_nobody_told_of_is_found_by_the_reconciler(database: Database) {
    let (app, project, tasks) = start_full(database, 1, 2).await;
    // A server whose word never comes.
    let mute = TestApp::new(Database::at(app.database.url.clone())).await;
    let manager = Project { manager: project.manager.using(&mute), ..project.clone() };
    let urgent = manager.named_tasks("urgent", 2).await;
    set_priority(&manager, &[&urgent[0]], 9).await;
    mute.set_slot(&tasks[0], "claimable = false").await;
    let seen = app.inspect(&project).await;
    assert_eq!((seen.missing, seen.ghosts), (2, 1));
    wait_until("the reconciler's turn", async || {
        app.reconcile().await;
        app.inspect(&project).await.missing == 0
    })
    .await;
    app.front_holds(&project, 3).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    for task in [&urgent[0], &tasks[1], &urgent[1]] {
        assert_eq!(&ana.claim(&project).await.task, task);
    }
    assert_eq!(app.found(), (3, 0));
    let metrics = reqwest::get(app.admin_url("/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("concord_queue_front_slots 3\n"), "{metrics}");
}

async fn a_front_holds_the_first_part_of_a_long_queue_and_is_filled_again(database: Database) {
    let (app, project) = start(database, 10).await;
    let tasks = project.named_tasks("first", 1_000).await;
    project.named_tasks("last", 50).await;
    app.fill(&project).await;
    let full = Inspection { extent: Extent::Part, front: limits::FRONT_SLOTS, flight: 0, missing: 0, ghosts: 0 };
    wait_until("a full front", async || app.inspect(&project).await == full).await;
    project.named_tasks("behind", 1).await;
    set_priority(&project, &[&tasks[999]], 1).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    assert_eq!(ana.claim(&project).await.task, tasks[999]);
    // As many claims take long: they are taken out by hand.
    let front = format!("queue:{{{}}}:front", project.id);
    redis::shared().cli(&["ZREMRANGEBYRANK", &front, "1", &(limits::FRONT_SLOTS - limits::FRONT_LOW).to_string()]);
    wait_until("claims to find that little is left", async || {
        let screen = ana.claim(&project).await;
        ana.submit(&screen).await.get("submitTask");
        let Inspection { extent, front, missing, .. } = app.inspect(&project).await;
        (extent, missing) == (Extent::Part, 0) && front > limits::FRONT_SLOTS - 100
    })
    .await;
}

async fn two_servers_hand_out_five_hundred_slots_once(database: Database) {
    hand_out_once(database.beside(redis::shared().url()), 500).await;
}

async fn two_servers_on_a_cluster_hand_out_their_slots_once(database: Database) {
    hand_out_once(database.beside(redis::shared_cluster().url()), 100).await;
}

async fn hand_out_once(database: Database, count: usize) {
    let (url, redis) = (database.url.clone(), database.redis_url());
    let app = TestApp::new(database).await;
    let other = TestApp::new(Database::at(url).beside(redis)).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    project.named_tasks("text", count).await;
    app.fill(&project).await;
    let mut people = Vec::new();
    for n in 0..20 {
        let person = project.member(&app, &format!("person-{n}"), "ANNOTATOR").await;
        people.push(if n % 2 == 0 { person } else { person.using(&other) });
    }
    let work = people.iter().map(async |person| {
        let mut done = Vec::new();
        loop {
            match person.try_claim(&project).await {
                Ok(screen) => {
                    person.submit(&screen).await.get("submitTask");
                    done.push(screen.task);
                }
                Err(_) => return done,
            }
        }
    });
    let mut done: Vec<String> = futures::future::join_all(work).await.into_iter().flatten().collect();
    assert_eq!(done.len(), count);
    done.sort();
    done.dedup();
    assert_eq!(done.len(), count, "nothing twice");
    let leases: Vec<(i64,)> = app.rows("SELECT count(*) FROM task_slot WHERE lease_epoch <> 1").await;
    assert_eq!(leases, [(0,)]);
    let (here, there) = (app.found(), other.found());
    assert_eq!(here.0 + here.1 + there.0 + there.1, count as u64);
    assert!(here.0 > 0 && there.0 > 0 && here.0 + there.0 > 9 * (here.1 + there.1), "{here:?} {there:?}");
    assert_counters(&app, &project).await;
}
