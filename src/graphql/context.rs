//! What a resolver can ask its context for.

use std::sync::{Arc, OnceLock};

use async_graphql::{Context, ID};

use crate::{
    domain::ids::UserId,
    graphql::{error::ApiError, loader::Loaders},
    service::{App, ServiceError, Viewer},
};

/// The network address a request came from.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) String);

/// Whoever signed in by this very request, which carried no credential of theirs: they see themselves in its answer.
pub(super) type CameIn = OnceLock<UserId>;

pub(super) trait Ctx {
    /// The use cases.
    fn app(&self) -> &App;

    /// The use cases, for what outlives the resolver.
    fn shared_app(&self) -> Arc<App>;

    /// Who asks.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the request carried no credential.
    fn viewer(&self) -> Result<&Viewer, ApiError>;

    /// Whether the asker is this person.
    fn is_oneself(&self, user: UserId) -> bool;

    /// The request's loaders.
    fn loaders(&self) -> &Loaders;

    /// The network address the request came from.
    fn address(&self) -> &str;
}

impl Ctx for Context<'_> {
    fn app(&self) -> &App {
        self.data_unchecked::<Arc<App>>()
    }

    fn shared_app(&self) -> Arc<App> {
        self.data_unchecked::<Arc<App>>().clone()
    }

    fn viewer(&self) -> Result<&Viewer, ApiError> {
        let nobody = ServiceError::Unauthenticated("sign in first: send a bearer token or the session cookie");
        self.data_opt::<Viewer>().ok_or_else(|| nobody.into())
    }

    fn is_oneself(&self, user: UserId) -> bool {
        let viewer = self.data_opt::<Viewer>().map(|viewer| viewer.user.id);
        viewer == Some(user) || self.data_unchecked::<CameIn>().get() == Some(&user)
    }

    fn loaders(&self) -> &Loaders {
        self.data_unchecked::<Loaders>()
    }

    fn address(&self) -> &str {
        &self.data_unchecked::<Address>().0
    }
}

/// Reads a typed id at `field` of the input.
pub(super) fn id<T: std::str::FromStr<Err = crate::domain::ids::IdError>>(field: &str, id: &ID) -> Result<T, ApiError> {
    id.parse().map_err(|error| ServiceError::invalid(field, error).into())
}

/// Reads a list of typed ids.
pub(super) fn ids<T: std::str::FromStr<Err = crate::domain::ids::IdError>>(
    field: &str,
    ids: &[ID],
) -> Result<Vec<T>, ApiError> {
    ids.iter().enumerate().map(|(index, one)| id(&format!("{field}[{index}]"), one)).collect()
}
