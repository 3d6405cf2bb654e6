//! A client of many, graphql-ws, over a connection that breaks all the time, while many write.

use crate::harness::{Database, Example, Journey, Media, TestApp, on_both_databases};

on_both_databases![every_event_arrives_however_often_it_is_cut];

async fn every_event_arrives_however_often_it_is_cut(database: Database) {
    let journey = Journey { cuts: 200, events: 5_000 };
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    journey.of(Example::GraphqlWs, &app, &project).await;
}
