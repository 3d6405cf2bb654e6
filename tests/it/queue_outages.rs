//! The front of the queue in a Redis that forgets, goes away, hangs and comes back: no claim fails, none is told that there
//! is nothing while something waits, and nothing is handed out twice.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    Database, Media, Person, Project, TestApp, assert_counters, on_both_databases,
    redis::{Cluster, Redis},
    wait_until,
};

on_both_databases![
    a_flushed_redis_costs_nothing_that_waits,
    a_redis_that_is_away_holds_nobody_up_and_is_used_again,
    a_redis_that_hangs_holds_up_few;
    only postgres:
    a_failover_in_a_cluster_costs_nothing_that_waits,
];

async fn start(database: Database) -> (Redis, TestApp, Project, Person) {
    let redis = Redis::start(&[]);
    let app = TestApp::new(database.beside(redis.url())).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    (redis, app, project, ana)
}

/// Claims and hands in, task by task.
async fn work(person: &Person, project: &Project, tasks: &[String]) {
    for task in tasks {
        let screen = person.claim(project).await;
        assert_eq!(&screen.task, task);
        person.submit(&screen).await.get("submitTask");
    }
}

/// Works until the front gives something again.
async fn work_until_it_is_used(app: &TestApp, project: &Project, person: &Person) {
    let (before, mut round) = (app.found().0, 0);
    wait_until("the front to be used again", async || {
        round += 1;
        let tasks = project.named_tasks(&format!("round {round}"), 5).await;
        work(person, project, &tasks).await;
        app.found().0 > before
    })
    .await;
}

async fn a_flushed_redis_costs_nothing_that_waits(database: Database) {
    let (redis, app, project, ana) = start(database).await;
    let tasks = project.text_tasks(12).await;
    app.fill(&project).await;
    work(&ana, &project, &tasks[..3]).await;
    assert!(app.found().0 > 0);
    redis.cli(&["FLUSHALL"]);
    work(&ana, &project, &tasks[3..6]).await;
    app.front_holds(&project, 6).await;
    let by_front = app.found().0;
    work(&ana, &project, &tasks[6..7]).await;
    assert_eq!(app.found().0, by_front + 1, "it was filled again");
    // What is left of a front without its state is not believed either.
    redis.cli(&["DEL", &format!("queue:{{{}}}:state", project.id)]);
    work(&ana, &project, &tasks[7..9]).await;
    app.front_holds(&project, 3).await;
    redis.cli(&["DEL", &format!("queue:{{{}}}:front", project.id)]);
    work(&ana, &project, &tasks[9..]).await;
    assert_eq!(ana.try_claim(&project).await, Err("QUEUE_EMPTY".into()));
    assert_counters(&app, &project).await;
}

async fn a_redis_that_is_away_holds_nobody_up_and_is_used_again(database: Database) {
    let (redis, app, project, ana) = start(database).await;
    let tasks = project.text_tasks(8).await;
    app.fill(&project).await;
    work(&ana, &project, &tasks[..2]).await;
    redis.kill();
    work(&ana, &project, &tasks[2..5]).await;
    let urgent = project.named_tasks("while it was away", 2).await;
    let begun = Instant::now();
    work(&ana, &project, &tasks[5..]).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "as if there were no Redis");
    redis.come_back();
    work(&ana, &project, &urgent).await;
    work_until_it_is_used(&app, &project, &ana).await;
    assert_counters(&app, &project).await;
}

async fn a_redis_that_hangs_holds_up_few(database: Database) {
    let (redis, app, project, ana) = start(database).await;
    let tasks = project.text_tasks(20).await;
    app.fill(&project).await;
    work(&ana, &project, &tasks[..2]).await;
    redis.pause();
    // Some find out that it hangs; after them nobody waits for it.
    work(&ana, &project, &tasks[2..8]).await;
    let begun = Instant::now();
    work(&ana, &project, &tasks[8..14]).await;
    let took = begun.elapsed();
    let urgent = json!([{ "data": { "text": "cell" }, "priority": 1 }]);
    let urgent = project.create_tasks(urgent).await.text("createTasks.tasks.0.id");
    redis.resume();
    assert!(took < Duration::from_secs(20), "{took:?}");
    app.redis_answers(&project).await;
    // It has a front that was never told of this one.
    work(&ana, &project, &[urgent]).await;
    work(&ana, &project, &tasks[14..]).await;
    work_until_it_is_used(&app, &project, &ana).await;
    assert_counters(&app, &project).await;
}

async fn a_failover_in_a_cluster_costs_nothing_that_waits(database: Database) {
    let cluster = Cluster::start();
    let app = TestApp::new(database.beside(cluster.url())).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let tasks = project.text_tasks(20).await;
    app.fill(&project).await;
    work(&ana, &project, &tasks[..5]).await;
    assert!(app.found().0 > 0);
    cluster.master_of(&format!("queue:{{{}}}:front", project.id)).kill();
    work(&ana, &project, &tasks[5..]).await;
    // The replica that takes over may not have heard of the last changes.
    work_until_it_is_used(&app, &project, &ana).await;
    assert_counters(&app, &project).await;
}
