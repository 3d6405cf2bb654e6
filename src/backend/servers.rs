//! For tests: the real servers that bodies are run against, as the integration tests start them.

#[path = "../../tests/it/harness/keeper.rs"]
mod keeper;
#[path = "../../tests/it/harness/redis.rs"]
pub(crate) mod redis;
