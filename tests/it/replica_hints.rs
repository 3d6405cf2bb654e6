//! Replicas over one database tell one another what happens, by hints through Redis, and go on without it.

use std::time::Instant;

use concord::domain::limits;
use serde_json::json;

use crate::harness::{
    Database, Media, Project, Socket, TestApp, on_one_database, read, redis, tests_named_in, wait_until,
};

on_one_database![
    sqlite: every_line_of_the_operations_page_names_its_tests,
    postgres: what_happens_at_one_replica_is_told_at_the_other_at_once,
    postgres: what_happens_is_told_through_a_cluster_as_well,
    postgres: replicas_go_on_without_redis_and_use_it_when_it_is_back,
    postgres: what_was_committed_by_a_process_that_ended_before_it_told_arrives,
];

/// Events that are told one after the other: were they found by looking, each would take half of that time on average.
const EVENTS: u32 = 20;

/// Two replicas with this Redis, and a project.
async fn replicas(database: Database, redis: &str) -> (TestApp, TestApp, Project) {
    let keys = [("REDIS_URL", redis)];
    let one = TestApp::with(database, &keys).await;
    let other = TestApp::with(Database::at(one.database.url.clone()), &keys).await;
    let project = one.project(&one.admin().await, Media::Text).await;
    (one, other, project)
}

const FOLLOW: &str =
    "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) { type } }";

impl Project {
    /// Follows the project from here on, at a replica.
    async fn followed_at(&self, replica: &TestApp) -> Socket {
        let variables = json!({ "id": self.id, "after": self.cursor().await });
        self.manager.using(replica).subscribe(FOLLOW, variables).await
    }

    /// Events of the project at `here`, each awaited at the other replica: whether hints told of them.
    async fn are_hinted_at(&self, there: &TestApp) -> bool {
        let mut socket = self.followed_at(there).await;
        let begun = Instant::now();
        for number in 0..EVENTS {
            let name = format!("Name {number}");
            self.rename(&name).await;
            let events = socket.events(1).await;
            assert_eq!(events[0]["type"], "PROJECT_CHANGED");
        }
        begun.elapsed() < limits::EVENT_POLL * EVENTS / 4
    }
}

async fn what_happens_at_one_replica_is_told_at_the_other_at_once(database: Database) {
    let (_one, other, project) = replicas(database, &redis::shared().url()).await;
    assert!(project.are_hinted_at(&other).await, "who only looked would be told far later");
}

async fn what_happens_is_told_through_a_cluster_as_well(database: Database) {
    let (_one, other, project) = replicas(database, &redis::shared_cluster().url()).await;
    assert!(project.are_hinted_at(&other).await, "who only looked would be told far later");
}

async fn replicas_go_on_without_redis_and_use_it_when_it_is_back(database: Database) {
    let server = redis::Redis::start(&[]);
    let (one, other, project) = replicas(database, &server.url()).await;
    assert!(project.are_hinted_at(&other).await);
    let health = async || read(other.page("/health")).await.body;
    assert_eq!(health().await["components"]["redis"]["status"], "ok");

    server.kill();
    let mut socket = project.followed_at(&other).await;
    project.rename("Without Redis").await;
    assert_eq!(socket.events(1).await[0]["type"], "PROJECT_CHANGED");
    let answer = health().await;
    assert_eq!((&answer["status"], &answer["components"]["redis"]["status"]), (&json!("degraded"), &json!("down")));
    assert_eq!(read(other.page("/readyz")).await.status, 200);

    server.come_back();
    wait_until("hints to come again", async || project.are_hinted_at(&other).await).await;
    assert_eq!(health().await["status"], "ok");
    drop(one);
}

async fn what_was_committed_by_a_process_that_ended_before_it_told_arrives(database: Database) {
    let (_one, other, project) = replicas(database, &redis::shared().url()).await;
    let mut socket = project.followed_at(&other).await;
    // A commit that no process tells of, as by one that was killed right after it.
    let silent = TestApp::new(Database::at(other.database.url.clone())).await;
    let told_nobody = Project { id: project.id.clone(), manager: project.manager.using(&silent) };
    told_nobody.rename("In silence").await;
    assert_eq!(socket.events(1).await[0]["type"], "PROJECT_CHANGED");
}

async fn every_line_of_the_operations_page_names_its_tests(_: Database) {
    let docs = include_str!("../../docs/operations.md");
    let (_, table) = docs.split_once("## What happens when").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| **")).take(5).collect();
    assert_eq!(rows.len(), 5);
    for row in rows {
        assert!(tests_named_in(row) > 0, "{row}");
    }
    assert!(tests_named_in(docs) > 10);
}
