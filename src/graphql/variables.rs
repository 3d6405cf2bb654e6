//! Variables an operation cannot do without. The library would notice a missing one only where it is used, when fields
//! before it, mutations too, have been executed; the specification has the request refused before anything is.

use async_graphql::{ServerError, Value, Variables, parser::types::OperationDefinition};

use crate::{domain::words::ErrorCode, graphql::error::refused};

/// Every variable that is neither nullable nor has a default is given.
///
/// # Errors
/// `BAD_USER_INPUT` naming the first that is not, at its definition.
pub(super) fn must_be_given(operation: &OperationDefinition, variables: &Variables) -> Result<(), ServerError> {
    for definition in &operation.variable_definitions {
        let (name, declared) = (&definition.node.name.node, &definition.node.var_type.node);
        let is_given = variables.get(name).is_some_and(|value| *value != Value::Null);
        let is_wanted = !declared.nullable && definition.node.default_value.is_none();
        if is_wanted && !is_given {
            let message = format!("the variable ${name} of type {declared} is missing");
            let mut error = refused(ErrorCode::BadUserInput, message);
            error.locations = vec![definition.pos];
            return Err(error);
        }
    }
    Ok(())
}
