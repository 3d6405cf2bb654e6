//! What jobs made, read by signed URLs: whole and in parts, each URL good for its own file only.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::harness::{Answer, Database, Media, Project, TestApp, on_both_databases, random_like};

on_both_databases![
    a_result_comes_whole_and_in_parts,
    a_list_of_errors_is_a_file_too,
    a_url_of_a_job_reads_its_own_file_only,
    a_url_of_a_job_ends,
    a_job_without_a_file_has_none,
];

const RESULT: &[u8] = b"{\"data\":{\"text\":\"cell\"}}\n";

impl Project {
    async fn file_url(&self, job: &str, field: &str) -> String {
        let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Job {{ {field} }} }} }}");
        self.manager.send(&query, json!({ "id": job })).await.text(&format!("node.{field}"))
    }
}

async fn exported(app: &TestApp, name: &str) -> (Project, String, String) {
    let project = app.project(&app.admin().await, Media::Text).await;
    let job = project.export().await;
    app.succeed(&project, &job, name, RESULT).await;
    let url = project.file_url(&job, "resultUrl").await;
    (project, job, url)
}

fn text(response: &reqwest::Response, name: header::HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn a_result_comes_whole_and_in_parts(database: Database) {
    let app = TestApp::new(database).await;
    let (project, job, url) = exported(&app, "result.jsonl").await;
    assert!(url.starts_with(&app.url(&format!("/files/{job}?permit=result&"))), "{url}");
    let whole = app.http.get(&url).send().await.unwrap();
    assert_eq!(whole.status(), 200);
    assert_eq!(text(&whole, header::CONTENT_TYPE), "application/x-ndjson");
    let disposition = format!("attachment; filename*=UTF-8''{job}-result.jsonl");
    assert_eq!(text(&whole, header::CONTENT_DISPOSITION), disposition);
    assert_eq!(text(&whole, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(text(&whole, header::CONTENT_LENGTH), RESULT.len().to_string());
    let etag = text(&whole, header::ETAG).to_owned();
    assert_eq!(whole.bytes().await.unwrap(), RESULT);

    let part = app.http.get(&url).header(header::RANGE, "bytes=2-5").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(text(&part, header::CONTENT_RANGE), format!("bytes 2-5/{}", RESULT.len()));
    assert_eq!(part.bytes().await.unwrap(), RESULT[2..6]);
    let beyond = app.http.get(&url).header(header::RANGE, "bytes=9999-").send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let head = app.http.request(Method::HEAD, &url).send().await.unwrap();
    assert_eq!((head.status(), text(&head, header::CONTENT_DISPOSITION)), (StatusCode::OK, disposition.as_str()));
    assert_eq!(text(&head, header::CONTENT_LENGTH), RESULT.len().to_string());
    assert!(head.bytes().await.unwrap().is_empty());
    let seen = app.http.get(&url).header(header::IF_NONE_MATCH, &etag).send().await.unwrap();
    assert_eq!(seen.status(), StatusCode::NOT_MODIFIED);

    // One in another format, whose bytes are of another tag.
    let other = project.export().await;
    app.succeed(&project, &other, "result.json", b"{}").await;
    let other = app.http.get(project.file_url(&other, "resultUrl").await).send().await.unwrap();
    assert_eq!(text(&other, header::CONTENT_TYPE), "application/json");
    assert_ne!(text(&other, header::ETAG), etag);
}

async fn a_list_of_errors_is_a_file_too(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let job = project.import(&app.source(&project).await).await;
    let line = b"{\"line\":1,\"field\":\"\",\"message\":\"no JSON\"}\n";
    app.fail(&project, &job, "errors.jsonl", line).await;
    let url = project.file_url(&job, "errorsUrl").await;
    let file = app.http.get(&url).send().await.unwrap();
    assert_eq!(text(&file, header::CONTENT_TYPE), "application/x-ndjson");
    assert!(text(&file, header::CONTENT_DISPOSITION).ends_with(&format!("{job}-errors.jsonl")));
    assert_eq!(file.bytes().await.unwrap(), line[..]);
    let result = app.http.get(url.replace("permit=errors", "permit=result")).send().await.unwrap();
    assert_eq!(result.status(), StatusCode::FORBIDDEN);
}

async fn a_url_of_a_job_reads_its_own_file_only(database: Database) {
    let app = TestApp::new(database).await;
    let (project, job, url) = exported(&app, "result.jsonl").await;
    let other = project.export().await;
    app.succeed(&project, &other, "result.jsonl", b"others\n").await;
    let asset = app.upload(&project, "a.txt", "text/plain", b"cells").await;
    let query = "query($id: ID!) { node(id: $id) { ... on Asset { url } } }";
    let asset_url = project.manager.send(query, json!({ "id": asset })).await.text("node.url");
    let upload = project.request_upload("b.txt", "text/plain", 5).await.text("requestUploads.uploads.0.url");
    let (_, upload) = upload.split_once('?').unwrap();
    let signature = url.rsplit_once("signature=").unwrap().1;
    let flipped = if signature.starts_with('0') { "1" } else { "0" };
    for (case, url) in [
        ("unsigned", url.split_once('?').unwrap().0.to_owned()),
        ("another signature", url.replace(signature, &format!("{flipped}{}", &signature[1..]))),
        ("another job's id", url.replace(&job, &other)),
        ("the id of nothing", url.replace(&job, &random_like(&job))),
        ("the list of errors", url.replace("permit=result", "permit=errors")),
        ("an asset's permit", url.replace("permit=result", "permit=read")),
        ("the permit to send", url.replace("permit=result", "permit=write")),
        ("no permit there is", url.replace("permit=result", "permit=all")),
        ("a later end", url.replace("expires=", "expires=9")),
        ("an asset's URL with the job in it", asset_url.replace(&asset, &job)),
        ("an upload's URL with the job in it", app.url(&format!("/files/{job}?{upload}"))),
        ("the job's URL with an asset in it", url.replace(&job, &asset)),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let refused = app.http.request(method, &url).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{case}");
        }
        Answer::read(app.http.get(&url).send().await.unwrap()).await.assert_refused(case, "FORBIDDEN", "");
    }
    for url in [url.clone(), app.url(&format!("/files/{job}?{upload}"))] {
        let written = Answer::read(app.put(&url, "later").await).await;
        assert_eq!(
            (written.status, written.code()),
            (StatusCode::FORBIDDEN, "FORBIDDEN"),
            "nobody sends bytes to a job"
        );
    }
    assert_eq!(app.http.get(&url).send().await.unwrap().bytes().await.unwrap(), RESULT);
    let of_another_kind = Answer::read(app.http.get(url.replace(&job, &project.id)).send().await.unwrap()).await;
    of_another_kind.assert_refused("an id of a project", "BAD_USER_INPUT", "file");
}

async fn a_url_of_a_job_ends(database: Database) {
    let app = TestApp::new(database).await;
    let (_, _, url) = exported(&app, "result.jsonl").await;
    app.advance(Duration::from_secs(60 * 60 - 60));
    assert_eq!(app.http.get(&url).send().await.unwrap().status(), 200, "it works for an hour");
    app.advance(Duration::from_secs(60 * 60 + 60));
    let ended = Answer::read(app.http.get(&url).send().await.unwrap()).await;
    assert_eq!(ended.status, StatusCode::FORBIDDEN);
    ended.assert_refused("ended", "FORBIDDEN", "");
}

async fn a_job_without_a_file_has_none(database: Database) {
    let app = TestApp::new(database).await;
    let (project, job, url) = exported(&app, "result.jsonl").await;
    let query = "query($id: ID!) { node(id: $id) { ... on Job { resultUrl errorsUrl } } }";
    let waiting = project.export().await;
    let seen = project.manager.send(query, json!({ "id": waiting })).await;
    assert_eq!(seen.get("node"), &json!({ "resultUrl": null, "errorsUrl": null }));
    // Signed once, gone since.
    for (case, gone) in [
        ("no file any more", format!("UPDATE job SET result_key = NULL WHERE id = {}", app.literal(&job))),
        ("no job any more", format!("DELETE FROM job WHERE id = {}", app.literal(&job))),
    ] {
        app.sql(&gone).await;
        let missing = Answer::read(app.http.get(&url).send().await.unwrap()).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{case}");
        missing.assert_refused(case, "NOT_FOUND", "file");
    }
}
