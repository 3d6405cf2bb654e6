//! Templates that cannot be published, and names that are none.

use serde_json::{Value, json};

use crate::harness::{Database, Media, TestApp, on_both_databases};

on_both_databases![a_bad_template_is_refused_at_its_fault, a_bad_name_is_refused_wherever_a_name_is_taken];

async fn a_bad_template_is_refused_at_its_fault(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let watch = project.watch().await;
    let label = |name: &str| json!({ "name": name });
    let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [label("cell"), label("dust")], "attributes": [{ "name": "size", "type": "SELECT", "values": ["small", "large"] }] });
    let sound = json!({ "projectId": project.id, "name": "What to label", "tools": [tool] });
    let attribute = |kind: &str, values: Value| json!([{ "name": "size", "type": kind, "values": values }]);
    let many = |count: usize| json!((0..count).map(|n| label(&n.to_string())).collect::<Vec<_>>());
    let skeleton = json!({ "points": ["head"], "edges": [] });
    let (boxes, values, bad) = ("tools[0]", "tools[0].attributes[0].values", "BAD_USER_INPUT");
    for (case, at, value, field) in [
        ("no tools", "/tools", json!([]), "tools".to_owned()),
        ("two tools of one name", "/tools", json!([tool, tool]), "tools[1].name".to_owned()),
        ("no labels", "/tools/0/labels", json!([]), format!("{boxes}.labels")),
        ("two labels of one name", "/tools/0/labels/1/name", json!("cell"), format!("{boxes}.labels[1].name")),
        ("1,001 labels", "/tools/0/labels", many(1_001), format!("{boxes}.labels")),
        ("a label with a NUL", "/tools/0/labels/0/name", json!("a\0b"), format!("{boxes}.labels[0].name")),
        ("a label of a bell", "/tools/0/labels/0/name", json!("\u{7}"), format!("{boxes}.labels[0].name")),
        ("a label of 1 MB", "/tools/0/labels/0/name", json!("x".repeat(1_000_000)), format!("{boxes}.labels[0].name")),
        ("a label in spaces", "/tools/0/labels/0/name", json!(" cell"), format!("{boxes}.labels[0].name")),
        ("a tool with a NUL", "/tools/0/name", json!("\0"), format!("{boxes}.name")),
        ("a tool without a name", "/tools/0/name", json!(""), format!("{boxes}.name")),
        ("a colour in words", "/tools/0/labels/0/color", json!("red"), format!("{boxes}.labels[0].color")),
        (
            "a description with a NUL",
            "/tools/0/labels/0/description",
            json!("\0"),
            format!("{boxes}.labels[0].description"),
        ),
        ("a skeleton of a box", "/tools/0/labels/0/skeleton", skeleton, format!("{boxes}.labels[0].skeleton")),
        ("an attribute without values", "/tools/0/attributes", attribute("SELECT", Value::Null), values.to_owned()),
        ("an attribute with no value", "/tools/0/attributes", attribute("MULTI_SELECT", json!([])), values.to_owned()),
        ("a number with values", "/tools/0/attributes", attribute("NUMBER", json!(["1"])), values.to_owned()),
        ("a value twice", "/tools/0/attributes", attribute("SELECT", json!(["a", "a"])), format!("{values}[1]")),
        ("a value with a NUL", "/tools/0/attributes", attribute("SELECT", json!(["\0"])), format!("{values}[0]")),
        ("a kind not available", "/tools/0/kind", json!("MASK"), format!("{boxes}.kind")),
        ("a kind of another medium", "/tools/0/kind", json!("TEXT_SPAN"), format!("{boxes}.kind")),
    ] {
        let mut template = sound.clone();
        match template.pointer_mut(at) {
            Some(place) => *place = value,
            None => {
                let (parent, key) = at.rsplit_once('/').unwrap();
                template.pointer_mut(parent).unwrap()[key] = value;
            }
        }
        let input = json!({ "template": template });
        let answer = project.manager.mutate("publishTemplate", input, "template { id }").await;
        watch.refused(case, &answer, bad, &format!("template.{field}")).await;
    }
    for (case, input) in [
        (
            "a kind nobody knows",
            json!({ "template": { "projectId": project.id, "name": "x", "tools": [{ "name": "x", "kind": "SQUARE", "labels": [] }] } }),
        ),
        ("no way to publish", json!({})),
        ("a way nobody knows", json!({ "drawing": {} })),
        ("no template", json!({ "template": null })),
    ] {
        let answer = project.manager.mutate("publishTemplate", input, "template { id }").await;
        watch.refused(case, &answer, bad, "").await;
    }
    let sound = project.manager.mutate("publishTemplate", json!({ "template": sound }), "template { version }").await;
    assert_eq!(sound.get("publishTemplate.template.version"), 2);
}

async fn a_bad_name_is_refused_wherever_a_name_is_taken(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let (id, boss) = (project.id.clone(), project.manager.id.clone());
    let tool = json!({ "name": "Words", "kind": "TEXT_SPAN", "labels": [{ "name": "cell" }] });
    let file = json!({ "contentType": "text/plain", "sizeBytes": 1 });
    for (mutation, at, field, limit, input, selection) in [
        ("createProject", "/name", "name", 200, json!({ "mediaType": "TEXT" }), "project { id }"),
        ("updateProject", "/name", "name", 200, json!({ "projectId": id }), "project { id }"),
        ("createUser", "/name", "name", 200, json!({ "email": "new@example.com" }), "user { id }"),
        ("createUser", "/email", "email", 254, json!({ "name": "New" }), "user { id }"),
        ("updateUser", "/name", "name", 200, json!({ "userId": boss }), "user { id }"),
        ("createAccessToken", "/name", "name", 200, json!({}), "token { id }"),
        (
            "publishTemplate",
            "/template/name",
            "template.name",
            200,
            json!({ "template": { "projectId": id, "tools": [tool] } }),
            "template { id }",
        ),
        (
            "requestUploads",
            "/files/0/fileName",
            "files[0].fileName",
            1_000,
            json!({ "projectId": id, "files": [file] }),
            "uploads { assetId }",
        ),
    ] {
        for (case, name) in [
            ("empty", String::new()),
            ("white space", " \t ".to_owned()),
            ("with a NUL", "a\0b@example.com".to_owned()),
            ("with a bell", "a\u{7}b@example.com".to_owned()),
            ("with a line break", "a\nb@example.com".to_owned()),
            ("with a control character of Latin-1", "a\u{85}b@example.com".to_owned()),
            ("one character too long", format!("{}@example.com", "é".repeat(limit - 11))),
            ("of 1 MB", format!("{}@example.com", "x".repeat(1_000_000))),
        ] {
            let mut input = input.clone();
            let (parent, key) = at.rsplit_once('/').unwrap();
            input.pointer_mut(parent).unwrap()[key] = json!(name);
            let answer = project.manager.mutate(mutation, input, selection).await;
            watch.refused(&format!("{mutation}: a name {case}"), &answer, "BAD_USER_INPUT", field).await;
        }
    }
    let email = async |email: &str| {
        let input = json!({ "email": email, "name": "New" });
        project.manager.mutate("createUser", input, "user { id }").await
    };
    for (case, address) in [
        ("no address", "nobody"),
        ("two of them", "a@b@c"),
        ("nobody at all", "@example.com"),
        ("nowhere", "a@"),
        ("a space in it", "a b@example.com"),
        ("taken", "BOSS@example.com"),
    ] {
        watch.refused(case, &email(address).await, "BAD_USER_INPUT", "email").await;
    }
    for (case, mutation, input, field, selection) in [
        (
            "a password of 9",
            "createUser",
            json!({ "email": "n@example.com", "name": "N", "password": "123456789" }),
            "password",
            "user { id }",
        ),
        (
            "a password of 201",
            "updateUser",
            json!({ "userId": boss, "password": "x".repeat(201) }),
            "password",
            "user { id }",
        ),
        (
            "a token of no day",
            "createAccessToken",
            json!({ "name": "n", "expiresInDays": 0 }),
            "expiresInDays",
            "secret",
        ),
        (
            "a token of 11 years",
            "createAccessToken",
            json!({ "name": "n", "expiresInDays": 4_015 }),
            "expiresInDays",
            "secret",
        ),
        (
            "an overlap of 0",
            "createProject",
            json!({ "name": "n", "mediaType": "TEXT", "overlap": 0 }),
            "overlap",
            "project { id }",
        ),
        (
            "an overlap of 11",
            "createProject",
            json!({ "name": "n", "mediaType": "TEXT", "overlap": 11 }),
            "overlap",
            "project { id }",
        ),
        (
            "a lease of 9 s",
            "createProject",
            json!({ "name": "n", "mediaType": "TEXT", "leaseSeconds": 9 }),
            "leaseSeconds",
            "project { id }",
        ),
        (
            "a lease of a day and a second",
            "updateProject",
            json!({ "projectId": id, "leaseSeconds": 86_401 }),
            "leaseSeconds",
            "project { id }",
        ),
    ] {
        let answer = project.manager.mutate(mutation, input, selection).await;
        watch.refused(case, &answer, "BAD_USER_INPUT", field).await;
    }
}
