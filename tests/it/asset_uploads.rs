//! Uploads, from asking for a place to READY or REJECTED.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Answer, Database, Media, Person, Project, TestApp, on_both_databases, wait_until};

on_both_databases![
    photographs_become_ready_with_their_dimensions,
    pictures_of_every_format_have_their_dimensions,
    the_bytes_say_what_a_file_is,
    what_was_not_announced_is_rejected_with_the_reason,
    bytes_can_be_sent_again_until_the_upload_is_completed,
    an_upload_takes_the_signature_of_its_own_url,
    bytes_sent_while_an_upload_is_completed_are_not_mistaken_for_those_checked,
    more_bytes_than_announced_are_refused_and_not_stored,
    an_upload_that_breaks_off_leaves_nothing,
    uploads_that_never_came_complete_nothing,
    only_managers_upload,
];

/// A file as its uploader announces it.
fn announced(name: &str, content_type: &str, size: usize) -> Value {
    json!({ "fileName": name, "contentType": content_type, "sizeBytes": size })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn data(path: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where one upload goes.
struct Place {
    asset: String,
    url: String,
}

impl Project {
    async fn place_for(&self, file: Value) -> Place {
        let input = json!({ "projectId": self.id, "files": [file] });
        let given =
            self.manager.mutate("requestUploads", input, "uploads { assetId method url headers expiresAt }").await;
        assert_eq!(given.get("requestUploads.uploads.0.method"), "PUT");
        Place { asset: given.text("requestUploads.uploads.0.assetId"), url: given.text("requestUploads.uploads.0.url") }
    }

    /// Uploads bytes as announced and gives what they turned out to be.
    async fn sent(&self, app: &TestApp, file: Value, bytes: &[u8]) -> Value {
        let place = self.place_for(file).await;
        assert_eq!(app.put(&place.url, bytes.to_vec()).await.status(), 204);
        self.complete(&[&place.asset]).await.get("completeUploads.assets.0").clone()
    }
}

async fn refused(response: reqwest::Response) -> (u16, String) {
    let answer = Answer::read(response).await;
    (answer.status.as_u16(), answer.code().to_owned())
}

async fn photographs_become_ready_with_their_dimensions(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let names = ["BloodImage_00012.jpg", "BloodImage_00040.jpg", "BloodImage_00055.jpg"];
    let pictures = names.map(|name| data(&format!("bccd/{name}")));
    let files: Vec<Value> = std::iter::zip(names, &pictures)
        .map(|(name, bytes)| {
            let mut file = announced(name, "image/jpeg", bytes.len());
            file["sha256"] = json!(sha256(bytes).to_uppercase());
            file
        })
        .collect();
    let input = json!({ "projectId": project.id, "files": files });
    let places =
        project.manager.mutate("requestUploads", input, "uploads { assetId method url headers expiresAt }").await;
    let places = places.get("requestUploads.uploads").as_array().unwrap();
    assert_eq!(places[0]["headers"], json!({ "Content-Type": "image/jpeg" }));
    for (place, bytes) in std::iter::zip(places, &pictures) {
        let request = app.http.put(place["url"].as_str().unwrap()).header("content-type", "image/jpeg");
        assert_eq!(request.body(bytes.clone()).send().await.unwrap().status(), 204);
    }
    let ids: Vec<&str> = places.iter().map(|place| place["assetId"].as_str().unwrap()).collect();
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Asset { state contentType mediaType sizeBytes sha256 width height url reason } } }";
    let pending = project.manager.send(query, json!({ "ids": ids })).await;
    let nothing = json!({ "state": "PENDING", "contentType": null, "mediaType": null, "sizeBytes": null, "sha256": null, "width": null, "height": null, "url": null, "reason": null });
    assert_eq!(pending.get("nodes.2"), &nothing);
    let completed = project.complete(&ids).await;
    for (index, (name, bytes)) in std::iter::zip(names, &pictures).enumerate() {
        let mut asset = completed.get("completeUploads.assets")[index].clone();
        let url = asset["url"].take();
        assert!(url.as_str().is_some_and(|url| url.starts_with(&app.url("/files/asset_"))), "{url}");
        let want = json!({
            "id": ids[index], "state": "READY", "reason": null, "fileName": name, "contentType": "image/jpeg",
            "mediaType": "IMAGE", "sizeBytes": bytes.len(), "sha256": sha256(bytes), "width": 640, "height": 480,
            "url": null,
        });
        assert_eq!(asset, want, "{name}");
    }
    let again = project.complete(&ids).await;
    assert_eq!(again.get("completeUploads.assets.1.state"), "READY", "completing again changes nothing");
}

async fn pictures_of_every_format_have_their_dimensions(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    for (name, content_type, width, height) in [
        ("plain.png", "image/png", 7, 5),
        ("plain.gif", "image/gif", 7, 5),
        ("plain.webp", "image/webp", 7, 5),
        ("plain.bmp", "image/bmp", 7, 5),
        ("plain.jpg", "image/jpeg", 7, 5),
        // Stored lying on its side; people see it upright.
        ("rotated.jpg", "image/jpeg", 5, 7),
    ] {
        let bytes = data(&format!("made/{name}"));
        let asset = project.sent(&app, announced(name, content_type, bytes.len()), &bytes).await;
        let seen = json!([asset["state"], asset["contentType"], asset["mediaType"], asset["width"], asset["height"]]);
        assert_eq!(seen, json!(["READY", content_type, "IMAGE", width, height]), "{name}: {asset}");
    }
}

async fn the_bytes_say_what_a_file_is(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let wav = data("spoken-digits/1_theo_2.wav");
    let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let cloud = b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 1\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1\nDATA ascii\n1 2 3\n";
    let svg = b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"7\" height=\"5\"/>";
    let any = "application/octet-stream";
    for (case, said, bytes, content_type, media_type) in [
        ("a text", "text/plain; charset=utf-8", "Blutk\u{f6}rperchen".as_bytes(), "text/plain", json!("TEXT")),
        ("a table", "text/csv", b"a,b\n1,2\n", "text/csv", json!("TEXT")),
        ("JSON", "application/json", b"{\"cells\": 3}", "application/json", json!("TEXT")),
        ("a page", "text/html", b"<!doctype html><title>x</title>", "text/html", json!("TEXT")),
        ("a drawing", "image/svg+xml", svg, "image/svg+xml", json!("IMAGE")),
        ("an archive", "application/zip", zip, "application/zip", Value::Null),
        ("a recording", "audio/x-wav", &wav, "audio/wav", json!("AUDIO")),
        ("a point cloud", any, cloud, any, json!("POINT_CLOUD")),
        ("a picture, not said to be one", any, &data("made/plain.png"), "image/png", json!("IMAGE")),
        ("a text, not said to be one", any, b"cells", "text/plain", json!("TEXT")),
        ("a picture under another name", "image/jpg", &data("made/plain.jpg"), "image/jpeg", json!("IMAGE")),
        ("bytes", any, b"\xff\xfe\x00\x01", any, Value::Null),
    ] {
        let asset = project.sent(&app, announced("file", said, bytes.len()), bytes).await;
        let seen = json!([asset["state"], asset["contentType"], asset["mediaType"], asset["sha256"]]);
        assert_eq!(seen, json!(["READY", content_type, media_type, sha256(bytes)]), "{case}: {asset}");
    }
}

async fn what_was_not_announced_is_rejected_with_the_reason(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let png = data("made/plain.png");
    let hashed =
        |hash: &str| json!({ "fileName": "a", "contentType": "image/png", "sizeBytes": png.len(), "sha256": hash });
    let other = sha256(b"other");
    let own = sha256(&png);
    for (case, file, bytes, reason) in [
        (
            "fewer bytes",
            announced("a", "image/png", png.len() + 1),
            &png[..],
            format!("{} bytes were announced, {} arrived", png.len() + 1, png.len()),
        ),
        ("other bytes", hashed(&other), &png, format!("the bytes have the SHA-256 {own}, not the one announced")),
        (
            "another picture",
            announced("a", "image/jpeg", png.len()),
            &png,
            "image/jpeg was announced, but the bytes are image/png".to_owned(),
        ),
        (
            "a page that says it is a text",
            announced("a", "text/plain", 15),
            b"<!doctype html>",
            "text/plain was announced, but the bytes are text/html".to_owned(),
        ),
        (
            "a broken picture",
            announced("a", "image/png", 12),
            &png[..12],
            "the bytes look like image/png, but are no readable picture".to_owned(),
        ),
    ] {
        let asset = project.sent(&app, file, bytes).await;
        assert_eq!(json!([asset["state"], asset["reason"], asset["url"]]), json!(["REJECTED", reason, null]), "{case}");
    }
}

async fn bytes_sent_while_an_upload_is_completed_are_not_mistaken_for_those_checked(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    for round in 0..20 {
        let place = project.place_for(announced("a.txt", "text/plain", 5)).await;
        assert_eq!(app.put(&place.url, "first").await.status(), 204);
        let sending = async { tokio::join!(app.put(&place.url, "again"), app.put(&place.url, "third")) };
        let assets = [place.asset.as_str()];
        let (completed, _) = tokio::join!(project.complete(&assets), sending);
        let completed = match completed.code() {
            "" => completed,
            _ => {
                completed.assert_error("INVALID_TRANSITION", "assetIds[0]");
                project.complete(&[&place.asset]).await
            }
        };
        let url = completed.text("completeUploads.assets.0.url");
        let bytes = app.http.get(url).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(completed.get("completeUploads.assets.0.sha256"), &json!(sha256(&bytes)), "round {round}");
    }
    assert_eq!(app.stored_files().len(), 20, "what was replaced is gone");
}

async fn bytes_can_be_sent_again_until_the_upload_is_completed(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let place = project.place_for(announced("a.txt", "text/plain", 5)).await;
    for bytes in [&b"first"[..], b"again"] {
        assert_eq!(app.put(&place.url, bytes.to_vec()).await.status(), 204);
    }
    let completed = project.complete(&[&place.asset]).await;
    assert_eq!(completed.get("completeUploads.assets.0.sha256"), &json!(sha256(b"again")));
    let late = refused(app.put(&place.url, b"later".to_vec()).await).await;
    assert_eq!(late, (409, "INVALID_TRANSITION".to_owned()));
    let url = completed.text("completeUploads.assets.0.url");
    assert_eq!(app.http.get(url).send().await.unwrap().text().await.unwrap(), "again");
}

async fn an_upload_takes_the_signature_of_its_own_url(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let place = project.place_for(announced("a.txt", "text/plain", 5)).await;
    let other = project.place_for(announced("b.txt", "text/plain", 5)).await;
    let (path, query) = place.url.split_once('?').unwrap();
    let (_, query_of_other) = other.url.split_once('?').unwrap();
    let (unsigned, signature) = query.split_once("&signature=").unwrap();
    let flipped = if signature.starts_with('0') { "1" } else { "0" };
    for (case, url) in [
        ("no signature at all", path.to_owned()),
        ("the signature left out", format!("{path}?{unsigned}")),
        ("an empty signature", format!("{path}?{unsigned}&signature=")),
        ("another signature", format!("{path}?{unsigned}&signature={flipped}{}", &signature[1..])),
        ("a signature cut short", format!("{path}?{unsigned}&signature={}", &signature[..62])),
        ("another file's signature", format!("{path}?{query_of_other}")),
        ("a later end", place.url.replace("expires=", "expires=9")),
        ("a permit to read", place.url.replace("permit=write", "permit=read")),
        ("an end that is no time", place.url.replace("expires=", "expires=x")),
    ] {
        assert_eq!(refused(app.put(&url, b"cells".to_vec()).await).await, (403, "FORBIDDEN".to_owned()), "{case}");
    }
    let nowhere = place.url.replace("/files/asset_", "/files/task_");
    assert_eq!(refused(app.put(&nowhere, b"cells".to_vec()).await).await, (400, "BAD_USER_INPUT".to_owned()));
    app.advance(Duration::from_secs(60 * 60 - 30));
    assert_eq!(app.put(&place.url, b"cells".to_vec()).await.status(), 204);
    app.advance(Duration::from_secs(31));
    assert_eq!(refused(app.put(&place.url, b"cells".to_vec()).await).await, (403, "FORBIDDEN".to_owned()), "expired");
    assert_eq!(app.stored_files().len(), 1);
}

async fn more_bytes_than_announced_are_refused_and_not_stored(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let place = project.place_for(announced("a.txt", "text/plain", 5)).await;
    let chunks = futures::stream::iter(["abc", "def"].map(Ok::<_, std::io::Error>));
    for (case, body) in [("at once", reqwest::Body::from("abcdef")), ("in chunks", reqwest::Body::wrap_stream(chunks))]
    {
        let refused = refused(app.put(&place.url, body).await).await;
        assert_eq!(refused, (413, "PAYLOAD_TOO_LARGE".to_owned()), "{case}");
        assert_eq!(app.stored_files(), Vec::<String>::new(), "{case}");
    }
    project.complete(&[&place.asset]).await.assert_error("INVALID_TRANSITION", "assetIds[0]");
    assert_eq!(app.put(&place.url, "abcde").await.status(), 204);
    assert_eq!(app.put(&place.url, "abcdef").await.status(), 413);
    let completed = project.complete(&[&place.asset]).await;
    assert_eq!(completed.get("completeUploads.assets.0.sha256"), &json!(sha256(b"abcde")), "what was there stays");
}

async fn an_upload_that_breaks_off_leaves_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let place = project.place_for(announced("a.txt", "text/plain", 1_000)).await;
    let address = app.running.address;
    let path = place.url.split_once(&address.to_string()).unwrap().1;
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000\r\n\r\nonly the beginning");
    socket.write_all(head.as_bytes()).await.unwrap();
    wait_until("the bytes arrive", || async { app.stored_files().len() == 1 }).await;
    socket.shutdown().await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap_or_default();
    wait_until("they are gone again", || async { app.stored_files().is_empty() }).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    project.complete(&[&place.asset]).await.assert_error("INVALID_TRANSITION", "assetIds[0]");
    assert_eq!(app.put(&place.url, vec![b'x'; 1_000]).await.status(), 204, "the place is still there");
}

async fn uploads_that_never_came_complete_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let arrived = project.place_for(announced("a.txt", "text/plain", 5)).await;
    let missing = project.place_for(announced("b.txt", "text/plain", 5)).await;
    app.put(&arrived.url, "cells").await;
    let both = project.complete(&[&arrived.asset, &missing.asset]).await;
    both.assert_error("INVALID_TRANSITION", "assetIds[1]");
    let query = "query($id: ID!) { node(id: $id) { ... on Asset { state } } }";
    let seen = project.manager.send(query, json!({ "id": arrived.asset })).await;
    assert_eq!(seen.get("node.state"), "PENDING");
    project
        .complete(&[&arrived.asset, &project.id.replace("proj_", "asset_")])
        .await
        .assert_error("NOT_FOUND", "assetIds[1]");
    let completed = project.complete(&[&arrived.asset, &arrived.asset]).await;
    assert_eq!(completed.get("completeUploads.assets").as_array().unwrap().len(), 2, "one for each id");
}

async fn only_managers_upload(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let place = project.place_for(announced("a.txt", "text/plain", 5)).await;
    app.put(&place.url, "cells").await;
    let (rob, eva) = (app.person("rob").await, app.person("eva").await);
    project.set_member(&rob, json!("REVIEWER")).await.get("setMember");
    let by = |person: &Person| Project { manager: person.clone(), ..project.clone() };
    by(&rob).request_upload("b.txt", "text/plain", 1).await.assert_error("FORBIDDEN", "");
    by(&rob).complete(&[&place.asset]).await.assert_error("FORBIDDEN", "");
    by(&eva).request_upload("b.txt", "text/plain", 1).await.assert_error("NOT_FOUND", "projectId");
    by(&eva).complete(&[&place.asset]).await.assert_error("NOT_FOUND", "assetIds[0]");
    project.set_member(&rob, json!("MANAGER")).await.get("setMember");
    assert_eq!(by(&rob).complete(&[&place.asset]).await.get("completeUploads.assets.0.state"), "READY");
}
