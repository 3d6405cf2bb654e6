//! Which fields of the schema any test resolved. A field that none did is untested, and the run fails naming it.

use std::{
    collections::BTreeSet,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use concord::graphql::OnResolve;

static RESOLVED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Fields whose tests come with the issue that gives them something to answer. The list only shrinks.
const LATER: [&str; 2] = [
    // Only labels of KEYPOINTS tools have a skeleton, and templates with them are refused until the kind is there.
    "Skeleton.points",
    "Skeleton.edges",
];

/// Remembers every field that is resolved.
pub(crate) fn recorder() -> OnResolve {
    Arc::new(|parent, field| {
        RESOLVED.lock().unwrap().insert(format!("{parent}.{field}"));
    })
}

/// Every `Type.field` of the schema's object types.
pub(crate) fn fields() -> BTreeSet<String> {
    let document = parse_schema(concord::graphql::sdl()).expect("the SDL parses");
    let mut fields = BTreeSet::new();
    for definition in document.definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && let TypeKind::Object(object) = &definition.node.kind
        {
            let name = &definition.node.name.node;
            fields.extend(object.fields.iter().map(|field| format!("{name}.{}", field.node.name.node)));
        }
    }
    fields
}

/// Fails when a field was never resolved, or when one on the list of exceptions was.
#[expect(clippy::print_stderr, reason = "the result of a whole test run")]
pub(crate) fn check() -> ExitCode {
    let resolved = RESOLVED.lock().unwrap();
    let untested: Vec<String> =
        fields().into_iter().filter(|field| !resolved.contains(field) && !LATER.contains(&field.as_str())).collect();
    let stale: Vec<&&str> = LATER.iter().filter(|field| resolved.contains(**field)).collect();
    if untested.is_empty() && stale.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("fields of the schema that no test resolved: {untested:#?}");
    eprintln!("fields listed as untested that a test resolved: {stale:#?}");
    ExitCode::FAILURE
}
