//! Version vectors that grew long are cut when their slot is leased anew.

use serde_json::{Value, json};

use crate::harness::{
    Database, Session, TestApp, event_types, on_both_databases,
    shared::{Shared, plus},
};

on_both_databases![
    a_long_vector_is_cut_with_the_next_lease,
    who_saw_the_vector_that_was_cut_goes_on_from_the_new_one,
    an_edit_from_before_the_cut_is_late,
    a_withdrawn_task_is_a_new_lease_too,
    a_short_vector_stays,
];

/// Lets so many screens change the box, one after the other; gives the last of them.
async fn changed_by(app: &TestApp, shared: &Shared, screens: usize) -> Session {
    let mut last = shared.ben.clone();
    let mut names = 0;
    for n in 0..screens {
        // Nobody opens more than 50 screens.
        if n % 40 == 0 {
            names += 1;
            last = shared.joined_by(app, &format!("person{names}")).await;
        } else {
            last = app.joined(&shared.task, &last.person).await;
        }
        let (_, _, now) = shared.now().await;
        assert_eq!(last.edit(shared.moved(&now, f64::from(u32::try_from(n).unwrap()))).await["outcome"], "APPLIED");
    }
    last
}

/// The lease ends and eva takes the task.
async fn taken_over(app: &TestApp, shared: &Shared) -> Session {
    let eva = shared.project.member(app, "eva", "ANNOTATOR").await;
    shared.ana.person.release(&shared.ana.screen).await.get("releaseTask");
    app.at_work(&shared.project, &shared.task, &eva).await
}

async fn a_long_vector_is_cut_with_the_next_lease(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    changed_by(&app, &shared, 64).await;
    let before = shared.seen_by(&shared.ana.person).await;
    assert_eq!(before["versionVector"].as_object().unwrap().len(), 1 + 65, "an epoch, ana and 64 others");
    let cursor = shared.project.cursor().await;
    taken_over(&app, &shared).await;
    let after = shared.seen_by(&shared.ana.person).await;
    assert_eq!(after["versionVector"], json!({ "#": 2, "server": 1 }));
    assert_eq!(after["revision"].as_i64(), before["revision"].as_i64().map(|revision| revision + 1));
    assert_eq!((&after["geometry"], &after["label"]), (&before["geometry"], &before["label"]));
    let events = shared.project.all_events(Some(&cursor), 20).await;
    let cuts = event_types(&events).iter().filter(|kind| **kind == "ANNOTATION_SAVED").count();
    assert_eq!(cuts, 1, "{events:#?}");
    let query = "query($id: ID!) { node(id: $id) { ... on Annotation { revisions(last: 1) { nodes { fields outcome by { name } content { label } } } } } }";
    let history = shared.ana.person.send(query, json!({ "id": shared.id })).await;
    let want = json!({ "fields": [], "outcome": "APPLIED", "by": null, "content": { "label": "cell" } });
    assert_eq!(history.get("node.revisions.nodes.0"), &want);
}

async fn who_saw_the_vector_that_was_cut_goes_on_from_the_new_one(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    changed_by(&app, &shared, 64).await;
    // A page that was loaded before the lease.
    let (_, _, seen) = shared.now().await;
    let eva = taken_over(&app, &shared).await;
    let first = shared.renamed(&seen, "dust");
    let second = shared.moved(&plus(&seen, &[(&eva, 1)]), 3.0);
    let saved = eva.save(json!([first, second])).await;
    let results = saved.get("saveAnnotations.results").as_array().unwrap();
    assert!(results.iter().all(|result| result["outcome"] == "APPLIED"), "{results:#?}");
    let now = shared.now().await;
    let vector = plus(&json!({ "#": 2, "server": 1 }), &[(&eva, 2)]);
    assert_eq!(now, (3.0, "dust".to_owned(), vector));
    let again = eva.save(json!([first, second])).await;
    let results = again.get("saveAnnotations.results").as_array().unwrap();
    assert!(results.iter().all(|result| result["outcome"] == "APPLIED" && result["repeated"] == true), "{results:#?}");
    assert_eq!(shared.now().await, now);
    // Who saw less than was cut has missed what cannot be told any more.
    let old = eva.edit(shared.moved(&plus(&shared.seen, &[(&eva, 2)]), 4.0)).await;
    assert_eq!(old["outcome"], "CONFLICT", "{old:#}");
    let conflict = eva.person.conflict(old["conflict"]["id"].as_str().unwrap()).await;
    assert_eq!((&conflict["cause"], &conflict["base"]), (&json!("OLD_EPOCH"), &Value::Null));
    let same = eva.edit(shared.renamed(&plus(&shared.seen, &[(&eva, 3)]), "dust")).await;
    assert_eq!((&same["outcome"], &same["conflict"]), (&json!("MERGED"), &Value::Null), "{same:#}");
}

async fn an_edit_from_before_the_cut_is_late(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let last = changed_by(&app, &shared, 64).await;
    let (_, _, seen) = shared.now().await;
    let known = shared.now().await;
    taken_over(&app, &shared).await;
    let late = last.edit(shared.renamed(&seen, "dust")).await;
    assert_eq!(late["outcome"], "CONFLICT", "{late:#}");
    let conflict = last.person.conflict(late["conflict"]["id"].as_str().unwrap()).await;
    assert_eq!((&conflict["cause"], &conflict["incoming"]["label"]), (&json!("LATE"), &json!("dust")));
    // What it had saved before is still known.
    let mut base = seen.clone();
    base.as_object_mut().unwrap().remove(&last.actor);
    let repeated = last.edit(shared.moved(&base, known.0)).await;
    assert_eq!((&repeated["outcome"], &repeated["repeated"]), (&json!("APPLIED"), &json!(true)), "{repeated:#}");
}

async fn a_withdrawn_task_is_a_new_lease_too(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    changed_by(&app, &shared, 64).await;
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    shared.ana.person.withdraw(&shared.task).await.get("withdrawSubmission");
    assert_eq!(shared.now().await.2, json!({ "#": 2, "server": 1 }));
}

async fn a_short_vector_stays(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    changed_by(&app, &shared, 63).await;
    let (_, _, before) = shared.now().await;
    assert_eq!(before.as_object().unwrap().len(), 1 + 64);
    taken_over(&app, &shared).await;
    assert_eq!(shared.now().await.2, before);
}
