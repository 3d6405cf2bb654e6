//! The API as clients see it: `schema.graphql` is what the code prints, its names are those of the contract
//! (`tests/data/contract.graphql`), and every union and interface can be read in full by one document.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, path::Path, process::Command};

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition},
};

/// Types of the contract that come with a later issue, by that part of the plan. The lists only shrink.
const LATER_TYPES: &[(&str, &[&str])] = &[
    (
        "7 kinds",
        &[
            "Polyline",
            "Keypoints",
            "Keypoint",
            "Mask",
            "CuboidTrack",
            "Cuboid",
            "ImageTextAlignment",
            "VideoBox",
            "VideoBoxKeyframe",
            "Relation",
            "PolylineInput",
            "KeypointsInput",
            "KeypointInput",
            "MaskInput",
            "CuboidTrackInput",
            "CuboidInput",
            "ImageTextAlignmentInput",
            "VideoBoxInput",
            "VideoBoxKeyframeInput",
            "RelationInput",
            "KeyframeEditInput",
        ],
    ),
    ("8 formats", &["ConfigTemplateInput", "YoloTask"]),
];

/// Fields of types that are there, which come later.
const LATER_FIELDS: &[(&str, &[&str])] = &[
    (
        "7 kinds",
        &[
            "Geometry.Polyline",
            "Geometry.Keypoints",
            "Geometry.Mask",
            "Geometry.CuboidTrack",
            "Geometry.ImageTextAlignment",
            "Geometry.VideoBox",
            "Geometry.Relation",
            "GeometryInput.polyline",
            "GeometryInput.keypoints",
            "GeometryInput.mask",
            "GeometryInput.cuboidTrack",
            "GeometryInput.imageTextAlignment",
            "GeometryInput.videoBox",
            "GeometryInput.relation",
            "UpdateAnnotationInput.keyframes",
        ],
    ),
    (
        "8 formats",
        &[
            "PublishTemplateInput.labelStudio",
            "PublishTemplateInput.cvat",
            "StartImportInput.options",
            "ImportSourceInput.storagePrefix",
            "FormatOptionsInput.yoloTask",
            "FormatOptionsInput.vocOneBased",
            "StartExportInput.includeFiles",
            "DatasetFormat.YOLO",
            "DatasetFormat.VOC",
            "DatasetFormat.CVAT",
            "DatasetFormat.LABEL_STUDIO",
            "DatasetFormat.KITTI",
        ],
    ),
    ("9 operate", &["SignInInput.oidcToken"]),
];

#[test]
fn schema_graphql_is_what_the_code_prints() {
    let file = std::fs::read_to_string(root().join("schema.graphql")).unwrap();
    assert!(file.trim_end() == concord::graphql::sdl().trim_end(), "schema.graphql is out of date: run 'make schema'");
}

#[test]
fn every_name_of_the_contract_is_there_with_its_type() {
    let contract = names(&std::fs::read_to_string(root().join("tests/data/contract.graphql")).unwrap());
    let ours = names(&concord::graphql::sdl());
    let later: Vec<&str> =
        LATER_TYPES.iter().chain(LATER_FIELDS).flat_map(|(_, names)| names.iter().copied()).collect();
    let mut problems = Vec::new();
    for (name, want) in &contract {
        // What belongs to a later type or field is later itself.
        let mut holders = name.match_indices('.').map(|(end, _)| &name[..end]).chain([name.as_str()]);
        let is_later = holders.any(|holder| later.contains(&holder));
        match (ours.get(name), is_later) {
            (Some(_), true) if later.contains(&name.as_str()) => {
                problems.push(format!("{name} is there, but listed as later"));
            }
            (None, false) => problems.push(format!("{name}: {want} is missing")),
            (Some(found), false) if found != want => {
                problems.push(format!("{name} is {found}, in the contract {want}"));
            }
            _ => {}
        }
    }
    for name in later {
        if !contract.contains_key(name) {
            problems.push(format!("{name} is listed as later, but not in the contract"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn one_document_reads_every_union_and_interface_in_full() {
    let output = Command::new("node")
        .arg(root().join("tests/node/abstract_types.mjs"))
        .arg(root().join("schema.graphql"))
        .output()
        .expect("Node.js is missing: run 'make setup'");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Event"), "the interface Event was read: {text}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every type, field, argument, enum value and implementation of a schema by its dotted name, with its type as text.
fn names(sdl: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for definition in parse_schema(sdl).expect("the schema parses").definitions {
        if let TypeSystemDefinition::Type(definition) = definition {
            add_type(&mut names, &definition.node);
        }
    }
    names
}

fn add_type(names: &mut BTreeMap<String, String>, definition: &TypeDefinition) {
    let name = definition.name.node.as_str();
    let kind = match &definition.kind {
        TypeKind::Scalar => "scalar",
        TypeKind::Object(object) => {
            for interface in &object.implements {
                names.insert(format!("{name}.implements {}", interface.node), "yes".to_owned());
            }
            object.fields.iter().for_each(|field| add_field(names, name, &field.node));
            "type"
        }
        TypeKind::Interface(interface) => {
            interface.fields.iter().for_each(|field| add_field(names, name, &field.node));
            "interface"
        }
        TypeKind::Union(union) => {
            for member in &union.members {
                names.insert(format!("{name}.{}", member.node), "member".to_owned());
            }
            "union"
        }
        TypeKind::Enum(words) => {
            for word in &words.values {
                names.insert(format!("{name}.{}", word.node.value.node), "value".to_owned());
            }
            "enum"
        }
        TypeKind::InputObject(input) => {
            input.fields.iter().for_each(|field| add_input(names, name, &field.node));
            "input"
        }
    };
    names.insert(name.to_owned(), kind.to_owned());
}

fn add_field(names: &mut BTreeMap<String, String>, of: &str, field: &FieldDefinition) {
    let name = format!("{of}.{}", field.name.node);
    for argument in &field.arguments {
        add_input(names, &name, &argument.node);
    }
    names.insert(name, text(&field.ty.node));
}

fn add_input(names: &mut BTreeMap<String, String>, of: &str, input: &InputValueDefinition) {
    names.insert(format!("{of}.{}", input.name.node), text(&input.ty.node));
}

fn text(of: &Type) -> String {
    let base = match &of.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(item) => format!("[{}]", text(item)),
    };
    if of.nullable { base } else { format!("{base}!") }
}
