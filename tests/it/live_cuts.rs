//! A client of many, graphql-ws, over a connection that breaks all the time, while many write.

use crate::harness::{Database, Example, Journey, Media, TestApp, load::in_full, on_both_databases};

on_both_databases![every_event_arrives_however_often_it_is_cut];

async fn every_event_arrives_however_often_it_is_cut(database: Database) {
    let journey = if in_full() { Journey { cuts: 200, events: 5_000 } } else { Journey { cuts: 50, events: 1_250 } };
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    journey.of(Example::GraphqlWs, &app, &project).await;
}
