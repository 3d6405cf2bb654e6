//! The API: types, queries, mutations and subscriptions over the use cases. No rule lives here; a resolver parses, calls and wraps.
//!
//! [`Api`] is the one door for every transport: it holds a document against the limits before anything is validated,
//! executes it with the viewer's own loaders, and gives every error a code.

mod context;
mod error;
mod limits;
mod live;
mod loader;
mod mutation;
mod query;
mod subscription;
mod types;
mod variables;

use std::sync::Arc;

use async_graphql::{
    Request, Response, Schema, ServerError, Value,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
    parser::types::{ExecutableDocument, OperationType},
};
pub use limits::{Limits, check_operation};
pub use live::{Closed, Line, Operation, Outbox, Parcel, Part};

use crate::{
    repo::Scope,
    service::{App, ServiceError, Viewer},
};
use live::Live;

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
    live: Arc<Live>,
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
    document: ExecutableDocument,
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
        let schema = builder.finish();
        let live = Arc::new(Live::new(&schema.sdl()));
        Self { schema, app, limits: Limits::default(), live }
    }

    /// Checks, validates and executes one query or mutation.
    pub async fn execute(&self, caller: Caller, request: Request) -> Response {
        let response = match self.prepare(caller, request) {
            Ok(prepared) => self.run(prepared).await,
            Err(refused) => Response::from_errors(vec![refused]),
        };
        self.count(&response.errors);
        response
    }

    /// Counts the errors that a client is told of, by code.
    fn count(&self, errors: &[ServerError]) {
        for error in errors {
            if let Some(code) = error::code(error) {
                self.app.metrics.graphql_errors.with_label_values(&[code]).inc();
            }
        }
    }

    fn prepare(&self, caller: Caller, mut request: Request) -> Result<Prepared, ServerError> {
        let document = self.limits.check(&mut request)?;
        let operation = limits::operation_type(&document, request.operation_name.as_deref());
        let scope = caller.viewer.as_ref().map(Viewer::scope);
        let (request, waiting) = self.equip(request, caller.viewer, scope, caller.address);
        Ok(Prepared { request, document, operation, waiting })
    }

    /// Whether a request is one to be told what happens.
    fn subscribes(&self, request: &mut Request) -> bool {
        let document = self.limits.check(request);
        document.is_ok_and(|document| {
            limits::operation_type(&document, request.operation_name.as_deref()) == OperationType::Subscription
        })
    }

    /// Gives a request what its resolvers ask the context for.
    fn equip(
        &self,
        request: Request,
        viewer: Option<Viewer>,
        scope: Option<Scope>,
        address: String,
    ) -> (Request, loader::Waiting) {
        let waiting = loader::Waiting::default();
        let loaders = loader::Loaders::new(self.app.clone(), viewer.clone(), scope, waiting.clone());
        let mut request = request.data(loaders).data(context::Address(address)).data(context::CameIn::default());
        if let Some(viewer) = viewer {
            request = request.data(viewer);
        }
        (request, waiting)
    }

    async fn run(&self, prepared: Prepared) -> Response {
        let Prepared { mut request, document, operation, waiting } = prepared;
        request.set_parsed_query(document);
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

/// Whether a request was refused before it was executed: no data, and no error has a path.
#[must_use]
pub fn is_refused(response: &Response) -> bool {
    has_failed(response, 0)
}

/// Whether a subscription cannot go on: an error at its one field is of the stream itself; those of an event are deeper.
fn is_failed(response: &Response) -> bool {
    has_failed(response, 1)
}

/// Whether errors at most `depth` levels deep left no data.
fn has_failed(response: &Response, depth: usize) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.len() <= depth)
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
