//! What the schema declares, for tests that must have a case for each of something.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, InputValueDefinition, ObjectType, Type, TypeKind, TypeSystemDefinition},
};

/// The types of the schema by name.
pub(crate) struct Schema(BTreeMap<String, TypeKind>);

impl Schema {
    pub(crate) fn read() -> Self {
        let document = parse_schema(concord::graphql::sdl()).expect("the SDL parses");
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => {
                Some((definition.node.name.node.to_string(), definition.node.kind))
            }
            _ => None,
        });
        Self(types.collect())
    }

    fn object(&self, name: &str) -> &ObjectType {
        match &self.0[name] {
            TypeKind::Object(object) => object,
            _ => panic!("{name} is no object"),
        }
    }

    /// The names of the fields of an object type.
    pub(crate) fn fields(&self, object: &str) -> BTreeSet<String> {
        self.object(object).fields.iter().map(|field| field.node.name.node.to_string()).collect()
    }

    /// The values of an enum.
    pub(crate) fn values(&self, name: &str) -> BTreeSet<String> {
        match &self.0[name] {
            TypeKind::Enum(words) => words.values.iter().map(|word| word.node.value.node.to_string()).collect(),
            _ => panic!("{name} is no enum"),
        }
    }

    /// Every `Type.field` that is a connection.
    pub(crate) fn connections(&self) -> BTreeSet<String> {
        let objects = self.0.iter().filter_map(|(name, kind)| match kind {
            TypeKind::Object(object) => Some((name, object)),
            _ => None,
        });
        let fields = objects.flat_map(|(name, object)| object.fields.iter().map(move |field| (name, &field.node)));
        let lists = fields.filter(|(_, field)| named(&field.ty.node).ends_with("Connection"));
        lists.map(|(name, field)| format!("{name}.{}", field.name.node)).collect()
    }

    /// Every argument of the queries, mutations and subscriptions that is an id, as `field.path.of.the.input`.
    pub(crate) fn id_arguments(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for field in ["Query", "Mutation", "Subscription"].iter().flat_map(|object| &self.object(object).fields) {
            for argument in &field.node.arguments {
                let name = argument.node.name.node.as_str();
                let path = field.node.name.node.to_string();
                let path = if name == "input" { path } else { format!("{path}.{name}") };
                self.collect_ids(&path, &argument.node, &mut ids);
            }
        }
        ids
    }

    fn collect_ids(&self, path: &str, value: &InputValueDefinition, ids: &mut BTreeSet<String>) {
        let name = named(&value.ty.node);
        if name == "ID" {
            ids.insert(path.to_owned());
        } else if let Some(TypeKind::InputObject(input)) = self.0.get(name) {
            for field in &input.fields {
                self.collect_ids(&format!("{path}.{}", field.node.name.node), &field.node, ids);
            }
        }
    }
}

/// The name of a type without its lists.
fn named(of: &Type) -> &str {
    match &of.base {
        BaseType::Named(name) => name,
        BaseType::List(of) => named(of),
    }
}
