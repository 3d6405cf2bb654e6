//! Which subscriptions are one: by what they ask, and by what in it depends on who asks. That is for the schema to say: a
//! field whose value depends on the viewer carries `@ofViewer`, and what is executed for many knows no viewer at all, so
//! that a field which forgot to say so fails instead of showing one person's value to another.

use std::{collections::HashSet, fmt::Write as _};

use async_graphql::{
    Name, TypeDirective, Variables,
    parser::{
        parse_schema,
        types::{
            DocumentOperations, ExecutableDocument, FieldDefinition, OperationDefinition, Selection, SelectionSet,
            TypeKind, TypeSystemDefinition,
        },
    },
};
use async_graphql_value::Value as DocumentValue;

/// The name of the directive below.
const OF_VIEWER: &str = "ofViewer";

/// The value depends on who asks: subscriptions that select it are executed for each person by themselves.
#[TypeDirective(name = "ofViewer", location = "FieldDefinition")]
pub(in crate::graphql) fn of_viewer() {}

/// The names of the fields that say so.
pub(super) fn personal_fields(sdl: &str) -> HashSet<String> {
    let Ok(schema) = parse_schema(sdl) else { return HashSet::new() };
    let mut personal = HashSet::new();
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let fields = match definition.node.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::Interface(interface) => interface.fields,
            _ => continue,
        };
        let says_so =
            |field: &FieldDefinition| field.directives.iter().any(|directive| directive.node.name.node == OF_VIEWER);
        let names = fields.into_iter().map(|field| field.node).filter(says_so);
        personal.extend(names.map(|field| field.name.node.to_string()));
    }
    personal
}

/// What a subscription asks, as far as it decides with which others it is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The document.
    pub(super) query: String,
    /// Which of its operations.
    pub(super) operation: Option<String>,
    /// The variables, without that of the position.
    pub(super) variables: String,
}

/// How a subscription is executed.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) question: Question,
    /// Whether a field in it depends on who asks.
    pub(super) is_personal: bool,
    /// The variables as they were sent.
    pub(super) variables: Variables,
}

impl Plan {
    pub(super) fn of(
        document: &ExecutableDocument,
        query: String,
        name: Option<String>,
        variables: Variables,
        personal: &HashSet<String>,
    ) -> Self {
        let operation = match (&document.operations, &name) {
            (DocumentOperations::Single(operation), _) => Some(&operation.node),
            (DocumentOperations::Multiple(operations), Some(name)) => {
                operations.get(name.as_str()).map(|operation| &operation.node)
            }
            (DocumentOperations::Multiple(operations), None) => {
                operations.values().next().map(|operation| &operation.node)
            }
        };
        let position = operation.and_then(|operation| variable_of_position(document, operation));
        let mut text = String::new();
        for (name, value) in variables.iter().filter(|(name, _)| Some(*name) != position.as_ref()) {
            // Names and texts are quoted: two lists of variables never look the same.
            let _ = write!(text, "{:?}:{value};", name.as_str());
        }
        let question = Question { query, operation: name, variables: text };
        Self { question, is_personal: asks_for(document, personal), variables }
    }
}

/// The variable that only says where to go on: the argument `after` of the one field at the root.
fn variable_of_position(document: &ExecutableDocument, operation: &OperationDefinition) -> Option<Name> {
    let [root] = operation.selection_set.node.items.as_slice() else { return None };
    let Selection::Field(root) = &root.node else { return None };
    let DocumentValue::Variable(name) = &root.node.get_argument("after")?.node else { return None };
    // It may stand elsewhere as well, as a filter maybe: there it is a part of the question.
    let uses = uses_of(document, operation, name);
    (uses == 1).then(|| name.clone())
}

fn uses_of(document: &ExecutableDocument, operation: &OperationDefinition, name: &Name) -> usize {
    fn in_value(value: &DocumentValue, name: &Name) -> usize {
        match value {
            DocumentValue::Variable(variable) => usize::from(variable == name),
            DocumentValue::List(list) => list.iter().map(|value| in_value(value, name)).sum(),
            DocumentValue::Object(object) => object.values().map(|value| in_value(value, name)).sum(),
            _ => 0,
        }
    }
    let mut uses = 0;
    let mut count = |selection: &Selection| {
        let (arguments, directives) = match selection {
            Selection::Field(field) => (field.node.arguments.as_slice(), &field.node.directives),
            Selection::FragmentSpread(spread) => (&[][..], &spread.node.directives),
            Selection::InlineFragment(fragment) => (&[][..], &fragment.node.directives),
        };
        let of_directives = directives.iter().flat_map(|directive| &directive.node.arguments);
        uses += arguments.iter().chain(of_directives).map(|(_, value)| in_value(&value.node, name)).sum::<usize>();
    };
    walk(&operation.selection_set.node, &mut count);
    for fragment in document.fragments.values() {
        walk(&fragment.node.selection_set.node, &mut count);
    }
    uses
}

/// Whether a document has one of these fields, anywhere.
fn asks_for(document: &ExecutableDocument, fields: &HashSet<String>) -> bool {
    let mut asks = false;
    let mut look = |selection: &Selection| {
        if let Selection::Field(field) = selection {
            asks |= fields.contains(field.node.name.node.as_str());
        }
    };
    for (_, operation) in document.operations.iter() {
        walk(&operation.node.selection_set.node, &mut look);
    }
    for fragment in document.fragments.values() {
        walk(&fragment.node.selection_set.node, &mut look);
    }
    asks
}

fn walk(set: &SelectionSet, visit: &mut impl FnMut(&Selection)) {
    for selection in &set.items {
        visit(&selection.node);
        match &selection.node {
            Selection::Field(field) => walk(&field.node.selection_set.node, visit),
            Selection::InlineFragment(fragment) => walk(&fragment.node.selection_set.node, visit),
            Selection::FragmentSpread(_) => {}
        }
    }
}
