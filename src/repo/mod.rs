//! SQL by aggregate. Rows come out as typed records; text becomes the words of `domain` here and nowhere else.
//!
//! Every query over a project's rows starts from a select that is bound to what the asker may see ([`scope`]), so that
//! what is invisible is simply not found. `find` gives an `Option`, `get` a not-found error, `lock` holds the row until
//! the transaction ends. Only this room and `migration` know entities and sea-orm.

pub mod access_token;
pub mod annotation;
pub mod asset;
pub mod assignment;
pub mod clock;
pub mod conflict;
mod db;
mod error;
pub mod event;
pub mod instance;
pub mod job;
mod keyset;
pub mod label;
pub mod member;
pub mod places;
mod pool;
pub mod project;
pub mod queue;
pub mod record;
pub mod retention;
pub mod review;
pub mod revision;
pub mod schema;
pub mod scope;
pub mod session;
pub mod sign_in;
pub mod slot;
pub mod snapshot;
mod sql;
pub mod stats;
pub mod suggestion;
pub mod task;
pub mod task_list;
pub mod template;
pub mod user;

pub use db::{Conn, Connect, Db, News, Txn};
pub use error::RepoError;
pub use scope::Scope;
