//! Uploads that are not what was announced, were never made, or come too late.

use serde_json::{Value, json};

use crate::harness::{Answer, Database, Media, Project, TestApp, on_both_databases};

on_both_databases![
    a_bad_announcement_is_refused_at_its_field,
    bytes_other_than_announced_are_rejected_with_the_reason,
    more_bytes_than_announced_are_turned_away,
    an_upload_never_made_completes_nothing,
    a_completed_upload_takes_no_more_bytes,
    a_url_that_was_not_given_out_opens_nothing,
];

async fn a_bad_announcement_is_refused_at_its_field(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let sound = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 5 });
    let request = async |files: Value| {
        let input = json!({ "projectId": project.id, "files": files });
        project.manager.mutate("requestUploads", input, "uploads { assetId }").await
    };
    watch.refused("101 files", &request(json!(vec![&sound; 101])).await, "LIMIT_EXCEEDED", "files").await;
    watch.refused("no file", &request(json!([])).await, "BAD_USER_INPUT", "files").await;
    for (case, field, value) in [
        ("no bytes", "sizeBytes", json!(0)),
        ("fewer than no bytes", "sizeBytes", json!(-1)),
        ("more than 5 GiB", "sizeBytes", json!(5_368_709_121_i64)),
        ("no type", "contentType", json!("")),
        ("half a type", "contentType", json!("image/")),
        ("a word as type", "contentType", json!("jpeg")),
        ("a type with a NUL", "contentType", json!("image/\0png")),
        ("a type with a line break", "contentType", json!("image/png\r\nX-Other: 1")),
        ("a type of 1 MB", "contentType", json!(format!("image/{}", "x".repeat(1_000_000)))),
        ("a hash that is too short", "sha256", json!("abc")),
        ("a hash that is not hexadecimal", "sha256", json!("g".repeat(64))),
    ] {
        let mut bad = sound.clone();
        bad[field] = value;
        let answer = request(json!([sound, bad])).await;
        watch.refused(case, &answer, "BAD_USER_INPUT", &format!("files[1].{field}")).await;
    }
    for (case, size) in [("a size past all clients' numbers", json!(1_u64 << 53)), ("a size in words", json!("5"))] {
        let mut bad = sound.clone();
        bad["sizeBytes"] = size;
        watch.refused(case, &request(json!([bad])).await, "BAD_USER_INPUT", "").await;
    }
}

/// An upload that was asked for with these facts.
struct Upload {
    asset: String,
    url: String,
}

async fn announce(project: &Project, facts: Value) -> Upload {
    let input = json!({ "projectId": project.id, "files": [facts] });
    let answer = project.manager.mutate("requestUploads", input, "uploads { assetId url }").await;
    let text = |field: &str| answer.text(&format!("requestUploads.uploads.0.{field}"));
    Upload { asset: text("assetId"), url: text("url") }
}

async fn bytes_other_than_announced_are_rejected_with_the_reason(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let hash_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let announced = |content_type: &str, size: usize, sha256: Option<&str>| json!({ "fileName": "a", "contentType": content_type, "sizeBytes": size, "sha256": sha256 });
    for (case, facts, bytes, reason) in [
        ("another hash", announced("text/plain", 5, Some(hash_of_nothing)), &b"hello"[..], "SHA-256"),
        ("fewer bytes", announced("text/plain", 9, None), b"hello", "9 bytes were announced, 5 arrived"),
        ("no bytes", announced("text/plain", 9, None), b"", "9 bytes were announced, 0 arrived"),
        ("another type", announced("image/png", 5, None), b"hello", "image/png was announced"),
        (
            "a page that says it is text",
            announced("text/plain", 15, None),
            b"<!DOCTYPE html>",
            "the bytes are text/html",
        ),
        ("text that is not UTF-8", announced("text/plain", 3, None), b"\xff\xfe\xfd", "text/plain was announced"),
        ("a picture without a size", announced("image/png", 8, None), b"\x89PNG\r\n\x1a\n", "no readable picture"),
    ] {
        let upload = announce(&project, facts).await;
        assert_eq!(app.put(&upload.url, bytes).await.status(), 204, "{case}");
        let completed = project.complete(&[&upload.asset]).await;
        let asset = completed.get("completeUploads.assets.0");
        assert_eq!((&asset["state"], &asset["url"]), (&json!("REJECTED"), &Value::Null), "{case}: {asset}");
        assert!(asset["reason"].as_str().unwrap().contains(reason), "{case}: {}", asset["reason"]);
        let watch = project.watch().await;
        let again = project.complete(&[&upload.asset]).await;
        assert_eq!(again.get("completeUploads.assets.0.reason"), &asset["reason"], "{case}");
        watch.unchanged(case).await;
    }
}

async fn more_bytes_than_announced_are_turned_away(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let facts = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 5 });
    let upload = announce(&project, facts).await;
    let watch = project.watch().await;
    for (case, bytes) in [("one more", 6), ("20 MB more", 20_000_000)] {
        let sent = app.put(&upload.url, "x".repeat(bytes)).await;
        assert_eq!(sent.status(), 413, "{case}");
        let chunks = (0..bytes.div_ceil(100_000)).map(move |_| Ok::<_, std::io::Error>(vec![b'x'; bytes.min(100_000)]));
        let unannounced = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
        assert_eq!(app.put(&upload.url, unannounced).await.status(), 413, "{case}, in chunks");
        watch.refused(case, &Answer::read(sent).await, "PAYLOAD_TOO_LARGE", "").await;
        let completed = project.complete(&[&upload.asset]).await;
        watch.refused(case, &completed, "INVALID_TRANSITION", "assetIds[0]").await;
    }
    assert_eq!(app.put(&upload.url, "hello").await.status(), 204);
    assert_eq!(project.complete(&[&upload.asset]).await.get("completeUploads.assets.0.state"), "READY");
}

async fn an_upload_never_made_completes_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let facts = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 5 });
    let (sent, missing) = (announce(&project, facts.clone()).await, announce(&project, facts).await);
    assert_eq!(app.put(&sent.url, "hello").await.status(), 204);
    let watch = project.watch().await;
    let answer = project.complete(&[&sent.asset, &missing.asset]).await;
    watch.refused("one of two was never sent", &answer, "INVALID_TRANSITION", "assetIds[1]").await;
    assert_eq!(project.complete(&[&sent.asset]).await.get("completeUploads.assets.0.state"), "READY");
}

async fn a_completed_upload_takes_no_more_bytes(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let facts = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 5 });
    let upload = announce(&project, facts).await;
    assert_eq!(app.put(&upload.url, "hello").await.status(), 204);
    let completed = project.complete(&[&upload.asset]).await;
    let watch = project.watch().await;
    let late = app.put(&upload.url, "later").await;
    assert_eq!(late.status(), 409);
    watch.refused("bytes after completion", &Answer::read(late).await, "INVALID_TRANSITION", "file").await;
    let read = app.http.get(completed.text("completeUploads.assets.0.url")).send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), "hello");
}

async fn a_url_that_was_not_given_out_opens_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let facts = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 5 });
    let upload = announce(&project, facts).await;
    let watch = project.watch().await;
    let (path, query) = upload.url.split_once('?').unwrap();
    for (case, url, status, code, field) in [
        ("no signature at all", path.to_owned(), 403, "FORBIDDEN", ""),
        ("half a signature", upload.url.replace("signature=", "sig="), 403, "FORBIDDEN", ""),
        ("no time in words", upload.url.replace("expires=", "expires=soon"), 403, "FORBIDDEN", ""),
        ("a path that is not UTF-8", app.url(&format!("/files/%ff?{query}")), 400, "BAD_USER_INPUT", ""),
        ("no id", app.url(&format!("/files/garbage?{query}")), 400, "BAD_USER_INPUT", "file"),
        ("another signature", upload.url.replace("signature=", "signature=00"), 403, "FORBIDDEN", ""),
        ("a signature of no bytes", upload.url.replace("signature=", "signature=é"), 403, "FORBIDDEN", ""),
        ("a longer time", upload.url.replace("expires=", "expires=9"), 403, "FORBIDDEN", ""),
        ("a permit to read", upload.url.replace("permit=write", "permit=read"), 403, "FORBIDDEN", ""),
        ("another asset", app.url(&format!("/files/asset_01h455vb4pex5vsknk084sn02q?{query}")), 403, "FORBIDDEN", ""),
    ] {
        let answer = Answer::read(app.put(&url, "hello").await).await;
        assert_eq!(answer.status, status, "{case}");
        watch.refused(case, &answer, code, field).await;
        if !url.contains("permit=read") {
            let read = Answer::read(app.http.get(&url).send().await.unwrap()).await;
            assert!([400, 403].contains(&read.status.as_u16()), "reading {case}: {}", read.status);
        }
    }
    app.advance(std::time::Duration::from_secs(2 * 60 * 60));
    let late = Answer::read(app.put(&upload.url, "hello").await).await;
    watch.refused("an expired URL", &late, "FORBIDDEN", "").await;
    let removed = Answer::read(app.http.delete(&upload.url).send().await.unwrap()).await;
    assert_eq!(removed.status, 405);
    watch.refused("removing a file", &removed, "BAD_USER_INPUT", "").await;
}
