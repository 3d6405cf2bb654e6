//! COCO: a real file, a large one, and what another reader sees.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use concord::{
    domain::words::Kind,
    format::{About, Format, coco::Coco},
    kind::Geometry,
    repo::record::Record,
};
use serde_json::{Value, json};

use crate::harness::{Database, on_one_database, python};

on_one_database![
    sqlite: the_toy_file_read_and_written_is_the_same_to_pycocotools,
    sqlite: the_comparison_tells_what_differs,
    sqlite: a_hundred_thousand_annotations_before_their_pictures_are_read_picture_by_picture,
];

fn toy_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/voc-toy/toy_example_coco.JSON")
}

fn records(file: &Path, scratch: &Path) -> Vec<Record> {
    let reader = Coco.read(file, scratch).unwrap();
    reader.map(|read| read.unwrap().record.unwrap()).collect()
}

fn write(file: &Path, scratch: &Path, records: &[Record]) -> Vec<String> {
    let about = About { project: "Toys".into(), tools: vec![("Boxes".into(), Kind::BoundingBox, vec!["cat".into()])] };
    let mut writer = Coco.write(Box::new(File::create(file).unwrap()), scratch, about).unwrap();
    for record in records {
        writer.write(record).unwrap();
    }
    writer.finish().unwrap().sentences()
}

async fn the_toy_file_read_and_written_is_the_same_to_pycocotools(_database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let records = records(&toy_file(), folder.path());
    let boxes: usize = records.iter().flat_map(|record| &record.slots).map(|slot| slot.annotations.len()).sum();
    assert_eq!((records.len(), boxes), (10, 12));
    assert_eq!(records[0].external_id.as_deref(), Some("2007_000549.jpg"));
    assert_eq!((records[0].assets[0].width, records[0].assets[0].height), (Some(375), Some(500)));
    assert_eq!(records[1].slots, [], "nothing is drawn on the second picture");
    let written = folder.path().join("written.json");
    assert_eq!(write(&written, folder.path(), &records), Vec::<String>::new());
    let document: Value = serde_json::from_slice(&fs::read(&written).unwrap()).unwrap();
    let ids = |section: &str| -> Vec<u64> {
        document[section].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("images"), (1..=10).collect::<Vec<_>>());
    assert_eq!(ids("annotations"), (1..=12).collect::<Vec<_>>());
    assert_eq!(ids("categories"), [1]);
    let script = python("compare_coco.py", &[&toy_file(), &written]).await;
    assert_eq!(script.text, "the same: 10 pictures, 1 categories, 12 boxes\n");
    assert!(script.succeeded);
}

async fn the_comparison_tells_what_differs(_database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a.json", "b.json"].map(|name| folder.path().join(name));
    let document = |moved_px: f64, picture: &str, category: &str| {
        json!({
            "images": [
                { "id": 1, "file_name": "a.jpg", "width": 5, "height": 5 },
                { "id": 2, "file_name": picture, "width": 5, "height": 5 },
            ],
            "annotations": [
                { "id": 1, "image_id": 1, "category_id": 1, "bbox": [1.0, 1.0, 2.0, 2.0], "area": 4 },
                { "id": 2, "image_id": 1, "category_id": 1, "bbox": [1.0 + moved_px, 1.0, 2.0, 2.0], "area": 4 },
            ],
            "categories": [{ "id": 1, "name": "cat" }, { "id": 2, "name": category }],
        })
    };
    let (ours, theirs) = (a.display(), b.display());
    fs::write(&a, document(0.0, "b.jpg", "dog").to_string()).unwrap();
    for (name, other, want) in [
        ("moved a little", document(0.009, "b.jpg", "dog"), None),
        ("moved", document(0.02, "b.jpg", "dog"), Some(format!("only in {theirs}: 'cat' on 'a.jpg' at [1.02, 1.0"))),
        ("another picture", document(0.0, "c.jpg", "dog"), Some(format!("only in {ours}: picture ('b.jpg', 5, 5)\n"))),
        ("another category", document(0.0, "b.jpg", "cow"), Some(format!("only in {theirs}: category 'cow'\n"))),
    ] {
        fs::write(&b, other.to_string()).unwrap();
        let script = python("compare_coco.py", &[&a, &b]).await;
        assert_eq!(script.succeeded, want.is_none(), "{name}: {}", script.text);
        let want = want.unwrap_or_else(|| "the same: 2 pictures".to_owned());
        assert!(script.text.contains(&want), "{name}: {}", script.text);
    }
}

const PICTURES: u64 = 5_000;
const ANNOTATIONS: u64 = 100_000;

/// Annotations first and in no order of their pictures, whose ids go down; the number of an annotation is its x.
fn write_large(file: &Path) {
    let mut out = std::io::BufWriter::new(File::create(file).unwrap());
    let comma = |i: u64| if i == 0 { "" } else { "," };
    write!(out, "{{\"annotations\":[").unwrap();
    for i in 0..ANNOTATIONS {
        let (image, category) = (PICTURES - (i * 7_919) % PICTURES, i % 3);
        write!(out, "{}{{\"image_id\":{image},\"category_id\":{category},\"bbox\":[{i},0,1,1]}}", comma(i)).unwrap();
    }
    write!(out, "],\"images\":[").unwrap();
    for i in 0..PICTURES {
        write!(out, "{}{{\"id\":{},\"file_name\":\"{i}.jpg\"}}", comma(i), PICTURES - i).unwrap();
    }
    let categories = json!([{ "id": 0, "name": "a" }, { "id": 1, "name": "b" }, { "id": 2, "name": "c" }]);
    write!(out, "],\"categories\":{categories}}}").unwrap();
    out.flush().unwrap();
}

async fn a_hundred_thousand_annotations_before_their_pictures_are_read_picture_by_picture(_database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.json");
    write_large(&file);
    let mut seen = 0;
    for (read, number) in Coco.read(&file, folder.path()).unwrap().zip(0..) {
        let read = read.unwrap();
        assert_eq!(read.line, number + 1);
        let record = read.record.unwrap();
        assert_eq!(record.assets[0].file_name, format!("{number}.jpg"));
        let mut last = None;
        for annotation in &record.slots[0].annotations {
            let Geometry::BoundingBox(found) = &annotation.geometry else { panic!("{annotation:?}") };
            let i = found.x as u64;
            assert_eq!((i * 7_919) % PICTURES, number, "annotation {i} is on another picture");
            assert_eq!(annotation.label, ["a", "b", "c"][(i % 3) as usize]);
            assert!(last < Some(i), "annotations are in the order of the file");
            last = Some(i);
            seen += 1;
        }
    }
    assert_eq!(seen, ANNOTATIONS);
}
