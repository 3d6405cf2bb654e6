//! What people follow a project with, as `examples/live` shows it: cut off in the middle, each goes on where it was.

use crate::harness::{Database, Example, Journey, Media, TestApp, on_both_databases};

on_both_databases![graphql_ws, graphql_sse, apollo, urql, python_gql];

const CUTS: usize = 8;
const EVENTS: usize = 300;

async fn goes_on(example: Example, database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    Journey { cuts: CUTS, events: EVENTS }.of(example, &app, &project).await;
}

async fn graphql_ws(database: Database) {
    goes_on(Example::GraphqlWs, database).await;
}

async fn graphql_sse(database: Database) {
    goes_on(Example::GraphqlSse, database).await;
}

async fn apollo(database: Database) {
    goes_on(Example::Apollo, database).await;
}

async fn urql(database: Database) {
    goes_on(Example::Urql, database).await;
}

async fn python_gql(database: Database) {
    goes_on(Example::PythonGql, database).await;
}
