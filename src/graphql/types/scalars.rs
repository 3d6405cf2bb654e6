//! Scalars beside the built-in ones.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use crate::{
    domain::{cursor::EventCursor as Cursor, version_vector::VersionVector as Vector},
    graphql::live,
    service::ServiceError,
};

/// An integer from -(2^53 - 1) to 2^53 - 1: sizes and counts that pass 32 bits and still fit every client's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct SafeInt(pub(in crate::graphql) i64);

const LARGEST: i64 = (1 << 53) - 1;

#[Scalar]
impl ScalarType for SafeInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::Number(number) = &value else { return Err(InputValueError::expected_type(value)) };
        match number.as_i64() {
            Some(number) if (-LARGEST..=LARGEST).contains(&number) => Ok(Self(number)),
            _ => Err(InputValueError::custom("must be an integer of at most 2^53 - 1")),
        }
    }

    fn to_value(&self) -> Value {
        self.0.clamp(-LARGEST, LARGEST).into()
    }
}

/// A position in a project's events. Opaque: keep it, send it back as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct EventCursor(String);

impl EventCursor {
    /// Reads the position that stands at `field`: here and not as a scalar, so that the error names the field.
    pub(in crate::graphql) fn parse_at(&self, field: &str) -> Result<Cursor, ServiceError> {
        self.0.parse().map_err(|error| ServiceError::invalid(field, error))
    }
}

impl EventCursor {
    /// The mark in the place of each reader's own.
    pub(in crate::graphql) fn marked() -> Self {
        Self(live::mark().to_owned())
    }

    /// Its text.
    pub(in crate::graphql) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Cursor> for EventCursor {
    fn from(cursor: &Cursor) -> Self {
        Self(cursor.to_string())
    }
}

#[Scalar]
impl ScalarType for EventCursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// How many edits of each author are in a state of an annotation: `{"#": epoch, "<actor>": counter}`, integers from 1. To
/// see more, raise counters; join two by taking the larger counter of each actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) struct VersionVector(Value);

impl VersionVector {
    /// Reads the vector that stands at `field`: here and not as a scalar, so that the error names the field.
    pub(in crate::graphql) fn parse_at(self, field: &str) -> Result<Vector, ServiceError> {
        let json = self.0.into_json().map_err(|error| ServiceError::invalid(field, error))?;
        json.try_into().map_err(|error| ServiceError::invalid(field, error))
    }
}

impl From<&Vector> for VersionVector {
    fn from(vector: &Vector) -> Self {
        // Texts and integers: there is a value for each.
        Self(Value::from_json(vector.clone().into()).unwrap_or_default())
    }
}

#[Scalar]
impl ScalarType for VersionVector {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}
