//! Real data sets, the whole way: in by the command line, through the hands of several people, and out again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde_json::{Value, json};

use crate::harness::{Database, Person, Project, TestApp, data, lines_of, new_annotation, on_both_databases, python};

on_both_databases![
    what_three_people_draw_is_what_the_data_set_held,
    an_accepted_or_suggested_data_set_comes_out_as_it_went_in,
    sixty_pictures_come_out_as_jsonl_and_coco_and_go_in_again,
];

const TOY: &str = "voc-toy/toy_example_coco.JSON";
const TOY_FILES: &str = "voc-toy";

/// A box as a data set says it.
#[derive(Clone, Debug, PartialEq)]
struct Drawn {
    label: String,
    place: [f64; 4],
}

impl Drawn {
    fn geometry(&self, shifted: f64) -> Value {
        let [x, y, width, height] = self.place;
        json!({ "boundingBox": { "x": x, "y": y, "width": width - shifted, "height": height } })
    }
}

/// The boxes of a COCO file by picture.
fn boxes_of(coco: &str) -> BTreeMap<String, Vec<Drawn>> {
    let coco: Value = serde_json::from_str(coco).unwrap();
    let list = |name: &str| coco[name].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names: BTreeMap<i64, String> =
        list("images").iter().map(|image| (image["id"].as_i64().unwrap(), text(&image["file_name"]))).collect();
    let labels: BTreeMap<i64, String> =
        list("categories").iter().map(|it| (it["id"].as_i64().unwrap(), text(&it["name"]))).collect();
    let mut boxes: BTreeMap<String, Vec<Drawn>> = names.values().map(|name| (name.clone(), Vec::new())).collect();
    for annotation in list("annotations") {
        let name = &names[&annotation["image_id"].as_i64().unwrap()];
        let place: Vec<f64> = annotation["bbox"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
        let label = labels[&annotation["category_id"].as_i64().unwrap()].clone();
        boxes.get_mut(name).unwrap().push(Drawn { label, place: place.try_into().unwrap() });
    }
    boxes
}

fn labels_of(boxes: &BTreeMap<String, Vec<Drawn>>) -> Vec<Value> {
    let labels: BTreeSet<&String> = boxes.values().flatten().map(|it| &it.label).collect();
    labels.into_iter().map(|label| json!({ "name": label })).collect()
}

async fn picture_project(boss: &Person, labels: &[Value], settings: Value) -> Project {
    let mut input = json!({ "name": "Pictures", "mediaType": "IMAGE" });
    input.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let made = boss.mutate("createProject", input, "project { id }").await;
    let project = Project { id: made.text("createProject.project.id"), manager: boss.clone() };
    project.publish_tools(json!([{ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": labels }])).await;
    project
}

/// An export holds the pictures, categories and boxes of the toy data set, as others read them.
async fn assert_same(export: &Path) {
    let compared = python("compare_coco.py", &[Path::new(&data(TOY)), export]).await;
    assert!(compared.succeeded, "{}", compared.text);
}

/// Draws the boxes of a task's picture, or puts those right that are there; `shifted` pixels too narrow.
async fn draw(person: &Person, screen: &crate::harness::labeling::Screen, boxes: &[Drawn], shifted: f64) {
    let query = "query($id: ID!) { task(id: $id) { annotations(first: 200) { nodes { id versionVector } } } }";
    let seen = person.send(query, json!({ "id": screen.task })).await;
    let drawn = seen.get("task.annotations.nodes").as_array().unwrap().clone();
    let edits: Vec<Value> = if drawn.is_empty() {
        let create = |it: &Drawn| {
            let id = new_annotation();
            json!({ "create": { "id": id, "tool": "Boxes", "label": it.label, "geometry": it.geometry(shifted) } })
        };
        boxes.iter().map(create).collect()
    } else {
        // By id, which is the order in which they were made.
        assert_eq!(drawn.len(), boxes.len());
        let update = |(node, it): (&Value, &Drawn)| {
            let geometry = it.geometry(shifted);
            json!({ "update": { "id": node["id"], "base": node["versionVector"], "geometry": geometry } })
        };
        drawn.iter().zip(boxes).map(update).collect()
    };
    if !edits.is_empty() {
        let saved =
            person.mutate("saveAnnotations", screen.with(json!({ "edits": edits })), "results { outcome }").await;
        let results = saved.get("saveAnnotations.results").as_array().unwrap();
        assert!(results.iter().all(|result| result["outcome"] == "APPLIED"), "{results:?}");
    }
    person.submit(screen).await.get("submitTask");
}

async fn name_of(person: &Person, task: &str) -> String {
    person.send("query($id: ID!) { task(id: $id) { externalId } }", json!({ "id": task })).await.text("task.externalId")
}

/// Somebody labels what there is.
async fn label(person: Person, project: Project, boxes: Arc<BTreeMap<String, Vec<Drawn>>>) {
    while let Ok(screen) = person.try_claim(&project).await {
        let name = name_of(&person, &screen.task).await;
        draw(&person, &screen, &boxes[&name], 0.0).await;
    }
}

/// Judges all that waits by the data set; gives how many were wrong.
async fn review(person: &Person, project: &Project, boxes: &BTreeMap<String, Vec<Drawn>>) -> usize {
    let mut wrong = 0;
    while let Ok(screen) = person.try_claim_review(project, json!({})).await {
        let query = "query($id: ID!) { task(id: $id) { externalId annotations(first: 200) { nodes {
            geometry { ... on BoundingBox { width } } } } } }";
        let seen = person.send(query, json!({ "id": screen.task })).await;
        let drawn = seen.get("task.annotations.nodes").as_array().unwrap().iter();
        let mut widths: Vec<f64> = drawn.map(|node| node["geometry"]["width"].as_f64().unwrap()).collect();
        let mut wanted: Vec<f64> = boxes[&seen.text("task.externalId")].iter().map(|it| it.place[2]).collect();
        widths.sort_by(f64::total_cmp);
        wanted.sort_by(f64::total_cmp);
        let verdict = if widths == wanted { "ACCEPT" } else { "REJECT" };
        wrong += usize::from(verdict == "REJECT");
        person.judge(&screen, verdict, json!({})).await.get("reviewTask");
    }
    wrong
}

async fn what_three_people_draw_is_what_the_data_set_held(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let boxes = Arc::new(boxes_of(&std::fs::read_to_string(data(TOY)).unwrap()));
    let project = picture_project(&boss, &labels_of(&boxes), json!({})).await;
    let (succeeded, said) =
        app.database.import(&project.id, "coco", "ignore", &["--files", &data(TOY_FILES), &data(TOY)]).await;
    assert!(succeeded && said.contains(&format!("{} tasks made", boxes.len())), "{said}");

    let mut at_work = tokio::task::JoinSet::new();
    let mut people = Vec::new();
    for name in ["ana", "ben", "cho"] {
        people.push(project.member(&app, name, "ANNOTATOR").await);
    }
    let rita = project.member(&app, "rita", "REVIEWER").await;
    // One task each first, so that each has one to be sent back.
    for person in &people {
        loop {
            let screen = person.claim(&project).await;
            let boxes = &boxes[&name_of(person, &screen.task).await];
            draw(person, &screen, boxes, 2.5).await;
            if !boxes.is_empty() {
                break;
            }
        }
    }
    for person in people.clone() {
        at_work.spawn(label(person, project.clone(), boxes.clone()));
    }
    at_work.join_all().await;
    let mut sent_back = review(&rita, &project, &boxes).await;
    assert_eq!(sent_back, 3, "one of each");
    while sent_back > 0 {
        for person in people.clone() {
            label(person, project.clone(), boxes.clone()).await;
        }
        sent_back = review(&rita, &project, &boxes).await;
    }
    let file = app.database.export(&project.id, "coco", &[]).await;
    let exported: Value = serde_json::from_str(&file).unwrap();
    assert!(exported["annotations"].as_array().unwrap().iter().all(|annotation| annotation["annotator"].is_string()));
    let path = app.database.folder().join("export.coco");
    assert_same(&path).await;
}

async fn an_accepted_or_suggested_data_set_comes_out_as_it_went_in(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let boxes = boxes_of(&std::fs::read_to_string(data(TOY)).unwrap());
    for annotations in ["accept", "preannotate"] {
        let project = picture_project(&boss, &labels_of(&boxes), json!({ "review": "NONE" })).await;
        let (succeeded, said) =
            app.database.import(&project.id, "coco", annotations, &["--files", &data(TOY_FILES), &data(TOY)]).await;
        assert!(succeeded, "{said}");
        if annotations == "preannotate" {
            let ana = project.member(&app, "ana", "ANNOTATOR").await;
            while let Ok(screen) = ana.try_claim(&project).await {
                ana.submit(&screen).await.get("submitTask");
            }
        }
        app.database.export(&project.id, "coco", &[]).await;
        let path = app.database.folder().join("export.coco");
        assert_same(&path).await;
        // In by the same command once more: nothing is new.
        let (succeeded, said) =
            app.database.import(&project.id, "coco", annotations, &["--files", &data(TOY_FILES), &data(TOY)]).await;
        let known = format!("0 tasks made, {} known before", boxes.len());
        assert!(succeeded && said.contains(&known), "{said}");
    }
}

/// The boxes of a picture by its VOC file.
fn voc_boxes(xml: &str) -> Vec<Drawn> {
    let inner = |text: &str, tag: &str| -> Option<String> {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once(&format!("</{tag}>"))?.0.trim().to_owned())
    };
    let objects = xml.split("<object>").skip(1);
    let boxes = objects.filter_map(|object| {
        let number = |tag: &str| inner(object, tag).and_then(|text| text.parse::<f64>().ok());
        let (left, top) = (number("xmin")?, number("ymin")?);
        let (right, bottom) = (number("xmax")?.min(640.0), number("ymax")?.min(480.0));
        let place = [left, top, right - left, bottom - top];
        // Some were drawn with no extent at all.
        let is_sound = place[2] > 0.0 && place[3] > 0.0;
        is_sound.then_some(Drawn { label: inner(object, "name")?, place })
    });
    boxes.collect()
}

async fn sixty_pictures_come_out_as_jsonl_and_coco_and_go_in_again(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let mut boxes = BTreeMap::new();
    let pictures = app.database.folder().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for entry in std::fs::read_dir(data("bccd")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(stem) = name.strip_suffix(".jpg") {
            std::fs::copy(&path, pictures.join(&name)).unwrap();
            boxes.insert(
                name.clone(),
                voc_boxes(&std::fs::read_to_string(path.with_file_name(format!("{stem}.xml"))).unwrap()),
            );
        }
    }
    assert_eq!(boxes.len(), 60);
    // Tasks of the pictures, by a file of lines that names them.
    let lines: Vec<Value> =
        boxes.keys().map(|name| json!({ "externalId": name, "assets": [{ "fileName": name }] })).collect();
    let source = app.database.folder().join("tasks.jsonl");
    std::fs::write(&source, crate::harness::file_of(&lines)).unwrap();
    let project = picture_project(&boss, &labels_of(&boxes), json!({ "review": "NONE" })).await;
    let rest = ["--files", pictures.to_str().unwrap(), source.to_str().unwrap()];
    let (succeeded, said) = app.database.import(&project.id, "jsonl", "ignore", &rest).await;
    assert!(succeeded && said.contains("60 tasks made"), "{said}");

    let boxes = Arc::new(boxes);
    let mut at_work = tokio::task::JoinSet::new();
    for name in ["ana", "ben", "cho"] {
        let person = project.member(&app, name, "ANNOTATOR").await;
        at_work.spawn(label(person, project.clone(), boxes.clone()));
    }
    at_work.join_all().await;

    let jsonl = app.database.export(&project.id, "jsonl", &[]).await;
    let coco = app.database.export(&project.id, "coco", &[]).await;
    let exported = boxes_of(&coco);
    let sorted = |boxes: &[Drawn]| {
        let mut texts: Vec<String> = boxes.iter().map(|it| format!("{it:?}")).collect();
        texts.sort();
        texts
    };
    assert_eq!(exported.len(), 60);
    for (name, drawn) in boxes.iter() {
        assert_eq!(sorted(&exported[name]), sorted(drawn), "{name}");
    }

    // Out of one project into another, and out again: the same but for what a new project makes new.
    let other = picture_project(&boss, &labels_of(&boxes), json!({ "review": "NONE" })).await;
    let path = app.database.folder().join("first.jsonl");
    std::fs::write(&path, &jsonl).unwrap();
    let rest = ["--files", pictures.to_str().unwrap(), path.to_str().unwrap()];
    let (succeeded, said) = app.database.import(&other.id, "jsonl", "accept", &rest).await;
    assert!(succeeded && said.contains("60 tasks made"), "{said}");
    let again = app.database.export(&other.id, "jsonl", &[]).await;
    assert_eq!(lasting(&jsonl), lasting(&again));
}

/// What of the records is not made anew by an import: ids, people, where annotations come from, their order.
fn lasting(file: &str) -> Vec<Value> {
    let mut records = lines_of(file);
    for record in &mut records {
        for slot in record["slots"].as_array_mut().unwrap() {
            slot.as_object_mut().unwrap().remove("annotator");
            let annotations = slot["annotations"].as_array_mut().unwrap();
            for annotation in annotations.iter_mut() {
                for name in ["id", "author", "source"] {
                    annotation.as_object_mut().unwrap().remove(name);
                }
            }
            annotations.sort_by_key(ToString::to_string);
        }
    }
    records.sort_by_key(|record| record["externalId"].to_string());
    records
}
