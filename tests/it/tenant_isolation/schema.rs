//! The places of the schema through which a client can name something that is not its own: ids and cursors.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, InputObjectType, InputValueDefinition, ObjectType, Type, TypeKind, TypeSystemDefinition},
};

/// The types whose fields a request starts at.
pub(super) const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// What the schema says, by names: fields as `Mutation.setMember`, places as `Mutation.setMember(input.userId)`.
pub(super) struct Schema {
    /// Every field of a root.
    pub(super) roots: BTreeSet<String>,
    /// Places that take an id or ids.
    pub(super) ids: BTreeSet<String>,
    /// Fields that take page cursors.
    pub(super) pages: BTreeSet<String>,
    /// Places that take an event cursor.
    pub(super) event_cursors: BTreeSet<String>,
    /// Implementations of Node.
    pub(super) nodes: BTreeSet<String>,
}

impl Schema {
    /// Reads the SDL.
    pub(super) fn read() -> Self {
        let document = parse_schema(concord::graphql::sdl()).expect("the SDL parses");
        let (mut objects, mut inputs) = (BTreeMap::new(), BTreeMap::new());
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Object(object) => drop(objects.insert(name, object)),
                TypeKind::InputObject(input) => drop(inputs.insert(name, input)),
                _ => {}
            }
        }
        let mut schema = Self {
            roots: BTreeSet::new(),
            ids: BTreeSet::new(),
            pages: BTreeSet::new(),
            event_cursors: BTreeSet::new(),
            nodes: BTreeSet::new(),
        };
        for (name, object) in &objects {
            schema.add_object(name, object, &inputs);
        }
        schema
    }

    fn add_object(&mut self, name: &str, object: &ObjectType, inputs: &BTreeMap<String, InputObjectType>) {
        if object.implements.iter().any(|interface| interface.node == "Node") {
            self.nodes.insert(name.to_owned());
        }
        for field in &object.fields {
            let field_name = format!("{name}.{}", field.node.name.node);
            if ROOTS.contains(&name) {
                self.roots.insert(field_name.clone());
            }
            for argument in &field.node.arguments {
                let mut walk = Walk { schema: self, inputs, field: &field_name, within: Vec::new() };
                walk.visit("", &argument.node);
            }
        }
    }
}

/// A walk through one argument and the input objects in it.
struct Walk<'a> {
    schema: &'a mut Schema,
    inputs: &'a BTreeMap<String, InputObjectType>,
    field: &'a str,
    /// Input objects around the place, so that one that holds itself ends.
    within: Vec<String>,
}

impl Walk<'_> {
    fn visit(&mut self, around: &str, value: &InputValueDefinition) {
        let path = format!("{around}{}", value.name.node);
        let place = format!("{}({path})", self.field);
        match named(&value.ty.node) {
            "ID" => drop(self.schema.ids.insert(place)),
            "EventCursor" => drop(self.schema.event_cursors.insert(place)),
            "String" if path == "after" || path == "before" => {
                self.schema.pages.insert(self.field.to_owned());
            }
            other => {
                let Some(input) = self.inputs.get(other) else { return };
                if self.within.iter().any(|outer| outer == other) {
                    return;
                }
                self.within.push(other.to_owned());
                for field in &input.fields {
                    self.visit(&format!("{path}."), &field.node);
                }
                self.within.pop();
            }
        }
    }
}

/// The type's name without lists and exclamation marks.
fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => named(inner),
    }
}
