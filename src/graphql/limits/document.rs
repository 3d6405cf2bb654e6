//! Measuring a parsed operation. Each fragment is measured once, so that fragments that spread one another many times
//! over are counted in full without being walked in full.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};

/// What an operation asks for, with fragments spread out; counts stop at their type's end instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) depth: u32,
    pub(super) aliases: u64,
    pub(super) root_fields: u64,
    pub(super) selections: u64,
    pub(super) cost: u64,
    /// Levels of lists in which the schema describes itself; each multiplies the answer, and none has a page.
    pub(super) introspection: u32,
    pub(super) cyclic: bool,
}

impl Measure {
    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            aliases: self.aliases.saturating_add(other.aliases),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            selections: self.selections.saturating_add(other.selections),
            cost: self.cost.saturating_add(other.cost),
            introspection: self.introspection.max(other.introspection),
            cyclic: self.cyclic || other.cyclic,
        }
    }

    /// One more selection: a fragment costs whoever walks the document, also when it holds no field.
    fn selected(self) -> Self {
        Self { selections: self.selections.saturating_add(1), ..self }
    }
}

/// The lists of a type's description that lead on to other types.
const DESCRIBING: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// Measures `operation`.
pub(super) fn measure(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Measure {
    let mut walk = Walk { document, operation, variables, fragments: HashMap::new() };
    walk.selections(&operation.selection_set.node, 1)
}

struct Walk<'d> {
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
    variables: &'d Variables,
    /// `None` while the fragment is being measured: meeting it again is a cycle. A fragment's measure depends on the
    /// page it is spread in only for what it says of `nodes` and `edges` at its own top, hence the factor in the key.
    fragments: HashMap<(&'d Name, u64), Option<Measure>>,
}

impl<'d> Walk<'d> {
    /// `page` is the number of rows that `nodes` and `edges` among the selections stand for.
    fn selections(&mut self, set: &'d SelectionSet, page: u64) -> Measure {
        set.items.iter().fold(Measure::default(), |sum, item| sum.beside(self.selection(&item.node, page)))
    }

    fn selection(&mut self, selection: &'d Selection, page: u64) -> Measure {
        match selection {
            Selection::Field(field) => self.field(&field.node, page),
            Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, page).selected(),
            Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, page).selected(),
        }
    }

    fn fragment(&mut self, name: &'d Name, page: u64) -> Measure {
        match self.fragments.get(&(name, page)) {
            Some(Some(known)) => return *known,
            Some(None) => return Measure { cyclic: true, ..Measure::default() },
            None => {}
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Measure::default() };
        self.fragments.insert((name, page), None);
        let measure = self.selections(&fragment.node.selection_set.node, page);
        self.fragments.insert((name, page), Some(measure));
        measure
    }

    fn field(&mut self, field: &'d Field, page: u64) -> Measure {
        let below = self.selections(&field.selection_set.node, self.rows(field));
        let is_object = u64::from(!field.selection_set.node.items.is_empty());
        let name = field.name.node.as_str();
        let times = if matches!(name, "nodes" | "edges") && field.arguments.is_empty() { page } else { 1 };
        // `nodes(ids:)` stands for as many rows as it has ids.
        let times = times.max(self.length(field, "ids"));
        Measure {
            depth: below.depth.saturating_add(1),
            aliases: below.aliases.saturating_add(u64::from(field.alias.is_some())),
            root_fields: 1,
            selections: below.selections.saturating_add(1),
            cost: below.cost.saturating_add(is_object).saturating_mul(times),
            introspection: below.introspection.saturating_add(u32::from(is_object == 1 && DESCRIBING.contains(&name))),
            cyclic: below.cyclic,
        }
    }

    /// The rows of the page a field asks for; 1 when it is none.
    fn rows(&self, field: &Field) -> u64 {
        let size = |name: &str| self.argument(field, name).and_then(|value| number(&value));
        size("first").into_iter().chain(size("last")).max().unwrap_or(1)
    }

    fn length(&self, field: &Field, name: &str) -> u64 {
        match self.argument(field, name) {
            Some(Value::List(items)) => items.len() as u64,
            Some(length) => number(&length).unwrap_or(1),
            None => 1,
        }
    }

    fn argument(&self, field: &Field, name: &str) -> Option<Value> {
        let (_, value) = field.arguments.iter().find(|(argument, _)| argument.node == name)?;
        value.node.clone().into_const_with(|variable| self.variable(&variable).map(outline).ok_or(())).ok()
    }

    fn variable(&self, name: &Name) -> Option<&Value> {
        self.variables.get(name).or_else(|| {
            let mut definitions = self.operation.variable_definitions.iter();
            let defined = definitions.find(|definition| definition.node.name.node == *name)?;
            defined.node.default_value.as_ref().map(|Positioned { node, .. }| node)
        })
    }
}

/// What is to be known of a variable: a number, and a list as its length. A list of a million ids is not copied for every
/// field that names it.
fn outline(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::from(items.len()),
        Value::Number(number) => Value::Number(number.clone()),
        _ => Value::Null,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::{parse_query, types::DocumentOperations};

    use super::*;

    fn measured(text: &str, variables: serde_json::Value) -> Measure {
        let document = parse_query(text).unwrap();
        let DocumentOperations::Single(operation) = &document.operations else { panic!("one operation") };
        measure(&document, &operation.node, &Variables::from_json(variables))
    }

    #[test]
    fn objects_below_a_page_count_as_often_as_the_page_has_rows() {
        for (case, text, variables, cost) in [
            ("a scalar", "{ a }", "{}", 0),
            ("an object", "{ a { b } }", "{}", 1),
            ("a page", "{ a(first: 50) { nodes { b c } pageInfo { d } } }", "{}", 1 + 50 + 1),
            (
                "a page in a page",
                "{ a(first: 50) { nodes { b(last: 10) { edges { node { c } } } } } }",
                "{}",
                1 + 50 * (1 + 1 + 10 * 2),
            ),
            ("the size in a variable", "query($n: Int) { a(first: $n) { nodes { b } } }", r#"{"n": 7}"#, 8),
            ("the size in a default", "query($n: Int = 9) { a(first: $n) { nodes { b } } }", "{}", 10),
            ("rows by id", "{ nodes(ids: [1, 2, 3]) { id } }", "{}", 3),
            ("ids in a variable", "query($i: [ID!]!) { nodes(ids: $i) { id } }", r#"{"i": [1, 2, 3, 4]}"#, 4),
            ("a page through a fragment", "{ a(first: 5) { ...f } } fragment f on A { nodes { b } }", "{}", 6),
            (
                "a page that counts past all numbers",
                "{ a(first: 9999999999) { nodes { a(first: 9999999999) { nodes { b } } } } }",
                "{}",
                u64::MAX,
            ),
        ] {
            let measure = measured(text, serde_json::from_str(variables).unwrap());
            assert_eq!(measure.cost, cost, "{case}");
        }
    }

    #[test]
    fn depth_aliases_and_root_fields_are_seen_through_fragments() {
        let text = "{ a: x { ...f } y } fragment f on X { b: c { d { e } } }";
        let measure = measured(text, serde_json::json!({}));
        assert_eq!((measure.depth, measure.aliases, measure.root_fields, measure.selections), (4, 2, 2, 6));
    }

    #[test]
    fn fragments_that_double_each_other_are_counted_without_walking_them() {
        let mut text = "{ ...f0 } ".to_owned();
        for level in 0..60 {
            text.push_str(&format!("fragment f{level} on X {{ ...f{0} ...f{0} }} ", level + 1));
        }
        let with_a_field = format!("{text} fragment f60 on X {{ a }}");
        for (case, text) in [("down to a field", with_a_field), ("down to a fragment that is not there", text)] {
            assert!(measured(&text, serde_json::json!({})).selections >= 1 << 60, "{case}");
        }
    }

    #[test]
    fn a_cycle_of_fragments_ends() {
        let text = "{ ...f } fragment f on X { a { ...g } } fragment g on X { b { ...f } }";
        assert!(measured(text, serde_json::json!({})).cyclic);
    }
}
