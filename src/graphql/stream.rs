//! Operations answered by more than one message, for transports that can send them: subscriptions, and beside them queries
//! and mutations.

use async_graphql::{Request, Response, ServerError, Value, parser::types::OperationType};
use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};

use crate::{
    graphql::{Api, Caller, error},
    service::ServiceError,
};

/// One message of the answer to an operation.
#[derive(Debug)]
pub enum Answer {
    /// A result, with errors of single fields maybe.
    Next(Response),
    /// The operation was refused, or cannot go on; the last message.
    Failed(Vec<ServerError>),
}

impl Answer {
    /// The last message of an operation that a use case's error ends.
    #[must_use]
    pub fn failed(error: ServiceError) -> Self {
        Self::Failed(vec![error::ApiError::from(error).into_server_error()])
    }

    /// The errors in it.
    #[must_use]
    pub fn errors(&self) -> &[ServerError] {
        match self {
            Self::Next(response) => &response.errors,
            Self::Failed(errors) => errors,
        }
    }

    /// A response whose errors are all at most `depth` levels deep and left no data is the operation's failure.
    fn of(response: Response, depth: usize) -> Self {
        if has_failed(&response, depth) { Self::Failed(response.errors) } else { Self::Next(response) }
    }
}

/// Whether a request was refused before it was executed: no data, and no error has a path.
#[must_use]
pub fn is_refused(response: &Response) -> bool {
    has_failed(response, 0)
}

fn has_failed(response: &Response, depth: usize) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.len() <= depth)
}

impl Api {
    /// As [`Api::execute`] for every kind of operation: a query or mutation has one result, a subscription goes on until it
    /// fails or the stream is dropped. Each event is resolved when it is asked for, by loaders that keep nothing from one to
    /// the next.
    pub fn execute_stream(&self, caller: Caller, request: Request) -> BoxStream<'static, Answer> {
        let prepared = match self.prepare(caller, request) {
            Ok(prepared) => prepared,
            Err(refused) => return stream::once(ready(Answer::Failed(vec![refused]))).boxed(),
        };
        if prepared.operation != OperationType::Subscription {
            let api = self.clone();
            return stream::once(async move { Answer::of(api.run(prepared).await, 0) }).boxed();
        }
        let responses = prepared.waiting.run_stream(self.schema.execute_stream(prepared.request));
        responses
            .map(|mut response| {
                error::complete(&mut response.errors);
                // An error at the one field is of the stream itself; those of an event are deeper.
                Answer::of(response, 1)
            })
            .boxed()
    }
}
