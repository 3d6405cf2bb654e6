//! Old events are given up, by age and by number: beside the work, without a gap that a reader is not told of, and without
//! bothering those who are not behind.

use std::time::{Duration, Instant};

use concord::{
    domain::{ids::ProjectId, limits},
    repo::retention,
};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Database, Media, Project, Socket, TestApp, event_types, events_of, on_both_databases};

on_both_databases![
    what_is_too_old_goes_and_what_is_not_stays,
    what_is_too_many_goes_oldest_first,
    a_round_that_broke_off_is_continued_by_the_next,
    a_round_that_runs_out_of_time_goes_on_in_the_next,
    rounds_walk_along_all_streams_and_begin_again,
    a_round_over_quiet_projects_costs_two_statements,
    a_subscriber_whose_filter_lets_nothing_pass_is_never_behind,
    writers_and_readers_go_on_while_events_are_deleted;
    only postgres: nobody_who_appends_waits_for_a_deletion,
];

const NO_LONGER_KEPT: &str = "the events behind the cursor are no longer kept";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn keeping(database: Database, days: &str, count: &str) -> (TestApp, Project) {
    let keys = [("EVENT_RETENTION_DAYS", days), ("EVENT_RETENTION_COUNT", count)];
    let app = TestApp::with(database, &keys).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    (app, project)
}

impl Project {
    async fn call(&self, name: &str) {
        let change = json!({ "projectId": self.id, "name": name });
        self.manager.mutate("updateProject", change, "project { id }").await.get("updateProject");
    }

    /// What a reader with this cursor is told.
    async fn told_behind(&self, cursor: &str) -> Vec<Value> {
        events_of(&self.events(Some(cursor), 200).await)
    }

    async fn assert_resync(&self, case: &str, cursor: &str) {
        let told = self.told_behind(cursor).await;
        assert_eq!(event_types(&told), ["RESYNC_REQUIRED"], "{case}");
        assert_eq!(told[0]["reason"], NO_LONGER_KEPT, "{case}");
    }
}

impl TestApp {
    /// Rows of events of a project, its bottoms and its tops, over all streams.
    async fn kept(&self, project: &Project) -> (i64, i64, i64) {
        let id = self.literal(&project.id);
        let rows = format!("SELECT count(*) FROM event WHERE project_id = {id}");
        let range = "CAST(sum(bottom) AS bigint), CAST(sum(top) AS bigint)";
        let range = format!("SELECT {range} FROM event_stream WHERE project_id = {id}");
        let (rows, range) = (self.rows::<(i64,)>(&rows).await, self.rows::<(i64, i64)>(&range).await);
        (rows[0].0, range[0].0, range[0].1)
    }

    /// Adds copies of the last event of a project's first stream to it.
    async fn repeat_last_event(&self, project: &Project, count: i64) {
        let of_stream = format!("project_id = {} AND", self.literal(&project.id));
        self.sql(&format!(
            "INSERT INTO event (project_id, stream, position, type, task_id, by_user, at, payload)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT e.project_id, e.stream, e.position + n.i, e.type, e.task_id, e.by_user, e.at, e.payload
             FROM event e, n WHERE e.{of_stream} e.stream = 0
             AND e.position = (SELECT top FROM event_stream WHERE {of_stream} number = 0)"
        ))
        .await;
        self.sql(&format!("UPDATE event_stream SET top = top + {count} WHERE {of_stream} number = 0")).await;
    }
}

async fn what_is_too_old_goes_and_what_is_not_stays(database: Database) {
    let (app, project) = keeping(database, "7", "125000").await;
    let start = project.cursor().await;
    project.text_tasks(20).await;
    project.call("Blood").await;
    let old = project.all_events(None, 200).await;
    let before_last = old[old.len() - 2]["cursor"].as_str().unwrap().to_owned();
    let fresh = project.cursor().await;
    app.advance(6 * DAY);
    app.give_up_events().await;
    assert_eq!(project.all_events(None, 200).await, old, "not old enough");
    project.text_tasks(30).await;
    project.call("Bones").await;
    let young = project.all_events(Some(&fresh), 200).await;
    assert_eq!(young.len(), 10 + 1, "twenty of the thirty are there already");

    app.advance(DAY + Duration::from_secs(60));
    app.give_up_events().await;
    assert_eq!(project.all_events(None, 200).await, young, "without a cursor: from the oldest kept");
    project.assert_resync("from before", &start).await;
    project.assert_resync("one event behind what is kept", &before_last).await;
    assert_eq!(project.told_behind(&fresh).await, young, "right at the bottom");
    let (rows, bottom, top) = app.kept(&project).await;
    assert_eq!((rows, bottom, top), (11, old.len() as i64, old.len() as i64 + 11));
    let metrics = app.http.get(app.admin_url("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = format!("concord_events_deleted_total {}\n", old.len());
    assert!(metrics.contains(&line), "{line} in\n{metrics}");

    let now = project.cursor().await;
    app.advance(8 * DAY);
    app.give_up_events().await;
    assert_eq!(app.kept(&project).await, (0, top, top), "nothing is left");
    assert_eq!(project.told_behind(&now).await, [] as [Value; 0], "who has seen it all has missed nothing");
    project.call("Brain").await;
    assert_eq!(event_types(&project.told_behind(&now).await), ["PROJECT_CHANGED"]);
    assert_eq!(event_types(&project.all_events(None, 10).await), ["PROJECT_CHANGED"]);
}

async fn what_is_too_many_goes_oldest_first(database: Database) {
    let (app, project) = keeping(database, "7", "100").await;
    let start = project.cursor().await;
    app.repeat_last_event(&project, 5_000).await;
    let all = project.all_events(None, 200).await;
    app.give_up_events().await;
    let kept = project.all_events(None, 200).await;
    assert_eq!(kept.len(), 100);
    assert_eq!(kept[..], all[all.len() - 100..], "the newest hundred of the stream");
    project.assert_resync("from before", &start).await;
    let last_given_up = all[all.len() - 101]["cursor"].as_str().unwrap();
    assert_eq!(project.told_behind(last_given_up).await, kept, "right at the bottom");
    assert_eq!(app.kept(&project).await.0, 100);
}

async fn a_round_that_broke_off_is_continued_by_the_next(database: Database) {
    let (app, project) = keeping(database, "1", "125000").await;
    let start = project.cursor().await;
    project.call("Blood").await;
    app.advance(2 * DAY);
    let (arm, disarm) = if app.database.is_sqlite() {
        ("CREATE TRIGGER broken BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'broken'); END", "")
    } else {
        (
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;
             CREATE TRIGGER broken BEFORE DELETE ON event EXECUTE FUNCTION broken()",
            " ON event",
        )
    };
    app.sql(arm).await;
    app.give_up_events().await;
    // As a crash leaves it: what is below the bottom is still there, and no reader is shown it.
    let (rows, bottom, top) = app.kept(&project).await;
    assert_eq!((rows, bottom), (top, top));
    project.assert_resync("while it is broken", &start).await;
    app.sql(&format!("DROP TRIGGER broken{disarm}")).await;
    project.call("Bones").await;
    app.give_up_events().await;
    assert_eq!(app.kept(&project).await, (1, top, top + 1));
    assert_eq!(event_types(&project.all_events(None, 10).await), ["PROJECT_CHANGED"]);
}

async fn a_round_that_runs_out_of_time_goes_on_in_the_next(database: Database) {
    let (app, project) = keeping(database, "1", "1000000").await;
    const ONE_ROUND: i64 = limits::RETENTION_EVENTS * limits::RETENTION_BATCHES as i64;
    app.repeat_last_event(&project, ONE_ROUND + 500).await;
    let (rows, ..) = app.kept(&project).await;
    app.advance(2 * DAY);
    app.give_up_events().await;
    assert_eq!(app.kept(&project).await.0, rows - ONE_ROUND);
    app.give_up_events().await;
    assert_eq!(app.kept(&project).await, (0, rows, rows));
}

async fn rounds_walk_along_all_streams_and_begin_again(database: Database) {
    let (app, first) = keeping(database, "1", "125000").await;
    // A round looks at a thousand streams, eight a project.
    let others = join_all((0..130).map(|_| app.project(&first.manager, Media::Text))).await;
    let last = others.iter().max_by(|one, other| one.id.cmp(&other.id)).unwrap();
    app.advance(2 * DAY);
    app.give_up_events().await;
    let (rows, ..) = app.kept(last).await;
    assert_eq!((app.kept(&first).await.0, rows), (0, 2), "as far as the first round");
    app.give_up_events().await;
    let left: Vec<(i64,)> = app.rows("SELECT count(*) FROM event").await;
    assert_eq!(left, [(0,)], "the second round goes on there");
    first.call("Blood").await;
    app.advance(2 * DAY);
    app.give_up_events().await;
    assert_eq!(app.kept(&first).await.0, 0, "the third begins again");
}

async fn a_round_over_quiet_projects_costs_two_statements(database: Database) {
    let (app, project) = keeping(database, "1", "125000").await;
    join_all((0..10).map(|_| app.project(&project.manager, Media::Text))).await;
    for case in ["events, none too old", "no events"] {
        let before = app.statements();
        app.give_up_events().await;
        assert_eq!(app.statements() - before, 2, "{case}");
        app.advance(2 * DAY);
        app.give_up_events().await;
    }
}

const FOLLOW: &str = "subscription($id: ID!, $after: EventCursor) {
  taskEvents(projectId: $id, types: [REVIEW_RECORDED], after: $after) { type cursor ... on ResyncRequired { reason } }
}";

/// The next notice of the position; time is moved until there is one.
async fn position(app: &TestApp, socket: &mut Socket, wanted: &str) -> String {
    const POLL: Duration = Duration::from_secs(3);
    for _ in 0..20 {
        app.advance(limits::CURSOR_NOTICE);
        while let Ok(event) = timeout(POLL, socket.event()).await {
            assert_eq!(event["type"], "CURSOR_MOVED", "nothing else passes the filter: {event}");
            if event["cursor"] == wanted {
                return wanted.to_owned();
            }
            app.advance(limits::CURSOR_NOTICE);
        }
    }
    panic!("waited in vain for the position")
}

async fn a_subscriber_whose_filter_lets_nothing_pass_is_never_behind(database: Database) {
    let (app, project) = keeping(database, "1", "100").await;
    let start = project.cursor().await;
    let mut socket = project.manager.subscribe(FOLLOW, json!({ "id": project.id, "after": start })).await;
    let mut told = start.clone();
    for half_day in 0..4 {
        project.call(&format!("Blood {half_day}")).await;
        told = position(&app, &mut socket, &project.cursor().await).await;
        app.advance(DAY / 2);
        app.give_up_events().await;
    }
    app.advance(2 * DAY);
    app.give_up_events().await;
    assert_eq!(app.kept(&project).await.0, 0, "all that was filtered out is gone");
    drop(socket);
    for (case, after, is_behind) in [("who kept the position", &told, false), ("who did not", &start, true)] {
        let mut socket = project.manager.subscribe(FOLLOW, json!({ "id": project.id, "after": after })).await;
        if is_behind {
            let notice = socket.event().await;
            assert_eq!((&notice["type"], &notice["reason"]), (&json!("RESYNC_REQUIRED"), &json!(NO_LONGER_KEPT)));
        } else {
            assert_eq!(position(&app, &mut socket, after).await, *after, "{case}");
        }
    }
}

async fn writers_and_readers_go_on_while_events_are_deleted(database: Database) {
    let (app, project) = keeping(database, "1", "100000000").await;
    app.repeat_last_event(&project, 30_000).await;
    app.advance(2 * DAY);
    let start = project.cursor().await;
    const CHANGES: usize = 40;
    let changes = async {
        for change in 0..CHANGES {
            let begun = Instant::now();
            project.call(&format!("Blood {change}")).await;
            assert!(begun.elapsed() < limits::DATABASE_WAIT, "{:?}", begun.elapsed());
        }
    };
    let rounds = join_all([app.give_up_events(), app.give_up_events()]);
    tokio::join!(changes, rounds);
    app.give_up_events().await;
    assert_eq!(app.kept(&project).await.0, CHANGES as i64);
    assert_eq!(project.told_behind(&start).await.len(), CHANGES, "a reader misses none of them");
}

/// While a batch is being deleted its transaction holds no row that an append wants.
async fn nobody_who_appends_waits_for_a_deletion(database: Database) {
    let (app, project) = keeping(database, "1", "100000000").await;
    app.repeat_last_event(&project, 1_000).await;
    let stream = (project.id.parse::<ProjectId>().unwrap(), 0);
    let top = app.kept(&project).await.2;
    let raise = app.use_cases().db.begin().await.unwrap();
    retention::raise_bottom(&raise, stream, 1_000).await.unwrap();
    raise.commit().await.unwrap();
    let deletion = app.use_cases().db.begin().await.unwrap();
    assert_eq!(retention::delete(&deletion, stream, 0, 1_000).await.unwrap(), 1_000);
    project.call("Blood").await;
    deletion.commit().await.unwrap();
    assert_eq!(app.kept(&project).await, (top + 1 - 1_000, 1_000, top + 1));
}
