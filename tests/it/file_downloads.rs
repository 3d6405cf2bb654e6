//! Reading stored files by signed URLs: whole, in parts, from a cache, and never as a page of ours.

use std::time::Duration;

use concord::repo::Conn;
use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::harness::{Answer, Database, Media, Project, TestApp, on_both_databases};

on_both_databases![
    a_file_comes_whole_and_in_parts,
    head_gives_the_headers_alone,
    a_client_that_has_the_bytes_gets_none,
    a_range_of_other_bytes_gives_the_whole,
    what_a_browser_would_run_is_only_a_download,
    a_file_keeps_its_name,
    a_url_stays_the_same_within_its_hour_and_ends,
    a_read_url_reads_its_own_file_only,
];

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Project {
    async fn url_of(&self, asset: &str) -> String {
        let query = "query($id: ID!) { node(id: $id) { ... on Asset { url } } }";
        self.manager.send(query, json!({ "id": asset })).await.text("node.url")
    }
}

/// A photograph that is READY: its URL and its bytes.
async fn photograph(app: &TestApp) -> (String, Vec<u8>) {
    let project = app.project(&app.admin().await, Media::Image).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bccd/BloodImage_00012.jpg");
    let bytes = std::fs::read(path).unwrap();
    let asset = app.upload(&project, "blood.jpg", "image/jpeg", &bytes).await;
    (project.url_of(&asset).await, bytes)
}

fn text(response: &reqwest::Response, name: header::HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn a_file_comes_whole_and_in_parts(database: Database) {
    let app = TestApp::new(database).await;
    let (url, bytes) = photograph(&app).await;
    let size = bytes.len();
    let whole = app.http.get(&url).send().await.unwrap();
    assert_eq!(whole.status(), 200);
    assert_eq!(text(&whole, header::ACCEPT_RANGES), "bytes");
    assert_eq!(text(&whole, header::CONTENT_TYPE), "image/jpeg");
    assert_eq!(text(&whole, header::CONTENT_LENGTH), size.to_string());
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    for (case, range, want) in [
        ("the first bytes", "bytes=0-9".to_owned(), Some(0..10)),
        ("one byte", "bytes=5-5".to_owned(), Some(5..6)),
        ("the middle", "bytes=1000-2999".to_owned(), Some(1_000..3_000)),
        ("from somewhere on", "bytes=20000-".to_owned(), Some(20_000..size)),
        ("the last bytes", "bytes=-100".to_owned(), Some(size - 100..size)),
        ("beyond the end", format!("bytes=20000-{}", size + 5), Some(20_000..size)),
        ("several parts", "bytes=0-1,5-6".to_owned(), None),
        ("another unit", "lines=0-1".to_owned(), None),
        ("no numbers", "bytes=a-b".to_owned(), None),
    ] {
        let part = app.http.get(&url).header(header::RANGE, range).send().await.unwrap();
        let (status, content_range, want) = match want {
            Some(range) => (206, format!("bytes {}-{}/{size}", range.start, range.end - 1), &bytes[range]),
            None => (200, String::new(), &bytes[..]),
        };
        assert_eq!(
            (part.status().as_u16(), text(&part, header::CONTENT_RANGE)),
            (status, content_range.as_str()),
            "{case}"
        );
        assert_eq!(text(&part, header::CONTENT_LENGTH), want.len().to_string(), "{case}");
        assert!(part.bytes().await.unwrap() == want, "{case}");
    }
    let nothing = app.http.get(&url).header(header::RANGE, format!("bytes={size}-")).send().await.unwrap();
    assert_eq!(nothing.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(text(&nothing, header::CONTENT_RANGE), format!("bytes */{size}"));
}

async fn head_gives_the_headers_alone(database: Database) {
    let app = TestApp::new(database).await;
    let (url, bytes) = photograph(&app).await;
    let get = app.http.get(&url).send().await.unwrap();
    for (case, range) in [("plain", None), ("with a range, which only a GET can have", Some("bytes=0-9"))] {
        let mut request = app.http.request(Method::HEAD, &url);
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let head = request.send().await.unwrap();
        assert_eq!(head.status(), 200, "{case}");
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::ETAG, header::CONTENT_DISPOSITION] {
            assert_eq!(text(&head, name.clone()), text(&get, name.clone()), "{case}: {name}");
        }
        assert_eq!(text(&head, header::CONTENT_LENGTH), bytes.len().to_string(), "{case}");
        assert!(head.bytes().await.unwrap().is_empty(), "{case}");
    }
}

async fn a_client_that_has_the_bytes_gets_none(database: Database) {
    let app = TestApp::new(database).await;
    let (url, _) = photograph(&app).await;
    let etag = text(&app.http.get(&url).send().await.unwrap(), header::ETAG).to_owned();
    for (case, seen, status) in [
        ("these bytes", etag.clone(), 304),
        ("these and others", format!("\"other\", {etag}"), 304),
        ("weak, as a proxy makes it", format!("W/{etag}"), 304),
        ("whatever there is", "*".to_owned(), 304),
        ("other bytes", "\"other\"".to_owned(), 200),
    ] {
        let answer = app.http.get(&url).header(header::IF_NONE_MATCH, seen).send().await.unwrap();
        assert_eq!(answer.status(), status, "{case}");
        assert_eq!(text(&answer, header::ETAG), etag, "{case}");
        assert_eq!(text(&answer, header::CACHE_CONTROL), "private, max-age=3600, immutable", "{case}");
        assert_eq!(answer.bytes().await.unwrap().is_empty(), status == 304, "{case}");
    }
}

async fn a_range_of_other_bytes_gives_the_whole(database: Database) {
    let app = TestApp::new(database).await;
    let (url, bytes) = photograph(&app).await;
    let etag = text(&app.http.get(&url).send().await.unwrap(), header::ETAG).to_owned();
    for (case, of, status, length) in [
        ("of these", etag.as_str(), 206, 10),
        ("of others", "\"other\"", 200, bytes.len()),
        ("of a time", "Tue, 24 Nov 2026 06:00:00 GMT", 200, bytes.len()),
    ] {
        let request = app.http.get(&url).header(header::RANGE, "bytes=0-9").header(header::IF_RANGE, of);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{case}");
        assert_eq!(answer.bytes().await.unwrap().len(), length, "{case}");
    }
}

async fn what_a_browser_would_run_is_only_a_download(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let png = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/made/plain.png")).unwrap();
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let page = b"<!doctype html><script>alert(1)</script>";
    for (case, name, said, bytes, content_type, disposition) in [
        ("a picture", "a.png", "image/png", &png[..], "image/png", "inline"),
        ("a text", "a.txt", "text/plain", b"cells", "text/plain; charset=utf-8", "inline"),
        ("a drawing", "a.svg", "image/svg+xml", svg, "image/svg+xml", "attachment"),
        ("a page", "a.html", "text/html", page, "text/html; charset=utf-8", "attachment"),
        ("a picture that is called a page", "a.html", "image/png", &png, "image/png", "inline"),
        ("JSON", "a.json", "application/json", b"{}", "application/json", "attachment"),
        ("a script", "a.js", "text/javascript", b"alert(1)", "text/javascript; charset=utf-8", "attachment"),
        ("XML", "a.xml", "application/xml", b"<x/>", "application/xml", "attachment"),
    ] {
        let asset = app.upload(&project, name, said, bytes).await;
        let file = app.http.get(project.url_of(&asset).await).send().await.unwrap();
        assert_eq!(text(&file, header::CONTENT_TYPE), content_type, "{case}");
        assert_eq!(
            text(&file, header::CONTENT_DISPOSITION),
            format!("{disposition}; filename*=UTF-8''{name}"),
            "{case}"
        );
        assert_eq!(text(&file, header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{case}");
        assert_eq!(text(&file, header::CONTENT_SECURITY_POLICY), "default-src 'none'; sandbox", "{case}");
        assert_eq!(file.bytes().await.unwrap(), bytes, "{case}");
    }
}

async fn a_file_keeps_its_name(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    for (name, encoded) in [
        ("Blut \u{e4}\u{f6}\u{fc} \"1\".txt", "Blut%20%C3%A4%C3%B6%C3%BC%20%221%22.txt"),
        ("a;filename=b.exe", "a%3Bfilename%3Db.exe"),
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        ("\u{7d30}\u{80de}", "%E7%B4%B0%E8%83%9E"),
    ] {
        let asset = app.upload(&project, name, "text/plain", b"cells").await;
        let file = app.http.get(project.url_of(&asset).await).send().await.unwrap();
        assert_eq!(text(&file, header::CONTENT_DISPOSITION), format!("inline; filename*=UTF-8''{encoded}"), "{name}");
    }
    let broken = project.request_upload("a\r\nSet-Cookie: b", "text/plain", 5).await;
    broken.assert_error("BAD_USER_INPUT", "files[0].fileName");
}

async fn a_url_stays_the_same_within_its_hour_and_ends(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let asset = app.upload(&project, "a.txt", "text/plain", b"cells").await;
    // To the first minute of an hour, so that no hour ends in the middle of this test.
    let into_hour = app.use_cases().db.clock().process_now().timestamp() % 3_600;
    app.advance(HOUR - Duration::from_secs(into_hour.unsigned_abs()) + Duration::from_secs(60));
    let url = project.url_of(&asset).await;
    app.advance(HOUR / 2);
    assert_eq!(project.url_of(&asset).await, url, "a cache finds it again");
    app.advance(HOUR / 2);
    assert_ne!(project.url_of(&asset).await, url);
    assert_eq!(app.http.get(&url).send().await.unwrap().status(), 200, "it works an hour after it was given");
    app.advance(HOUR);
    let ended = Answer::read(app.http.get(&url).send().await.unwrap()).await;
    assert_eq!((ended.status.as_u16(), ended.code()), (403, "FORBIDDEN"));
    assert_eq!(ended.headers[header::CACHE_CONTROL], "no-store");
}

async fn a_read_url_reads_its_own_file_only(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let upload = project.request_upload("b.txt", "text/plain", 5).await;
    let write_url = upload.text("requestUploads.uploads.0.url");
    app.put(&write_url, "other").await;
    let asset = app.upload(&project, "a.txt", "text/plain", b"cells").await;
    let url = project.url_of(&asset).await;
    let pending = upload.text("requestUploads.uploads.0.assetId");
    for (case, url) in [
        ("unsigned", url.split_once('?').unwrap().0.to_owned()),
        ("the URL to write", write_url),
        ("another file's signature", url.replace(&asset, &pending)),
        ("a later end", url.replace("expires=", "expires=9")),
    ] {
        let refused = Answer::read(app.http.get(url).send().await.unwrap()).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "FORBIDDEN"), "{case}");
    }
    let written = Answer::read(app.put(&url, "later").await).await;
    assert_eq!((written.status.as_u16(), written.code()), (403, "FORBIDDEN"), "it does not write");
}
