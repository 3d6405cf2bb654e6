//! Clients that hang up before they are answered.

use futures::poll;
use sea_orm::ConnectionTrait;

use crate::harness::{Database, Media, TestApp, on_both_databases, rows};

on_both_databases![what_is_given_up_while_it_begins_leaves_nothing_open];

/// The one connection of the pool serves who comes next: had it a transaction open, nobody else would see what they write.
async fn what_is_given_up_while_it_begins_leaves_nothing_open(database: Database) {
    let app = TestApp::with(database, &[("DATABASE_CONNECTIONS", "1")]).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    project.text_tasks(1).await;
    let db = app.database.connect().await;
    for steps in 1..=30 {
        let mut begin = Box::pin(app.use_cases().db.begin());
        for _ in 0..steps {
            if poll!(&mut begin).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begin);
        app.use_cases().db.execute_unprepared(&format!("UPDATE task SET priority = {steps}")).await.unwrap();
        assert_eq!(rows::<(i32,)>(&db, "SELECT priority FROM task").await, [(steps,)], "given up after {steps} steps");
    }
}
