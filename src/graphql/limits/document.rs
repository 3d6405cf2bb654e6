//! Measuring a parsed operation. Each fragment is measured once, so that fragments that spread one another many times
//! over are counted in full without being walked in full.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value as Literal;

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

/// Fields that stand for the rows of the page, or of the input, of the field they are below.
const ROWS: [&str; 6] = ["nodes", "edges", "tasks", "assets", "uploads", "results"];

/// Large values: each is an object of its own weight.
const HEAVY: [&str; 3] = ["data", "payloadSchema", "payload"];

/// How many rows a list without a page stands for, and how many objects a heavy value.
fn weight(name: &str, is_object: bool) -> u64 {
    match name {
        "slots" | "tools" | "attributes" | "taskCounts" | "accessTokens" | "annotationKinds" | "presence"
            if is_object =>
        {
            10
        }
        "labels" if is_object => 50,
        "parts" if is_object => 10,
        "data" | "payloadSchema" => 10,
        // A snapshot shows thousands of annotations.
        "payload" => 1_000,
        _ => 1,
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
    let mut walk = Walk { document, operation, variables, fragments: HashMap::new(), level: 0 };
    // Fragments nobody spreads are walked by validation all the same.
    let unused = document.fragments.keys().fold(Measure::default(), |sum, name| sum.beside(walk.fragment(name, 1)));
    let used = walk.selections(&operation.selection_set.node, 1);
    let too_deep = unused.selections == u64::MAX;
    Measure {
        cyclic: used.cyclic || unused.cyclic,
        selections: if too_deep { u64::MAX } else { used.selections },
        ..used
    }
}

/// Levels of fields and fragments that are walked. What is deeper counts as more than anything may have: the walk, and
/// validation after it, would run out of stack.
const LEVELS: u32 = 100;

struct Walk<'d> {
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
    variables: &'d Variables,
    /// `None` while the fragment is being measured: meeting it again is a cycle. A fragment's measure depends on the
    /// page it is spread in only for what it says of `nodes` and `edges` at its own top, hence the factor in the key.
    fragments: HashMap<(&'d Name, u64), Option<Measure>>,
    level: u32,
}

impl<'d> Walk<'d> {
    /// `page` is the number of rows that `nodes` and `edges` among the selections stand for.
    fn selections(&mut self, set: &'d SelectionSet, page: u64) -> Measure {
        if self.level == LEVELS {
            return Measure { selections: u64::MAX, ..Measure::default() };
        }
        self.level += 1;
        let measure =
            set.items.iter().fold(Measure::default(), |sum, item| sum.beside(self.selection(&item.node, page)));
        self.level -= 1;
        measure
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
        let times = if ROWS.contains(&name) && field.arguments.is_empty() { page } else { 1 };
        // `nodes(ids:)` stands for as many rows as it has ids.
        let ids = argument(field, "ids").and_then(|ids| self.list(ids)).unwrap_or(1);
        let times = times.max(ids).max(weight(name, is_object == 1));
        let is_object = is_object.max(u64::from(HEAVY.contains(&name)));
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

    /// The rows of the page a field asks for, or the length of the longest list in its input; 1 when there is none.
    fn rows(&self, field: &Field) -> u64 {
        let input = argument(field, "input").and_then(|input| self.longest_list(input));
        let size = |name: &str| argument(field, name).and_then(|size| self.number(size));
        size("first").into_iter().chain(size("last")).chain(input).max().unwrap_or(1)
    }

    fn number(&self, literal: &Literal) -> Option<u64> {
        match literal {
            Literal::Number(number) => number.as_u64(),
            Literal::Variable(name) => match self.variable(name)? {
                Value::Number(number) => number.as_u64(),
                _ => None,
            },
            _ => None,
        }
    }

    fn list(&self, literal: &Literal) -> Option<u64> {
        match literal {
            Literal::List(items) => Some(items.len() as u64),
            Literal::Variable(name) => length(self.variable(name)?),
            _ => None,
        }
    }

    fn longest_list(&self, literal: &Literal) -> Option<u64> {
        match literal {
            Literal::Object(fields) => fields.values().filter_map(|field| self.list(field)).max(),
            Literal::Variable(name) => match self.variable(name)? {
                Value::Object(fields) => fields.values().filter_map(length).max(),
                _ => None,
            },
            _ => None,
        }
    }

    fn variable(&self, name: &Name) -> Option<&Value> {
        self.variables.get(name).or_else(|| {
            let mut definitions = self.operation.variable_definitions.iter();
            let defined = definitions.find(|definition| definition.node.name.node == *name)?;
            defined.node.default_value.as_ref().map(|Positioned { node, .. }| node)
        })
    }
}

fn argument<'d>(field: &'d Field, name: &str) -> Option<&'d Literal> {
    field.arguments.iter().find(|(argument, _)| argument.node == name).map(|(_, value)| &value.node)
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::List(items) => Some(items.len() as u64),
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
            ("a list without a page", "{ a { slots { b } } }", "{}", 1 + 10),
            ("a heavy value of each row", "{ a(first: 5) { nodes { data } } }", "{}", 1 + 5 * (1 + 10)),
            (
                "numbers of an input",
                "query($i: I) { a(input: {n: 9}) { tasks { b } } c: a(input: $i) { tasks { b } } }",
                r#"{"i": {"n": 9}}"#,
                4,
            ),
            ("rows by input", "{ a(input: {ids: [1, 2, 3]}) { tasks { b { c } } } }", "{}", 1 + 3 * 2),
            (
                "rows by input in a variable",
                "query($i: I) { a(input: $i) { tasks { b } } }",
                r#"{"i": {"ids": [1, 2]}}"#,
                1 + 2,
            ),
            (
                "rows by a list in a variable",
                "query($i: I) { a(input: {ids: $i}) { tasks { b } } }",
                r#"{"i": [1, 2]}"#,
                1 + 2,
            ),
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
    fn a_chain_of_fragments_ends_before_the_stack_does() {
        for root in ["{ ...f0 }", "{ a }"] {
            let mut text = root.to_owned();
            for level in 0..3_000 {
                text.push_str(&format!(" fragment f{level} on X {{ a {{ ...f{} }} }}", level + 1));
            }
            text.push_str(" fragment f3000 on X { a }");
            assert_eq!(measured(&text, serde_json::json!({})).selections, u64::MAX, "{root}");
        }
    }

    #[test]
    fn a_cycle_of_fragments_ends() {
        let text = "{ ...f } fragment f on X { a { ...g } } fragment g on X { b { ...f } }";
        assert!(measured(text, serde_json::json!({})).cyclic);
    }
}
