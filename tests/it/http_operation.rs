//! What operators and browsers meet: base path, release mode, probes, metrics, pages.

use std::time::Duration;

use reqwest::header;
use serde_json::{Value, json};

use crate::harness::{Database, Media, TestApp, on_both_databases, read};

on_both_databases![
    under_a_base_path_every_address_has_it,
    release_mode_hides_the_schema,
    probes_say_how_the_server_is,
    metrics_are_on_the_admin_address,
    edits_and_conflicts_are_counted,
    the_phases_of_a_tasks_life_are_measured,
    pages_work_without_another_machine,
];

impl TestApp {
    /// The value of one series of `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics_text().await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    async fn metrics_text(&self) -> String {
        self.http.get(self.admin_url("/metrics")).send().await.unwrap().text().await.unwrap()
    }
}

/// The addresses a page points its reader and its browser to.
fn links(page: &str) -> Vec<String> {
    let values = ["href=\"", "src=\"", "action=\"", "data-endpoint=\""].map(|attribute| page.split(attribute).skip(1));
    let values = values.into_iter().flatten().map(|rest| rest.split('"').next().unwrap().to_owned());
    values.filter(|link| !link.starts_with("data:")).collect()
}

async fn under_a_base_path_every_address_has_it(database: Database) {
    let app = TestApp::with(database, &[("HTTP_BASE_PATH", "/label")]).await;
    let root = format!("http://{}", app.running.address);
    assert_eq!(app.url(""), format!("{root}/label"));
    let link = app.first_link.clone().expect("the first start makes a link");
    assert!(link.starts_with(&app.url("/sign-in?link=")), "{link}");
    for path in ["", "/", "/sign-in", "/graphiql"] {
        let page = app.page(path).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let links = links(&page.text().await.unwrap());
        assert!(!links.is_empty(), "{path}");
        for link in links {
            assert!(link.starts_with("/label/"), "{path}: {link}");
            let status = app.http.get(format!("{root}{link}")).send().await.unwrap().status();
            let query_is_missing = link == "/label/graphql";
            assert_eq!(status, if query_is_missing { 400 } else { 200 }, "{path}: {link}");
        }
    }
    let secret = link.split_once("link=").unwrap().1;
    let form = app.http.post(app.url("/sign-in")).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let entered = form.body(format!("link={secret}")).send().await.unwrap();
    assert_eq!(entered.headers()[header::LOCATION], "/label/graphiql");
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("; Path=/label;"), "{cookie}");
    let project = app.project(&app.admin().await, Media::Text).await;
    let asset = app.upload(&project, "a.txt", "text/plain", b"cells").await;
    let query = "query($id: ID!) { node(id: $id) { ... on Asset { url } } }";
    let url = project.manager.send(query, json!({ "id": asset })).await.text("node.url");
    assert!(url.starts_with(&app.url("/files/")), "{url}");
    assert_eq!(app.http.get(url).send().await.unwrap().text().await.unwrap(), "cells");
    for path in ["/", "/graphql", "/healthz", "/labels", "/label/nothing", "/label//graphql"] {
        let outside = read(app.http.get(format!("{root}{path}"))).await;
        assert_eq!((outside.status.as_u16(), outside.code()), (404, "NOT_FOUND"), "{path}");
    }
}

async fn release_mode_hides_the_schema(database: Database) {
    let another = if database.is_sqlite() { Database::sqlite() } else { Database::postgres() };
    let development = TestApp::new(another).await;
    let app = TestApp::with(database, &[("CONCORD_MODE", "release")]).await;
    for path in ["/graphiql", "/graphiql/start.js", "/schema.graphql"] {
        assert_eq!(read(app.page(path)).await.status, 404, "{path}");
    }
    let front = app.page("/").send().await.unwrap().text().await.unwrap();
    assert!(!front.contains("graphiql") && !front.contains("schema"), "{front}");
    for (case, query) in [
        ("a field", "{ viewr { id } }"),
        ("a field below", "{ viewer { emial } }"),
        ("an argument", "{ projects(frist: 1) { nodes { id } } }"),
        ("a type", "query($a: IDD!) { node(id: $a) { id } }"),
        ("a fragment's type", "{ node(id: \"x\") { ... on Tsk { id } } }"),
        ("a field of an input", "mutation { signOut(input: { everywher: true }) { ended } }"),
        ("a value", "mutation { createProject(input: { name: \"a\", mediaType: IMGE }) { project { id } } }"),
        ("the schema", "{ __schema { types { name } } }"),
        ("a type of the schema", "{ __type(name: \"User\") { fields { name } } }"),
    ] {
        let closed = read(app.post_graphql(&json!({ "query": query }))).await;
        let open = read(development.post_graphql(&json!({ "query": query }))).await;
        assert_ne!(closed.code(), "INTERNAL", "{case}: {:#}", closed.body);
        let said = closed.body.to_string();
        for hidden in
            ["Did you mean", "viewer\"", "email", "first", "\"IMAGE", "everywhere", "accessTokens", "AccessToken"]
        {
            assert!(!said.contains(hidden), "{case}: {said}");
        }
        if case == "a field" {
            assert!(open.message().contains("Did you mean"), "{case}: {:#}", open.body);
        }
        if case.contains("schema") {
            assert!(open.body.to_string().contains("email") || open.body.to_string().contains("AccessToken"), "{case}");
        }
    }
    let typename = read(app.post_graphql(&json!({ "query": "{ __typename }" }))).await;
    assert_eq!(typename.get("__typename"), "Query", "clients add it to every selection");
}

async fn probes_say_how_the_server_is(database: Database) {
    let app = TestApp::new(database).await;
    let alive = app.page("/healthz").send().await.unwrap();
    assert_eq!((alive.status().as_u16(), alive.text().await.unwrap().as_str()), (200, "ok"));
    let ready = read(app.page("/readyz")).await;
    assert_eq!((ready.status.as_u16(), &ready.body), (200, &json!({ "ready": true, "reason": null })));
    let health = |status: &str, storage: &str| (json!(status), json!("ok"), json!(storage));
    let seen = || async {
        let answer = read(app.page("/health")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.body["version"], env!("CARGO_PKG_VERSION"));
        let components = &answer.body["components"];
        for part in ["database", "storage"] {
            assert!(components[part]["latencyMs"].is_u64(), "{components}");
        }
        let status = |part: &str| components[part]["status"].clone();
        (answer.body["status"].clone(), status("database"), status("storage"))
    };
    assert_eq!(seen().await, health("ok", "ok"));
    assert_eq!(app.stored_files(), Vec::<String>::new(), "looking leaves nothing");
    let away = app.storage_folder().with_extension("away");
    std::fs::rename(app.storage_folder(), &away).unwrap();
    assert_eq!(seen().await, health("degraded", "down"));
    assert_eq!(app.page("/readyz").send().await.unwrap().status(), 200, "the API works without it");
    std::fs::rename(&away, app.storage_folder()).unwrap();
    assert_eq!(seen().await, health("ok", "ok"));
    app.running.server.drain();
    let draining = read(app.page("/readyz")).await;
    assert_eq!((draining.status.as_u16(), &draining.body["reason"]), (503, &json!("draining")));
    assert_eq!(app.page("/healthz").send().await.unwrap().status(), 200, "a draining process is alive");
}

async fn metrics_are_on_the_admin_address(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let text = app.metrics_text().await;
    let labels = ["bounding_box", "polygon", "classification", "text_span"];
    let throughput = labels.iter().flat_map(|kind| {
        ["started", "succeeded", "failed"]
            .map(|status| format!("annotation_throughput_total{{kind=\"{kind}\",status=\"{status}\"}} 0"))
    });
    let buckets = ["0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64", "1.28", "2.56", "5.12", "+Inf"];
    let phases = ["queued", "claimed", "labeled", "reviewed", "saved", "completed"];
    let latency = phases
        .iter()
        .flat_map(|phase| buckets.map(|le| format!("task_latency_seconds_bucket{{phase=\"{phase}\",le=\"{le}\"}} 0")));
    let others = [
        "# TYPE annotation_throughput_total counter".to_owned(),
        "# TYPE task_latency_seconds histogram".to_owned(),
        "# TYPE label_coverage_ratio gauge".to_owned(),
        "# TYPE concord_reaper_lag_seconds histogram".to_owned(),
        "concord_queue_slots 0".to_owned(),
        "concord_leases_revived_total 0".to_owned(),
        "concord_open_conflicts 0".to_owned(),
        "label_coverage_ratio{coverage_set=\"all\"} 0".to_owned(),
        format!("concord_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ];
    let ends = ["submitted", "skipped", "released", "expired", "revoked"];
    let ended = ends.map(|how| format!("concord_leases_ended_total{{how=\"{how}\"}} 0"));
    let conflicts = [
        ("edits", "outcome", &["applied", "merged", "conflict", "rejected", "repeated"][..]),
        ("conflicts_raised", "cause", &["concurrent", "deleted", "invalid_merge", "old_epoch", "late"]),
        ("conflicts_resolved", "choice", &["current", "incoming", "merged"]),
    ];
    let conflicts = conflicts.into_iter().flat_map(|(family, label, words)| {
        words.iter().map(move |word| format!("concord_{family}_total{{{label}=\"{word}\"}} 0"))
    });
    for line in throughput.chain(latency).chain(ended).chain(conflicts).chain(others) {
        assert!(text.lines().any(|one| one == line), "no {line} in {text}");
    }
    let of_queued =
        text.lines().filter(|line| line.starts_with("task_latency_seconds_bucket{phase=\"queued\"")).count();
    assert_eq!(of_queued, buckets.len(), "no other buckets");
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    let statements = app.metric("concord_sql_statements_total").await;
    for _ in 0..3 {
        ana.send("{ viewer { shoeSize } }", json!({})).await.assert_error("BAD_USER_INPUT", "");
    }
    app.page("/nothing/here").send().await.unwrap();
    for (series, want) in [
        ("concord_http_requests_total{route=\"/graphql\",status=\"200\"}", 3.0),
        ("concord_http_request_seconds_count{route=\"/graphql\"}", 3.0),
        ("concord_http_requests_total{route=\"none\",status=\"404\"}", 1.0),
        ("concord_graphql_errors_total{code=\"BAD_USER_INPUT\"}", 3.0),
    ] {
        assert_eq!(app.metric(series).await, want, "{series}");
    }
    let spent = app.metric("concord_sql_statements_total").await - statements;
    assert_eq!(spent, 4.0, "each request looks its token up, and the first notes its use");
    assert_eq!(app.page("/metrics").send().await.unwrap().status(), 404, "not on the public address");
    let nothing = read(app.http.get(app.admin_url("/nothing"))).await;
    assert_eq!((nothing.status.as_u16(), nothing.code()), (404, "NOT_FOUND"));
}

async fn edits_and_conflicts_are_counted(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let renamed = shared.renamed(&shared.seen, "dust");
    let third = shared.joined_by(&app, "cleo").await;
    third.all_become("MERGED", json!([renamed])).await;
    let (_, _, now) = shared.now().await;
    shared.ana.all_become("REJECTED", json!([shared.renamed(&now, "bus")])).await;
    shared.ana.all_become("APPLIED", json!([shared.moved(&shared.seen, 2.0)])).await;
    let counted = async |wanted: &[(&str, f64)]| {
        app.reconcile().await;
        for (series, want) in wanted {
            assert_eq!(app.metric(&format!("concord_{series}")).await, *want, "{series}");
        }
    };
    // The box was made and moved; its move was sent again.
    counted(&[
        ("edits_total{outcome=\"applied\"}", 2.0),
        ("edits_total{outcome=\"merged\"}", 1.0),
        ("edits_total{outcome=\"conflict\"}", 1.0),
        ("edits_total{outcome=\"rejected\"}", 1.0),
        ("edits_total{outcome=\"repeated\"}", 1.0),
        ("conflicts_raised_total{cause=\"concurrent\"}", 1.0),
        ("conflicts_resolved_total{choice=\"incoming\"}", 0.0),
        ("open_conflicts", 1.0),
    ])
    .await;
    // Sent again it is one decision.
    for _ in 0..2 {
        shared.ana.person.resolve(&conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
    }
    counted(&[("conflicts_resolved_total{choice=\"incoming\"}", 1.0), ("open_conflicts", 0.0)]).await;
}

async fn the_phases_of_a_tasks_life_are_measured(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let (ana, rita) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "rita", "REVIEWER").await);
    let wait = |seconds| app.advance(Duration::from_secs(seconds));
    project.text_tasks(1).await;
    wait(1_000);
    let screen = ana.claim(&project).await;
    wait(200);
    ana.submit(&screen).await.get("submitTask");
    wait(4_000);
    let review = rita.claim_review(&project).await;
    wait(500);
    rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    // By the one clock; a claim and a save are over in no time.
    for (phase, count, seconds) in [
        ("queued", 1.0, 1_000.0),
        ("claimed", 2.0, 0.0),
        ("labeled", 1.0, 200.0),
        ("saved", 0.0, 0.0),
        ("reviewed", 1.0, 4_500.0),
        ("completed", 1.0, 5_700.0),
    ] {
        let of = |what: &str| format!("task_latency_seconds_{what}{{phase=\"{phase}\"}}");
        let (seen, sum) = (app.metric(&of("count")).await, app.metric(&of("sum")).await);
        assert_eq!(seen, count, "{phase}");
        assert!((seconds..seconds + 60.0).contains(&sum), "{phase}: {sum} s");
    }
    for (series, want) in [
        ("concord_claims_total{of=\"task\",outcome=\"claimed\"}", 1.0),
        ("concord_claims_total{of=\"review\",outcome=\"claimed\"}", 1.0),
        ("concord_leases_ended_total{how=\"submitted\"}", 1.0),
    ] {
        assert_eq!(app.metric(series).await, want, "{series}");
    }
}

async fn pages_work_without_another_machine(database: Database) {
    let app = TestApp::new(database).await;
    let page = app.page("/graphiql").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    for directive in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|one| one == directive), "{directive}: {policy}");
    }
    let page = page.text().await.unwrap();
    assert!(page.contains("graphiql.min.js"), "GraphiQL is not embedded: run 'make setup', then build again");
    for (path, want) in [("/", "schema.graphql"), ("/sign-in", "password"), ("/graphiql", "graphiql/start.js")] {
        let page = app.page(path).send().await.unwrap();
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        let page = page.text().await.unwrap();
        assert!(page.contains(want), "{path}: {page}");
        for link in links(&page).iter().filter(|link| *link != "/graphql") {
            assert!(link.starts_with('/') && !link.starts_with("//"), "{path}: {link}");
            let file = app.page(link).send().await.unwrap();
            assert_eq!(file.status(), 200, "{path}: {link}");
            let content_type = file.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            let suits = match link.rsplit_once('.').map(|(_, ending)| ending) {
                Some("js") => content_type == "text/javascript; charset=utf-8",
                Some("css") => content_type == "text/css; charset=utf-8",
                Some("graphql") => content_type == "text/plain; charset=utf-8",
                _ => content_type.starts_with("text/html") || content_type == "application/json",
            };
            assert!(suits, "{path}: {link} is {content_type}");
            assert!(!file.bytes().await.unwrap().is_empty(), "{path}: {link}");
        }
    }
    let schema = app.page("/schema.graphql").send().await.unwrap().text().await.unwrap();
    assert_eq!(schema, concord::graphql::sdl());
}
