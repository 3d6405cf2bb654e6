//! JSONL: nothing is lost, and its schema says what a line may hold.

use std::{
    fs::{self, File},
    path::Path,
};

use concord::{
    domain::words::{AnnotationSource, SlotState},
    format::{About, Format, jsonl::Jsonl},
    kind::{BoundingBox, Classification, Geometry, Polygon, PolygonPart, TextSpan},
    repo::record::{Record, RecordAnnotation, RecordAsset, RecordPerson, RecordSlot},
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use reqwest::header;
use serde_json::{Map, Value, json};

use crate::harness::{Database, TestApp, on_one_database, python};

on_one_database![
    sqlite: what_is_written_is_read_and_written_again_byte_for_byte,
    sqlite: every_line_that_is_written_is_one_of_the_schema,
    sqlite: broken_lines_are_none_of_the_schema_and_faults_to_the_reader,
    sqlite: the_schema_is_served_to_everybody,
    sqlite: the_documentation_has_every_field_and_a_line_that_is_read,
];

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
        (0..5_000_i32).prop_map(f64::from)
    ]
}

fn any_points() -> impl Strategy<Value = Vec<[f64; 2]>> {
    vec([any_number(), any_number()], 3..6)
}

fn any_geometry() -> impl Strategy<Value = Geometry> {
    let part = (any_points(), vec(any_points(), 0..2)).prop_map(|(outer, holes)| PolygonPart { outer, holes });
    let size = || any_number().prop_map(|number| number.abs() + 1.0);
    prop_oneof![
        (any_number(), any_number(), size(), size(), -359..360_i32).prop_map(|(x, y, width, height, rotation)| {
            BoundingBox { x, y, width, height, rotation: rotation.into() }.into()
        }),
        vec(part, 1..3).prop_map(|parts| Polygon { parts }.into()),
        (0..9, 1..9, ".{1,9}").prop_map(|(start, length, text)| TextSpan { start, end: start + length, text }.into()),
        proptest::collection::btree_set(".{0,9}", 1..4)
            .prop_map(|values| Classification { values: values.into_iter().collect() }.into()),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any_number().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 9, 3, |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), vec((".*", inner), 0..3).prop_map(Value::from_iter)]
    })
}

fn any_map() -> impl Strategy<Value = Map<String, Value>> {
    vec((any::<String>(), any_value()), 0..3).prop_map(Map::from_iter)
}

fn any_person() -> impl Strategy<Value = Option<RecordPerson>> {
    option::of((".*", ".*").prop_map(|(id, name)| RecordPerson { id, name }))
}

fn any_annotation() -> impl Strategy<Value = RecordAnnotation> {
    use AnnotationSource as S;
    let source = proptest::sample::select(vec![None, Some(S::Human), Some(S::Model), Some(S::Import)]);
    let names = (option::of(".*"), option::of(0..9_usize), option::of(".*"), ".*");
    (names, any_geometry(), any_map(), source, option::of(0.0..=1.0), any_person()).prop_map(
        |((id, asset, tool, label), geometry, attributes, source, score, author)| RecordAnnotation {
            id,
            asset,
            tool,
            label,
            geometry,
            attributes,
            source,
            score,
            author,
        },
    )
}

fn any_slot() -> impl Strategy<Value = RecordSlot> {
    let state = proptest::sample::select(vec![SlotState::Accepted, SlotState::Submitted]);
    (1..=i32::MAX, 1..=i32::MAX, state, any_person(), vec(any_annotation(), 0..3)).prop_map(
        |(number, round, state, annotator, annotations)| RecordSlot { number, round, state, annotator, annotations },
    )
}

fn any_asset() -> impl Strategy<Value = RecordAsset> {
    let size = || option::of(1..=u32::MAX);
    (".{1,9}", option::of("[0-9a-f]{64}"), option::of(".*"), size(), size()).prop_map(
        |(file_name, sha256, content_type, width, height)| RecordAsset {
            file_name,
            sha256,
            content_type,
            width,
            height,
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    (option::of(".*"), -1_000_000..=1_000_000, any_map(), vec(any_asset(), 0..3), vec(any_slot(), 0..3))
        .prop_map(|(external_id, priority, data, assets, slots)| Record { external_id, priority, data, assets, slots })
}

fn write(file: &Path, records: &[Record]) {
    let scratch = file.parent().unwrap();
    let mut writer = Jsonl.write(Box::new(File::create(file).unwrap()), scratch, About::default()).unwrap();
    for record in records {
        writer.write(record).unwrap();
    }
    assert_eq!(writer.finish().unwrap().sentences(), Vec::<String>::new());
}

fn read(file: &Path) -> Vec<Result<Record, String>> {
    let reader = Jsonl.read(file, file.parent().unwrap()).unwrap();
    reader.map(|read| read.unwrap().record.map_err(|fault| format!("{}: {}", fault.field, fault.message))).collect()
}

/// What the schema says of each line of a file: nothing, or what is wrong.
async fn judged(folder: &Path, lines: &Path) -> Vec<Option<String>> {
    let schema = folder.join("schema.json");
    fs::write(&schema, concord::format::jsonl::schema().to_string()).unwrap();
    let script = python("validate_lines.py", &[&schema, lines]).await;
    assert!(script.succeeded, "{}", script.text);
    script.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn what_is_written_is_read_and_written_again_byte_for_byte(_database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let [file, again] = ["once.jsonl", "twice.jsonl"].map(|name| folder.path().join(name));
    let property = |records: Vec<Record>| {
        write(&file, &records);
        let found: Vec<Record> = read(&file).into_iter().map(Result::unwrap).collect();
        write(&again, &found);
        prop_assert_eq!(fs::read(&file).unwrap(), fs::read(&again).unwrap());
        prop_assert_eq!(found, records);
        Ok(())
    };
    let config = Config { failure_persistence: None, ..Config::with_cases(128) };
    TestRunner::new(config).run(&vec(any_record(), 0..4), property).unwrap();
}

async fn every_line_that_is_written_is_one_of_the_schema(_database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.jsonl");
    let mut runner = TestRunner::default();
    let records = vec(any_record(), 300).new_tree(&mut runner).unwrap().current();
    write(&file, &records);
    assert_eq!(judged(folder.path(), &file).await, vec![None; 300]);
}

/// A line with something of everything.
fn whole_line() -> Value {
    json!({
        "externalId": "a",
        "priority": 1,
        "data": {},
        "assets": [{ "fileName": "a.jpg", "sha256": "0".repeat(64), "width": 5, "height": 5 }],
        "slots": [{
            "number": 1,
            "round": 1,
            "state": "ACCEPTED",
            "annotator": { "id": "user_1", "name": "Ana" },
            "annotations": [{
                "label": "cat",
                "geometry": { "boundingBox": { "x": 1, "y": 1, "width": 2, "height": 2 } },
                "source": "MODEL",
                "score": 0.5,
            }],
        }],
    })
}

async fn broken_lines_are_none_of_the_schema_and_faults_to_the_reader(_database: Database) {
    let annotation = "/slots/0/annotations/0";
    // (where, what is put there: null takes the key away, whether the reader knows by itself)
    let breaks = [
        ("/priority", json!("high"), true),
        ("/colour", json!(1), true),
        ("/assets/0/fileName", Value::Null, true),
        ("/assets/0/fileName", json!(5), true),
        ("/assets/0/width", json!(-1), true),
        ("/assets/0/sha256", json!("abc"), false),
        ("/slots/0/number", Value::Null, true),
        ("/slots/0/number", json!(0), false),
        ("/slots/0/round", json!(0), false),
        ("/slots/0/state", json!("DONE"), true),
        ("/slots/0/state", json!("FREE"), false),
        ("/slots/0/annotator/id", Value::Null, true),
        (&format!("{annotation}/label"), Value::Null, true),
        (&format!("{annotation}/score"), json!(1.5), false),
        (&format!("{annotation}/asset"), json!(-1), true),
        (&format!("{annotation}/source"), json!("GUESS"), true),
        (&format!("{annotation}/geometry"), json!({}), true),
        (&format!("{annotation}/geometry/boundingBox/width"), Value::Null, true),
        (&format!("{annotation}/geometry/boundingBox/depth"), json!(1), true),
        (&format!("{annotation}/geometry/polygon"), json!({ "parts": [] }), true),
    ];
    let lines = breaks.iter().map(|(at, value, _)| {
        let mut line = whole_line();
        let (parent, key) = at.rsplit_once('/').unwrap();
        let parent = line.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => parent.remove(key),
            value => parent.insert(key.to_owned(), value.clone()),
        };
        line
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.jsonl");
    let text: String = lines.chain([whole_line()]).map(|line| format!("{line}\n")).collect();
    fs::write(&file, text).unwrap();
    let (judged, found) = (judged(folder.path(), &file).await, read(&file));
    assert_eq!((judged.len(), found.len()), (breaks.len() + 1, breaks.len() + 1));
    for ((judged, found), (at, value, fault)) in judged.iter().zip(&found).zip(&breaks) {
        assert!(judged.is_some(), "the schema takes {value} at {at}");
        assert_eq!(found.is_err(), *fault, "{value} at {at}: {found:?}");
    }
    assert_eq!(judged.last(), Some(&None));
    assert!(found[breaks.len()].is_ok(), "{found:?}");
}

async fn the_schema_is_served_to_everybody(database: Database) {
    let app = TestApp::new(database).await;
    let response = app.page("/formats/jsonl.schema.json").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/schema+json");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=3600");
    let served: Value = response.json().await.unwrap();
    assert_eq!(served, concord::format::jsonl::schema());
    assert_eq!(served["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

async fn the_documentation_has_every_field_and_a_line_that_is_read(_database: Database) {
    const DOCUMENT: &str = include_str!("../../docs/formats.md");
    let (_, section) = DOCUMENT.split_once("\n## JSONL\n").expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let example = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let example: Value = serde_json::from_str(example).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.jsonl");
    fs::write(&file, format!("{example}\n")).unwrap();
    let found = read(&file);
    assert_eq!(judged(folder.path(), &file).await, [None]);
    write(&file, &[found[0].clone().unwrap()]);
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, example, "the example shows what is written");

    let schema = concord::format::jsonl::schema();
    let types = [&schema].into_iter().chain(schema["$defs"].as_object().unwrap().values());
    let fields: Vec<_> = types.filter_map(|of| of["properties"].as_object()).flat_map(Map::keys).collect();
    assert!(fields.len() > 30, "{fields:?}");
    let missing: Vec<_> = fields.iter().filter(|field| !section.contains(&format!("`{field}`"))).collect();
    assert!(missing.is_empty(), "not documented: {missing:?}");
}
