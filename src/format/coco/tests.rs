//! What is read from and written to small files. Real and large ones are in tests/it/format_coco.rs.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    domain::{
        limits,
        words::{AnnotationSource, Kind, SlotState},
    },
    format::Losses,
    kind::{BoundingBox, Geometry, Polygon, PolygonPart},
    repo::record::{Record, RecordAnnotation, RecordAsset, RecordPerson, RecordSlot},
};

/// Bytes a record of these files may have.
const ROOM: usize = 4_000_000;

/// What a file gives: (line, record or fault as "field: message"), and what is lost.
type Found = (Vec<(u64, Result<Record, String>)>, Vec<String>);

fn try_read(text: impl AsRef<[u8]>) -> io::Result<Found> {
    read_within(ROOM, text)
}

fn read_within(record_bytes: usize, text: impl AsRef<[u8]>) -> io::Result<Found> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instances.json");
    std::fs::write(&file, text).unwrap();
    let mut reader = read::ImageReader::open(&file, record_bytes)?;
    let mut found = Vec::new();
    for read in &mut reader {
        let read = read?;
        found.push((read.line, read.record.map_err(|fault| format!("{}: {}", fault.field, fault.message))));
    }
    Ok((found, reader.losses().sentences()))
}

fn read(document: &Value) -> Found {
    try_read(document.to_string()).unwrap()
}

/// A writer's other end.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(about: About, records: &[Record]) -> (Value, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::default();
    let mut writer = Coco.write(Box::new(sink.clone()), folder.path(), about).unwrap();
    for record in records {
        writer.write(record).unwrap();
    }
    let losses: Losses = writer.finish().unwrap();
    let text = sink.0.lock().unwrap().clone();
    (serde_json::from_slice(&text).unwrap(), losses.sentences())
}

fn document(annotation: &Value) -> Value {
    json!({
        "images": [{ "id": 7, "file_name": "a.jpg", "width": 100, "height": 80 }],
        "annotations": [annotation],
        "categories": [{ "id": 3, "name": "cat", "supercategory": "animal" }],
    })
}

/// The document with an annotation of these fields besides those it must have.
fn with(fields: Value) -> Value {
    let mut annotation = json!({ "id": 1, "image_id": 7, "category_id": 3, "area": 1 });
    let Value::Object(fields) = fields else { panic!("fields") };
    annotation.as_object_mut().unwrap().extend(fields);
    document(&annotation)
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Geometry {
    BoundingBox { x, y, width, height, rotation: 0.0 }.into()
}

fn part(outer: &[[f64; 2]], holes: &[&[[f64; 2]]]) -> PolygonPart {
    PolygonPart { outer: outer.to_vec(), holes: holes.iter().map(|hole| hole.to_vec()).collect() }
}

fn polygon(parts: impl Into<Vec<PolygonPart>>) -> Geometry {
    Polygon { parts: parts.into() }.into()
}

fn drawn(label: &str, geometry: Geometry) -> RecordAnnotation {
    RecordAnnotation {
        id: None,
        asset: None,
        tool: None,
        label: label.to_owned(),
        geometry,
        attributes: serde_json::Map::new(),
        source: None,
        score: None,
        author: None,
    }
}

fn slot(number: i32, annotations: Vec<RecordAnnotation>) -> RecordSlot {
    RecordSlot { number, round: 1, state: SlotState::Accepted, annotator: None, annotations }
}

fn picture(name: &str) -> RecordAsset {
    RecordAsset { file_name: name.to_owned(), width: Some(100), height: Some(80), ..RecordAsset::default() }
}

fn task(name: &str, slots: Vec<RecordSlot>) -> Record {
    Record { external_id: Some(name.to_owned()), assets: vec![picture(name)], slots, ..Record::default() }
}

/// The geometry of the one annotation.
fn geometry(document: &Value) -> Result<Geometry, String> {
    let (found, _) = read(document);
    let [(1, record)] = &found[..] else { panic!("{found:?}") };
    record.clone().map(|record| record.slots[0].annotations[0].geometry.clone())
}

#[test]
fn pictures_become_tasks_in_their_order_with_their_annotations_in_theirs() {
    let (found, losses) = read(&json!({
        "annotations": [
            { "id": 1, "image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4] },
            { "id": 2, "image_id": 5, "category_id": 2, "bbox": [5.5, 6.25, 7, 8], "score": 0.5 },
            { "id": 3, "image_id": 9, "category_id": 2, "bbox": [0, 0, 1, 1], "attributes": { "old": true } },
        ],
        "info": { "year": 2026, "depth": [[[{ "\\\"[": "]}" }]]] },
        "categories": [{ "id": 1, "name": "cat" }, { "id": 2, "name": "dog" }],
        "licenses": [{ "id": 1 }],
        "segment_info": null,
        "images": [
            { "id": 9, "file_name": "train/b.jpg", "width": 640.0, "height": 480, "license": 1 },
            { "id": 4, "file_name": "c.jpg" },
            { "id": 5, "file_name": "a.jpg", "width": 1, "height": 1, "external_id": "x-5", "sha256": "ab" },
        ],
    }));
    let asset = |name: &str| RecordAsset { file_name: name.to_owned(), ..RecordAsset::default() };
    let model = |annotation| RecordAnnotation { source: Some(AnnotationSource::Model), score: Some(0.5), ..annotation };
    let mut old = drawn("dog", rectangle(0.0, 0.0, 1.0, 1.0));
    old.attributes.insert("old".into(), json!(true));
    let want = [
        Record {
            assets: vec![RecordAsset { width: Some(640), height: Some(480), ..asset("train/b.jpg") }],
            slots: vec![slot(1, vec![drawn("cat", rectangle(1.0, 2.0, 3.0, 4.0)), old])],
            ..task("train/b.jpg", vec![])
        },
        Record { assets: vec![asset("c.jpg")], ..task("c.jpg", vec![]) },
        Record {
            external_id: Some("x-5".into()),
            assets: vec![RecordAsset { width: Some(1), height: Some(1), sha256: Some("ab".into()), ..asset("a.jpg") }],
            slots: vec![slot(1, vec![model(drawn("dog", rectangle(5.5, 6.25, 7.0, 8.0)))])],
            ..Record::default()
        },
    ];
    assert_eq!(found, (1..).zip(want.map(Ok)).collect::<Vec<_>>());
    assert_eq!(losses, Vec::<String>::new());
}

#[test]
fn outlines_are_polygons_and_what_has_none_is_its_box() {
    let triangle = [0.0, 0.0, 9.0, 0.0, 9.0, 9.0];
    let [a, b] = [[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]], [[1.5, 1.0], [2.0, 1.0], [2.0, 2.0]]];
    let bbox = json!([1, 2, 3, 4]);
    let around = || Ok(rectangle(1.0, 2.0, 3.0, 4.0));
    for (name, fields, want, loss) in [
        ("no outline", json!({ "bbox": bbox }), around(), None),
        ("an empty one", json!({ "bbox": bbox, "segmentation": [] }), around(), None),
        ("null", json!({ "bbox": bbox, "segmentation": null }), around(), None),
        ("an empty ring", json!({ "bbox": bbox, "segmentation": [[]] }), around(), None),
        ("one ring", json!({ "bbox": bbox, "segmentation": [triangle] }), Ok(polygon([part(&a, &[])])), None),
        (
            "two rings, no box",
            json!({ "segmentation": [triangle, [], [1.5, 1, 2, 1, 2, 2]] }),
            Ok(polygon([part(&a, &[]), part(&b, &[])])),
            None,
        ),
        ("a closed ring", json!({ "segmentation": [[0, 0, 9, 0, 9, 9, 0, 0]] }), Ok(polygon([part(&a, &[])])), None),
        (
            "run lengths",
            json!({ "bbox": bbox, "segmentation": { "counts": [0, 20, 30], "size": [10, 5] } }),
            around(),
            Some("1 × masks: the box around is taken"),
        ),
        (
            "a crowd",
            json!({ "bbox": bbox, "iscrowd": 1, "segmentation": { "counts": "a0", "size": [10, 5] } }),
            around(),
            Some("1 × crowds (iscrowd): the box around is taken"),
        ),
        (
            "a crowd of rings",
            json!({ "bbox": bbox, "iscrowd": true, "segmentation": [triangle] }),
            around(),
            Some("1 × crowds (iscrowd): the box around is taken"),
        ),
        (
            "keypoints",
            json!({ "bbox": bbox, "keypoints": [1, 1, 2], "num_keypoints": 1 }),
            around(),
            Some("1 × keypoints: left out"),
        ),
        ("no keypoints", json!({ "bbox": bbox, "keypoints": [], "iscrowd": 0 }), around(), None),
    ] {
        let document = with(fields);
        assert_eq!(geometry(&document), want, "{name}");
        assert_eq!(read(&document).1, loss.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_fault_names_the_annotation_and_its_field() {
    let bbox = json!([1, 2, 3, 4]);
    let ring = "must have an even number of coordinates, at least 6";
    for (fields, field, message) in [
        (json!({}), "", "has neither a bbox nor a segmentation of polygons"),
        (json!({ "segmentation": [[]] }), "", "has neither a bbox nor a segmentation of polygons"),
        (json!({ "bbox": bbox, "category_id": 4 }), ".category_id", "no category has the id 4"),
        (json!({ "bbox": bbox, "category_id": "cat" }), ".category_id", "invalid type: string \"cat\", expected i64"),
        (json!({ "bbox": [1, 2, 3] }), ".bbox", "must have 4 numbers: x, y, width, height"),
        (json!({ "bbox": [1, 2, 0, 4] }), ".bbox", "must have a width and a height greater than 0"),
        (json!({ "bbox": [1, 2, 3, -4] }), ".bbox", "must have a width and a height greater than 0"),
        (json!({ "bbox": [1, "2", 3, 4] }), ".bbox[1]", "invalid type: string \"2\", expected f64"),
        (json!({ "segmentation": [[1, 2, 3, 4]] }), ".segmentation[0]", ring),
        (json!({ "segmentation": [[], [1, 2, 3, 4, 5, 6, 7]] }), ".segmentation[1]", ring),
        (json!({ "segmentation": [[1, null]] }), ".segmentation[0][1]", "invalid type: null, expected f64"),
        (
            json!({ "segmentation": [1, 2, 3, 4, 5, 6] }),
            ".segmentation[0]",
            "invalid type: integer `1`, expected a sequence",
        ),
        (
            json!({ "segmentation": "x" }),
            ".segmentation",
            "invalid type: string \"x\", expected a list of rings or a mask",
        ),
        (json!({ "bbox": bbox, "slot": 0 }), ".slot", "must be at least 1"),
        (json!({ "bbox": bbox, "attributes": [1] }), ".attributes", "invalid type: sequence, expected a map"),
        (json!({ "bbox": bbox, "tool": 1 }), ".tool", "invalid type: integer `1`, expected a string"),
    ] {
        let want = format!("annotations[0]{field}: {message}");
        assert_eq!(read(&with(fields)).0, [(1, Err(want))]);
    }
    let out_of_range = with(json!({ "bbox": [1, 2, 3, "HUGE"] })).to_string().replace("\"HUGE\"", "1e999");
    let (found, _) = try_read(out_of_range).unwrap();
    assert_eq!(found, [(1, Err("annotations[0].bbox[3]: number out of range at column 29".to_owned()))]);
}

#[test]
fn faults_are_given_where_they_are_and_what_belongs_to_no_picture_at_the_end() {
    let bbox = json!([1, 2, 3, 4]);
    let (found, _) = read(&json!({
        "images": [
            { "id": 1, "file_name": "a.jpg" },
            { "id": 2, "file_name": "b.jpg", "width": 0, "height": 5 },
            { "id": 1, "file_name": "c.jpg" },
            { "file_name": "d.jpg" },
            { "id": 3, "file_name": "" },
            { "id": 4 },
            { "id": 5, "file_name": "e.jpg", "width": 5, "height": 2.5 },
            { "id": 6, "file_name": "f.jpg" },
        ],
        "annotations": [
            { "image_id": 1, "category_id": 1, "bbox": bbox },
            { "image_id": 8, "category_id": 1, "bbox": bbox },
            { "image_id": 6, "category_id": 8, "bbox": bbox },
            { "category_id": 1, "bbox": bbox },
            { "image_id": "1", "category_id": 1, "bbox": bbox },
            { "image_id": 6, "category_id": 1 },
            { "image_id": 2, "category_id": 9 },
        ],
        "categories": [
            { "id": 1, "name": "cat" }, { "id": 1, "name": "dog" }, { "id": 2 }, { "id": 3, "name": "" },
            { "id": 4, "name": "x".repeat(201) },
        ],
    }));
    let want = [
        (0, "categories[1].id: another category has the id 1"),
        (0, "categories[2]: missing field `name`"),
        (0, "categories[3].name: must have 1 to 200 characters"),
        (0, "categories[4].name: must have 1 to 200 characters"),
        (1, ""),
        (2, "images[1].width: must be a whole number of pixels, at least 1"),
        (3, "images[2].id: is that of images[0]"),
        (4, "images[3]: missing field `id`"),
        (5, "images[4].file_name: must not be empty"),
        (6, "images[5]: missing field `file_name`"),
        (7, "images[6].height: must be a whole number of pixels, at least 1"),
        (8, "annotations[2].category_id: no category has the id 8"),
        (8, "annotations[5]: has neither a bbox nor a segmentation of polygons"),
        (0, "annotations[1].image_id: no picture has the id 8"),
        (0, "annotations[3]: missing field `image_id`"),
        (0, "annotations[4].image_id: invalid type: string \"1\", expected i64"),
    ];
    let found: Vec<_> =
        found.iter().map(|(line, record)| (*line, record.as_ref().err().map_or("", String::as_str))).collect();
    assert_eq!(found, want);
}

#[test]
fn what_is_no_coco_file_is_refused_with_a_place() {
    const ROOM: usize = 1_000;
    let deep = format!("{{\"info\": {}", "[".repeat(10_000));
    let open = format!("{{\"images\": [{{\"id\": 1, \"file_name\": \"{}", "x".repeat(ROOM));
    let sections = "COCO instances: an object with images, annotations and categories";
    for (name, text, want) in [
        ("nothing", "", "EOF while parsing a value at line 1 column 0".to_owned()),
        ("no JSON", "id,name\n", "expected value at line 1 column 1".to_owned()),
        ("detections alone", "[{}]", format!("invalid type: sequence, expected {sections} at line 1 column 1")),
        ("no pictures", "{\"annotations\": []}", "there is no section `images`, as COCO instances have".to_owned()),
        ("another kind of section", "{\"images\": {}}", "invalid type: map, expected the list of images".to_owned()),
        ("a section twice", "{\"images\": [], \"images\": []}", "there are two sections `images`".to_owned()),
        ("no object", "{\"images\": [{}, 5]}", "images[1]: must be an object".to_owned()),
        ("no number", "{\"images\": [{\"id\": NaN}]}", "images[0]: expected value at line 1 column 20".to_owned()),
        ("cut off", "{\"images\": [{\n", "images[0]: EOF while parsing".to_owned()),
        ("something behind", "{\"images\": []} {", "trailing characters at line 1 column 16".to_owned()),
        ("too deep", &deep, "brackets nest deeper than 127 levels".to_owned()),
        ("too long", &open, "images: more than 1000 bytes up to byte 1015".to_owned()),
        ("a long name", &format!("{{\"{}", "x".repeat(ROOM)), "the name of a section: more than 1000 bytes".to_owned()),
    ] {
        let error = read_within(ROOM, text).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
        assert!(error.to_string().starts_with(&want), "{name}: {error}");
    }
    let mut marked = "\u{feff}".as_bytes().to_vec();
    marked.extend_from_slice(with(json!({ "bbox": [1, 2, 3, 4] })).to_string().as_bytes());
    assert!(try_read(marked).unwrap().0[0].1.is_ok(), "a byte order mark is nothing");
    let missing = Coco.read(Path::new("/nowhere/at.json"), Path::new("/nowhere")).map(drop).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_picture_with_more_than_a_task_may_hold_is_a_fault() {
    let annotation = json!({ "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4] });
    let mut many = document(&annotation);
    many["annotations"] = vec![annotation; limits::TASK_ANNOTATIONS as usize + 1].into();
    assert_eq!(read(&many).0, [(1, Err("images[0]: has more than 20000 annotations".to_owned()))]);
    let mut long = with(json!({ "bbox": [1, 2, 3, 4], "note": "x".repeat(500) }));
    long["annotations"] = vec![long["annotations"][0].clone(); 2].into();
    let (found, _) = read_within(1_000, long.to_string()).unwrap();
    assert_eq!(found, [(1, Err("images[0]: its annotations have more than 1000 bytes".to_owned()))]);
}

#[test]
fn records_become_pictures_and_annotations_with_ids_from_1() {
    let tool =
        |name: &str, kind, labels: &[&str]| (name.to_owned(), kind, labels.iter().map(|l| (*l).to_owned()).collect());
    let about = About {
        project: "Zoo".into(),
        tools: vec![
            tool("Boxes", Kind::BoundingBox, &["cat", "dog"]),
            tool("Weather", Kind::Classification, &["sun"]),
            tool("Areas", Kind::Polygon, &["dog", "lake"]),
        ],
    };
    let ana = RecordPerson { id: "user_1".into(), name: "Ana".into() };
    let mut boxed = drawn("dog", rectangle(1.1, 2.0, 3.3, 4.5));
    boxed.tool = Some("Boxes".into());
    boxed.attributes.insert("old".into(), json!(true));
    boxed.score = Some(0.25);
    let square = [[10.0, 10.0], [30.0, 10.0], [30.0, 30.0], [10.0, 30.0]];
    let hole = [[12.0, 12.0], [14.0, 12.0], [14.0, 14.0], [12.0, 14.0]];
    let triangle = [[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]];
    let area = drawn("pond", polygon([part(&square, &[&hole]), part(&triangle, &[])]));
    let mut turned = drawn("cat", BoundingBox { x: 10.0, y: 10.0, width: 4.0, height: 2.0, rotation: 90.0 }.into());
    turned.asset = Some(1);
    let records = [
        task("a.jpg", vec![RecordSlot { annotator: Some(ana), ..slot(2, vec![boxed, area]) }]),
        Record { assets: vec![picture("b.jpg"), picture("c.jpg")], ..task("pair", vec![slot(1, vec![turned])]) },
    ];
    let (written, losses) = write(about, &records);
    assert_eq!(
        written,
        json!({
            "info": { "description": "Zoo" },
            "licenses": [],
            "images": [
                { "id": 1, "file_name": "a.jpg", "width": 100, "height": 80, "external_id": "a.jpg" },
                { "id": 2, "file_name": "b.jpg", "width": 100, "height": 80 },
                { "id": 3, "file_name": "c.jpg", "width": 100, "height": 80 },
            ],
            "annotations": [
                {
                    "id": 1, "image_id": 1, "category_id": 2, "bbox": [1.1, 2.0, 3.3, 4.5], "area": 3.3 * 4.5, "iscrowd": 0,
                    "segmentation": [], "tool": "Boxes", "attributes": { "old": true }, "slot": 2, "annotator": "Ana",
                    "annotator_id": "user_1", "score": 0.25,
                },
                {
                    "id": 2, "image_id": 1, "category_id": 4, "bbox": [0.0, 0.0, 30.0, 30.0], "area": 400.0 - 4.0 + 8.0,
                    "iscrowd": 0, "slot": 2, "annotator": "Ana", "annotator_id": "user_1",
                    "segmentation": [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0], [0.0, 0.0, 0.0, 4.0, 4.0, 0.0]],
                },
                {
                    "id": 3, "image_id": 3, "category_id": 1, "bbox": [11.0, 9.0, 2.0, 4.0], "area": 8.0, "iscrowd": 0,
                    "segmentation": [], "slot": 1,
                },
            ],
            "categories": [
                { "id": 1, "name": "cat", "supercategory": "Boxes" },
                { "id": 2, "name": "dog", "supercategory": "Boxes" },
                { "id": 3, "name": "lake", "supercategory": "Areas" },
                { "id": 4, "name": "pond", "supercategory": "" },
            ],
        })
    );
    let want = [
        "1 × holes of polygons: the outlines without them are given",
        "1 × rotations of boxes: the box around is given",
        "1 × tasks of several pictures: each picture stands for itself",
    ];
    assert_eq!(losses, want);
}

#[test]
fn what_cannot_be_written_is_counted() {
    let span = json!({ "textSpan": { "start": 0, "end": 1, "text": "a" } });
    let answer = json!({ "classification": { "values": ["sun"] } });
    let [span, answer] = [span, answer].map(|geometry| serde_json::from_value::<Geometry>(geometry).unwrap());
    let text = RecordAsset { content_type: Some("text/plain".into()), ..RecordAsset::default() };
    let boxed = || drawn("cat", rectangle(1.0, 1.0, 2.0, 2.0));
    let beside = RecordAnnotation { asset: Some(1), ..boxed() };
    let data = serde_json::Map::from_iter([("a".to_owned(), json!(1))]);
    let records = [
        Record {
            assets: vec![picture("a.jpg"), text.clone()],
            priority: 5,
            data,
            ..task("a", vec![slot(1, vec![drawn("sun", answer), beside, boxed()])])
        },
        Record { assets: vec![text], ..task("b", vec![slot(1, vec![drawn("name", span)])]) },
        Record { assets: vec![], ..task("c", vec![]) },
    ];
    let (written, losses) = write(About::default(), &records);
    assert_eq!((written["images"].as_array().unwrap().len(), &written["annotations"]), (1, &json!([])));
    assert_eq!(written["categories"], json!([]));
    let want = [
        "2 × annotations on no picture: left out",
        "1 × classifications: left out",
        "1 × data of tasks: left out",
        "1 × files of tasks that are no pictures: left out",
        "1 × priorities of tasks: left out",
        "2 × tasks without a picture: left out",
        "1 × text spans: left out",
    ];
    assert_eq!(losses, want);
}

#[test]
fn an_empty_file_is_a_file() {
    let (written, losses) = write(About::default(), &[]);
    let want =
        json!({ "info": { "description": "" }, "licenses": [], "images": [], "annotations": [], "categories": [] });
    assert_eq!((&written, losses.len()), (&want, 0));
    assert_eq!(read(&written), (vec![], vec![]));
}

#[test]
fn what_was_written_is_read_again_bit_for_bit() {
    let odd = [0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 4_294_967_295.000_001];
    let mut boxed = drawn("cat", rectangle(odd[0], odd[1], odd[2], odd[3]));
    boxed.tool = Some("Boxes".into());
    boxed.attributes.insert("note".into(), json!({ "a": [1, null] }));
    let mut sure = drawn("dog", polygon([part(&[[odd[0], odd[1]], [odd[2], odd[3]], [9.0, 9.0]], &[])]));
    sure.source = Some(AnnotationSource::Model);
    sure.score = Some(odd[1]);
    let ana = RecordPerson { id: "user_1".into(), name: "Ana".into() };
    let mut record =
        task("a.jpg", vec![RecordSlot { annotator: Some(ana), ..slot(1, vec![boxed]) }, slot(3, vec![sure])]);
    record.external_id = Some("x".into());
    record.assets[0].sha256 = Some("00ff".into());
    let (written, _) = write(About::default(), &[record.clone(), task("b.jpg", vec![])]);
    let (found, losses) = read(&written);
    assert_eq!(found, [(1, Ok(record)), (2, Ok(task("b.jpg", vec![])))]);
    assert_eq!(losses, Vec::<String>::new());
}

#[test]
fn an_annotation_takes_24_bytes_of_the_index() {
    assert_eq!(size_of::<index::Entry>(), 24);
    assert_eq!(size_of::<index::Place>() + size_of::<(i64, u32)>(), 32);
}
