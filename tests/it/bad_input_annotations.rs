//! Edits that cannot be saved: each is refused at its fault, with a sentence, and nothing is changed.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases, span,
};

on_both_databases![
    a_box_that_is_none_is_refused,
    a_polygon_that_is_none_is_refused,
    a_span_that_quotes_another_text_is_refused,
    a_label_tool_or_attribute_that_is_not_in_the_template_is_refused,
    an_id_in_use_elsewhere_is_taken_without_saying_where,
    what_is_no_edit_at_all_is_refused_as_a_whole,
    edits_are_bounded,
    nothing_is_saved_without_the_fence_the_role_and_the_project,
    a_task_has_room_for_so_many_live_annotations,
];

struct Scene {
    app: TestApp,
    project: Project,
    task: String,
    ana: Session,
}

impl Scene {
    /// Ana at work on a picture of 640 by 480 pixels, or on a text.
    async fn new(database: Database, media: Media) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project(&app.admin().await, media).await;
        let labels = json!([{ "name": "cell" }, { "name": "dust" }]);
        if media == Media::Image {
            let tool = |name: &str, kind: &str, labels: &Value, attributes: Value| json!({ "name": name, "kind": kind, "labels": labels, "attributes": attributes });
            let attributes = json!([
                { "name": "size", "type": "NUMBER" }, { "name": "round", "type": "BOOLEAN" }, { "name": "note", "type": "TEXT" },
                { "name": "stain", "type": "SELECT", "values": ["red", "blue"] }, { "name": "parts", "type": "MULTI_SELECT", "values": ["core", "hull"] },
            ]);
            let other = json!([{ "name": "area" }]);
            project
                .publish_tools(json!([
                    tool("Boxes", "BOUNDING_BOX", &labels, attributes),
                    tool("Areas", "POLYGON", &other, json!([]))
                ]))
                .await;
        }
        let asset = match media {
            Media::Image => {
                app.upload(&project, "blood.jpg", "image/jpeg", include_bytes!("../data/bccd/BloodImage_00012.jpg"))
                    .await
            }
            Media::Text => app.upload(&project, "a.txt", "text/plain", TEXT.as_bytes()).await,
        };
        let task = id_of(project.create_tasks(json!([{ "assetIds": [asset] }])).await.get("createTasks.tasks.0"));
        let ana = app.person("ana").await;
        project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember.member");
        let ana = app.at_work(&project, &task, &ana).await;
        Self { app, project, task, ana }
    }

    /// All that a save could change.
    async fn state(&self) -> Value {
        let query =
            "query($project: ID!, $task: ID!) { eventCursor(projectId: $project) task(id: $task) { version updatedAt
            annotations(first: 200, includeDeleted: true) { nodes { id revision versionVector label attributes } } } }";
        let seen = self.project.manager.send(query, json!({ "project": self.project.id, "task": self.task })).await;
        seen.get("task.version");
        let counts = "SELECT (SELECT count(*) FROM annotation_revision), (SELECT count(*) FROM task_label)";
        json!([seen.body, self.app.rows::<(i64, i64)>(counts).await])
    }

    /// Each edit is refused with this code at this field of it, in a sentence, and nothing is changed.
    async fn refused(&self, cases: &[(&str, Value, &str, &str)]) {
        let before = self.state().await;
        let edits: Vec<&Value> = cases.iter().map(|(_, edit, ..)| edit).collect();
        let saved = self.ana.save(json!(edits)).await;
        for (n, (case, edit, code, field)) in cases.iter().enumerate() {
            let result = saved.get(&format!("saveAnnotations.results.{n}"));
            let key = edit.as_object().unwrap().keys().next().unwrap();
            let want = (&json!("REJECTED"), &json!(code), &json!(format!("edits[{n}].{key}.{field}")));
            assert_eq!((&result["outcome"], &result["code"], &result["field"]), want, "{case}: {result:#}");
            assert_eq!((&result["repeated"], &result["annotationId"]), (&json!(false), &edit[key]["id"]), "{case}");
            let message = result["message"].as_str().unwrap();
            assert!(
                message.split(' ').count() >= 3 && message.len() < 300 && !message.contains(".rs"),
                "{case}: {message}"
            );
        }
        assert_eq!(self.state().await, before, "something was changed");
    }
}

const TEXT: &str = "👩‍👩‍👧 Ana sees 東京";

async fn a_box_that_is_none_is_refused(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let sized = |x: f64, y: f64, width: f64, height: f64, rotation: f64| {
        let geometry =
            json!({ "boundingBox": { "x": x, "y": y, "width": width, "height": height, "rotation": rotation } });
        json!({ "create": { "id": new_annotation(), "tool": "Boxes", "label": "cell", "geometry": geometry } })
    };
    let (bad, at) = ("BAD_USER_INPUT", |field: &str| format!("geometry.boundingBox{field}"));
    let (x, y, width, height, rotation, whole) =
        (at(".x"), at(".y"), at(".width"), at(".height"), at(".rotation"), at(""));
    scene
        .refused(&[
            ("left of the picture", sized(-0.5, 0.0, 5.0, 5.0, 0.0), bad, &x),
            ("above the picture", sized(0.0, -1e-9, 5.0, 5.0, 0.0), bad, &y),
            ("wider than the picture", sized(0.0, 0.0, 640.000_1, 5.0, 0.0), bad, &width),
            ("beyond the right border", sized(639.0, 0.0, 2.0, 5.0, 0.0), bad, &width),
            ("beyond the bottom", sized(0.0, 479.0, 5.0, 2.0, 0.0), bad, &height),
            ("no width", sized(1.0, 1.0, 0.0, 5.0, 0.0), bad, &width),
            ("no width, negatively", sized(1.0, 1.0, -0.0, 5.0, 0.0), bad, &width),
            ("a negative height", sized(1.0, 1.0, 5.0, -5.0, 0.0), bad, &height),
            ("as large as numbers are", sized(1.0, 1.0, f64::MAX, 5.0, 0.0), bad, &width),
            ("further out than numbers are", sized(f64::MAX, f64::MAX, f64::MAX, f64::MAX, 1.0), bad, &width),
            ("a full turn", sized(1.0, 1.0, 5.0, 5.0, 360.0), bad, &rotation),
            ("rotated, its centre outside", sized(639.0, 1.0, 5.0, 5.0, 45.0), bad, &whole),
        ])
        .await;
    // What JSON cannot say does not get as far as an edit.
    let before = scene.state().await;
    for (case, number) in [
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("a text", "\"NaN\""),
        ("a text of a number", "\"1.0\""),
        ("null", "null"),
        ("a truth", "true"),
        ("a list", "[1]"),
    ] {
        let answer = scene.raw(&sized(1.0, 1.0, 5.0, 4_711.0, 0.0), "4711.0", number).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{case}: {:#}", answer.body);
        assert!(answer.body.get("data").is_none_or(Value::is_null), "{case}: {:#}", answer.body);
    }
    assert_eq!(scene.state().await, before);
}

impl Scene {
    /// Sends an edit in whose JSON text `from` is replaced.
    async fn raw(&self, edit: &Value, from: &str, to: &str) -> Answer {
        let query =
            "mutation($input: SaveAnnotationsInput!) { saveAnnotations(input: $input) { results { outcome } } }";
        let input = json!({ "sessionId": self.ana.id, "fence": self.ana.fence, "edits": [edit] });
        let body = json!({ "query": query, "variables": { "input": input } }).to_string();
        assert!(body.contains(from));
        let request = self.ana.person.request(reqwest::Method::POST).header("content-type", "application/json");
        Answer::read(request.body(body.replace(from, to)).send().await.unwrap()).await
    }
}

async fn a_polygon_that_is_none_is_refused(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let area = |parts: Value| json!({ "create": { "id": new_annotation(), "tool": "Areas", "label": "area", "geometry": { "polygon": { "parts": parts } } } });
    let square = || json!([[10, 10], [90, 10], [90, 90], [10, 90]]);
    let one = |outer: Value| area(json!([{ "outer": outer }]));
    let with_hole = |hole: Value| area(json!([{ "outer": square(), "holes": [hole] }]));
    let (bad, parts) = ("BAD_USER_INPUT", "geometry.polygon.parts");
    let at = |field: &str| format!("{parts}[0].{field}");
    scene
        .refused(&[
            ("no parts", area(json!([])), bad, parts),
            ("no vertices", one(json!([])), bad, &at("outer")),
            ("two points", one(json!([[1, 1], [2, 2]])), bad, &at("outer")),
            ("two points, one of them twice", one(json!([[1, 1], [2, 2], [1, 1], [2, 2]])), bad, &at("outer")),
            ("the first vertex repeated", one(json!([[1, 1], [9, 1], [9, 9], [1, 1]])), bad, &at("outer[3]")),
            ("a bow tie", one(json!([[1, 1], [9, 9], [9, 1], [1, 9]])), bad, &at("outer")),
            ("outside the picture", one(json!([[1, 1], [9, 1], [9, 9_999]])), bad, &at("outer[2]")),
            ("a hole outside", with_hole(json!([[200, 200], [210, 200], [210, 210]])), bad, &at("holes[0]")),
            (
                "a hole that crosses the outline",
                with_hole(json!([[50, 50], [150, 50], [50, 60]])),
                bad,
                &at("holes[0]"),
            ),
            ("a hole of two points", with_hole(json!([[20, 20], [30, 30]])), bad, &at("holes[0]")),
            (
                "a hole that crosses itself",
                with_hole(json!([[20, 20], [30, 30], [30, 20], [20, 30]])),
                bad,
                &at("holes[0]"),
            ),
            (
                "a second part that is none",
                area(json!([{ "outer": square() }, { "outer": [[1, 1], [2, 2]] }])),
                bad,
                "geometry.polygon.parts[1].outer",
            ),
        ])
        .await;
    let before = scene.state().await;
    for (vertex, at) in [(json!([1]), 1), (json!([1, 2, 3]), 1), (json!([]), 1)] {
        let answer = scene.ana.save(json!([one(json!([[1, 1], vertex, [9, 9]]))])).await;
        answer.assert_refused(
            "a vertex of other than two numbers",
            bad,
            &format!("edits[0].create.{parts}[0].outer[{at}]"),
        );
    }
    assert_eq!(scene.state().await, before);
}

async fn a_span_that_quotes_another_text_is_refused(database: Database) {
    let scene = Scene::new(database, Media::Text).await;
    let id = new_annotation;
    let ends = |start: i64, end: i64, text: &str| {
        let geometry = json!({ "textSpan": { "start": start, "end": end, "text": text } });
        json!({ "create": { "id": id(), "tool": "Words", "label": "cell", "geometry": geometry } })
    };
    let (bad, quoted) = ("BAD_USER_INPUT", "geometry.textSpan.text");
    scene
        .refused(&[
            ("another text", span(&id(), 6, "Ann"), bad, quoted),
            // The family is 5 code points, 8 UTF-16 units and 18 bytes long.
            ("counted in UTF-16", span(&id(), 9, "Ana"), bad, quoted),
            ("counted in bytes", span(&id(), 19, "Ana"), bad, "geometry.textSpan.end"),
            ("part of what it says", ends(6, 9, "An"), bad, quoted),
            ("in other letters", span(&id(), 6, "ana"), bad, quoted),
            ("nothing", ends(6, 6, ""), bad, "geometry.textSpan.end"),
            ("backwards", ends(9, 6, "Ana"), bad, "geometry.textSpan.end"),
            ("before the text", ends(-1, 2, "x"), bad, "geometry.textSpan.start"),
            ("behind the text", ends(0, 2_147_483_647, "x"), bad, "geometry.textSpan.end"),
            ("a box on a text", box_on_words(), bad, "geometry"),
        ])
        .await;
}

fn box_on_words() -> Value {
    let mut edit = box_at(&new_annotation(), 1.0);
    edit["create"]["tool"] = json!("Words");
    edit
}

async fn a_label_tool_or_attribute_that_is_not_in_the_template_is_refused(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let with = |key: &str, value: Value| {
        let mut edit = box_at(&new_annotation(), 1.0);
        edit["create"][key] = value;
        edit
    };
    let attribute = |name: &str, value: Value| with("attributes", json!({ name: value }));
    let bad = "BAD_USER_INPUT";
    let sound = new_annotation();
    assert_eq!(scene.ana.edit(box_at(&sound, 1.0)).await["outcome"], "APPLIED");
    let update = |key: &str, value: Value| json!({ "update": { "id": sound, "base": scene.ana.seen(1), key: value } });
    scene
        .refused(&[
            ("an unknown label", with("label", json!("bus")), bad, "label"),
            ("no label", with("label", json!("")), bad, "label"),
            ("a label with a NUL", with("label", json!("cell\0")), bad, "label"),
            ("a label of another tool", with("label", json!("area")), bad, "label"),
            ("an unknown tool", with("tool", json!("Circles")), bad, "tool"),
            ("a tool with a NUL", with("tool", json!("Boxes\0")), bad, "tool"),
            ("a tool of another kind", with("tool", json!("Areas")), bad, "label"),
            ("an unknown attribute", attribute("wings", json!(2)), bad, "attributes.wings"),
            ("a number in words", attribute("size", json!("two")), bad, "attributes.size"),
            ("a truth in numbers", attribute("round", json!(1)), bad, "attributes.round"),
            ("a text in numbers", attribute("note", json!(1)), bad, "attributes.note"),
            ("a text with a NUL", attribute("note", json!("a\0")), bad, "attributes.note"),
            ("a text too long", attribute("note", json!("x".repeat(10_001))), bad, "attributes.note"),
            ("a choice not listed", attribute("stain", json!("green")), bad, "attributes.stain"),
            ("a choice in a list", attribute("stain", json!(["red"])), bad, "attributes.stain"),
            ("one of the choices not listed", attribute("parts", json!(["core", "tail"])), bad, "attributes.parts"),
            ("a choice twice", attribute("parts", json!(["core", "core"])), bad, "attributes.parts"),
            ("null for a value", attribute("size", Value::Null), bad, "attributes.size"),
            ("attributes in a list", with("attributes", json!([1])), bad, "attributes"),
            ("attributes in words", with("attributes", json!("size")), bad, "attributes"),
            ("the session's slot, but another", with("slot", json!(2)), bad, "slot"),
            ("an update to an unknown label", update("label", json!("bus")), bad, "label"),
            (
                "an update to another kind",
                update("geometry", json!({ "classification": { "values": ["cell"] } })),
                bad,
                "geometry",
            ),
            ("an update to an unknown attribute", update("attributes", json!({ "wings": 2 })), bad, "attributes.wings"),
            ("an update of nothing", json!({ "update": { "id": sound, "base": scene.ana.seen(1) } }), bad, "id"),
            (
                "an update of what is not there",
                json!({ "update": { "id": new_annotation(), "base": { "#": 1 }, "label": "dust" } }),
                "NOT_FOUND",
                "id",
            ),
            (
                "a deletion of what is not there",
                json!({ "delete": { "id": new_annotation(), "base": { "#": 1 } } }),
                "NOT_FOUND",
                "id",
            ),
            (
                "a restore of what is not there",
                json!({ "restore": { "id": new_annotation(), "base": { "#": 1 } } }),
                "NOT_FOUND",
                "id",
            ),
            (
                "a base from the future",
                json!({ "delete": { "id": sound, "base": scene.ana.seen(7) } }),
                "FUTURE_VERSION",
                "base",
            ),
            (
                "a base of a later epoch",
                json!({ "delete": { "id": sound, "base": { "#": 2 } } }),
                "FUTURE_VERSION",
                "base",
            ),
            ("a number used before", json!({ "delete": { "id": sound, "base": { "#": 1 } } }), "ACTOR_REUSED", "base"),
        ])
        .await;
}

async fn an_id_in_use_elsewhere_is_taken_without_saying_where(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let (app, other) = (&scene.app, new_annotation());
    let eve = app.person("eve").await;
    let foreign = app.project(&scene.project.manager, Media::Image).await;
    foreign.set_member(&eve, json!("ANNOTATOR")).await.get("setMember.member");
    let assets = app.ready_images(&foreign, 1).await;
    let task = id_of(foreign.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let eve = app.at_work(&foreign, &task, &eve).await;
    assert_eq!(eve.edit(box_at(&other, 1.0)).await["outcome"], "APPLIED");
    let base = eve.seen(1);
    scene
        .refused(&[
            ("made in another project", box_at(&other, 1.0), "ID_TAKEN", "id"),
            (
                "changed in another project",
                json!({ "update": { "id": other, "base": base, "label": "dust" } }),
                "NOT_FOUND",
                "id",
            ),
            ("deleted in another project", json!({ "delete": { "id": other, "base": base } }), "NOT_FOUND", "id"),
        ])
        .await;
    let result = scene.ana.edit(box_at(&other, 1.0)).await;
    assert_eq!(result["annotation"], Value::Null);
    assert_eq!(
        eve.edit(json!({ "delete": { "id": other, "base": base } })).await["outcome"],
        "APPLIED",
        "it is eve's still"
    );
}

async fn what_is_no_edit_at_all_is_refused_as_a_whole(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let sound = box_at(&new_annotation(), 1.0);
    let before = scene.state().await;
    let update = |base: Value| json!({ "update": { "id": new_annotation(), "base": base, "label": "dust" } });
    let mut with_asset = box_at(&new_annotation(), 1.0);
    with_asset["create"]["assetId"] = json!("task_01h455vb4pex5vsknk084sn02q");
    for (case, edit, field) in [
        ("an id that is none", box_at("garbage", 1.0), "edits[1].create.id"),
        ("an id of a task", box_at(&scene.task, 1.0), "edits[1].create.id"),
        ("a task for an asset", with_asset, "edits[1].create.assetId"),
        ("a vector in words", update(json!("#1")), "edits[1].update.base"),
        ("a vector in a list", update(json!([1])), "edits[1].update.base"),
        ("a vector without an epoch", update(json!({ "a": 1 })), "edits[1].update.base"),
        ("a vector of nothing", update(json!({})), "edits[1].update.base"),
        ("a counter of zero", update(json!({ "#": 1, "a": 0 })), "edits[1].update.base"),
        ("a counter too large", update(json!({ "#": 1, "a": 2_147_483_648_i64 })), "edits[1].update.base"),
        ("a fraction of an edit", update(json!({ "#": 1, "a": 1.5 })), "edits[1].update.base"),
        ("an actor with a NUL", update(json!({ "#": 1, "a\0": 1 })), "edits[1].update.base"),
        ("an actor of 33 letters", update(json!({ "#": 1, "a".repeat(33): 1 })), "edits[1].update.base"),
        (
            "two edits in one",
            {
                let mut two = update(json!({ "#": 1 }));
                two["delete"] = json!({ "id": new_annotation(), "base": { "#": 1 } });
                two
            },
            "",
        ),
        ("no edit in one", json!({}), ""),
        (
            "two geometries",
            {
                let mut two = box_at(&new_annotation(), 1.0);
                two["create"]["geometry"]["classification"] = json!({ "values": [] });
                two
            },
            "",
        ),
        (
            "no geometry",
            {
                let mut none = box_at(&new_annotation(), 1.0);
                none["create"]["geometry"] = json!({});
                none
            },
            "",
        ),
        (
            "a geometry of a later version",
            {
                let mut later = box_at(&new_annotation(), 1.0);
                later["create"]["geometry"] = json!({ "mask": {} });
                later
            },
            "",
        ),
    ] {
        let answer = scene.ana.save(json!([sound, edit])).await;
        answer.assert_refused(case, "BAD_USER_INPUT", field);
        assert_eq!(scene.state().await, before, "{case}");
    }
}

async fn edits_are_bounded(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let before = scene.state().await;
    let many = |count: usize| json!((0..count).map(|_| box_at(&new_annotation(), 1.0)).collect::<Vec<_>>());
    scene.ana.save(many(501)).await.assert_refused("501 edits", "LIMIT_EXCEEDED", "edits");
    scene.ana.save(json!([])).await.assert_refused("no edit", "BAD_USER_INPUT", "edits");
    assert_eq!(scene.state().await, before);
    let saved = scene.ana.save(many(500)).await;
    assert_eq!(saved.get("saveAnnotations.results").as_array().unwrap().len(), 500);
    let query = "query($id: ID!) { task(id: $id) { annotations(first: 1000) { totalCount nodes { id geometry { __typename } author { id } } } } }";
    let listed = scene.ana.person.send(query, json!({ "id": scene.task })).await;
    assert_eq!(listed.get("task.annotations.totalCount"), 500);
    assert_eq!(listed.get("task.annotations.nodes").as_array().unwrap().len(), 500);
}

async fn nothing_is_saved_without_the_fence_the_role_and_the_project(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let (project, ana) = (&scene.project, &scene.ana);
    let before = scene.state().await;
    let edits = || json!([box_at(&new_annotation(), 1.0)]);
    let role = async |role: &str| project.set_member(&ana.person, json!(role)).await.get("setMember.member").clone();
    let as_somebody_else = |person: &Person| Session { person: person.clone(), ..ana.clone() };
    ana.save_under(ana.fence + 1, edits()).await.assert_refused("a later fence", "LEASE_LOST", "fence");
    ana.save_under(ana.fence - 1, edits()).await.assert_refused("an earlier fence", "LEASE_LOST", "fence");
    let stolen = as_somebody_else(&project.manager).save(edits()).await;
    stolen.assert_refused("the session of somebody else", "NOT_FOUND", "sessionId");
    assert_eq!(scene.state().await, before);
    role("VIEWER").await;
    let before = scene.state().await;
    ana.save(edits()).await.assert_refused("by a viewer", "FORBIDDEN", "");
    assert_eq!(scene.state().await, before);
    project.set_member(&ana.person, Value::Null).await.get("setMember");
    ana.save(edits()).await.assert_refused("by who has left", "NOT_FOUND", "sessionId");
    role("ANNOTATOR").await;
    let state = async |state: &str| {
        let input = json!({ "projectId": project.id, "state": state });
        project.manager.mutate("updateProject", input, "project { id }").await.get("updateProject.project.id").clone()
    };
    state("ARCHIVED").await;
    let before = scene.state().await;
    ana.save(edits()).await.assert_refused("into an archived project", "INVALID_TRANSITION", "sessionId");
    assert_eq!(scene.state().await, before);
    state("PAUSED").await;
    let saved = ana.save(edits()).await;
    assert_eq!(saved.get("saveAnnotations.results.0.outcome"), "APPLIED", "work that runs goes on");
    project.archive(vec![scene.task.clone()], true).await.get("archiveTasks");
    let before = scene.state().await;
    let late = ana.edit(box_at(&new_annotation(), 1.0)).await;
    assert_eq!(
        (&late["outcome"], &late["code"], &late["field"]),
        (&json!("REJECTED"), &json!("LEASE_LOST"), &json!("edits[0].create.id")),
        "into an archived task"
    );
    assert_eq!(scene.state().await, before);
}

async fn a_task_has_room_for_so_many_live_annotations(database: Database) {
    let scene = Scene::new(database, Media::Image).await;
    let id = new_annotation();
    scene.ana.edit(box_at(&id, 1.0)).await;
    scene.ana.edit(json!({ "delete": { "id": id, "base": scene.ana.seen(1) } })).await;
    // As many as there may be but one, as the counters say.
    scene.app.sql("UPDATE task_label SET annotations = 19999").await;
    let (first, second) = (new_annotation(), new_annotation());
    let restore = json!({ "restore": { "id": id, "base": scene.ana.seen(2) } });
    let deletion = json!({ "delete": { "id": first, "base": scene.ana.seen(1) } });
    let saved = scene
        .ana
        .save(json!([box_at(&first, 1.0), box_at(&second, 1.0), restore, box_at(&first, 1.0), deletion, restore]))
        .await;
    let results = saved.get("saveAnnotations.results").as_array().unwrap();
    let outcomes: Vec<&str> = results.iter().map(|result| result["code"].as_str().unwrap_or("APPLIED")).collect();
    assert_eq!(outcomes, ["APPLIED", "LIMIT_EXCEEDED", "LIMIT_EXCEEDED", "APPLIED", "APPLIED", "APPLIED"]);
}
