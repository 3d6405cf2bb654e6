//! What one document may ask for. Looked at before validation, which would itself be costly for a document made to be.

mod document;
mod tokens;

use std::time::Duration;

use async_graphql::{
    Request, ServerError,
    parser::{
        parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection},
    },
};

use crate::{
    domain::{limits, words::ErrorCode},
    graphql::{error::refused, variables},
};

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Lexical tokens of the document.
    pub tokens: usize,
    /// Levels of fields.
    pub depth: u32,
    /// Points: an object is 1; below a page they count `first` times.
    pub cost: u64,
    /// Fields under another name.
    pub aliases: u64,
    /// Fields of the operation itself.
    pub root_fields: u64,
    /// Fields and fragments in all, with fragments spread out: of every operation, because validation walks them all.
    pub selections: u64,
    /// How long it may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tokens: limits::DOCUMENT_TOKENS,
            depth: limits::DOCUMENT_DEPTH,
            cost: limits::DOCUMENT_COST,
            aliases: limits::DOCUMENT_ALIASES,
            root_fields: limits::DOCUMENT_ROOT_FIELDS,
            selections: limits::DOCUMENT_SELECTIONS,
            time: limits::REQUEST_TIME,
        }
    }
}

impl Limits {
    /// Parses the document of a request and holds it against the limits.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` naming the limit, `BAD_USER_INPUT` for a document that does not parse.
    pub fn check(&self, request: &mut Request) -> Result<ExecutableDocument, ServerError> {
        let too_much = |what: &str, limit: u64| {
            Err(refused(ErrorCode::LimitExceeded, format!("the document has more than {limit} {what}")))
        };
        let tokens = tokens::count(&request.query);
        if tokens.count > self.tokens {
            return too_much("tokens", self.tokens as u64);
        }
        if tokens.nesting > limits::DOCUMENT_NESTING {
            return too_much("levels of brackets", limits::DOCUMENT_NESTING as u64);
        }
        let document = parse_query(&request.query).map_err(|error| {
            let mut refused = refused(ErrorCode::BadUserInput, error.to_string());
            refused.locations = error.positions().collect();
            refused
        })?;
        let mut selections = 0_u64;
        for (_, operation) in document.operations.iter() {
            let measure = document::measure(&document, &operation.node, &request.variables);
            if measure.cyclic {
                return Err(refused(ErrorCode::BadUserInput, "a fragment spreads itself"));
            }
            selections = selections.saturating_add(measure.selections);
            if selections > self.selections {
                return too_much("fields and fragments", self.selections);
            }
        }
        let Some(operation) = operation(&document, request.operation_name.as_deref()) else {
            return Ok(document); // executing says what is wrong with the name
        };
        variables::must_be_given(operation, &request.variables)?;
        if !has_one_source(operation) {
            let message = "a subscription has one field at its root, and not in a fragment";
            return Err(refused(ErrorCode::BadUserInput, message));
        }
        let measure = document::measure(&document, operation, &request.variables);
        for (what, found, limit) in [
            ("levels of fields", u64::from(measure.depth), u64::from(self.depth)),
            ("levels of introspection", u64::from(measure.introspection), u64::from(limits::DOCUMENT_INTROSPECTION)),
            ("aliases", measure.aliases, self.aliases),
            ("root fields", measure.root_fields, self.root_fields),
            ("points of cost (an object is 1, a page counts first times)", measure.cost, self.cost),
        ] {
            if found > limit {
                return too_much(what, limit);
            }
        }
        Ok(document)
    }
}

/// The operation that will be executed. The parser calls named ones multiple, also when there is only one, which then
/// needs no name in the request.
fn operation<'d>(document: &'d ExecutableDocument, name: Option<&str>) -> Option<&'d OperationDefinition> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) => {
            operations.values().next().filter(|_| operations.len() == 1)
        }
    };
    operation.map(|operation| &operation.node)
}

/// The type of the operation that a request names; when it names none, executing says so and does nothing.
pub(super) fn operation_type(document: &ExecutableDocument, name: Option<&str>) -> OperationType {
    operation(document, name).map_or(OperationType::Query, |operation| operation.ty)
}

/// The specification gives a subscription one field at its root. In a fragment the library would not see it.
fn has_one_source(operation: &OperationDefinition) -> bool {
    operation.ty != OperationType::Subscription
        || matches!(&operation.selection_set.node.items[..], [item] if matches!(item.node, Selection::Field(_)))
}

/// The type of the operation that a request names; none when it does not parse or name one.
#[must_use]
pub fn check_operation(request: &Request) -> Option<OperationType> {
    let limits = Limits::default();
    let tokens = tokens::count(&request.query);
    if tokens.count > limits.tokens || tokens.nesting > limits::DOCUMENT_NESTING {
        return None;
    }
    let document = parse_query(&request.query).ok()?;
    operation(&document, request.operation_name.as_deref()).map(|operation| operation.ty)
}
