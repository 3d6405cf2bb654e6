//! The API: types, queries, mutations and subscriptions over the use cases. No rule lives here; a resolver parses, calls and wraps.
//!
//! [`Api`] is the one door for every transport: it holds a document against the limits before anything is validated,
//! executes it with the viewer's own loaders, and gives every error a code.

mod context;
mod error;
mod limits;
mod loader;
mod mutation;
mod query;
mod stream;
mod subscription;
mod types;
mod variables;

use std::sync::Arc;

use async_graphql::{
    Request, Response, Schema, ServerError,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
    parser::types::OperationType,
};
pub use limits::{Limits, check_operation};
pub use stream::{Answer, is_refused};

use crate::service::{App, ServiceError, Viewer};

/// The schema of the API.
type ConcordSchema = Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// Told of every `Type.field` that is resolved; tests use it to find fields nobody ever asked for.
pub type OnResolve = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How the API is offered.
#[derive(Clone, Default)]
pub struct Options {
    /// Hides the schema and suggestions, as in release mode.
    pub closed: bool,
    /// See [`OnResolve`].
    pub on_resolve: Option<OnResolve>,
}

/// The executable API.
#[derive(Clone)]
pub struct Api {
    schema: ConcordSchema,
    app: Arc<App>,
    limits: Limits,
}

/// Who sends a request and from where.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The viewer, when the request carried a credential.
    pub viewer: Option<Viewer>,
    /// The network address it came from.
    pub address: String,
}

/// A request that passed the limits.
struct Prepared {
    request: Request,
    operation: OperationType,
    /// Has to run the execution.
    waiting: loader::Waiting,
}

impl Api {
    /// The API over the use cases.
    #[must_use]
    pub fn new(app: Arc<App>, options: Options) -> Self {
        let mut builder = builder().data(app.clone());
        if options.closed {
            builder = builder.disable_introspection().disable_suggestions();
        }
        if let Some(on_resolve) = options.on_resolve {
            builder = builder.extension(Recorder(on_resolve));
        }
        Self { schema: builder.finish(), app, limits: Limits::default() }
    }

    /// Checks, validates and executes one request.
    pub async fn execute(&self, caller: Caller, request: Request) -> Response {
        match self.prepare(caller, request) {
            Ok(prepared) => self.run(prepared).await,
            Err(refused) => Response::from_errors(vec![refused]),
        }
    }

    fn prepare(&self, caller: Caller, mut request: Request) -> Result<Prepared, ServerError> {
        let document = self.limits.check(&mut request)?;
        let operation = limits::operation_type(&document, request.operation_name.as_deref());
        request.set_parsed_query(document);
        let waiting = loader::Waiting::default();
        let loaders = loader::Loaders::new(self.app.clone(), caller.viewer.clone(), waiting.clone());
        let mut request = request.data(loaders).data(context::Address(caller.address)).data(context::CameIn::default());
        if let Some(viewer) = caller.viewer {
            request = request.data(viewer);
        }
        Ok(Prepared { request, operation, waiting })
    }

    async fn run(&self, prepared: Prepared) -> Response {
        let Prepared { request, operation, waiting } = prepared;
        let execution = waiting.run(self.schema.execute(request));
        let executed = tokio::time::timeout(self.limits.time, execution).await;
        let mut response = executed.unwrap_or_else(|_| {
            let late = if operation == OperationType::Query {
                ServiceError::Unavailable("the request took too long and was given up")
            } else {
                // The first of several mutations may have been made.
                ServiceError::Undecided("the request took too long: look what was done before you repeat it")
            };
            Response::from_errors(vec![error::ApiError::from(late).into_server_error()])
        });
        error::complete(&mut response.errors);
        response
    }
}

fn builder() -> async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    Schema::build(query::Query, mutation::Mutation::default(), subscription::Subscription)
        .register_output_type::<types::words::ErrorCode>()
        .limit_recursive_depth(crate::domain::limits::DOCUMENT_NESTING)
}

/// The schema as text, as `schema.graphql` holds it.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl()
}

struct Recorder(OnResolve);

impl ExtensionFactory for Recorder {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self(self.0.clone()))
    }
}

#[async_trait::async_trait]
impl Extension for Recorder {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> async_graphql::ServerResult<Option<async_graphql::Value>> {
        (self.0)(info.parent_type, info.name);
        next.run(ctx, info).await
    }
}
