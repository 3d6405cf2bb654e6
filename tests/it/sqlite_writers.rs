//! Many who write to SQLite, where one writes at a time.

use std::{sync::Mutex, time::Duration};

use futures::future::join_all;

use crate::harness::{Database, TestApp, on_one_database};

on_one_database![sqlite: who_waits_to_write_comes_in_the_order_of_asking];

const WRITERS: usize = 12;

async fn who_waits_to_write_comes_in_the_order_of_asking(database: Database) {
    let app = TestApp::new(database).await;
    let db = &app.use_cases().db;
    let first = db.begin().await.unwrap();
    let came = Mutex::new(Vec::new());
    let write = async |writer: usize| {
        let txn = db.begin().await.unwrap();
        came.lock().unwrap().push(writer);
        // As long as a write takes.
        tokio::time::sleep(Duration::from_millis(20)).await;
        txn.commit().await.unwrap();
    };
    // All ask before the first one ends.
    let everybody = join_all((0..WRITERS).map(&write));
    let (_, ()) = tokio::join!(everybody, async { first.commit().await.unwrap() });
    assert_eq!(came.into_inner().unwrap(), (0..WRITERS).collect::<Vec<_>>());
}
