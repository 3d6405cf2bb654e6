//! Checks that several use cases share, with the field in the error.

use crate::{
    domain::{
        limits,
        permission::{Action, Standing},
        text,
        words::ProjectState,
    },
    repo::project::Project,
    service::ServiceError,
};

/// A one-line name.
pub(crate) fn name(field: &str, value: &str) -> Result<String, ServiceError> {
    text::name(value, limits::NAME_CHARS).map_err(|error| ServiceError::invalid(field, error))
}

/// An e-mail address in lower case: something, an @, something with no white space.
pub(crate) fn email(field: &str, value: &str) -> Result<String, ServiceError> {
    let email = text::name(value, limits::EMAIL_CHARS).map_err(|error| ServiceError::invalid(field, error))?;
    let looks_right =
        email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if looks_right && !email.contains(char::is_whitespace) {
        Ok(email.to_lowercase())
    } else {
        Err(ServiceError::invalid(field, "must be an e-mail address"))
    }
}

/// A password that is worth hashing.
pub(crate) fn password(field: &str, value: &str) -> Result<(), ServiceError> {
    let chars = value.chars().take(limits::PASSWORD_MAX_CHARS + 1).count();
    if (limits::PASSWORD_MIN_CHARS..=limits::PASSWORD_MAX_CHARS).contains(&chars) {
        return Ok(());
    }
    let (min, max) = (limits::PASSWORD_MIN_CHARS, limits::PASSWORD_MAX_CHARS);
    Err(ServiceError::invalid(field, format!("must have from {min} to {max} characters")))
}

/// A list that is neither empty nor too long.
pub(crate) fn count(field: &str, len: usize, limit: usize, what: &str) -> Result<(), ServiceError> {
    if len == 0 {
        return Err(ServiceError::invalid(field, format!("must hold at least one of the {what}")));
    }
    if len > limit { Err(ServiceError::limit(field, limit, what)) } else { Ok(()) }
}

/// The standing allows the action.
pub(crate) fn must(standing: Standing, action: Action) -> Result<(), ServiceError> {
    if standing.may(action) { Ok(()) } else { Err(ServiceError::forbidden(action)) }
}

/// What a change of an archived project is told.
pub(crate) const ARCHIVED: &str = "the project is archived; make it ACTIVE first";

/// An archived project is kept for reading only.
pub(crate) fn must_be_open(project: &Project, field: &str) -> Result<(), ServiceError> {
    if project.state == ProjectState::Archived {
        return Err(ServiceError::transition(field, ARCHIVED));
    }
    Ok(())
}
